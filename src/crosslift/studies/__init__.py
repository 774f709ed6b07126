"""Studies: parsing and validation of study.toml, expansion into runs, and planning."""
