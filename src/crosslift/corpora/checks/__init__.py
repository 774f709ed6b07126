"""Checks of parallel corpora, one file each; what they are is told in `corpora.findings`."""
