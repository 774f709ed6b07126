"""Base models: where their files lie, and what identifies them.

A model is identified by what is in its files. For a local folder and a pocket model that is a hash of the weights and
settings; for a model of the hub the commit says it, and `lock.json` keeps the commit, so that a study that began on one
`main` does not end on another.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosslift.errors import ModelError, StudyError
from crosslift.execution.folder.content_hashes import ContentHashes
from crosslift.fingerprint import fingerprint
from crosslift.studies.parsing.problems import some
from crosslift.studies.run import Model
from crosslift.untrusted.model_files import check_settings, pickled_weights, tensor_shapes

_SUFFIXES = (".safetensors", ".json", ".jinja", ".model", ".txt", ".tiktoken")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TOKENIZER = ("tokenizer", "special_tokens_map", "added_tokens", "vocab", "merges", "chat_template", "spiece")


@dataclass(frozen=True, kw_only=True)
class BaseModel:
    """A model of the study, identified."""

    name: str
    path: str
    """As the study says it."""
    asked: str | None
    """The revision that the study asks for; None for the newest."""
    commit: str | None
    """Of a hub model; None for folders."""
    content: str
    """Fingerprint of weights and settings."""
    tokenizer_files: str
    """Fingerprint of the tokenizer's files."""
    tokenizer: str
    """Fingerprint of those and of the chat template: equal for models that tokenise alike."""
    template: str | None
    """As `chat.load_tokenizer` takes it: None, "plain", or the path of a Jinja file."""
    num_parameters: int

    def record(self) -> dict[str, Any]:
        """What `lock.json` says of the model. A hub model needs no more than this at the next start."""
        hub = {} if self.commit is None else {"path": self.path, "asked": self.asked, "commit": self.commit}
        return hub | {
            "content": self.content,
            "tokenizer_files": self.tokenizer_files,
            "num_parameters": self.num_parameters,
        }

    def identity(self) -> dict[str, Any]:
        """What decides a result: the weights and how conversations are written."""
        return {"content": self.content, "tokenizer": self.tokenizer}

    def folder(self, study_folder: Path) -> Path:
        """Where the files are now; a hub model is downloaded if it is not here.

        Raises:
            StudyError: it is nowhere.
        """
        local = local_folder(self.name, self.path, study_folder)
        return local if local is not None else _download(self.name, self.path, self.commit or self.asked)


def identify(model: Model, *, study_folder: Path, hashes: ContentHashes, locked: Mapping[str, Any] | None) -> BaseModel:
    """Look at a model's files, downloading them if it is one of the hub that the study has not used yet.

    Args:
        locked: what `lock.json` says of the model, if the study has been prepared before.

    Raises:
        StudyError: no such folder or hub model, or it has no weights in the safetensors format.
    """
    template = template_file(model, study_folder)
    text = Path(template).read_text(encoding="utf-8") if template not in (None, "plain") else template
    local = local_folder(model.name, model.path, study_folder)
    if local is None and locked and (locked.get("path"), locked.get("asked")) == (model.path, model.revision):
        commit, content, count = locked["commit"], locked["content"], locked["num_parameters"]
        tokenizer_files = locked["tokenizer_files"]
    else:
        folder = local if local is not None else _download(model.name, model.path, model.revision)
        files = sorted(file for file in folder.iterdir() if file.suffix in _SUFFIXES and file.is_file())
        hashed = hashes.of(f"models/{model.name}", folder, files)
        commit = None if local is not None else folder.name
        content = fingerprint(hashed) if commit is None else f"{model.path}@{commit}"
        count = count_parameters(model.name, folder)
        tokenizer_files = fingerprint({name: sha for name, sha in hashed.items() if name.startswith(_TOKENIZER)})
    return BaseModel(
        name=model.name,
        path=model.path,
        asked=model.revision,
        commit=commit,
        content=content,
        tokenizer_files=tokenizer_files,
        tokenizer=fingerprint({"files": tokenizer_files, "template": text}),
        template=template,
        num_parameters=count,
    )


def count_parameters(name: str, folder: Path) -> int:
    """Number of weights, from the headers of the safetensors files: nothing is loaded.

    Raises:
        StudyError: there are none, or files are damaged.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        pickles = pickled_weights(folder)
        raise StudyError(
            f"models.{name}: no weights in the safetensors format were found. "
            + (f"{some(pickles)} may run any program when it is read and is not read. " if pickles else "")
            + "Save the model anew with save_pretrained, or name another one."
        )
    try:
        check_settings(folder)
        return sum(math.prod(shape) for file in files for shape in tensor_shapes(file).values())
    except ModelError as error:
        raise StudyError(f"models.{name}: {error}") from error


def local_folder(name: str, path: str, study_folder: Path) -> Path | None:
    """The folder of a pocket model or a local one; None for a name of the hub.

    Raises:
        StudyError: the path is neither.
        UnknownName: no such pocket model.
    """
    if path.startswith("pocket:"):
        from crosslift.pocket import checkpoints

        return checkpoints.folder(path.removeprefix("pocket:"))
    folder = study_folder / Path(path).expanduser()
    if folder.is_dir():
        return folder
    if path.startswith((".", "/", "~")) or path.count("/") > 1:
        raise StudyError(f"models.{name}: there is no folder {path}, seen from the study's folder. Correct the path.")
    return None


def _download(name: str, path: str, revision: str | None) -> Path:
    """The snapshot folder of a hub model, named after its commit. Looks on the disk where there is no network."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise StudyError(
            f"models.{name}: models of the hub need the training packages. Run: pip install 'crosslift[train]'"
        ) from error
    wanted = [f"*{suffix}" for suffix in _SUFFIXES]
    if revision is not None and _COMMIT.fullmatch(revision):  # on this disk already? Then no network is needed
        with contextlib.suppress(OSError):
            return Path(snapshot_download(path, revision=revision, allow_patterns=wanted, local_files_only=True))
    try:
        return Path(snapshot_download(path, revision=revision, allow_patterns=wanted))
    except OSError as error:  # unknown name, unknown revision, gated, no network: all are OSErrors
        at = f" at revision {revision}" if revision else ""
        raise StudyError(
            f"models.{name}: {path}{at} is not on this disk and cannot be downloaded ({type(error).__name__}). Check "
            "the name and the network; gated models need: hf auth login"
        ) from error


def template_file(model: Model, study_folder: Path) -> str | None:
    """The template as `chat.load_tokenizer` takes it.

    Raises:
        StudyError: there is no such file.
    """
    if model.template is None or model.template == "plain":
        return model.template
    file = study_folder / Path(model.template).expanduser()
    if not file.is_file():
        raise StudyError(
            f"models.{model.name}.template: {model.template} is no file. A template is 'plain' or the path of a Jinja "
            "file, from the study's folder."
        )
    return str(file)
