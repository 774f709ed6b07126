import shutil

import pytest
from fake_study import install_fakes, open_graph, write_fake_study

from crosslift.viewing import observer

install_fakes()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    return write_fake_study(tmp_path_factory.mktemp("viewing") / "study")


@pytest.fixture
def graph(prepared, tmp_path):
    """The steps of a prepared study of five runs, in a folder of its own."""
    return open_graph(shutil.copytree(prepared, tmp_path / "study"))


@pytest.fixture(autouse=True)
def looks_at_once(monkeypatch):
    """Every question looks at the folder, however soon after the last one."""
    monkeypatch.setattr(observer, "LOOK_SECONDS", 0.0)
