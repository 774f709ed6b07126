"""Items of corpora that an evaluation joins: the same problems, in different languages.

Languages are compared on the same items. If one of the corpora is read with `incomplete = "drop"`, as a translation is
that lacks some items, the evaluation takes the items that all of its corpora have; otherwise they must have the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.tables import read_step_table
from crosslift.studies.study import Study


def takes_common(study: Study, corpora: Sequence[str]) -> bool:
    """Return whether only the items are taken that all of these corpora have."""
    return len(corpora) > 1 and any(study.corpora[name].incomplete == "drop" for name in corpora)


def common_of(item_ids: Mapping[str, pl.Series], corpora: Sequence[str]) -> pl.Series:
    """Return the ids that all corpora have, in the order of the first.

    Args:
        item_ids: corpus -> ids of its items.
        corpora: names of the corpora.
    """
    found = item_ids[corpora[0]].unique(maintain_order=True)
    for name in corpora[1:]:
        found = found.filter(found.is_in(item_ids[name].unique().implode()))
    return found


def taken(graph: StepGraph, corpora: Sequence[str], rows: pl.DataFrame) -> pl.DataFrame:
    """Keep the rows of items that an evaluation of these corpora takes.

    Args:
        graph: the steps of the study.
        corpora: the corpora that are joined; one for an evaluation that joins none.
        rows: rows of one of them.
    """
    if not takes_common(graph.study, corpora):
        return rows
    return rows.filter(pl.col("item_id").is_in(common_of(read_ids(graph, corpora), corpora).implode()))


def read_ids(graph: StepGraph, corpora: Sequence[str]) -> dict[str, pl.Series]:
    """Read the ids of the items of prepared corpora."""
    return {name: read_step_table(graph.store.corpus_folder(name), "rows.parquet")["item_id"] for name in corpora}
