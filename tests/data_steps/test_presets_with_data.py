"""Both full presets from `new` to the report, with nothing brought by hand: a served stand-in makes their data."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
import pytest
from endpoints import serving
from fake_study import install_fakes
from full_presets import FEW, P1, P2, keep_few, take_local_places, write_site
from in_process import crosslift, quicker
from published_data import write_sources
from stand_in import SPANISH, StandIn, answer

from crosslift.remote import endpoint

pytest.importorskip("datasets")
pytest.importorskip("openai")

NUM_ITEMS = 8
MODEL = {P1: "qwen3-0.6b", P2: "llama-3.1-8b"}
STEPS = {P1: ("calls-test", "calls-translated", "calls"), P2: ("math-test", "math-examples", "prompts", "instructions")}


@pytest.fixture
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    install_fakes()
    quicker(monkeypatch)
    monkeypatch.setattr(endpoint, "INITIAL_BACKOFF_SECONDS", 0.01)


def new_study(name: str, study: Path) -> None:
    """A new study with local places, few mixtures of one model, and the fakes."""
    assert "data.toml" in crosslift("new", name, study, "--scale", "full").text
    take_local_places(study, model="pocket:qwen3-s")  # with the fakes, only its tokenizer is used
    keep_few(study, name)
    text = (study / "study.toml").read_text().replace("[training]\n", '[training]\ntrainer = "fake"\n')
    text = re.sub(r"(\[evaluations\.\w+\]\n)", r'\1generator = "fake"\n', text)
    text = text.replace("[grid]\n", f'[grid]\nmodels = ["{MODEL[name]}"]\n')
    text = re.sub(r"(\[arms\.(?:multi-task|scripts)\]\n)", r"\1enabled = false\n", text)
    (study / "study.toml").write_text(text)
    write_sources(study / "data")


def run(study: Path) -> pl.DataFrame:
    """The scores of a rehearsal."""
    ran = crosslift("run", study, "--site", study / "site.toml")
    assert ran.code == 0, ran.text
    runs = pl.read_parquet(study / "rehearsal" / "runs.parquet")
    assert f"{runs.height} of {runs.height} runs are done." in ran.text
    scores = pl.read_parquet(study / "rehearsal" / "scores.parquet")
    assert not (scores["status"] == "error").any()
    corpora = json.loads((study / "rehearsal" / "lock.json").read_text())["corpora"]
    assert all(one["licence"] not in ("", "unknown") for one in corpora.values())  # the report lists them
    assert (study / "rehearsal" / "report" / "index.html").is_file()
    return scores


@pytest.mark.usefixtures("_fakes")
def test_api_calls_go_from_new_to_the_report_in_their_own_words(tmp_path: Path) -> None:
    study = tmp_path / "study"
    new_study(P1, study)
    with serving(answer, server=StandIn) as server:
        write_site(study, server.base_url)
        made = crosslift("data", study, "--max-items", 4, "--yes")
        assert made.code == 0 and "The data are ready" in made.text, made.text
        run(study)
    check_calls(study)


@pytest.mark.slow
@pytest.mark.usefixtures("_fakes")
@pytest.mark.parametrize("name", list(FEW))
def test_a_full_preset_goes_from_new_to_the_report_and_pays_no_reply_twice(name: str, tmp_path: Path) -> None:
    study = tmp_path / "study"
    new_study(name, study)
    with serving(answer, server=StandIn) as server:
        write_site(study, server.base_url)
        before = crosslift("plan", study)
        for step in STEPS[name]:
            assert re.search(
                rf"^  {step} \(\w+\): .*(price (at most|about)|nothing is sent)", before.text, re.MULTILINE
            )
        refused = crosslift("data", study, "--max-items", NUM_ITEMS)
        assert refused.code == 2 and "Nothing was sent." in refused.text and not server.asked

        server.dies_after = 20
        assert "the credit is used up" in crosslift("data", study, "--max-items", NUM_ITEMS, "--yes").text
        server.dies_after = None
        made = crosslift("data", study, "--max-items", NUM_ITEMS, "--yes")
        assert made.code == 0 and "The data are ready" in made.text, made.text
        assert set(server.asked.values()) == {1}  # no reply was paid twice
        asked = server.asked.total()
        assert "steps are done" in crosslift("data", study, "--max-items", NUM_ITEMS).text
        assert server.asked.total() == asked
        scores = run(study)
    if name == P2:
        assert set(scores.filter(pl.col("metric") == "rating")["evaluation"]) == {"instructions"}
    (study / "site.toml").unlink()
    refused = crosslift("run", study)  # with the first items only, it must not be taken for the study
    assert refused.code == 2 and f"hold the first {NUM_ITEMS} items only" in refused.text


def check_calls(study: Path) -> None:
    """API-Bank's own words come back translated, and calls stay calls."""
    folder = study / "data" / "api-bank" / "test"
    assert {file.stem for file in folder.glob("*.jsonl")} == {"en", "es", "ja", "bn", "sw", "te"}
    english, spanish = (
        [json.loads(line) for line in (folder / f"{tag}.jsonl").read_text().splitlines()] for tag in ("en", "es")
    )
    for one, other in zip(english, spanish, strict=True):
        assert "meeting" in one["messages"][0]["content"]
        said = other["messages"][0]["content"]
        assert SPANISH["meeting"] in said and SPANISH["reminder"] in said and "meeting" not in said
        assert other["answer"].split("(")[0] == one["answer"].split("(")[0]  # the API keeps its name
        assert "topic='salud comprobar'" in other["answer"] and "topic='health check'" in one["answer"]
