"""Known defects of published sets are found by readers and checks without being told."""

from __future__ import annotations

from collections import Counter
from functools import cache

import places
import polars as pl
import pytest

from crosslift.corpora.corpus import CorpusError, ParallelCorpus, Source
from crosslift.corpora.quality import find
from crosslift.discover import member, members
from crosslift.evaluation.tasks import api_calling
from crosslift.languages.language import language

DATA = places.DATA
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="needs the real data")


def read(reader: str, task: str, languages: str, path: str, split: str = "test", incomplete: str = "error", **options):
    source = Source(name=reader, reader=reader, task=task, languages=tuple(languages.split()), split=split,
                    path=DATA / path, incomplete=incomplete, options=options)  # fmt: skip
    corpus: ParallelCorpus = member("reader", reader).read(source)
    return corpus


OF_GSM8K = pytest.mark.xdist_group("gsm8k")  # it is read and checked once


@cache
def gsm8k() -> tuple[ParallelCorpus, pl.DataFrame]:
    corpus = read("gsm8k", "math", "en de es fr ja ru sw zh", ".", "train", "drop", untranslated="keep")
    return corpus, find(corpus, members("check"))


def rows_of(findings: pl.DataFrame, check: str, reason: str = "") -> Counter[str]:
    return Counter(findings.filter((pl.col("check") == check) & pl.col("reason").str.contains(reason))["language"])


@pytest.mark.slow
@OF_GSM8K
def test_untranslated_questions_of_gsm8k():
    """Of fr 377, es 64, de 53, zh 29, sw 11 all that exist in all languages, and more that differ from English only in
    spaces and marks; none in Japanese or Russian."""
    corpus, findings = gsm8k()
    found = rows_of(findings, "untranslated", "the prompt")
    wanted = {
        tag: sum(
            corpus.rows["messages"][corpus.row(item, tag)][0] == corpus.rows["messages"][corpus.row(item, "en")][0]
            for item in range(corpus.num_items)
        )
        for tag in corpus.languages[1:]
    }
    assert wanted["fr"] > 360 and wanted["ja"] == wanted["ru"] == 0
    assert all(found[tag] >= count for tag, count in wanted.items())
    assert found["fr"] == 478 and set(found) == {"fr", "es", "de", "zh", "sw"}


@pytest.mark.slow
@OF_GSM8K
def test_solutions_of_gsm8k_that_are_english_everywhere_are_told_once_per_language():
    _, findings = gsm8k()
    assert rows_of(findings, "untranslated", "most completions") == Counter(["de", "es", "fr", "ja", "ru", "sw", "zh"])


@pytest.mark.slow
@OF_GSM8K
def test_numbers_that_translation_lost():
    """README: a number of two digits is missing as digits in zh 215, ja 231, de 26, sw 32 lines. What is written in
    characters is none; the rest must be found, and little more."""
    _, findings = gsm8k()
    found = rows_of(findings, "numbers")
    assert 15 <= found["de"] <= 60 and 15 <= found["sw"] <= 80
    assert 40 <= found["zh"] <= 260 and 40 <= found["ja"] <= 260


def test_a_line_left_in_english_and_duplicates_of_polymath():
    languages = "en ar bn de es fr id it ja ko ms pt ru sw te th vi zh"
    high = find(read("polymath", "math", languages, "polymath", level="high", expressions="keep"), members("check"))
    english = high.filter((pl.col("check") == "language") & (pl.col("language") == "te"))
    untranslated = high.filter((pl.col("check") == "untranslated") & (pl.col("language") == "te"))
    assert "polymath-high-033" in {*english["item_id"], *untranslated["item_id"]}
    assert rows_of(high, "duplicates") == Counter({"zh": 1})
    top = find(read("polymath", "math", languages, "polymath", level="top", expressions="keep"), members("check"))
    assert rows_of(top, "duplicates") == Counter({"id": 1})


def test_wrong_intents_of_xsid():
    """26 of 500 Arabic test items; one Bavarian request of Munich is none of the English ones."""
    with pytest.raises(CorpusError, match=r"de-muc.valid.conll, sentence 277"):
        read("xsid", "api_calling", "en bar", "xsid", "validation")
    corpus = read("xsid", "api_calling", "en ar da de it nl tr zh bar", "xsid")
    found = rows_of(find(corpus, ["answers"]), "answers", "another call")
    assert found == Counter({"ar": 26})


def test_shuffled_rows_of_xsid_are_joined_by_their_text():
    corpus = read("xsid", "api_calling", "en bar", "xsid", incomplete="drop", bavarian="de-ba")
    assert corpus.num_items == 498
    assert rows_of(find(corpus, ["answers"]), "answers", "another call")["bar"] <= 5


def test_an_invalid_line_and_a_mismatched_id_of_the_open_prompts():
    with pytest.raises(CorpusError, match=r"test_hi.jsonl, line 50: is not an object"):
        read("open_prompts", "open_ended", "en hi", "oasst_prompts")
    with pytest.raises(CorpusError, match="2 of 51 items lack a language"):
        read("open_prompts", "open_ended", "en zh", "oasst_prompts")
    assert read("open_prompts", "open_ended", "en hi zh", "oasst_prompts", incomplete="drop").num_items == 48


def test_abstracts_that_occur_twice():
    for split in ("train", "validation"):
        corpus = read("xscitldr", "summarization", "de it zh", "xscitldr", split)
        assert rows_of(find(corpus, ["duplicates"]), "duplicates", "^the same text")["de"] == 1


def test_uneven_coverage_is_an_error_until_one_says_drop():
    with pytest.raises(CorpusError, match="lack a language"):
        read("tldr_pages", "summarization", "en ar", "tldr_pages")
    assert read("tldr_pages", "summarization", "en ar", "tldr_pages", incomplete="drop").num_items > 200


def test_sound_human_translations_have_no_errors():
    """MGSM was translated by people: numbers may be words there, but nothing is wrong."""
    findings = find(read("mgsm", "math", "en bn de es fr ja ru sw te th zh", "mgsm"), members("check"))
    assert findings.filter(severity="error").height <= 3, findings.filter(severity="error")


CONDITIONS = [
    (user, function, parameter, category)
    for user in ("en", "ar")
    for function, parameter in (("en", "en"), ("en", "ar"), ("ar", "en"), ("ar", "ar"))
    for category in ("simple_python", "multiple", "parallel", "parallel_multiple", "live_simple", "irrelevance")
    if category in ("simple_python", "multiple") or function == parameter
]


@pytest.mark.parametrize(("user", "function", "parameter", "category"), CONDITIONS)
def test_possible_answers_of_bfcl_accept_their_own_gold(user: str, function: str, parameter: str, category: str):
    corpus = read("bfcl", "api_calling", user, "bfcl", category=category, functions=function, parameters=parameter)
    for row in corpus.rows.iter_rows(named=True):
        outcome = api_calling.score(row["messages"][1]["content"], row["answer"], language(user))
        assert set(outcome.values.values()) == {1.0}, row["item_id"]


def test_mutated_calls_of_bfcl_are_rejected_where_they_were_touched():
    corpus = read("bfcl", "api_calling", "en", "bfcl", category="simple_python")
    for row in corpus.rows.iter_rows(named=True):
        call = row["messages"][1]["content"]

        def spoilt(made: str, answer: str = row["answer"]) -> set[str]:
            outcome = api_calling.score(made, answer, language("en"))
            return {metric for metric, value in outcome.values.items() if value < 1}

        assert spoilt(call.replace("(", "_(", 1)) == {"exact", "name"}, row["item_id"]
        assert spoilt(call.replace(")]", ", further_key=1)]")) == {"exact", "keys"} or call.endswith("()]")


def test_all_gold_calls_of_api_bank_survive_being_written_again():
    from crosslift.evaluation.calls import parse_calls

    corpus = read("api_bank", "api_calling", "en", "api_bank")
    nested = 0
    for answer in corpus.rows["answer"]:
        calls = parse_calls(answer)
        nested += any(not isinstance(value, str) for call in calls for _, value in call.arguments)
        assert calls and parse_calls(f"[{', '.join(map(str, calls))}]") == calls
    assert corpus.num_items == 399 and nested >= 19


def test_published_grades_of_four_systems_agree_with_ours():
    """OpenAI's 5,276 graded solutions of GSM8K; at least 99.5 % must agree."""
    import json

    from crosslift.evaluation.tasks.math import final_number
    from crosslift.languages.numbers.numerals import parse

    agree = total = 0
    for line in (DATA / "gsm8k" / "example_model_solutions.jsonl").read_text("utf-8").splitlines():
        item = json.loads(line)
        gold = parse(item["ground_truth"].rpartition("A: ")[2])
        for system in item.values():
            if isinstance(system, dict):
                found = final_number(system["solution"], language("en"))
                agree += (found is not None and gold in found.readings) == system["is_correct"]
                total += 1
    assert total == 5276
    assert agree >= 0.995 * total
