"""How results are written elsewhere. A format is a module with `read(mapping) -> Raw`."""
