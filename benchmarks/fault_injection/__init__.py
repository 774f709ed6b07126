"""Faults that are put into starts of crosslift, and what became of the studies; see ../faults.py."""
