"""Summaries: overlap in words or characters, alike in all scripts."""

import pytest

from crosslift.evaluation.overlap import rouge_l
from crosslift.evaluation.tasks import summarization
from crosslift.languages.language import language
from crosslift.languages.words import words
from crosslift.pocket import tales
from crosslift.pocket.grammar import grammar, tags
from crosslift.streams import stream

LANGUAGES = [language(tag) for tag in tags()]
TALES = [tales.make(stream(3, "tales", number), grammar("en")) for number in range(5)]


@pytest.mark.parametrize("tongue", LANGUAGES, ids=lambda one: one.tag)
def test_the_reference_scores_one_and_half_of_it_between(tongue):
    for tale in TALES:
        gold = tales.summary(tale, grammar(tongue.tag))
        whole = summarization.score(f" {gold}\n", gold, tongue)
        assert whole.status == "scored"
        assert whole.values == {"rouge_l": 1.0, "chrf": 1.0, "exact": 1.0, "in_language": 1.0}
        half = summarization.score(gold[: len(gold) // 2], gold, tongue).values
        assert 0 < half["rouge_l"] < 1
        assert 0 < half["chrf"] < 1
        assert half["exact"] == 0


@pytest.mark.parametrize("text", ["", "  \n", "...", "!?"])
def test_an_answer_without_words_is_unparsed(text):
    outcome = summarization.score(text, "Anna buys bread.", language("en"))
    assert (outcome.status, outcome.values["rouge_l"], outcome.values["chrf"]) == ("unparsed", 0.0, 0.0)


@pytest.mark.parametrize(
    ("tag", "text", "units"),
    [
        ("en", "Don't buy 2 Eggs!", ["don", "t", "buy", "2", "eggs"]),
        ("bn", "সকালে আনা রুটি কেনে।", ["সকালে", "আনা", "রুটি", "কেনে"]),
        ("te", "అన్న మార్కెట్‌కు", ["అన్న", "మార్కెట్‌కు"]),
        ("zh", "早上，小明。", ["早上", "小明"]),
        ("zh", "北京大学3.5亿元", ["北京", "大学", "3", "5", "亿", "元"]),
        ("th", "ลองใช้ภาษาไทย", ["ลอง", "ใช้", "ภาษา", "ไทย"]),
        ("ja", "ﾊﾟﾝを買う", ["パン", "を", "買う"]),
        ("ko", "빵을 산다", ["빵을", "산다"]),
    ],
)
def test_words_are_the_languages_own(tag, text, units):
    assert words(text, language(tag)) == units


@pytest.mark.parametrize(
    ("reference", "said", "value"),
    [
        ("abcd", "abcd", 1.0),
        ("abcd", "acbd", 3 / 4),  # a c d or a b d
        ("abcd", "ab", 2 * (1 * 0.5) / 1.5),
        ("abcd", "dcba", 1 / 4),
        ("abcd", "xyz", 0.0),
    ],
)
def test_longest_common_subsequence_by_hand(reference, said, value):
    assert rouge_l(list(reference), list(said)) == pytest.approx(value)
    assert rouge_l(list(said), list(reference)) == pytest.approx(value)


def test_scripts_that_the_usual_tokenizer_drops_are_scored():
    outcome = summarization.score("Утром Анна идёт домой", "Утром Анна покупает хлеб", language("ru"))
    assert outcome.values["rouge_l"] == pytest.approx(0.5)


def test_the_request_stands_behind_the_text_in_its_language():
    for tongue in LANGUAGES:
        shown = summarization.present([{"role": "user", "content": "x"}], tongue, "instructed")
        assert shown == [{"role": "user", "content": f"x\n{tongue.summarize}"}]
    assert len({tongue.summarize for tongue in LANGUAGES}) == len(LANGUAGES)
    assert summarization.present([{"role": "user", "content": "x"}], language("en"), "bare")[0]["content"] == "x"


def test_a_reference_without_words_is_our_mistake():
    with pytest.raises(ValueError, match="contains no word"):
        summarization.score("a", "...", language("en"))
