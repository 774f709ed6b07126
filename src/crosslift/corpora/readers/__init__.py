"""One corpus format, one file.

A reader is a module with one function,

    read(source: Source) -> ParallelCorpus

named after its file. It may touch nothing but its input, and imports neither torch nor transformers.
"""
