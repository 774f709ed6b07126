"""Execution of corpus checks and of the policies for their findings.

Policies per check: "report" (default), "drop" (remove the item in all languages, so that the corpus remains parallel),
"stop" (raise an error) and "off" (skip the check).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import polars as pl

from crosslift.corpora.corpus import CorpusError, ParallelCorpus
from crosslift.corpora.findings import FINDINGS, SAMPLE, Policy, frame_of, slices, texts_of
from crosslift.discover import member, members
from crosslift.errors import visible

MAX_SHOWN = 3
MAX_REASON = 1000
"""Characters of a reason that are printed."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A corpus without the items that policies drop, and all findings."""

    corpus: ParallelCorpus
    findings: pl.DataFrame
    """Columns as in `FINDINGS`, ordered by check and then as in the corpus."""


def run_checks(corpus: ParallelCorpus, policies: Mapping[str, Policy] | None = None) -> Checked:
    """Run all checks that are not "off" and apply their policies.

    Args:
        corpus: The corpus.
        policies: Check -> policy; "report" for checks that are not listed.

    Returns:
        The corpus without dropped items, and the findings.

    Raises:
        CorpusError: A check with the policy "stop" found something, or the policies drop every item.
    """
    policies = policies or {}
    wanted = [name for name in members("check") if policies.get(name, "report") != "off"]
    findings = find(corpus, wanted)
    enforce_stop(corpus.name, findings, policies)
    dropped = findings.filter(pl.col("check").is_in([name for name in wanted if policies.get(name) == "drop"]))
    return Checked(corpus=_without(corpus, dropped), findings=findings)


def enforce_stop(corpus: str, findings: pl.DataFrame, policies: Mapping[str, Policy]) -> None:
    """Apply the policy "stop" to findings.

    Args:
        corpus: Name of the corpus.
        findings: Findings of its checks.
        policies: Check -> policy.

    Raises:
        CorpusError: A check with the policy "stop" found something.
    """
    stopped = findings.filter(pl.col("check").is_in([name for name, policy in policies.items() if policy == "stop"]))
    if not stopped.is_empty():
        raise CorpusError(f"corpora.{corpus}: {_shown(stopped)} Correct the data, or change the policy of its check.")


def find(corpus: ParallelCorpus, checks: Iterable[str]) -> pl.DataFrame:
    """Run checks in one pass over a corpus.

    Args:
        corpus: The corpus.
        checks: Names of checks.

    Returns:
        Findings, with columns as in `FINDINGS`.
    """
    frame = frame_of(corpus)
    sample = texts_of(corpus, 0, SAMPLE, frame)
    modules = {name: member("check", name) for name in checks}
    running = {name: module.Check(sample) for name, module in modules.items()}
    found: dict[str, list[pl.DataFrame]] = {name: [] for name in running}
    for texts in slices(corpus, frame):
        for name, one in running.items():
            found[name].append(one.look(texts))
    for name, one in running.items():
        found[name].append(one.finish())
    return pl.concat(
        [
            pl.DataFrame(schema=FINDINGS),
            *(
                part.with_columns(check=pl.lit(name), severity=pl.lit(modules[name].SEVERITY))
                .select(FINDINGS.names())
                .cast(FINDINGS)
                for name, parts in found.items()
                for part in parts
            ),
        ]
    )


def summarise(findings: pl.DataFrame) -> pl.DataFrame:
    """Count findings per check and language, in the columns check, severity, language, rows and example."""
    return findings.group_by("check", "severity", "language", maintain_order=True).agg(
        rows=pl.len(), example=pl.format("{}: {}", pl.col("item_id").first(), pl.col("reason").first())
    )


def summary_lines(findings: pl.DataFrame) -> list[str]:
    """Summarise findings in one line per check, with the number of rows per language and an example."""
    lines = []
    for (name, severity), group in findings.group_by("check", "severity", maintain_order=True):
        counts = group.group_by("language", maintain_order=True).len().rows()
        where = ", ".join(f"{tag} {count}" for tag, count in counts)
        first = group.row(0, named=True)
        item = f"'{visible(first['item_id'], 80)}' in {first['language']}: " if first["item_id"] else ""
        said = visible(first["reason"], MAX_REASON)
        lines.append(f"{name} ({severity}), rows by language: {where}; for example {item}{said}")
    return lines


def _without(corpus: ParallelCorpus, dropped: pl.DataFrame) -> ParallelCorpus:
    items = dropped["item_id"].unique()
    if items.is_empty():
        return corpus
    rows = corpus.rows.filter(~pl.col("item_id").is_in(items.implode()))
    if rows.is_empty():
        raise CorpusError(f"corpora.{corpus.name}: its checks drop every item. Change a policy: {_shown(dropped)}")
    by = ", ".join(f"{count} by '{name}'" for name, count in dropped.group_by("check", maintain_order=True).agg(
        pl.col("item_id").n_unique()).iter_rows())  # fmt: skip
    note = f"{len(items)} of {corpus.num_items} items were dropped by checks ({by})."
    return replace(corpus, rows=rows.rechunk(), notes=(*corpus.notes, note))


def _shown(findings: pl.DataFrame) -> str:
    first = [
        f"'{visible(row['item_id'], 80)}' in '{row['language']}': {visible(row['reason'], MAX_REASON)}"
        for row in findings.head(MAX_SHOWN).to_dicts()
    ]
    more = f" and {findings.height - MAX_SHOWN} more" if findings.height > MAX_SHOWN else ""
    checks = ", ".join(findings["check"].unique(maintain_order=True))
    return f"{checks}: {'; '.join(first)}{more}."
