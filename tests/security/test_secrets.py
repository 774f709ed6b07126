"""Keys come from the environment and stand in no file, log or manifest."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from endpoints import serving
from tiny_study import STUDY, write_study

from crosslift.remote.endpoint import CompletionRequest, Endpoint, send_requests

SECRET = "hf_thisIsNoKeyButMustNotBeSeen"
VARIABLES = ("OPENAI_API_KEY", "HF_TOKEN", "ANTHROPIC_API_KEY", "AWS_SECRET_ACCESS_KEY")


def test_a_key_stands_in_no_log_of_any_level(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setenv("TOY_KEY", SECRET)
    with caplog.at_level(logging.DEBUG), serving(str.upper, key=SECRET, fault_every=3) as server:
        place = Endpoint(base_url=server.base_url, model="m", key_variable="TOY_KEY", timeout_seconds=0.5)
        messages = [[{"role": "user", "content": f"q{n}"}] for n in range(6)]
        send_requests(place, [CompletionRequest(messages=one, max_tokens=4) for one in messages], _ignore)
    assert caplog.text
    assert SECRET not in caplog.text
    assert SECRET not in repr(place)


def _ignore(place: int, reply: object) -> None:
    pass


@pytest.mark.slow
def test_a_study_that_asks_an_endpoint_holds_no_secret_of_the_environment(tmp_path: Path):
    """The whole folder: lock, manifests, logs, provenance, predictions, report."""
    text = STUDY.replace("max_tokens = 8", 'max_tokens = 8\ngenerator = "endpoint"')
    text = text[: text.index("[[contrasts]]")]
    study = write_study(tmp_path / "study", text=text)
    with serving(lambda prompt: "The answer is 3.", key=SECRET) as server:
        site = study / "site.toml"
        site.write_text(f'[generators.endpoint]\nbase_url = "{server.base_url}"\nkey_variable = "OPENAI_API_KEY"\n')
        ended = subprocess.run(
            [sys.executable, "-m", "crosslift", "run", study],
            capture_output=True,
            text=True,
            env=os.environ | dict.fromkeys(VARIABLES, SECRET) | {"OMP_NUM_THREADS": "1"},
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert server.asked
    assert SECRET not in ended.stdout + ended.stderr
    files = [file for file in study.rglob("*") if file.is_file()]
    assert any(file.name == "provenance.json" for file in files)
    for file in files:
        assert SECRET.encode() not in file.read_bytes(), file
