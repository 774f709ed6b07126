"""Location and identity of base models.

A model is identified by the content of its files: a hash of the weights and settings for a local folder or a pocket
model, the commit for a model of the hub. `lock.json` stores the commit, so that a study continues with the same commit
when the branch `main` of the model changes.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from crosslift.errors import ModelError, StudyError, UnknownName
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
    """An identified model of the study."""

    name: str
    path: str
    """Path or hub name in the study file."""
    requested_revision: str | None
    """Revision in the study file; None for the newest."""
    commit: str | None
    """Commit of a hub model; None for folders."""
    content: str
    """Fingerprint of weights and settings."""
    tokenizer_files: str
    """Fingerprint of the tokenizer's files."""
    tokenizer: str
    """Fingerprint of the tokenizer's files and the chat template: equal for models that tokenise identically."""
    template: str | None
    """Argument of `chat.load_tokenizer`: None, "plain", or the path of a Jinja file."""
    num_parameters: int
    first_revision: str | None = None
    """Revision with which the study first named the same files, as its runs record it: writing down the commit that is
    used anyway changes no run."""

    def record(self) -> dict[str, Any]:
        """Return the model's entry in `lock.json`, from which a hub model is identified at the next start, and a folder
        that no longer exists."""
        source: dict[str, Any] = {"path": self.path}
        if self.first_revision != (None if self.commit is None else self.requested_revision):
            source["first_asked"] = self.first_revision
        if self.commit is not None:
            source |= {"asked": self.requested_revision, "commit": self.commit}
        return source | {
            "content": self.content,
            "tokenizer_files": self.tokenizer_files,
            "num_parameters": self.num_parameters,
        }

    def identity(self) -> dict[str, Any]:
        """Return the properties that determine results: the weights and the rendering of conversations."""
        return {"content": self.content, "tokenizer": self.tokenizer}

    def folder(self, study_folder: Path) -> Path:
        """Locate the files; a hub model that is not in the cache is downloaded.

        Args:
            study_folder: base of relative paths.

        Returns:
            The folder that holds the files.

        Raises:
            StudyError: the model was not found.
        """
        local = local_folder(self.name, self.path, study_folder)
        if local is not None:
            return local
        if self.commit is None:
            raise StudyError(
                f"models.{self.name}: the folder {self.path}, from which the study was prepared, does not exist. "
                "Restore it."
            )
        return _download(self.name, self.path, self.commit)


def with_first_revision(model: BaseModel, locked: Iterable[Mapping[str, Any]]) -> BaseModel:
    """Set the revision that runs record: that of the same files where the study has had them, whatever the model is
    called there.

    Args:
        model: the identified model.
        locked: the entries of models in `lock.json`, the first of which counts.
    """
    for entry in locked:
        if (entry["content"], entry.get("tokenizer_files")) == (model.content, model.tokenizer_files):
            return replace(model, first_revision=entry.get("first_asked", entry.get("asked")))
    return replace(model, first_revision=model.requested_revision)


def identify(model: Model, *, study_folder: Path, hashes: ContentHashes, locked: Mapping[str, Any] | None) -> BaseModel:
    """Identify a model by its files; a hub model that the study has not used before is downloaded. A folder that no
    longer exists is identified by `lock.json`, so that the results of an archived study can be read.

    Args:
        model: the model as declared in the study.
        study_folder: base of relative paths.
        hashes: cache of file hashes.
        locked: the model's entry in `lock.json`, if the study has been prepared before.

    Returns:
        The identified model.

    Raises:
        StudyError: the folder or hub model does not exist, or has no weights in the safetensors format.
    """
    template = template_file(model, study_folder)
    text = Path(template).read_text(encoding="utf-8") if template not in (None, "plain") else template
    # Earlier versions recorded no path for a folder.
    known = locked is not None and (locked.get("path", model.path), locked.get("asked")) == (model.path, model.revision)
    try:
        local = local_folder(model.name, model.path, study_folder)
    except (StudyError, UnknownName):
        if not known:  # otherwise the results are readable, and `BaseModel.folder` raises once the files are needed
            raise
        local = None
    if local is None and locked and known:
        commit, content, count = locked.get("commit"), locked["content"], locked["num_parameters"]
        tokenizer_files = locked["tokenizer_files"]
    else:
        folder = local if local is not None else _download(model.name, model.path, model.revision)
        hashed = hashes.of(f"models/{model.name}", folder, model_files(folder))
        commit = None if local is not None else folder.name
        content = fingerprint(hashed) if commit is None else f"{model.path}@{commit}"
        count = count_parameters(model.name, folder)
        tokenizer_files = fingerprint({name: sha for name, sha in hashed.items() if name.startswith(_TOKENIZER)})
    return BaseModel(
        name=model.name,
        path=model.path,
        requested_revision=model.revision,
        commit=commit,
        content=content,
        tokenizer_files=tokenizer_files,
        tokenizer=fingerprint({"files": tokenizer_files, "template": text}),
        template=template,
        num_parameters=count,
    )


def model_files(folder: Path) -> list[Path]:
    """List the files of a model's folder that are read (safetensors, settings, tokenizer), sorted."""
    return sorted(file for file in folder.iterdir() if file.suffix in _SUFFIXES and file.is_file())


def count_parameters(name: str, folder: Path) -> int:
    """Count the parameters of a model from the headers of its safetensors files, without loading the weights.

    Args:
        name: name of the model in the study, for messages.
        folder: the model's folder.

    Returns:
        The number of parameters.

    Raises:
        StudyError: there are no safetensors files, or files are damaged.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        pickles = pickled_weights(folder)
        raise StudyError(
            f"models.{name}: no weights in the safetensors format were found. "
            + (f"{some(pickles)} can execute arbitrary code when loaded and is not supported. " if pickles else "")
            + "Save the model again with save_pretrained, or choose another one."
        )
    try:
        check_settings(folder)
        return sum(math.prod(shape) for file in files for shape in tensor_shapes(file).values())
    except ModelError as error:
        raise StudyError(f"models.{name}: {error}") from error


def local_folder(name: str, path: str, study_folder: Path) -> Path | None:
    """Resolve the path of a model that is not on the hub.

    Args:
        name: name of the model in the study, for messages.
        path: `pocket:<name>`, a folder, or a hub name.
        study_folder: base of relative paths.

    Returns:
        The folder of a pocket model or local model; None for a hub name.

    Raises:
        StudyError: the folder does not exist.
        UnknownName: no pocket model has that name.
    """
    if path.startswith("pocket:"):
        from crosslift.pocket import checkpoints

        return checkpoints.folder(path.removeprefix("pocket:"))
    folder = study_folder / Path(path).expanduser()
    if folder.is_dir():
        return folder
    if path.startswith((".", "/", "~")) or path.count("/") > 1:
        raise StudyError(
            f"models.{name}: the folder {path} does not exist (relative to the study's folder). Correct the path."
        )
    return None


def _download(name: str, path: str, revision: str | None) -> Path:
    """Return the snapshot folder of a hub model, which is named after its commit; works offline if it is cached."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise StudyError(
            f"models.{name}: models of the hub need the training packages. Run: pip install 'crosslift[train]'"
        ) from error
    wanted = [f"*{suffix}" for suffix in _SUFFIXES]
    if revision is not None and _COMMIT.fullmatch(revision):  # a cached commit needs no network
        with contextlib.suppress(OSError):
            return Path(snapshot_download(path, revision=revision, allow_patterns=wanted, local_files_only=True))
    try:
        return Path(snapshot_download(path, revision=revision, allow_patterns=wanted))
    except OSError as error:  # unknown name, unknown revision, gated model and no network are all OSErrors
        at = f" at revision {revision}" if revision else ""
        raise StudyError(
            f"models.{name}: {path}{at} is not on this disk and cannot be downloaded ({type(error).__name__}). Check "
            "the name and the network; gated models need: hf auth login"
        ) from error


def template_file(model: Model, study_folder: Path) -> str | None:
    """Resolve the chat template of a model.

    Args:
        model: the model as declared in the study.
        study_folder: base of relative paths.

    Returns:
        Argument of `chat.load_tokenizer`: None, "plain", or the path of a Jinja file.

    Raises:
        StudyError: the file does not exist.
    """
    if model.template is None or model.template == "plain":
        return model.template
    file = study_folder / Path(model.template).expanduser()
    if not file.is_file():
        raise StudyError(
            f"models.{model.name}.template: {model.template} is not a file. A template is 'plain' or the path of a "
            "Jinja file relative to the study's folder."
        )
    return str(file)
