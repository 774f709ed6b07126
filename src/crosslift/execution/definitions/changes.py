"""What an edit of the study file changes: which runs keep their results, which change and why, in one sentence each.

The inputs of every step are recorded in run.json and in done-markers, so a change is named by its field and both
values. Nothing is written or moved here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crosslift.errors import StoreError
from crosslift.execution.folder import checksums
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import fingerprint_of_inputs
from crosslift.fingerprint import canonical

MAX_FIELDS_SHOWN = 3
MAX_REASONS_SHOWN = 5
NOT_READ = "not read yet"
"""Stands for the content of a corpus that `prepare` will read."""


@dataclass(kw_only=True)
class Changes:
    """The runs of the present study file, compared with those that lock.json records."""

    kept: list[str] = field(default_factory=list)
    """Runs whose definition is the same, possibly under another name."""
    changed: dict[str, list[str]] = field(default_factory=dict)
    """Changed fields -> runs that are another training or another base model."""
    evaluated: dict[str, list[str]] = field(default_factory=dict)
    """Changed fields -> runs that keep their training and differ in evaluations."""
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    """Changed or added runs whose results are among those of earlier definitions."""
    staying: int = 0
    """Number of runs of the previous definition with results that the study no longer asks for."""
    read_again: dict[str, str] = field(default_factory=dict)
    """Corpus -> changed fields, for corpora that are prepared again with their tokens and mixtures."""
    at_most: bool = False
    """Whether changed runs may turn out to be the same, because a corpus or mixture may be what it was."""

    def __bool__(self) -> bool:
        return any((self.changed, self.evaluated, self.added, self.removed, self.renamed, self.read_again))


def changes(graph: StepGraph) -> Changes:
    """Compare the study file with the definition that lock.json records.

    Args:
        graph: the steps of the study; a `ProvisionalGraph` if it is not prepared.

    Returns:
        The changes; empty if the study has not been prepared.
    """
    found = Changes()
    lock = graph.store.lock_if_intact()
    if lock is None:
        return found
    recorded: dict[str, Any] = lock["runs"]
    for name in graph.corpora:
        if reread := _fields_of_corpus(graph, name):
            found.read_again[name] = phrase(reread)
    gone = {record["fingerprint"]: name for name, record in recorded.items() if name not in graph.runs}
    superseded = []
    for name, run in graph.runs.items():
        steps = graph.steps(run)
        if graph.is_recorded(run, recorded):
            found.kept.append(name)
            continue
        same = recorded.get(name, {}).get("fingerprint") == steps.fingerprint
        if same or gone.pop(steps.fingerprint, None) is not None:  # an evaluation, or the run itself, was renamed
            found.renamed.append(name)
            found.kept.append(name)
            continue
        if name not in recorded:
            found.added.append(name)
        else:
            fields = fields_of_run(graph, name, recorded[name])
            (found.evaluated if fields.training_kept else found.changed).setdefault(str(fields), []).append(name)
            if fields.superseding:
                superseded.append(name)
        state = graph.state(run)
        if state.done and state.kept_aside:
            found.restored.append(name)
    found.at_most = graph.assumed and bool(found.changed or found.evaluated)
    found.removed = list(gone.values())
    found.staying = sum(graph.store.has_results(name) for name in [*superseded, *found.removed])
    return found


def sentences(found: Changes) -> list[str]:
    """Describe changes for the user, a phrase each; empty if there are none."""
    if not found:
        return []
    phrases = [
        f"corpora.{corpus} is read again, with its tokens and mixtures ({fields})"
        for corpus, fields in found.read_again.items()
    ]
    for reasons, one, many in (
        (found.changed, "changes", "change"),
        (found.evaluated, "keeps its training", "keep their training"),
    ):
        shown = list(reasons.items())[:MAX_REASONS_SHOWN]
        most = "at most " if found.at_most else ""
        phrases += [f"{most}{_runs(runs)} {one if len(runs) == 1 else many} ({fields})" for fields, runs in shown]
        if len(reasons) > len(shown):
            further = sum(map(len, reasons.values())) - sum(len(runs) for _, runs in shown)
            phrases.append(f"{further} further runs {many}, for {len(reasons) - len(shown)} other reasons")
    for runs, what in ((found.added, "added"), (found.removed, "removed"), (found.renamed, "renamed")):
        if runs:
            phrases.append(f"{_runs(runs)} {what}")
    phrases.append(f"{len(found.kept)} kept")
    if found.restored:
        phrases.append(f"{len(found.restored)} found finished among earlier results")
    if found.staying:
        phrases.append(f"{found.staying} earlier {'result stays' if found.staying == 1 else 'results stay'}")
    return phrases


def _runs(names: Sequence[str]) -> str:
    return f"1 run ({names[0]})" if len(names) == 1 else f"{len(names)} runs"


# ----------------------------------------------------------------------------------------------------- changed fields


@dataclass(frozen=True)
class Field:
    """A changed field of a step's inputs; `ABSENT` stands for a field that is not set."""

    path: str
    was: Any
    now: Any

    def __str__(self) -> str:
        if isinstance(self.was, (Mapping, list)) and isinstance(self.now, (Mapping, list)) and self.is_long:
            return self.path
        return f"{self.path}: {self.was_text} -> {self.now_text}"

    @property
    def was_text(self) -> str:
        """The recorded value, as in a study file."""
        return _show(self.was)

    @property
    def now_text(self) -> str:
        """The present value, as in a study file."""
        return _show(self.now)

    @property
    def is_long(self) -> bool:
        """Whether both values take too much room for a sentence."""
        return len(self.was_text) + len(self.now_text) > 80


ABSENT = object()


def differences(was: Any, now: Any, path: str = "") -> Iterator[Field]:
    """Yield the changed fields between two values of a step's inputs.

    Args:
        was: recorded inputs.
        now: present inputs, in canonical form.
        path: path of the values, for nested ones.
    """
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in sorted({*was, *now}):
            yield from differences(was.get(key, ABSENT), now.get(key, ABSENT), f"{path}.{key}" if path else key)
    elif was != now or type(was) is not type(now):
        yield Field(path, was, now)


@dataclass(frozen=True, kw_only=True)
class RunFields:
    """Changed fields of a run, in the words of the study file."""

    training: tuple[str, ...] = ()
    """Of the training, or of the base model."""
    evaluations: tuple[str, ...] = ()
    """Of evaluations that are computed again."""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def training_kept(self) -> bool:
        """Whether the run has the same training, or is the same base model."""
        return not self.training

    @property
    def superseding(self) -> bool:
        """Whether results of the run are no longer asked for."""
        return bool(self.training or self.evaluations or self.removed)

    def __str__(self) -> str:
        return phrase(list(dict.fromkeys([*self.training, *self.evaluations, *self.added, *self.removed])))


def fields_of_run(graph: StepGraph, name: str, record: Mapping[str, Any]) -> RunFields:
    """Return the changed fields of a run.

    Args:
        graph: the steps of the study.
        name: a run that lock.json records.
        record: its entry in lock.json.
    """
    try:
        identity = graph.store.run_record(name, record)["identity"]
    except StoreError:
        return RunFields(training=("run.json is damaged",))
    steps = graph.steps(graph.runs[name])
    training: list[str] = []
    if steps.train is not None:
        training += _fields(identity.get(steps.train.name, {}), steps.train.inputs)
    evaluations: list[str] = []
    before = {key: inputs for key, inputs in identity.items() if "/eval/" in key}
    now = {one.step.name: one for one in steps.evaluations}
    for key, one in now.items():
        was = before.get(key)
        if was is None or fingerprint_of_inputs(was) == one.step.fingerprint:
            continue
        if steps.train is None:
            training += _fields(was.get("model", {}), one.step.inputs.get("model", {}), "model")
        path = f"evaluations.{one.evaluation.name}"
        evaluations += _fields(was.get("evaluation", {}), one.step.inputs["evaluation"], path)
    added = Counter(one.evaluation.name for key, one in now.items() if key not in before)
    removed = Counter(key.rpartition("/")[2].rpartition(".")[0] for key in before if key not in now)
    return RunFields(
        training=tuple(dict.fromkeys(training)),
        evaluations=tuple(dict.fromkeys(evaluations)),
        added=tuple(f"{evaluation} added in {_languages(count)}" for evaluation, count in added.items()),
        removed=tuple(f"{evaluation} removed in {_languages(count)}" for evaluation, count in removed.items()),
    )


def _languages(count: int) -> str:
    return f"{count} language" if count == 1 else f"{count} languages"


def _fields(was: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> list[str]:
    """Return changed fields in words. Hashes of contents mean nothing to a reader: they are named by their language,
    and only if no setting explains them."""
    fields = [one for one in differences(was, canonical(now), path) if one.path.rpartition(".")[2] != "path"]
    settings = [str(one) for one in fields if "content" not in one.path.split(".")]
    if settings:
        return settings
    contents: dict[str, list[str]] = {}
    for one in fields:
        owner, _, tag = one.path.partition(".content")
        contents.setdefault(owner, []).append(tag.removeprefix("."))
    return [
        f"{owner}: {', '.join(filter(None, tags)) or 'content'} changed".removeprefix(": ")
        for owner, tags in contents.items()
    ]


def _fields_of_corpus(graph: StepGraph, name: str) -> list[str]:
    step = graph.corpus_step(name)
    try:
        marker = checksums.read_marker(step.folder)
    except StoreError:
        return []
    if marker is None or marker["fingerprint"] == step.fingerprint:
        return []
    return _fields(marker["inputs"], step.inputs)


def phrase(fields: Sequence[str]) -> str:
    """Join changed fields: the first ones, and the number of further ones."""
    more = len(fields) - MAX_FIELDS_SHOWN
    return "; ".join(fields[:MAX_FIELDS_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _show(value: Any) -> str:
    """Format a value as in a study file, truncated to 80 characters."""
    if value is ABSENT or value is None:
        return "not set"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value != 0 and not 1e-3 <= abs(value) < 1e6:
        digits, exponent = f"{value:e}".split("e")
        return f"{digits.rstrip('0').rstrip('.')}e{exponent}"
    if isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key} = {_show(element)}" for key, element in value.items()) + "}"
    elif isinstance(value, (list, tuple)):
        text = ", ".join(map(_show, value))
    else:
        text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
