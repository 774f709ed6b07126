"""Any document that the schema of study files describes is loaded, or refused with every problem; nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crosslift.errors import StudyError
from crosslift.studies.parsing.load import json_schema, load
from crosslift.studies.planning.plan import plan

NAMES = ("en", "sw", "es", "train", "dev", "test", "tiny", "math", "jsonl", "base", "a", "x y")
SCHEMA = json_schema()


def texts() -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(NAMES), st.text(max_size=8))


def values(part: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that a part of a JSON Schema allows, with names that often refer to one another."""
    if "$ref" in part:
        return st.deferred(lambda: values(SCHEMA["$defs"][part["$ref"].rpartition("/")[2]], depth))
    if "const" in part:
        return st.just(part["const"])
    if "enum" in part:
        return st.sampled_from(part["enum"])
    for key in ("anyOf", "oneOf"):
        if key in part:
            return st.one_of([values(one, depth) for one in part[key] if one.get("type") != "null"])
    match part.get("type"):
        case "object":
            return objects(part, depth)
        case "array":
            return st.lists(values(part["items"], depth + 1), min_size=part.get("minItems", 0), max_size=3)
        case "integer":
            least = int(part.get("minimum", part.get("exclusiveMinimum", -1) + 1))
            return st.one_of(st.integers(least, least + 5), st.integers(least, 10**12))
        case "number":
            return st.one_of(st.sampled_from([0.25, 0.5, 1.0]), st.floats(1e-9, 1e9))
        case "boolean":
            return st.booleans()
        case _:
            return texts()


def objects(part: dict[str, Any], depth: int) -> st.SearchStrategy[dict[str, Any]]:
    fields = part.get("properties", {})
    if not fields:
        inner = part.get("additionalProperties")
        of = values(inner, depth + 1) if isinstance(inner, dict) else st.integers()
        return st.dictionaries(st.sampled_from(NAMES), of, min_size=part.get("minProperties", 0), max_size=3)
    needed = part.get("required", [])
    return st.fixed_dictionaries(
        {name: values(fields[name], depth + 1) for name in needed},
        optional={name: values(one, depth + 1) for name, one in fields.items() if name not in needed},
    )


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(document=values(SCHEMA))
def test_any_document_of_the_schema_is_loaded_or_refused_with_every_problem(
    study_folder: Path, document: dict[str, Any]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crosslift.studies.parsing.load.read_toml", lambda file, remedy: document)
        try:
            study = load(study_folder, data="optional")
        except StudyError as error:
            assert error.problems
            assert all(problem.startswith("study.toml") for problem in error.problems)
            assert len(set(error.problems)) == len(error.problems)
        else:
            assert plan(study).runs
