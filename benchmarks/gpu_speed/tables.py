"""Rows and tables of what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gpu_speed.task import examples_of, operations

PEAKS = {
    "H200": 989e12, "H100 PCIe": 756e12, "H100": 989e12, "GH200": 989e12, "B200": 2250e12, "A100": 312e12,
    "L40S": 362e12, "L4": 121e12, "A10G": 70e12, "A10": 125e12, "RTX 4090": 165e12,
}  # fmt: skip
"""FLOP/s of dense bfloat16 products, from NVIDIA's data sheets, by a part of the device's name."""


def row_of(job: dict[str, Any], numbers: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """One line of the table."""
    row: dict[str, Any] = {"model": job["model"], "method": job["method"], "variant": job["variant"]} | found
    if "failed" in found:
        return row
    prompt, completion, _, _ = examples_of(job)
    per_token = operations(numbers, prompt, completion, lora=job["method"] == "lora") / float(
        (prompt + completion).sum()
    )
    row["tokens_per_second"] = found["tokens"] / found["seconds"]
    peak = next((value for name, value in PEAKS.items() if name in found.get("device", "")), None)
    row["utilisation"] = None if peak is None else row["tokens_per_second"] * per_token / peak
    joules = found["joules"]
    row["joules_per_1000_tokens"] = None if joules is None else 1000 * joules / found["tokens"]
    return row


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The rows as a table in Markdown."""
    yield "| model | method | variant | tokens / s | FLOPs utilisation | peak memory | joules / 1,000 tokens | before |"
    yield "|---|---|---|--:|--:|--:|--:|--:|"
    for row in rows:
        start = f"| {row['model']} | {row['method']} | {row['variant']} | "
        if "failed" in row:
            yield start + f"{row['failed']} | | | | |"
            continue
        used = "not told" if row["utilisation"] is None else f"{row['utilisation']:.1%}"
        energy = row["joules_per_1000_tokens"]
        yield start + (
            f"{row['tokens_per_second']:,.0f} | {used} | {row['peak_bytes'] / 1e9:.1f} GB | "
            f"{'not told' if energy is None else f'{energy:.1f}'} | {row['seconds_before']:.0f} s |"
        )


def comparisons(rows: list[dict[str, Any]]) -> Iterator[str]:
    """How many times as fast as TRL's best, per model and method: the mean of each variant's measurements."""
    for model, method in dict.fromkeys((row["model"], row["method"]) for row in rows):
        speeds: dict[str, list[float]] = {}
        for row in rows:
            if (row["model"], row["method"]) == (model, method) and "failed" not in row:
                speeds.setdefault(row["variant"], []).append(row["tokens_per_second"])
        means = {name: float(np.mean(found)) for name, found in speeds.items()}
        theirs = {name: speed for name, speed in means.items() if name.startswith("trl")}
        if "crosslift" in means and theirs:
            best = max(theirs, key=lambda name: theirs[name])
            yield f"{model}, {method}: crosslift is {means['crosslift'] / theirs[best]:.2f} times as fast as {best}"


def does_not_fit(job: dict[str, Any], numbers: dict[str, Any], memory: float | None) -> str | None:
    """Why a model is not measured on a device with so many bytes: weights, gradients and moments alone."""
    from crosslift.training.architecture import read_architecture

    architecture = read_architecture(numbers)
    if memory is None or architecture is None or job["method"] == "lora":
        return None
    needed = 16 * architecture.parameters
    return f"does not fit: {needed / 1e9:.0f} GB before the first activation" if needed > 0.95 * memory else None
