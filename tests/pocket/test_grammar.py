"""Every language of the pocket world says every sentence, with every word, and says the same as the others."""

import itertools
import re

import numpy as np
import pytest

from crosslift.languages.language import language as facts
from crosslift.pocket import calls, stories, tales, wordlists
from crosslift.pocket.grammar import Grammar, grammar, tags

FOURTEEN = {"en", "es", "ja", "bn", "sw", "te", "fr", "de", "ru", "zh", "th", "ar", "ko", "pt"}
RNG = np.random.default_rng(0)
STORIES = [stories.make(RNG) for _ in range(400)]
CALLS = [calls.call_sampler(grammar("en"))(RNG) for _ in range(400)]
TALES = [tales.make(RNG, grammar("en")) for _ in range(100)]
LISTS = [wordlists.make(RNG, grammar("en")) for _ in range(200)]
LETTERS = {
    "Latn": r"[A-Za-zÀ-ÿœŒ]",
    "Cyrl": r"[а-яёА-ЯЁ]",
    "Arab": r"[\u0600-\u06ff]",
    "Beng": r"[\u0980-\u09ff]",
    "Telu": r"[\u0c00-\u0c7f\u200c]",
    "Thai": r"[\u0e00-\u0e7f]",
    "Hans": r"[\u4e00-\u9fff]",
    "Jpan": r"[\u3040-\u30ff\u4e00-\u9fff]",
    "Kore": r"[\uac00-\ud7af]",
}


@pytest.fixture(params=tags())
def spoken(request: pytest.FixtureRequest) -> Grammar:
    return grammar(request.param)


def everything(spoken: Grammar) -> list[str]:
    texts = [stories.problem(story, spoken) + " " + stories.solution(story, spoken) for story in STORIES]
    texts += [stories.outcome(story, spoken) for story in STORIES]
    texts += [calls.request(call, spoken) for call in CALLS]
    texts += [wordlists.prompt(wordlist, spoken) for wordlist in LISTS]
    return texts + [tales.story(tale, spoken) + " " + tales.summary(tale, spoken) for tale in TALES]


def test_the_pocket_world_speaks_the_languages_of_both_studies():
    assert set(tags()) == FOURTEEN


def test_all_data_files_have_the_keys_of_the_english_one(spoken: Grammar):
    english = grammar("en")
    assert {s: list(w) for s, w in spoken.words.items()} == {s: list(w) for s, w in english.words.items()}
    assert {s: {k: len(v) for k, v in t.items()} for s, t in spoken.sentences.items()} == {
        s: {k: len(v) for k, v in t.items()} for s, t in english.sentences.items()
    }
    assert list(spoken.labels) == list(english.labels)


def test_every_template_uses_exactly_the_slots_of_the_english_one(spoken: Grammar):
    def slots(template: str) -> set[str]:
        return set(re.findall(r"\{(\w+)", template)) - {"c"}  # a language may name the coin or not

    for section, sentences in grammar("en").sentences.items():
        for name, wordings in sentences.items():
            for wording, english in zip(spoken.sentences[section][name], wordings, strict=True):
                assert slots(wording) == slots(english), (section, name)


def test_rendered_text_has_no_leftover_slot_double_space_or_foreign_letter(spoken: Grammar):
    own = re.compile(LETTERS[facts(spoken.tag).script])
    for text in everything(spoken):
        assert "{" not in text and "}" not in text
        assert "  " not in text and text == text.strip()
        letters = [character for character in text if character.isalpha()]
        assert all(own.match(letter) for letter in letters), text


def test_sentences_begin_with_a_capital_where_the_script_has_them(spoken: Grammar):
    for text in everything(spoken):
        first = next(character for character in text if character.isalnum())
        assert first.upper() == first, text


def test_citation_forms_tell_the_words_of_a_section_apart(spoken: Grammar):
    for section, words in spoken.words.items():
        forms = [word["w"] for word in words.values()]
        assert len(set(forms)) == len(forms), section


def test_all_languages_tell_the_same_numbers_in_the_story_and_its_solution():
    for story in STORIES:
        told = {tag: sorted(re.findall(r"\d+", stories.problem(story, grammar(tag)))) for tag in tags()}
        assert len(set(map(tuple, told.values()))) == 1, told
        solved = {tag: re.findall(r"\d+", stories.solution(story, grammar(tag))) for tag in tags()}
        assert all(numbers[-1] == str(story.answer) for numbers in solved.values())


def test_equations_are_true_and_end_in_the_answer():
    for story in STORIES:
        for equation in story.equations:
            left, sign, right, _, result = equation.split()
            value = {"+": int(left) + int(right), "-": int(left) - int(right), "*": int(left) * int(right)}
            assert (value[sign] if sign != "/" else int(left) / int(right)) == int(result)
            assert 3 <= int(result) <= 99
        assert story.equations[-1].endswith(f"= {story.answer}")


def test_the_right_tool_is_offered_and_its_values_stand_in_the_answer(spoken: Grammar):
    for call in CALLS:
        assert call.requested in call.tools
        answer = calls.answer(call, spoken)
        assert answer.startswith(f"[{call.requested.name}(") and answer.count("='") == len(call.values)
        assert all(calls.citation_form(name, value, spoken) in answer for name, value in call.values.items())


@pytest.mark.parametrize(
    ("tag", "count", "form"),
    [
        ("ru", 21, "one"),
        ("ru", 11, "many"),
        ("ru", 23, "few"),
        ("ru", 13, "many"),
        ("ar", 5, "few"),
        ("ar", 12, "many"),
    ],
)
def test_counted_nouns_take_the_form_of_their_count(tag: str, count: int, form: str):
    apple = grammar(tag).word("objects", "apple")
    slots = {"n": grammar(tag).word("people", "p0"), "o": apple, "a": count}
    assert f"{count} {apple[form]}" in grammar(tag).render("math", "start", slots)


def test_korean_particles_follow_the_last_sound():
    korean = grammar("ko")
    slots = {"n": korean.word("people", "p0"), "a": 5}
    assert "돌을" in korean.render("math", "start", slots | {"o": korean.word("objects", "stone")})
    assert "의자를" in korean.render("math", "start", slots | {"o": korean.word("objects", "chair")})


def test_the_offered_tools_are_told_apart_by_name_and_go_by_several():
    assert all(len({tool.name for tool in call.tools}) == 2 for call in CALLS)
    seen = {
        tool: {call.requested.name for call in CALLS if call.requested.tool == tool} for tool in calls.REQUESTED_TOOLS
    }
    assert all(seen[tool] == set(calls.TOOLS[tool].names) for tool in ("table", "ticket"))


def test_a_summary_joins_what_the_story_tells_apart(spoken: Grammar):
    for tale in TALES:
        story, summary = tales.story(tale, spoken), tales.summary(tale, spoken)
        assert summary not in story
        assert spoken.citation_form("times", tale.concepts["t"]) in summary
        assert spoken.citation_form("people", tale.concepts["n"])[:3] in summary


def test_prompts_of_one_item_differ_between_languages():
    for story in itertools.islice(STORIES, 20):
        assert len({stories.problem(story, grammar(tag)) for tag in tags()}) == len(tags())
