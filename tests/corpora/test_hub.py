"""Readers of hub data sets, on small local folders with the same files."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from crosslift.corpora import hub
from crosslift.corpora.corpus import CorpusError, Source
from crosslift.corpora.readers.general import sharegpt
from crosslift.corpora.readers.instructions import aya_dolly
from crosslift.corpora.readers.math import mcot_math, mgsm
from crosslift.corpora.readers.texts import xlsum

pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def _no_cache_outside(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))


def source(reader: str, path: Path | None, languages: tuple[str, ...], **more: Any) -> Source:
    task = {"xlsum": "summarization", "mgsm": "math", "mcot_math": "math"}.get(reader, "open_ended")
    return Source(name="c", reader=reader, task=task, languages=languages, path=path, **more)


def mcot_folder(folder: Path) -> Path:
    """Four problems; the third is missing in Swahili, and the last ends in another number there."""
    rows = []
    for item in range(4):
        rows.append(
            {"lang-id": f"en-{item}", "question": f"How many? {item}", "answer": f"So 1 + {item} = {item + 1}."}
        )
        if item != 2:
            last = item + 1 if item < 3 else 9
            rows.append({"lang-id": f"sw-{item}", "question": f"Ngapi? {item}", "answer": f"Jibu ni {last}."})
        rows.append({"lang-id": f"de-{item}", "question": "Wie viele?", "answer": f"Die Antwort ist {item + 1}."})
    folder.mkdir()
    (folder / "mcot_math.json").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def test_mcot_math_pairs_languages_by_the_number_behind_the_code(tmp_path: Path) -> None:
    found = mcot_math.read(source("mcot_math", mcot_folder(tmp_path / "m"), ("en", "sw"), incomplete="drop"))
    assert found.item_ids.to_list() == ["mcot-0", "mcot-1", "mcot-3"]
    assert found.rows["answer"].to_list() == ["1", "1", "2", "2", "4", "4"]
    assert found.rows["messages"][3][0]["content"] == "Ngapi? 1"
    assert found.revision.startswith("sha256:")
    assert any("1 items whose solution ends with another number" in note for note in found.notes)


def test_mcot_math_drops_what_does_not_agree_and_keeps_validation_apart(tmp_path: Path) -> None:
    folder = mcot_folder(tmp_path / "m")
    options = {"num_validation": 1, "mismatched": "drop"}
    train = mcot_math.read(source("mcot_math", folder, ("en", "sw"), incomplete="drop", options=options))
    held = mcot_math.read(
        source("mcot_math", folder, ("en", "sw"), incomplete="drop", options=options, split="validation")
    )
    assert train.item_ids.to_list() == ["mcot-1"]
    assert held.item_ids.to_list() == ["mcot-0"]
    first = mcot_math.read(source("mcot_math", folder, ("en",), max_items=2))
    assert first.item_ids.to_list() == ["mcot-0", "mcot-1"]
    with pytest.raises(CorpusError, match="lack a language"):
        mcot_math.read(source("mcot_math", folder, ("en", "sw")))


def test_a_set_with_other_columns_is_named(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "a.json").write_text(json.dumps({"q": "x"}) + "\n")
    with pytest.raises(CorpusError, match=r"has no column lang-id, question, answer; it has q\."):
        mcot_math.read(source("mcot_math", tmp_path / "m", ("en",)))
    (tmp_path / "none").mkdir()
    with pytest.raises(CorpusError, match="contains no file"):
        mcot_math.read(source("mcot_math", tmp_path / "none", ("en",)))


@pytest.mark.parametrize("name", ["{split}/0000.parquet", "xlsum-{split}.parquet", "{split}-00000-of-00001.parquet"])
def test_xlsum_pairs_articles_by_position_and_says_so(tmp_path: Path, name: str) -> None:
    for language, count in (("english", 5), ("chinese_simplified", 3)):
        for split in ("train", "validation", "test"):
            file = tmp_path / language / name.format(split=split)
            file.parent.mkdir(parents=True, exist_ok=True)
            texts = [f" {language} {split} text {number}" for number in range(count)]
            pl.DataFrame(
                {"id": texts, "text": texts, "summary": [f"s{number}" for number in range(count)]}
            ).write_parquet(file)
    found = xlsum.read(source("xlsum", tmp_path, ("en", "zh"), split="test"))
    assert found.num_items == 3
    assert found.rows["messages"][1][0]["content"] == "chinese_simplified test text 0"
    assert found.rows["answer"].to_list() == ["s0", "s0", "s1", "s1", "s2", "s2"]
    assert "not translations" in found.notes[0]
    assert xlsum.read(source("xlsum", tmp_path, ("en",), max_items=2)).num_items == 2
    with pytest.raises(CorpusError, match="XL-Sum has no de"):
        xlsum.read(source("xlsum", tmp_path, ("en", "de")))
    with pytest.raises(CorpusError, match="japanese contains no file"):
        xlsum.read(source("xlsum", tmp_path, ("en", "ja")))


def dolly_folder(folder: Path) -> Path:
    rows = [
        {
            "id": 9 * place,
            "source_id": item,
            "inputs": f"{code} {item}",
            "targets": f"t {item}",
            "language": code,
            "script": script,
        }
        for place, (code, script) in enumerate([("eng", "Latn"), ("zho", "Hant"), ("zho", "Hans"), ("fra", "Latn")])
        for item in (7, 3)
    ]
    for row in rows:
        if row["script"] == "Hant":
            row["inputs"] = "traditional"
    file = folder / "dolly_machine_translated" / "test-00000-of-00001.parquet"
    file.parent.mkdir(parents=True)
    pl.DataFrame(rows).write_parquet(file)
    return folder


def test_dolly_prompts_are_paired_by_their_source_and_read_in_the_right_script(tmp_path: Path) -> None:
    found = aya_dolly.read(source("aya_dolly", dolly_folder(tmp_path / "d"), ("en", "zh"), split="test"))
    assert found.item_ids.to_list() == ["dolly-7", "dolly-3"]
    assert [row[0]["content"] for row in found.rows["messages"]] == ["eng 7", "zho 7", "eng 3", "zho 3"]


def test_sharegpt_keeps_turns_up_to_the_last_answer(tmp_path: Path) -> None:
    def said(tag: str) -> dict[str, Any]:
        turns = [("human", f"{tag} a"), ("gpt", "b"), ("human", "c"), ("gpt", "d"), ("human", "never answered")]
        return {"id": "x1", "conversations": [{"from": who, "value": value} for who, value in turns]}

    (tmp_path / "en.json").write_text(json.dumps([said("en")]))
    (tmp_path / "fr.jsonl").write_text(json.dumps(said("fr")) + "\n")
    found = sharegpt.read(source("sharegpt", tmp_path, ("en", "fr"), options={"origin": "mt:x"}))
    assert [message["content"] for message in found.rows["messages"][1]] == ["fr a", "b", "c", "d"]
    first = sharegpt.read(source("sharegpt", tmp_path, ("en",), options={"turns": 1}))
    assert first.rows["answer"].to_list() == ["b"]
    (tmp_path / "en.json").write_text(json.dumps([{"id": 1, "conversations": [{"from": "robot", "value": "?"}]}]))
    with pytest.raises(CorpusError, match="item 1: is not"):
        sharegpt.read(source("sharegpt", tmp_path, ("en",)))


EXEMPLARS = '''"""Prompts."""
import os
os.environ["EXEMPLARS_RAN"] = "1"
EXEMPLAR_NUMBER_ANSWERS = [1, 2, 3, 4, 5, 6, 7, 8]
MGSM_EXEMPLARS = {"en": {%s}}
'''


def test_exemplars_are_read_as_literals_and_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXEMPLARS_RAN", raising=False)
    items = ", ".join(
        f'"{n}": {{"q": "Question: What is " "{n}?", "a": "Step-by-Step Answer: It is {n}."}}' for n in range(1, 9)
    )
    (tmp_path / "exemplars.py").write_text(EXEMPLARS % items)
    found = mgsm.read(source("mgsm", tmp_path, ("en",), split="train"))
    assert found.num_items == 8
    assert [message["content"] for message in found.rows["messages"][1]] == ["What is 2?", "It is 2."]
    assert found.rows["answer"].to_list() == [str(n) for n in range(1, 9)]
    import os

    assert "EXEMPLARS_RAN" not in os.environ
    with pytest.raises(CorpusError, match="does not contain 8 exemplars in en, sw"):
        mgsm.read(source("mgsm", tmp_path, ("en", "sw"), split="train"))


def test_without_a_path_the_hub_is_asked_for_the_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    import huggingface_hub

    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = tmp_path / commit
    snapshot.mkdir()
    (snapshot / "exemplars.json").write_text(
        json.dumps(
            {
                "EXEMPLAR_NUMBER_ANSWERS": list(range(8)),
                "MGSM_EXEMPLARS": {"en": {str(n): {"q": "Q: a", "a": "A: b"} for n in range(1, 9)}},
            }
        )
    )
    asked: list[tuple[Any, ...]] = []

    def download(name: str, *, repo_type: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, repo_type, revision))
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    found = mgsm.read(source("mgsm", None, ("en",), split="train", revision="main"))
    assert asked == [("juletxu/mgsm", "dataset", "main")]
    assert found.revision == f"juletxu/mgsm@{commit}"

    real = datasets.load_dataset

    def load(path: str, *, revision: str | None, data_dir: str | None, split: str) -> Any:
        asked.append((path, data_dir, revision))
        loaded = real(str(dolly_folder(tmp_path / "d")), data_dir=data_dir, split=split)
        addresses = {f"hf://datasets/{path}@{commit}/x.parquet": {"num_bytes": 1}}
        return SimpleNamespace(
            column_names=loaded.column_names,
            select=loaded.select,
            download_checksums=addresses,
            __getitem__=loaded.__getitem__,
        )

    monkeypatch.setattr(datasets, "load_dataset", load)
    _, revision = hub.table(
        source("aya_dolly", None, ("en",), split="test"), aya_dolly.HUB, part="dolly_machine_translated", split="test"
    )
    assert asked[-1] == ("CohereLabs/aya_evaluation_suite", "dolly_machine_translated", None)
    assert revision == f"CohereLabs/aya_evaluation_suite@{commit}"


def test_an_unreachable_set_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def fail(*given: Any, **more: Any) -> str:
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(CorpusError, match=r"juletxu/mgsm is not on this disk and cannot be downloaded \(OSError\)"):
        mgsm.read(source("mgsm", None, ("en",), split="test"))
    with pytest.raises(CorpusError, match="is a content hash, but there is no path"):
        mgsm.read(source("mgsm", None, ("en",), split="test", revision="sha256:ab"))
