"""One corpus format, one file.

A reader is a module named after its file, with

    read(source: Source) -> ParallelCorpus
    OPTIONS: dict[str, type]      further keys of its table in the study file, with their types
    NEEDS_PATH: bool              must the study file give a path?

It may touch nothing but its input, and imports neither torch nor transformers.
"""
