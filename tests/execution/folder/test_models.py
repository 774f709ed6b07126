"""A base model is what its files hold; a model of the hub is its commit, and stays it."""

from __future__ import annotations

import json
import os
import shutil

import huggingface_hub
import pytest
from tiny_study import write_model

from crosslift.errors import StudyError, UnknownName
from crosslift.execution.folder.base_models import identify
from crosslift.execution.folder.content_hashes import ContentHashes
from crosslift.studies.run import Model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / COMMIT
    write_model(folder)
    return folder


def identified(folder, path, *, locked=None, **fields):
    hashes = ContentHashes(folder / "hashes.json")
    found = identify(Model(name="m", path=path, **fields), study_folder=folder, hashes=hashes, locked=locked)
    hashes.save()
    return found


def test_a_model_is_its_content_and_not_its_place(tmp_path, model):
    shutil.copytree(model, tmp_path / "a")
    one = identified(tmp_path, "./a")
    (tmp_path / "a").rename(tmp_path / "b")
    other = identified(tmp_path, str(tmp_path / "b"))
    assert one.identity() == other.identity()
    assert one.num_parameters > 30_000
    config = json.loads((tmp_path / "b" / "config.json").read_text())
    (tmp_path / "b" / "config.json").write_text(json.dumps(config | {"rope_theta": 7}))
    changed = identified(tmp_path, "./b")
    assert changed.content != one.content
    assert changed.tokenizer == one.tokenizer
    assert identified(tmp_path, "./b", template="plain").tokenizer != one.tokenizer


def test_weights_are_read_once_and_then_known_by_size_and_date(tmp_path, model, monkeypatch):
    shutil.copytree(model, tmp_path / "a")
    one = identified(tmp_path, "./a")
    read = []
    monkeypatch.setattr(
        "crosslift.execution.folder.content_hashes.fingerprint_file", lambda file: read.append(file.name) or "x"
    )
    assert identified(tmp_path, "./a") == one
    assert read == []
    os.utime(tmp_path / "a" / "model.safetensors")
    identified(tmp_path, "./a")
    assert read == ["model.safetensors"]


def test_a_hub_model_stays_at_the_commit_that_the_study_began_on(tmp_path, model, monkeypatch):
    asked = []

    def download(path, *, revision, **_):
        asked.append((path, revision))
        return str(model)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    one = identified(tmp_path, "owner/name")
    assert one.commit == COMMIT
    again = identified(tmp_path, "owner/name", locked=one.record())
    assert again == one
    assert asked == [("owner/name", None)]  # the restart asked nobody
    assert again.folder(tmp_path) == model
    assert asked[1:] == [("owner/name", COMMIT)]
    identified(tmp_path, "owner/name", revision="v2", locked=one.record())
    assert asked[2:] == [("owner/name", "v2")]


def test_models_that_are_nowhere_are_told(tmp_path, monkeypatch):
    def download(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    (tmp_path / "empty").mkdir()
    for path, error, message in (
        ("./none", StudyError, r"models\.m: the folder \./none does not exist"),
        ("./empty", StudyError, "no weights in the safetensors format"),
        ("owner/none", StudyError, "cannot be downloaded"),
        ("pocket:none", UnknownName, "'none' is not a pocket model"),
    ):
        with pytest.raises(error, match=message):
            identified(tmp_path, path)
    with pytest.raises(StudyError, match=r"is not a file\. A template is 'plain'"):
        identified(tmp_path, "./empty", template="none.jinja")
