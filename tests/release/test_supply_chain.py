"""The audit tells apart what is known, what is not and what could not be checked; every version is pinned."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "tools" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answer(monkeypatch, audit: ModuleType, dependencies: list[dict] | None, stderr: str = "") -> None:
    """Let pip-audit say so; None: it ends without a result."""

    def run(command, **_):
        if dependencies is not None:
            Path(command[command.index("--output") + 1]).write_text(json.dumps({"dependencies": dependencies}))
        return SimpleNamespace(returncode=1, stderr=stderr)

    monkeypatch.setattr(audit.subprocess, "run", run)


CLEAN = {"name": "rich", "version": "15.0.0", "vulns": []}
FAULTY = {"name": "jinja2", "version": "2.0", "vulns": [{"id": "CVE-1", "fix_versions": ["3.1"]}]}
UNKNOWN = {"name": "torch", "skip_reason": "not found"}


def test_no_known_vulnerability_passes(monkeypatch, audit, capsys):
    answer(monkeypatch, audit, [CLEAN, UNKNOWN])
    assert audit.audit(1) == 0
    said = capsys.readouterr().out
    assert "could not be checked: torch" in said
    assert "1 packages checked, 0 known" in said


def test_a_known_vulnerability_fails_and_is_named_with_the_version_that_has_it_fixed(monkeypatch, audit, capsys):
    answer(monkeypatch, audit, [CLEAN, FAULTY])
    assert audit.audit(1) == 1
    assert "jinja2 2.0: CVE-1, fixed in 3.1" in capsys.readouterr().out


@pytest.mark.parametrize("dependencies", [None, [UNKNOWN], []])
def test_what_could_not_be_checked_is_said_and_passes(monkeypatch, audit, capsys, dependencies):
    answer(monkeypatch, audit, dependencies, stderr="connection refused")
    assert audit.audit(1) == 0
    assert "could not be checked" in capsys.readouterr().out


def test_a_service_that_does_not_answer_is_said_and_passes(monkeypatch, audit, capsys):
    def run(*_, **__):
        raise subprocess.TimeoutExpired("pip-audit", 1)

    monkeypatch.setattr(audit.subprocess, "run", run)
    assert audit.audit(1) == 0
    assert "no answer within 1 s" in capsys.readouterr().out


def test_every_direct_dependency_is_pinned():
    pinned = set(re.findall(r"^([a-z0-9-]+)==\S+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    names = {re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", one)[0]).lower() for one in asked} - {"crosslift"}
    assert names <= pinned, names - pinned
