"""Readers of corpus formats, one module each.

A reader is a module, whose name is the name of the reader, with

    read(source: Source) -> ParallelCorpus
    OPTIONS: dict[str, type]      option -> type; options are additional keys of the corpus table in the study file
    NEEDS_PATH: bool | None       whether the study file must contain a path; None if it is optional

A reader reads only its input, and imports neither torch nor transformers.
"""
