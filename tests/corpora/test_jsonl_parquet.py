"""The same three items are read back equal from every form that a file may have."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crosslift.corpora.corpus import CorpusError, ParallelCorpus, Source
from crosslift.corpora.readers.general import jsonl, parquet

TAGS = ("en", "sw")
SOURCE = Source(name="toy", reader="jsonl", task="math", languages=TAGS)


def rows(*, turns: bool, language: bool = True) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for item in ("1", "2", "3"):
        for tag in TAGS:
            question, answer = f"{tag}: what is {item}?\u2028", f"It is {item}."
            said = {"prompt": question, "completion": answer}
            if turns:
                said = {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}  # type: ignore[dict-item]
            named = {"language": tag} if language else {}
            found.append({"item_id": item, **named, **said, "answer": item, "cluster": "d", "origin": "human"})
    return found


def write(path: Path, found: list[dict[str, object]]) -> Path:
    if path.suffix == ".parquet":
        pl.DataFrame(found).write_parquet(path)
    else:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found), encoding="utf-8")
    return path


def read(path: Path, **changes: object) -> ParallelCorpus:
    reader = parquet if path.suffix == ".parquet" or any(path.glob("*.parquet")) else jsonl
    return reader.read(replace(SOURCE, path=path, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("turns", [True, False])
@pytest.mark.parametrize("folder", [True, False])
def test_the_same_items_are_read_from_every_form(tmp_path: Path, suffix: str, turns: bool, folder: bool) -> None:
    expected = read(write(tmp_path / "expected.jsonl", rows(turns=True)))
    path = tmp_path / ("toy" if folder else f"toy{suffix}")
    if folder:
        path.mkdir()
        for i, tag in enumerate(TAGS):
            write(path / f"{tag}{suffix}", rows(turns=turns, language=False)[i::2])
    else:
        write(path, rows(turns=turns))
    corpus = read(path)
    assert corpus.rows.equals(expected.rows)
    assert corpus.fingerprint() == expected.fingerprint()


def test_whole_numbers_may_be_ids_and_answers(tmp_path: Path) -> None:
    numbers = [
        {**row, "item_id": int(str(row["item_id"])), "answer": int(str(row["answer"]))} for row in rows(turns=True)
    ]
    expected = read(write(tmp_path / "expected.jsonl", rows(turns=True)))
    for suffix in (".jsonl", ".parquet"):
        assert read(write(tmp_path / f"toy{suffix}", numbers)).rows.equals(expected.rows)


def test_a_byte_order_mark_and_blank_lines_do_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path / "toy.jsonl", rows(turns=True))
    expected = read(path).rows
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\r\n"))
    assert read(path).rows.equals(expected)


def test_the_revision_is_the_content(tmp_path: Path) -> None:
    path = write(tmp_path / "toy.jsonl", rows(turns=True))
    corpus = read(path)
    assert corpus.revision.startswith("sha256:")
    assert read(path, revision=corpus.revision).rows.equals(corpus.rows)
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=f"the study file requires {corpus.revision}"):
        read(path, revision=corpus.revision)


def test_the_licence_is_an_option(tmp_path: Path) -> None:
    path = write(tmp_path / "toy.jsonl", rows(turns=True))
    assert (read(path).licence, read(path, options={"licence": "CC0"}).licence) == ("unknown", "CC0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.rename({"answer": "awnser"}), "unknown column 'awnser'. Did you mean 'answer'?"),
        (lambda frame: frame.drop("answer"), "column 'answer' is missing"),
        (lambda frame: frame.drop("completion"), "column 'completion' is missing"),
        (lambda frame: frame.with_columns(answer=pl.lit(1.5)), "column 'answer' is Float64 and must be text"),
        (lambda frame: frame.with_columns(messages=pl.lit("hello")), "must be a list of {role, content}"),
        (lambda frame: frame.clear(), "is empty"),
        (lambda frame: frame.with_columns(language=pl.lit(None, dtype=pl.String)), "has no item in en, sw"),
        (lambda frame: frame.with_columns(item_id=pl.lit(None, dtype=pl.String)), "rows have no item_id"),
    ],
)
def test_parquet_columns_are_checked(tmp_path: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "toy.parquet"
    change(pl.DataFrame(rows(turns=False))).write_parquet(path)
    with pytest.raises(CorpusError) as caught:
        read(path)
    assert message in str(caught.value)


def test_a_messages_struct_may_have_further_fields_in_parquet(tmp_path: Path) -> None:
    expected = read(write(tmp_path / "expected.jsonl", rows(turns=True)))
    frame = pl.DataFrame(rows(turns=True)).with_columns(
        pl.col("messages").list.eval(
            pl.struct(
                content=pl.element().struct.field("content"), role=pl.element().struct.field("role"), name=pl.lit("x")
            )
        )
    )
    frame.write_parquet(tmp_path / "toy.parquet")
    assert read(tmp_path / "toy.parquet").rows.equals(expected.rows)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), suffix=st.sampled_from([".jsonl", ".parquet"]))
def test_damaged_files_are_refused_or_read_and_never_crash(tmp_path: Path, data: st.DataObject, suffix: str) -> None:
    path = write(tmp_path / f"toy{suffix}", rows(turns=False))
    content = path.read_bytes()
    start = data.draw(st.integers(0, len(content) - 1))
    stop = data.draw(st.integers(start, min(len(content), start + 20)))
    path.write_bytes(content[:start] + data.draw(st.binary(max_size=4)) + content[stop:])
    with contextlib.suppress(CorpusError):
        assert read(path).num_items <= 3
