"""Review sheets are drawn by seed, are safe to open, and their verdicts are counted for the texts that were read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import crosslift
from crosslift.cli import app
from crosslift.corpora.corpus import ROWS, CorpusError, Source
from crosslift.corpora.readers.general import jsonl
from crosslift.corpora.reviews.verdicts import keep_review, reviews_beside
from crosslift.errors import StoreError, StudyError

NUM_ITEMS = 30


def rows(tag: str, *, text: str = "") -> list[dict]:
    return [
        {
            "item_id": str(number),
            "language": tag,
            "messages": [
                {"role": "user", "content": f"{tag} question {number}"},
                {"role": "assistant", "content": text or f"{tag} answer {number}"},
            ],
            "answer": str(number),
            "cluster": str(number),
            "origin": "human" if tag == "en" else "mt:toy",
        }
        for number in range(NUM_ITEMS)
    ]


def write_translation(folder: Path, *, text: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for tag in ("en", "de", "sw"):
        found = pl.DataFrame(rows(tag, text="" if tag == "en" else text), schema=ROWS)
        (folder / f"{tag}.jsonl").write_text(found.write_ndjson())
    (folder / "set_aside.jsonl").write_text("")
    manifest = {"kind": "translation", "source": {"language": "en", "licence": "MIT"}, "languages": ["de", "sw"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def sheet_of(folder: Path, tag: str) -> pl.DataFrame:
    return pl.read_csv(folder / "review" / f"{tag}.csv", infer_schema=False).fill_null("")


def fill(folder: Path, tag: str, verdicts: list[str]) -> Path:
    sheet = sheet_of(folder, tag)
    given = [*verdicts, *[""] * (sheet.height - len(verdicts))]
    sheet.with_columns(verdict=pl.Series(given)).write_csv(folder / "review" / f"{tag}.csv")
    return folder / "review" / f"{tag}.csv"


def test_a_sheet_has_the_same_items_in_all_languages_beside_their_source(tmp_path):
    folder = write_translation(tmp_path / "corpus")
    files = crosslift.review(folder, num_rows=12, seed=3)
    assert [file.name for file in files] == ["de.csv", "sw.csv"]
    german, swahili = sheet_of(folder, "de"), sheet_of(folder, "sw")
    assert german.columns == ["row", "item_id", "language", "source", "text", "verdict", "comment"]
    assert german["item_id"].to_list() == swahili["item_id"].to_list()
    assert german.height == len(set(german["item_id"])) == 12
    first = german.row(0, named=True)
    assert first["source"] == f"user: en question {first['item_id']}\n\nassistant: en answer {first['item_id']}"
    assert first["text"] == f"user: de question {first['item_id']}\n\nassistant: de answer {first['item_id']}"
    again = write_translation(tmp_path / "again")
    crosslift.review(again, num_rows=12, seed=3, languages=["de"])
    assert sheet_of(again, "de").equals(german)
    other = write_translation(tmp_path / "other")
    crosslift.review(other, num_rows=12, seed=4, languages=["de"])
    assert set(sheet_of(other, "de")["item_id"]) != set(german["item_id"])


def test_a_sheet_is_safe_in_spreadsheets_and_browsers(tmp_path):
    folder = write_translation(tmp_path, text='=HYPERLINK("http://x")<script>alert(1)</script>')
    manifest = json.loads((folder / "manifest.json").read_text()) | {"kind": "completions"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    crosslift.review(folder, num_rows=3)
    assert all(text.startswith("'=HYPERLINK") for text in sheet_of(folder, "de")["text"])
    page = (folder / "review/de.html").read_text()
    assert "<script>" not in page and "&lt;script&gt;alert(1)" in page
    assert 'lang="de" dir="auto"' in page and "default-src 'none'" in page
    crosslift.read_review(folder, [fill(folder, "de", ["accept"])])  # an escaped sheet is read back


def test_verdicts_are_counted_into_the_manifest_with_an_interval(tmp_path):
    folder = write_translation(tmp_path)
    crosslift.review(folder, num_rows=20)
    german = fill(folder, "de", ["accept"] * 15 + ["Reject", "no"])
    found = crosslift.read_review(folder, [german]).filter(language="de").row(0, named=True)
    assert {key: found[key] for key in ("drawn", "accepted", "rejected", "unread", "outdated")} == {
        "drawn": 20, "accepted": 15, "rejected": 2, "unread": 3, "outdated": 0,
    }  # fmt: skip
    assert found["share"] == pytest.approx(15 / 17)
    assert (found["low"], found["high"]) == pytest.approx((0.6567, 0.9671), abs=5e-4)  # Wilson's, by hand
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["review"]["de"]["accepted"] == 15
    assert manifest["review"]["sw"] == {"drawn": 20, "accepted": 0, "rejected": 0, "unread": 20, "outdated": 0}
    assert manifest["source"]["licence"] == "MIT"


def test_a_sheet_may_come_back_from_a_spreadsheet_and_a_verdict_may_be_taken_back(tmp_path):
    folder = write_translation(tmp_path)
    crosslift.review(folder, num_rows=5, languages=["sw"])
    sheet = sheet_of(folder, "sw").with_columns(verdict=pl.lit("ACCEPT"))
    (tmp_path / "mail.csv").write_bytes(b"\xef\xbb\xbf" + sheet.write_csv(separator=";").encode())
    assert crosslift.read_review(folder, [tmp_path / "mail.csv"])["accepted"].to_list() == [5]
    fill(folder, "sw", ["accept", "reject", "accept"])
    counts = crosslift.read_review(folder).row(0, named=True)  # without names, the sheets in the folder
    assert (counts["accepted"], counts["rejected"], counts["unread"]) == (2, 1, 2)


def test_a_wrong_sheet_changes_nothing(tmp_path):
    folder = write_translation(tmp_path / "corpus")
    crosslift.review(folder, num_rows=4)
    before = {file: file.read_bytes() for file in folder.rglob("*.json")}
    fill(folder, "de", ["accept", "perhaps"])
    foreign = write_translation(tmp_path / "foreign", text="another text")
    crosslift.review(foreign, num_rows=4, languages=["sw"])
    (tmp_path / "latin.csv").write_bytes("row,verdict\nrow-1,gut für\n".encode("latin-1"))
    (tmp_path / "list.csv").write_text("a,b\n1,2\n")
    with pytest.raises(CorpusError) as caught:
        crosslift.read_review(
            folder, [folder / "review/de.csv", foreign / "review/sw.csv", tmp_path / "latin.csv", tmp_path / "list.csv"]
        )
    text = str(caught.value)
    assert "the verdict 'perhaps' must be accept or reject" in text
    assert "is no row that was drawn from this corpus" in text
    assert "Save the sheet as CSV in UTF-8" in text
    assert "has no columns row and verdict" in text
    assert {file: file.read_bytes() for file in folder.rglob("*.json")} == before


def test_sheets_are_not_overwritten_and_foreign_folders_are_refused(tmp_path):
    folder = write_translation(tmp_path / "corpus")
    crosslift.review(folder, num_rows=4, languages=["de"])
    filled = fill(folder, "de", ["accept"]).read_bytes()
    with pytest.raises(StoreError, match="may have verdicts"):
        crosslift.review(folder, num_rows=5)
    assert (folder / "review/de.csv").read_bytes() == filled
    assert not (folder / "review/sw.csv").exists()
    with pytest.raises(StudyError, match="fr: was not made"):
        crosslift.review(folder, languages=["fr"])
    with pytest.raises(CorpusError, match=r"has no manifest\.json of a corpus"):
        crosslift.review(tmp_path)


def test_verdicts_stay_with_their_texts_when_the_corpus_is_made_again(tmp_path):
    folder = write_translation(tmp_path)
    crosslift.review(folder, num_rows=6)
    crosslift.read_review(folder, [fill(folder, "de", ["accept"] * 6), fill(folder, "sw", ["reject"] * 6)])
    write_translation(tmp_path)  # as it was
    keep_review(folder)
    assert reviews_beside(folder).select("accepted", "rejected", "outdated").rows() == [(6, 0, 0), (0, 6, 0)]
    write_translation(tmp_path, text="a better text")
    keep_review(folder)
    assert reviews_beside(folder).select("accepted", "rejected", "outdated").rows() == [(0, 0, 6), (0, 0, 6)]


def test_completions_are_shown_beside_their_prompts_and_found_from_their_split(tmp_path):
    folder = write_translation(tmp_path)
    (folder / "train").mkdir()
    for tag in ("en", "de", "sw"):
        shutil.move(folder / f"{tag}.jsonl", folder / "train" / f"{tag}.jsonl")
    (folder / "manifest.json").write_text(
        json.dumps({"kind": "completions", "source": {"licence": "ODC-BY"}, "languages": ["en", "de", "sw"]})
    )
    crosslift.review(folder, num_rows=4)
    row = sheet_of(folder, "en").row(0, named=True)
    assert (row["source"], row["text"]) == (f"en question {row['item_id']}", f"en answer {row['item_id']}")
    crosslift.read_review(folder, [fill(folder, "en", ["accept"] * 4)])
    assert reviews_beside(folder / "train").filter(language="en")["accepted"].to_list() == [4]
    source = Source(name="c", reader="jsonl", task="open_ended", languages=("en", "de"), path=folder / "train")
    assert jsonl.read(source).licence == "ODC-BY"


def test_the_command_writes_sheets_and_says_the_share(tmp_path):
    folder = write_translation(tmp_path)
    done = CliRunner().invoke(app, ["review", str(folder), "--rows", "10", "--languages", "de"])
    assert done.exit_code == 0, done.output
    assert "de.csv (to fill in)" in done.output
    fill(folder, "de", ["accept"] * 8)
    done = CliRunner().invoke(app, ["review", str(folder), "--verdicts", str(folder / "review/de.csv")])
    assert done.exit_code == 0, done.output
    assert "de: 8 of 8 accepted (100%, 95 % interval 68 to 100); 2 unread" in done.output
