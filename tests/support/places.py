"""Where tests find what they do not make themselves."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DATA = REPOSITORY.parent / "shared" / "data"
"""Real data sets and published results; absent on most machines, and tests that need them are then skipped."""
