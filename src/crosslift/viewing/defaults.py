"""Values that the command line shows before anything is imported."""

from __future__ import annotations

PORT = 8764
"""Port of the page of `crosslift view`."""
