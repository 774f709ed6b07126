"""Keep a finished study of a preset as reference results.

    crosslift new english-is-not-all-you-need STUDY --scale pocket
    crosslift run STUDY
    python benchmarks/reference.py STUDY references/english-is-not-all-you-need

Copied are scores and runs, the study file, the report's figures and the tables of findings; written is where and in how
long it was made. tests/references runs four of its cells again.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import polars as pl

TABLES = (
    "contrasts",
    "retention",
    "findings",
    "bilingual_wins",
    "zero_shot",
    "regression",
    "dose_statistics",
    "replicates",
    "groups",
)


def main() -> None:
    study, folder = (Path(argument) for argument in sys.argv[1:3])
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(study / "study.toml", folder / "study.toml")
    for name in ("scores", "runs"):
        pl.read_parquet(study / f"{name}.parquet").write_parquet(
            folder / f"{name}.parquet", compression="zstd", compression_level=19
        )
    for kind in ("figures", "tables"):
        shutil.rmtree(folder / kind, ignore_errors=True)
        (folder / kind).mkdir()
    for figure in sorted((study / "report" / "figures").glob("*.svg")):
        shutil.copy(figure, folder / "figures")
    for name in TABLES:
        if (table := study / "report" / "tables" / f"{name}.csv").is_file():
            shutil.copy(table, folder / "tables")
    (folder / "environment.json").write_text(json.dumps(environment(study), indent=1) + "\n", encoding="utf-8")


def environment(study: Path) -> dict[str, Any]:
    """The runs' environments (one, where all were made on one machine) and their time."""
    records = [json.loads(file.read_text()) for file in sorted(study.glob("runs/*/provenance.json"))]
    found = {json.dumps(record["environment"], sort_keys=True): record["environment"] for record in records}
    train = sum((record["train"] or {}).get("seconds", 0.0) for record in records)
    evaluate = sum(record["evaluate"]["seconds"] for record in records)
    return {
        "environments": list(found.values()),
        "num_runs": len(records),
        "core_seconds": {"training": round(train), "evaluation": round(evaluate)},
    }


if __name__ == "__main__":
    main()
