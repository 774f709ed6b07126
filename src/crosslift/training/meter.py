"""Training loss and bits per byte per language, computed from the losses of the training steps themselves.

The sums are float64 and are accumulated one step at a time. A resumed run reads its losses from the device at other
steps than an uninterrupted one, and still writes the same bytes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

from crosslift.errors import TrainingError
from crosslift.training.trainer import METRICS, TokenTable


class LossSums:
    """Sums of loss (nats), tokens and UTF-8 bytes of completions, per cell.

    A cell is a language and a task; its index is language * num_tasks + task, and every array has the shape
    (num_languages * num_tasks,).
    """

    def __init__(self, examples: TokenTable) -> None:
        self.languages = examples.languages
        self.tasks = examples.tasks
        shape = len(examples.languages) * len(examples.tasks)
        self.nats = np.zeros(shape)
        self.tokens = np.zeros(shape, np.int64)
        self.bytes = np.zeros(shape, np.int64)

    def add_losses(self, losses: np.ndarray, cells: np.ndarray) -> None:
        """Add token losses to their cells; prompt tokens (cell -1) are ignored.

        Args:
            losses: loss of each token in nats, shape (K,).
            cells: cell of each token, shape (K,), as in `MicroBatch`.
        """
        inside = cells >= 0
        size = len(self.nats)
        self.nats += np.bincount(cells[inside], losses[inside].astype(np.float64), size)
        self.tokens += np.bincount(cells[inside], minlength=size)

    def add_bytes(self, examples: TokenTable, rows: np.ndarray) -> None:
        """Add the completion bytes of the examples with the indices `rows`, shape (num_rows,)."""
        cells = examples.language[rows].astype(np.int64) * len(self.tasks) + examples.task[rows]
        np.add.at(self.bytes, cells, examples.completion_bytes[rows])

    def clear(self) -> None:
        """Set all sums to zero."""
        self.nats[:], self.tokens[:], self.bytes[:] = 0.0, 0, 0

    def rows(self, *, cumulative: np.ndarray | None = None, **columns: Any) -> list[dict[str, Any]]:
        """Rows of METRICS for the total and each language, and with several tasks also for each task and each cell.

        Args:
            cumulative: token counts per cell that replace the sums in the column `num_tokens`.
            **columns: values of the other columns, the same in every row.

        Returns:
            One mapping per group that has at least one token: loss in nats per token, bits per byte of text.
        """
        table = np.arange(len(self.nats)).reshape(len(self.languages), len(self.tasks))
        groups: dict[tuple[str, str], np.ndarray] = {("all", "all"): table.ravel()}
        groups |= {(tag, "all"): table[i] for i, tag in enumerate(self.languages)}
        if len(self.tasks) > 1:
            groups |= {("all", task): table[:, j] for j, task in enumerate(self.tasks)}
            for i, tag in enumerate(self.languages):
                groups |= {(tag, task): table[i, [j]] for j, task in enumerate(self.tasks)}
        rows = []
        for (language, task), cells in groups.items():
            nats, tokens, size = self.nats[cells].sum(), int(self.tokens[cells].sum()), int(self.bytes[cells].sum())
            if tokens:
                rows.append(
                    {
                        **columns,
                        "language": language,
                        "task": task,
                        "num_tokens": tokens if cumulative is None else int(cumulative[cells].sum()),
                        "loss": float(nats / tokens),
                        "bits_per_byte": float(nats / math.log(2) / size) if size else None,
                    }
                )
        return rows

    def mean_over_cells(self, languages: set[str]) -> float:
        """Unweighted mean over the cells of these languages of the loss per token, in nats."""
        names = np.repeat(np.array(self.languages), len(self.tasks))
        chosen = (self.tokens > 0) & np.isin(names, sorted(languages))
        return float((self.nats[chosen] / self.tokens[chosen]).mean())

    def state(self) -> dict[str, list[float] | list[int]]:
        """The sums in JSON types."""
        return {"nats": self.nats.tolist(), "tokens": self.tokens.tolist(), "bytes": self.bytes.tolist()}

    def restore(self, state: dict[str, list[Any]]) -> None:
        """Replace the sums with those that `state` returned."""
        self.nats[:], self.tokens[:], self.bytes[:] = state["nats"], state["tokens"], state["bytes"]


class LossMeter:
    """Accumulates training losses over a logging window, step by step, and checks that they are finite."""

    def __init__(self, examples: TokenTable, *, num_steps: int) -> None:
        self._examples = examples
        self._num_steps = num_steps
        self.window = LossSums(examples)
        self.cumulative = np.zeros(len(self.window.nats), np.int64)
        self.rows: list[dict[str, Any]] = []
        self.curve: dict[str, list[float | None]] = {}

    def add_step(self, step: int, parts: list[tuple[np.ndarray, np.ndarray]], rows: np.ndarray) -> float:
        """Add the losses of one optimizer step.

        Args:
            step: index of the step, counted from 0.
            parts: per micro-batch, the token losses in nats and their cells, both of shape (K,).
            rows: indices of the step's examples.

        Returns:
            Mean loss of the step's completion tokens, in nats.

        Raises:
            TrainingError: a loss is not finite.
        """
        before, tokens_before = self.window.nats.sum(), self.window.tokens.sum()
        for losses, cells in parts:
            if not np.isfinite(losses).all():
                raise TrainingError(
                    f"the loss is not finite in step {step + 1} of {self._num_steps}: training diverged. Lower "
                    "learning_rate, lengthen warmup_share, or, if max_grad_norm is 0, set it to 1."
                )
            self.window.add_losses(losses, cells)
        self.window.add_bytes(self._examples, rows)
        return float((self.window.nats.sum() - before) / max(1, self.window.tokens.sum() - tokens_before))

    def close_window(self, **columns: Any) -> None:
        """Append the metrics of the steps since the last call, with these values in the other columns."""
        self.cumulative += self.window.tokens
        self.rows += self.window.rows(cumulative=self.cumulative, split="train", score=None, **columns)
        self.window.clear()
        self.curve = self._curve()

    def _curve(self) -> dict[str, list[float | None]]:
        """Losses of the closed windows over all tasks, as in `trainer.Progress.curve`; four significant digits."""
        rows = [row for row in self.rows if row["split"] == "train" and row["task"] == "all"]
        steps = list(dict.fromkeys(row["step"] for row in rows))
        losses = {(row["step"], row["language"]): float(f"{row['loss']:.4g}") for row in rows}
        columns = dict.fromkeys(row["language"] for row in rows)
        return {"step": steps, **{name: [losses.get((step, name)) for step in steps] for name in columns}}

    def frame(self) -> pl.DataFrame:
        """All metrics so far, with the schema METRICS."""
        return pl.DataFrame(self.rows, schema=METRICS)

    def state(self) -> dict[str, Any]:
        """The window, the cumulative token counts and all rows, in JSON types."""
        return {"window": self.window.state(), "cumulative": self.cumulative.tolist(), "rows": self.rows}

    def restore(self, state: dict[str, Any]) -> None:
        """Replace everything with what `state` returned."""
        self.window.restore(state["window"])
        self.cumulative[:] = state["cumulative"]
        self.rows = state["rows"]
        self.curve = self._curve()
