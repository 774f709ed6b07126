"""Tasks of lm-evaluation-harness: which task belongs to a language, and its documents.

The name of a task contains the code of its language, and data sets disagree on codes ("belebele_deu_Latn",
"mgsm_direct_de"). `{language}` stands for the first code that gives a known task: what `codes` says, else the tag, the
ISO 639-3 code with the script as FLORES-200 writes it, and the ISO 639-3 code alone.

Relative paths in `dataset_path` and `dataset_kwargs` that exist in the folder of `include_path` mean files there, so
that a study with its data can be moved. Nothing else of a task is changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from crosslift.corpora.corpus import Source
from crosslift.errors import CorpusError, did_you_mean
from crosslift.extras import optional
from crosslift.fingerprint import fingerprint
from crosslift.languages.language import language

FEWSHOT_SEED = 1234
"""Seed of the harness's choice of worked examples, its own default."""

_FLORES = {"zh": "zho_Hans", "ko": "kor_Hang"}
"""FLORES-200 codes that do not follow from the language's data."""


def version() -> str:
    """Version of the installed harness.

    Raises:
        MissingPackage: it is not installed.
    """
    with optional():
        import lm_eval
    return str(lm_eval.__version__)


def load_task(source: Source, tag: str) -> Any:
    """Load the task of a corpus in one language, with its data set.

    Args:
        source: specification of a corpus of the reader `lm_eval`.
        tag: the language.

    Returns:
        The harness's `Task`. It is loaded once per process.

    Raises:
        CorpusError: there is no such task, it is a group of tasks, or its data cannot be loaded.
        MissingPackage: the harness is not installed.
    """
    key = json.dumps([str(source.path), source.options], sort_keys=True)
    if (key, tag) not in _loaded:
        _loaded[key, tag] = _load(source, tag)
    return _loaded[key, tag]


_loaded: dict[tuple[str, str], Any] = {}


def documents(task: Any) -> list[dict[str, Any]]:
    """The evaluated documents of a task, in its order."""
    return [dict(document) for document in task.eval_docs]


def document_hash(document: Mapping[str, Any]) -> str:
    """Identify the content of a document."""
    return fingerprint(json.dumps(document, sort_keys=True, default=str, ensure_ascii=False))


def metrics_of(task: Any) -> list[str]:
    """Names of the metrics of a task, with their filter unless it has none: "acc", "exact_match,strict-match"."""
    filters = [one["name"] for one in (task.config.filter_list or [])] or ["none"]
    metrics = [one["metric"] for one in (task.config.metric_list or [])]
    if "bits_per_byte" in metrics:
        metrics = ["byte_probability", *metrics]
    return [metric_name(str(metric), str(name)) for metric in metrics for name in filters]


def metric_name(metric: str, filtered: str) -> str:
    """Name of a metric in scores.parquet."""
    return metric if filtered == "none" else f"{metric},{filtered}"


def find_task(source: Source, tag: str) -> tuple[str, Path]:
    """Find the task of a corpus in one language, without its data.

    Args:
        source: specification of a corpus of the reader `lm_eval`.
        tag: the language.

    Returns:
        Name of the task, and the file that defines it.

    Raises:
        CorpusError: there is no such task, or it is a group of tasks.
        MissingPackage: the harness is not installed.
    """
    with optional():
        import lm_eval.tasks
    wanted = str(source.options["harness_task"])
    names = [wanted.replace("{language}", code) for code in _codes(source, tag)] if "{language}" in wanted else [wanted]
    folders = [Path(lm_eval.tasks.__file__).parent]
    if source.path is not None:
        folders.insert(0, source.path)
    for folder in folders:
        for name in names:
            if name in _defined(folder)["task"]:
                return name, _defined(folder)["task"][name]
    known = [name for folder in folders for name in _defined(folder)["task"]]
    for name in names:
        if any(name in _defined(folder)["group"] for folder in folders):
            raise CorpusError(f"{source.place}: {name} is a group of tasks. Name its tasks one by one.")
    raise CorpusError(
        f"{source.place}: lm-evaluation-harness has no task {' or '.join(names)}.{did_you_mean(names[0], known)} "
        f'Correct the name, or give the language\'s code: codes = {{ {tag} = "..." }}.'
    )


@cache
def _defined(folder: Path) -> dict[str, dict[str, Path]]:
    """Names of the tasks and groups that the YAML files of a folder define, and the files.

    The harness's own index parses its 14,000 files with all their includes, which takes ten times as long.
    """
    found: dict[str, dict[str, Path]] = {"task": {}, "group": {}}
    for file in sorted(folder.rglob("*.yaml")):
        for kind, name in _DEFINITION.findall(file.read_bytes()):
            found[kind.decode()].setdefault(name.decode(errors="replace"), file)
    return found


_DEFINITION = re.compile(rb"""^(task|group):[ \t]*['"]?([^\s'"#]+)""", re.MULTILINE)


def _load(source: Source, tag: str) -> Any:
    with optional():
        from lm_eval.tasks import TaskManager
        from lm_eval.tasks._yaml_loader import load_yaml
    name, file = find_task(source, tag)
    config = load_yaml(file, resolve_func=True)
    code = _code_of(str(source.options["harness_task"]), name)
    for key in ("dataset_path", "dataset_name", "dataset_kwargs", "num_fewshot"):
        if key in source.options:
            config[key] = _with_code(source.options[key], code)
    for key in ("dataset_path", "dataset_kwargs"):
        if key in config:
            config[key] = _below(config[key], source.path)
    try:
        task = TaskManager(include_defaults=False).load(config)["tasks"][name]
    except Exception as error:  # the harness and `datasets` raise many types for missing data
        said = str(error).strip().partition("\n")[0]
        raise CorpusError(
            f"{source.place}: the data of {name} cannot be loaded ({type(error).__name__}: {said}). Without a network, "
            "give files on this machine: dataset_path and dataset_kwargs."
        ) from error
    task.set_fewshot_seed(FEWSHOT_SEED)
    return task


def _codes(source: Source, tag: str) -> list[str]:
    given = source.options.get("codes", {})
    if tag in given:
        return [str(given[tag])]
    known = language(tag)
    return [tag, _FLORES.get(tag, f"{known.iso639_3}_{known.script}"), known.iso639_3]


def _code_of(wanted: str, name: str) -> str:
    """What `{language}` stands for in the name of a task."""
    before, _, after = wanted.partition("{language}")
    return name[len(before) : len(name) - len(after)]


def _with_code(value: Any, code: str) -> Any:
    if isinstance(value, str):
        return value.replace("{language}", code)
    if isinstance(value, Mapping):
        return {key: _with_code(one, code) for key, one in value.items()}
    return [_with_code(one, code) for one in value] if isinstance(value, list) else value


def _below(value: Any, folder: Path | None) -> Any:
    """Paths in a value that exist below a folder, made absolute."""
    if isinstance(value, str):
        return str((folder / value).resolve()) if folder is not None and value and (folder / value).exists() else value
    if isinstance(value, Mapping):
        return {key: _below(one, folder) for key, one in value.items()}
    return [_below(one, folder) for one in value] if isinstance(value, list) else value
