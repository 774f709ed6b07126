"""Estimates of tokens per example, from the first items of each corpus, before a study is prepared.

A plan neither downloads nor loads a model. Where the tokenizer of a model is on this disk, it counts the tokens of the
texts; otherwise the number of bytes is divided by `BYTES_PER_TOKEN`. Both leave out the markup of chat templates.
Preparing the study gives the exact numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from crosslift.corpora.corpus import ParallelCorpus, Source
from crosslift.discover import member
from crosslift.errors import CrossliftError, ModelError
from crosslift.mixtures.mixture import Mixture
from crosslift.studies.planning.volume import model_folder
from crosslift.studies.run import Model
from crosslift.studies.study import Study
from crosslift.untrusted.model_files import reading

NUM_SAMPLED = 50
"""Items per corpus that are read for the estimate."""
BYTES_PER_TOKEN = 4.0
"""UTF-8 bytes per token without a tokenizer: the order of magnitude of multilingual vocabularies of 100,000 and more
tokens. English has somewhat more bytes per token, languages that are rare in the vocabulary fewer."""


@dataclass(frozen=True, kw_only=True)
class TokenEstimate:
    """Estimated tokens per example."""

    means: Mapping[tuple[str, str, str], float]
    """(model, corpus, language) -> mean number of tokens of prompt and completion."""
    by_bytes: tuple[str, ...]
    """Models whose tokenizer is not on this disk, so that bytes were counted."""

    def tokens(self, mixture: Mixture, model: str) -> int | None:
        """Estimate the tokens of one epoch.

        Args:
            mixture: a mixture with a budget in items.
            model: the model whose tokenizer counts.

        Returns:
            The number of tokens; None if the budget has another unit or a corpus was not read.
        """
        if mixture.unit != "items":
            return None
        parts = [
            amount * mean if (mean := self.means.get((model, corpus, tag))) is not None else None
            for (corpus, tag), amount in mixture.amounts().items()
            if amount
        ]
        known = [part for part in parts if part is not None]
        return round(sum(known)) if len(known) == len(parts) else None


def estimate_tokens(study: Study) -> TokenEstimate:
    """Estimate the tokens per example of every model, training corpus and language.

    Args:
        study: the study. Corpora that are not on this disk, or cannot be read, are left out; `crosslift check` reports
            them.

    Returns:
        The estimate.
    """
    corpora = _samples(study)
    means: dict[tuple[str, str, str], float] = {}
    by_bytes: list[str] = []
    counters: dict[str, Callable[[str], float]] = {}
    for name, model in study.models.items():
        count = _tokenizer(study, model)
        if count is None:
            by_bytes.append(name)
        counters[name] = count or _bytes
    for corpus, read in corpora.items():
        texts = _texts(read)
        for name, count in counters.items():
            for tag, found in texts.items():
                means[name, corpus, tag] = sum(map(count, found)) / len(found)
    return TokenEstimate(means=means, by_bytes=tuple(by_bytes))


def _samples(study: Study) -> dict[str, ParallelCorpus]:
    used = dict.fromkeys(corpus for mixture in study.mixtures.values() for corpus in mixture.corpora)
    found = {}
    for name in used:
        read = _sample(study.corpora[name])
        if read is not None:
            found[name] = read
    return found


def _sample(source: Source) -> ParallelCorpus | None:
    reader = member("reader", source.reader)
    if source.path is None and getattr(reader, "NEEDS_PATH", None) is not False:
        return None  # a data set of the hub
    most = min(source.max_items or NUM_SAMPLED, NUM_SAMPLED)
    try:
        corpus: ParallelCorpus = reader.read(replace(source, max_items=most))
    except (CrossliftError, OSError):
        return None
    return corpus


def _texts(corpus: ParallelCorpus) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for tag, messages in corpus.rows.select("language", "messages").iter_rows():
        found.setdefault(tag, []).append("\n".join(message["content"] for message in messages))
    return found


def _bytes(text: str) -> float:
    return len(text.encode("utf-8", errors="replace")) / BYTES_PER_TOKEN


def _tokenizer(study: Study, model: Model) -> Callable[[str], float] | None:
    """Return a function that counts tokens; None if the tokenizer or its library is not on this disk."""
    folder = model_folder(study, model)
    file = None if folder is None else folder / "tokenizer.json"
    if file is None or not file.is_file():
        return None
    try:
        from tokenizers import Tokenizer

        with reading(f"the tokenizer of {model.path}"):
            tokenizer = Tokenizer.from_file(str(file))
    except (ImportError, ModelError):  # not installed, or a damaged file, which `crosslift check` reports
        return None
    return lambda text: float(len(tokenizer.encode(text).ids))
