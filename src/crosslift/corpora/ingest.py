"""Ingestion of a corpus: reading, quality checks, and removal of the items that the checks drop."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from crosslift.corpora.corpus import ParallelCorpus, Source, limited
from crosslift.corpora.findings import Policy
from crosslift.corpora.quality import Checked, run_checks
from crosslift.discover import member


def read_checked(source: Source) -> Checked:
    """Read a corpus and run its checks.

    If a check drops items, `max_items` applies to the remaining items.

    Args:
        source: Specification of the corpus.

    Returns:
        The corpus without dropped items, and the findings of the checks.

    Raises:
        CorpusError: The corpus cannot be read or is not parallel, or a check with the policy "stop" found something.
    """
    reader = member("reader", source.reader)
    policies = cast(dict[str, Policy], source.checks)
    cut = "drop" in policies.values() and getattr(reader, "NEEDS_PATH", None) is not False
    corpus: ParallelCorpus = reader.read(replace(source, max_items=None) if cut else source)
    checked = run_checks(corpus, policies)
    if cut and source.max_items is not None:
        kept = limited(source, checked.corpus.rows).rechunk()
        ids = kept["item_id"].unique()
        return Checked(
            corpus=replace(checked.corpus, rows=kept),
            findings=checked.findings.filter(checked.findings["item_id"].is_in([*ids, ""])),
        )
    return checked
