"""A study: what is asked, read from study.toml, checked, expanded to runs and planned."""
