"""Tokenised corpora on disk: each text is tokenised once per study and tokenizer.

Without them, a study of 22 mixtures and 5 models would tokenise the same English items hundreds of times. Every row of
a corpus is tokenised once per tokenizer, in row order, into flat arrays. Mixtures refer to rows, and workers
memory-map the arrays, so that the workers of one machine share the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl

from crosslift.chat import encode_examples
from crosslift.errors import CorpusError, TemplateError
from crosslift.evaluation.task import Task
from crosslift.execution.folder import checksums
from crosslift.languages.language import language
from crosslift.system.files import atomic_write
from crosslift.training.trainer import TokenTable

BLOCK = 8192
"""Number of rows that are tokenised at a time, which bounds the memory of Python lists."""

_ARRAYS = ("ids", "offsets", "prompt_lengths", "completion_bytes")


@dataclass(frozen=True, kw_only=True)
class CorpusTokens:
    """Tokens of all rows of a corpus with one tokenizer; row = item * num_languages + language."""

    ids: np.ndarray  # int32, (num_tokens,)
    offsets: np.ndarray  # int64, (num_rows + 1,)
    prompt_lengths: np.ndarray  # int32, (num_rows,)
    completion_bytes: np.ndarray  # int32, (num_rows,)

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens of each row, prompt and completion together; int64, shape (num_rows,)."""
        lengths: np.ndarray = np.diff(self.offsets)
        return lengths


def tokenise(rows: pl.DataFrame, *, corpus: str, task: Task, prompt: str, tokenizer: Any) -> CorpusTokens:
    """Tokenise all rows of a corpus as conversations of the task.

    Args:
        rows: the rows of the corpus.
        corpus: name of the corpus, for messages.
        task: the task that builds the conversations.
        prompt: name of the task's prompt.
        tokenizer: a tokenizer with a chat template.

    Returns:
        Tokens of all rows.

    Raises:
        CorpusError: a row does not end with an answer, so it cannot be used for training.
        TemplateError: the chat template cannot separate prompt and completion.
    """
    parts = []
    for start in range(0, rows.height, BLOCK):
        block = rows.slice(start, BLOCK)
        conversations = [
            task.present(messages, language(tag), prompt)
            for messages, tag in zip(block["messages"].to_list(), block["language"].to_list(), strict=True)
        ]
        for number, messages in enumerate(conversations):
            if messages[-1]["role"] != "assistant":
                row = block.row(number, named=True)
                raise CorpusError(
                    f"corpora.{corpus}: item {row['item_id']} in '{row['language']}' does not end with an answer, so "
                    "no model can be trained on it. Use a corpus with answers in the mixtures and the validation."
                )
        try:
            parts.append(encode_examples(tokenizer, conversations))
        except TemplateError as error:
            raise TemplateError(f"corpora.{corpus}, rows from {start}: {error}") from error
    starts = np.cumsum([0, *(part.offsets[-1] for part in parts)])[:-1]
    return CorpusTokens(
        ids=np.concatenate([part.ids for part in parts]),
        offsets=np.concatenate([[0], *(part.offsets[1:] + start for part, start in zip(parts, starts, strict=True))]),
        prompt_lengths=np.concatenate([part.prompt_lengths for part in parts]),
        completion_bytes=np.concatenate([part.completion_bytes for part in parts]),
    )


def lengths_in_bytes(rows: pl.DataFrame) -> np.ndarray:
    """Return the number of UTF-8 bytes of all messages of each row; int64, shape (num_rows,)."""
    contents = pl.element().struct.field("content").str.len_bytes()
    lengths: np.ndarray = rows["messages"].list.eval(contents).list.sum().cast(pl.Int64).to_numpy()
    return lengths


def write(folder: Path, tokens: CorpusTokens) -> None:
    """Write the arrays to a step's folder."""
    for name in _ARRAYS:
        with atomic_write(folder / f"{name}.npy", durable=False) as temporary, temporary.open("wb") as file:
            _save(file, getattr(tokens, name))


def _save(file: BinaryIO, array: np.ndarray) -> None:
    """Write the bytes of `np.save`, which itself ignores the error of the last block if the disk is full."""
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
    file.write(np.ascontiguousarray(array).data)


def read(folder: Path) -> CorpusTokens:
    """Memory-map the arrays of a step's folder; each process verifies their checksums once.

    Args:
        folder: the step's folder.

    Returns:
        The memory-mapped tokens.

    Raises:
        StoreError: the files are damaged.
    """
    checksums.verify_files(folder)
    return CorpusTokens(**{name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS})


def gather(
    corpora: Sequence[CorpusTokens],
    *,
    corpus: np.ndarray,
    row: np.ndarray,
    language: np.ndarray,
    languages: tuple[str, ...],
    task: np.ndarray,
    tasks: tuple[str, ...],
) -> TokenTable:
    """Collect the tokens of a mixture's examples, in the order of the mixture.

    Args:
        corpora: tokens of the corpora.
        corpus: index into `corpora`, shape (num_examples,).
        row: row in the corpus, shape (num_examples,).
        language: index into `languages`, shape (num_examples,).
        languages: all languages.
        task: index into `tasks`, shape (num_examples,).
        tasks: all tasks.

    Returns:
        The token table of the examples.
    """
    parts, places = [], []
    for index, tokens in enumerate(corpora):
        here = np.flatnonzero(corpus == index)
        table = TokenTable(
            ids=tokens.ids,
            offsets=tokens.offsets,
            prompt_lengths=tokens.prompt_lengths,
            completion_bytes=tokens.completion_bytes,
            languages=languages,
            language=np.zeros(len(tokens.prompt_lengths), dtype=np.int16),
            tasks=tasks,
            task=np.zeros(len(tokens.prompt_lengths), dtype=np.int16),
        )
        parts.append(table.take(row[here]))
        places.append(here)
    if len(parts) > 1:
        joined = replace(
            parts[0],
            ids=np.concatenate([part.ids for part in parts]),
            offsets=np.concatenate([[0], np.cumsum(np.concatenate([part.lengths for part in parts]))]),
            prompt_lengths=np.concatenate([part.prompt_lengths for part in parts]),
            completion_bytes=np.concatenate([part.completion_bytes for part in parts]),
            language=np.concatenate([part.language for part in parts]),
            task=np.concatenate([part.task for part in parts]),
        )
        parts = [joined.take(np.argsort(np.concatenate(places)))]
    return replace(parts[0], language=language.astype(np.int16), task=task.astype(np.int16))
