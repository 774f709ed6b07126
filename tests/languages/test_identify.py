from __future__ import annotations

import places
import pytest

from crosslift.errors import CrossliftError
from crosslift.languages import identify
from crosslift.languages.identify import identified, in_language, in_script, share_of_lines_in_language
from crosslift.languages.language import language, tags

SENTENCES = {
    "ar": "كان لدى سارة خمس تفاحات ثم أعطت صديقتها تفاحتين",
    "bn": "তার কাছে পাঁচটি আপেল ছিল এবং সে দুটি দিয়ে দিল",
    "de": "Sie hatte fünf Äpfel und hat ihrer Freundin zwei davon gegeben.",
    "en": "She had five apples and gave two of them to her friend.",
    "es": "Ella tenía cinco manzanas y le dio dos de ellas a su amiga.",
    "fr": "Elle avait cinq pommes et en a donné deux à son amie.",
    "ja": "彼女はりんごを五個持っていて、友達に二個あげました。",
    "ko": "그녀는 사과 다섯 개를 가지고 있었고 친구에게 두 개를 주었다.",
    "pt": "Ela tinha cinco maçãs e deu duas delas à sua amiga.",
    "ru": "У неё было пять яблок, и она отдала подруге два.",
    "sw": "Alikuwa na matofaa matano na akampa rafiki yake mawili.",
    "te": "ఆమె దగ్గర ఐదు ఆపిల్స్ ఉన్నాయి, రెండు ఇచ్చింది.",
    "th": "เธอมีแอปเปิ้ลห้าลูกและให้เพื่อนไปสองลูก",
    "zh": "她有五个苹果，给了朋友两个。",
}


@pytest.mark.parametrize("tag", tags())
def test_the_words_of_every_language_file_are_in_the_language(tag: str):
    """Needs no sentence above, so that adding a language is adding its file."""
    words = f"{language(tag).step_by_step} {language(tag).answer_cue} 7."
    assert in_language(words, language(tag))


@pytest.mark.parametrize("written", sorted(SENTENCES))
def test_a_sentence_is_in_its_own_language_and_in_no_other(written: str):
    assert {asked for asked in SENTENCES if in_language(SENTENCES[written], language(asked))} == {written}


@pytest.mark.parametrize(
    "text",
    ["", "42", "3 + 4 = 7", "x = 3, y = 12", "[OrderFood(item='green apples', count='5')]",
     "```python\nprint('a')\n```", r"\boxed{7}", "5 kg", "Anna", "https://example.com/some/long/path"],
)  # fmt: skip
def test_what_is_no_prose_or_too_short_to_tell_is_never_in_a_wrong_language(text: str):
    assert all(in_language(text, language(tag)) for tag in tags())


def test_one_line_in_another_language_fails_the_response_and_its_share_of_lines():
    text = f"{SENTENCES['sw']}\n\n{SENTENCES['sw']}\n{SENTENCES['en']}\n42"
    assert in_language(text, language("sw"))  # most of it is
    assert share_of_lines_in_language(text, language("sw")) == pytest.approx(2 / 3)
    assert share_of_lines_in_language(SENTENCES["sw"], language("sw")) == 1
    assert share_of_lines_in_language("42\n- x\n", language("sw")) == 1  # nothing to identify


def test_the_script_of_a_text_is_told_however_short():
    assert in_script("না", language("bn")) and not in_script("No", language("bn"))
    assert not in_script("```json\n[1]\n```", language("bn"))  # letters of code count
    assert in_script("42 + 1", language("bn"))


def test_calculations_do_not_outvote_the_prose_around_them():
    text = "```\nresult = compute(total, number_of_apples)\nprint(result)\n``` " + SENTENCES["sw"]
    assert in_language(text, language("sw"))
    assert not in_language(text, language("bn"))


def test_digits_in_a_script_without_spaces_leave_the_prose_standing():
    assert not in_language("彼女はりんごを5個持っていて、友達に2個あげました。", language("en"))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "py3langid.langid", None)
    identify._classifier.cache_clear()
    with pytest.raises(CrossliftError, match="py3langid"):
        in_language(SENTENCES["es"], language("de"))
    monkeypatch.undo()
    identify._classifier.cache_clear()


DATA = places.DATA / "mgsm"


@pytest.mark.skipif(not DATA.exists(), reason="needs the real data")
@pytest.mark.parametrize("written", ["bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh"])
def test_questions_people_wrote_are_told_apart(written: str):
    """All 250 are accepted in their own language, and at most one in a hundred in another."""
    texts = [line.split("\t")[0] for line in (DATA / f"mgsm_{written}.tsv").read_text("utf-8").splitlines()]
    assert all(in_language(text, language(written)) for text in texts)
    for other in {"en", "es", "sw", "ja", "zh", "bn"} - {written}:
        assert sum(in_language(text, language(other)) for text in texts[::5]) <= 1


def test_a_text_is_identified_only_if_it_is_clearly_in_one_of_the_languages():
    among = [language(tag) for tag in ("en", "es", "ja", "zh")]

    def found(text: str) -> str | None:
        spoken = identified(text, among)
        return None if spoken is None else spoken.tag

    assert found("Please explain how the weather changes in the month of May.") == "en"
    assert found("Explica con palabras sencillas cómo cambia el tiempo en mayo.") == "es"
    assert found("五月の天気がどのように変わるかを説明してください。") == "ja"
    assert found("请用简单的话解释五月份天气如何变化。") == "zh"
    assert found("Bitte erkläre mit einfachen Worten, wie sich das Wetter im Mai verändert.") is None
    assert found("Расскажи мне, пожалуйста, о погоде в мае.") is None
    assert found("Hello!") is None  # too short to tell
    assert found("print(1 + 2)") is None
