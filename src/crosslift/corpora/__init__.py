"""Parallel corpora: the same items in several languages, read, checked and kept aligned."""
