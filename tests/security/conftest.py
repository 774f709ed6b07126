"""A file that hostile content tries to make: where it is, something was executed."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def trap(tmp_path: Path):
    file = tmp_path / "executed"
    yield file
    assert not file.exists(), "hostile content was executed"
