"""Languages without a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from crosslift.errors import UnknownName
from crosslift.evaluation.task import MissingWords, task
from crosslift.languages import language as room
from crosslift.languages.cldr import locales
from crosslift.languages.identify import in_language
from crosslift.languages.language import FOLDER_VARIABLE, is_known, language, tags
from crosslift.languages.similarity import facts, family, find_facts, order_by_similarity
from crosslift.languages.tags import resolve


@pytest.mark.parametrize(
    ("tag", "name", "script", "direction", "marks", "resource"),
    [
        ("my", "Burmese", "Mymr", "ltr", ".,", "low"),
        ("km", "Khmer", "Khmr", "ltr", ".,", "low"),
        ("kk", "Kazakh", "Cyrl", "ltr", ",\u00a0", "high"),
        ("hr", "Croatian", "Latn", "ltr", ",.", "high"),
        ("nap", "Neapolitan", "Latn", "ltr", ".,", "low"),
        ("hsb", "Upper Sorbian", "Latn", "ltr", ",.", "unknown"),
        ("sr-Latn", "Serbian (Latin)", "Latn", "ltr", ",.", "high"),
        ("pa-PK", "Punjabi (PK)", "Arab", "rtl", "٫٬", "low"),
        ("ace-Arab", "Achinese (Arab)", "Arab", "rtl", ".,", "unknown"),
        ("de-CH", "German (Switzerland)", "Latn", "ltr", ".’", "high"),
    ],
)
def test_a_language_without_a_file_works(
    tag: str, name: str, script: str, direction: str, marks: str, resource: str
) -> None:
    found = language(tag)
    assert (found.name, found.script, found.direction, found.resource) == (name, script, direction, resource)
    assert found.decimal_mark + found.group_mark == marks


def test_variants_have_the_words_of_their_language_in_the_same_script() -> None:
    assert language("de-CH").answer_cue == language("de").answer_cue
    assert language("zh-TW").answer_cue == language("zh-Hant").answer_cue
    assert language("zh-TW").step_by_step == "讓我們一步一步思考。"
    assert language("hi-Latn").answer_cue == "" and language("kk").answer_cue == ""


def test_every_locale_of_cldr_is_a_language() -> None:
    assert all(is_known(tag) for tag in locales())


@pytest.mark.parametrize("tag", ["kaz", "kk-Cyrl", "xx", "qaa", "en-us", "de-x-own", "", "zh hans", "english"])
def test_a_tag_must_be_known_and_in_its_standard_form(tag: str) -> None:
    assert not is_known(tag)
    with pytest.raises(UnknownName):
        language(tag)


@pytest.mark.parametrize(
    ("code", "tag"),
    [
        ("zho_Hant", "zh-Hant"), ("zho-TW", "zh-Hant"), ("srp_Latn", "sr-Latn"), ("srp_Cyrl", "sr"),
        ("kaz_Cyrl", "kk"), ("nob_Latn", "nb"), ("kor_Hang", "ko"), ("arz_Arab", "arz"), ("ary", "ary"),
        ("kas_Deva", "ks-Deva"), ("prs_Arab", "fa-AF"), ("es_MX", "es-MX"), ("de_CH", "de-CH"), ("de_AT", "de"),
        ("pt_BR", "pt"), ("en_GB", "en"), ("tgl", "fil"), ("quy_Latn", "quy"), ("hin_Latn", "hi-Latn"),
    ],
)  # fmt: skip
def test_codes_of_data_sets_keep_a_region_only_where_numbers_are_written_differently(code: str, tag: str) -> None:
    assert resolve(code) == tag


def test_digits_and_marks_of_a_language_without_a_file_are_read() -> None:
    score = task("math").score
    assert score("၁၂,၃၄၅", "12345", language("my")).values["accuracy"] == 1
    assert score("= 12 345,5", "12345.5", language("kk")).values["accuracy"] == 1
    assert score("12’345.50", "12345.5", language("de-CH")).values["accuracy"] == 1


def test_a_prompt_form_with_words_is_refused_without_them() -> None:
    with pytest.raises(MissingWords, match="Kazakh"):
        task("math").present([{"role": "user", "content": "?"}], language("kk"), "mcot")
    with pytest.raises(MissingWords, match='prompt = "bare"'):
        task("summarization").present([{"role": "user", "content": "?"}], language("nap"), "instructed")


def test_only_english_is_told_apart_from_a_language_that_the_classifier_does_not_know() -> None:
    assert in_language("Chillo teneva cinche mele e n'ha dato doje a n'amica soja.", language("nap"))
    assert not in_language("She had five apples and gave two of them to her best friend.", language("nap"))
    assert not in_language("She had five apples and gave two of them to her best friend.", language("kk"))
    assert in_language("Shi did ave faiv apl an gi tuu a dem tu ar fren", language("jam"))


def test_facts_of_all_languages_leave_the_similarity_of_others_alone() -> None:
    assert family(facts("kk").lineage) == "Turkic, Common Turkic"
    assert facts("sr-Latn").script == "Latn" and facts("sr").script == "Cyrl"
    assert find_facts("tlh") is not None
    assert order_by_similarity(["tlh", "de", "ja", "nl"])[-1] == "tlh"


@pytest.fixture
def fresh():
    def clear() -> None:
        for cached in (room.tags, room._files, room.language, room.uncurated):
            cached.cache_clear()

    clear()
    yield
    clear()


def test_a_folder_outside_the_installation_adds_a_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: None
) -> None:
    (tmp_path / "kk.toml").write_text('answer_cue = "Жауап"\nanswer_words = ["Жауабы"]\n', encoding="utf-8")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert "kk" in tags() and language("kk").answer_words == ("Жауабы",)
    assert language("kk").decimal_mark == ","


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("de.toml", "", "has a file in the installation"),
        ("xx.toml", "", "is no language tag"),
        ("kk.toml", 'answer_cue = 3\nanswer_word = ["a"]\nanswer_words = []', "must be a text"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: None, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(UnknownName, match=message):
        language(name.removesuffix(".toml"))
