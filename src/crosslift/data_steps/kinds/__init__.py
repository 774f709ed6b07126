"""Kinds of steps, one module each, named after the value of `kind` in data.toml."""
