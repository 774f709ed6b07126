"""Parallel corpora: reading, validation and quality checks of items that exist in several languages."""
