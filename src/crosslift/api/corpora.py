"""Corpora and mixtures without a study: read, check, and draw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from crosslift.api.failures import user_errors

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from crosslift.corpora.corpus import ParallelCorpus
    from crosslift.corpora.formats.guessing import Recognized
    from crosslift.corpora.quality import Checked
    from crosslift.mixtures.mixture import Mixture


@user_errors()
def read_corpus(
    reader: str,
    path: str | Path | None = None,
    *,
    languages: Sequence[str],
    task: str = "math",
    split: str = "train",
    name: str = "",
    revision: str | None = None,
    max_items: int | None = None,
    incomplete: Literal["error", "drop"] = "drop",
    checks: Mapping[str, Literal["report", "drop", "stop", "off"]] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Checked:
    """Read a parallel corpus and run its checks, as `crosslift check --reader` does.

    Args:
        reader: name of the reader; see `crosslift.members("reader")`.
        path: file or folder; None for readers that generate their items or read from the hub.
        languages: language tags.
        task: name of the task.
        split: "train", "validation" or "test".
        name: name of the corpus, for messages and mixtures; default: the name of the file or reader.
        revision: commit or branch of a hub data set.
        max_items: number of items from the beginning; None for all.
        incomplete: handling of items that lack one of the languages.
        checks: check -> policy; default: "report".
        options: options of the reader.

    Returns:
        `.corpus`, with `.rows` (columns item_id, language, messages, answer, cluster, origin; one row per item and
        language), and `.findings` (columns check, severity, item_id, language, reason).

    Raises:
        UnknownName: there is no such reader, check, task or language.
        StudyError: the reader has no such option.
        CorpusError: the corpus cannot be read or is not parallel, or a check with the policy "stop" found something.
    """
    from crosslift.corpora.corpus import Source
    from crosslift.corpora.ingest import read_checked
    from crosslift.discover import member
    from crosslift.errors import StudyError
    from crosslift.languages.tags import resolve_all

    module = member("reader", reader)
    member("task", task)
    for check in checks or {}:
        member("check", check)
    kinds = getattr(module, "OPTIONS", {})
    if wrong := [key for key in options or {} if key not in kinds]:
        known = ", ".join(f"{key}=..." for key in kinds) or "none"
        raise StudyError([f"--option {key}: is not an option of reader '{reader}'. Known: {known}." for key in wrong])
    place = None if path is None else Path(path)
    return read_checked(
        Source(
            name=name or (place.name if place is not None else "") or reader,
            reader=reader,
            task=task,
            split=split,
            languages=tuple(resolve_all(languages).values()),
            path=place if getattr(module, "NEEDS_PATH", None) is not False else None,
            revision=revision,
            max_items=max_items,
            incomplete=incomplete,
            options={key: kinds[key](value) for key, value in (options or {}).items()},
            checks={check: policy for check, policy in (checks or {}).items() if policy != "report"},
        )
    )


@user_errors()
def recognize_corpus(
    place: str | Path,
    *,
    revision: str | None = None,
    languages: Sequence[str] = (),
    split: Literal["train", "validation", "test"] | None = None,
) -> Recognized:
    """Recognize the format of data and read the first rows, as `crosslift read` does.

    Args:
        place: a file, a folder, or the name of a data set on the hub ("owner/name").
        revision: commit or branch of a data set on the hub.
        languages: language tags; default: those that the names of files or a column show.
        split: split; default: the one that the names of files show.

    Returns:
        `.source` (reader, task, split, languages), `.rows` (the first ten rows, columns item_id, language, messages,
        answer, cluster, origin), and `.table()`, the corpus table for study.toml.

    Raises:
        UnknownName: there is no such language.
        CorpusError: there is nothing at this place, its format is not known, or its first rows cannot be read.
    """
    from crosslift.corpora.formats.guessing import recognize
    from crosslift.languages.tags import resolve_all

    tags = list(dict.fromkeys(resolve_all(languages).values()))
    return recognize(str(place), revision=revision, languages=tags, split=split)


@dataclass(frozen=True, kw_only=True)
class DrawnMixture:
    """The examples of a mixture, in training order."""

    mixture: Mixture
    data_seed: int
    examples: pl.DataFrame
    """One row per example: corpus, item_id, language, repeat (0 for the first use of an item in a language) and row
    (position in the rows of the corpus)."""
    _corpora: Mapping[str, ParallelCorpus]

    def rows(self) -> pl.DataFrame:
        """Return the examples with their texts, in training order.

        Returns:
            Columns corpus, repeat, and those of a corpus: item_id, language, messages, answer, cluster, origin.
        """
        import polars as pl

        order = self.examples.with_row_index("place")
        parts = [
            pl.concat(
                [part.select("place", "corpus", "repeat"), self._corpora[str(corpus)].rows[part["row"].to_numpy()]],
                how="horizontal",
            )
            for (corpus,), part in order.group_by("corpus", maintain_order=True)
        ]
        return pl.concat(parts).sort("place").drop("place")

    def manifest(self) -> dict[str, Any]:
        """Describe the actual content of the mixture in JSON types, as `manifest.json` of a study does, without
        numbers of tokens: counts and distinct items per corpus and language, and hashes."""
        from crosslift.mixtures.manifest import CorpusRecord, manifest

        records = {
            name: CorpusRecord(
                languages=one.languages,
                fingerprint=one.fingerprint(),
                revision=one.revision,
                licence=one.licence,
                origins=one.rows["origin"],
            )
            for name, one in self._corpora.items()
        }
        found = manifest(self.mixture, self.examples, corpora=records, tokens={}, others={}, data_seed=self.data_seed)
        return {key: value for key, value in found.items() if key not in ("tokens", "fertility", "overlap")}


@user_errors()
def draw_mixture(
    mixture: Mixture, corpora: Iterable[ParallelCorpus], *, data_seed: int = 0, tokenizer: str | Path | None = None
) -> DrawnMixture:
    """Draw the examples of a mixture, as a study with the same data seed and names of corpora does.

    Args:
        mixture: the mixture; see `crosslift.Mixture`.
        corpora: the corpora that its components name.
        data_seed: seed of the draw.
        tokenizer: folder of a model whose tokenizer counts, for budgets in tokens.

    Returns:
        The drawn mixture.

    Raises:
        MixtureError: a corpus is missing, has too few items or lacks a language, or the budget needs a tokenizer.
        TemplateError: the tokenizer has no valid chat template.
        MissingPackage: transformers is not installed (extra `train`), for budgets in tokens.
    """
    from crosslift.errors import MixtureError
    from crosslift.execution.phases.prepared_data import corpus_index
    from crosslift.mixtures.draw import draw

    known = {corpus.name: corpus for corpus in corpora}
    if lacking := [name for name in mixture.corpora if name not in known]:
        raise MixtureError(
            f"mixtures.{mixture.name}: there is no corpus '{lacking[0]}'. Given: {', '.join(known) or 'none'}."
        )
    used = {name: known[name] for name in mixture.corpora}
    indexes = {
        name: corpus_index(name, corpus.languages, corpus.rows, _lengths(mixture, corpus, tokenizer))
        for name, corpus in used.items()
    }
    examples = draw(mixture, indexes, data_seed=data_seed)
    return DrawnMixture(mixture=mixture, data_seed=data_seed, examples=examples, _corpora=used)


def _lengths(mixture: Mixture, corpus: ParallelCorpus, tokenizer: str | Path | None) -> np.ndarray | None:
    """Return the length of each row in the unit of the budget; None for items."""
    from crosslift.errors import MixtureError
    from crosslift.execution.phases import tokens

    if mixture.unit == "items":
        return None
    if mixture.unit == "bytes":
        return tokens.lengths_in_bytes(corpus.rows)
    if tokenizer is None:
        raise MixtureError(f"mixtures.{mixture.name}: a budget in tokens needs the argument tokenizer: a model folder.")
    from crosslift.chat import load_tokenizer
    from crosslift.evaluation.task import task

    module = task(corpus.task)
    loaded = load_tokenizer(Path(tokenizer))
    found = tokens.tokenise(corpus.rows, corpus=corpus.name, task=module, prompt=module.PROMPTS[0], tokenizer=loaded)
    return found.lengths
