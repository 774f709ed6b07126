"""Checks of parallel corpora, one module each. `corpora.findings` documents the interface."""
