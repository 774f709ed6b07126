"""Steps that make the data of a study: a translation, completions, a split (data.toml beside study.toml)."""
