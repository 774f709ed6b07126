"""Formats of results of other tools. A format is a module with `read(mapping) -> pl.DataFrame`."""
