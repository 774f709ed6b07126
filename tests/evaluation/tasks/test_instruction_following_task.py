"""Demands on lists of words: each is checked by itself, in every script."""

import json

import pytest

from crosslift.evaluation.tasks import instruction_following as task
from crosslift.languages.language import language
from crosslift.pocket import wordlists
from crosslift.pocket.grammar import grammar, tags
from crosslift.streams import stream

LISTS = [wordlists.make(stream(5, "lists", number), grammar("en")) for number in range(60)]
ANIMALS = ["cat", "dog", "lion", "goat"]


def score(text: str, tag: str = "en", **demands: object):
    return task.score(text, json.dumps({"words": ANIMALS} | demands), language(tag))


@pytest.mark.parametrize("tag", tags())
def test_the_right_answer_meets_every_demand_in_every_language(tag):
    spoken = grammar(tag)
    for wordlist in LISTS:
        gold = json.dumps(wordlists.constraints(wordlist, spoken))
        outcome = task.score(wordlists.answer(wordlist, spoken), gold, language(tag))
        assert outcome.status == "scored"
        assert outcome.values["all_constraints"] == outcome.values["constraints"] == 1.0


@pytest.mark.parametrize("tag", ["en", "ru", "zh", "th", "ar", "te"])
def test_one_demand_that_is_not_met_costs_one_share(tag):
    spoken = grammar(tag)
    animals = [spoken.citation_form("animals", name) for name in ("cat", "dog", "horse")]
    demands = {"words": [spoken.citation_form("animals", name) for name in spoken.words["animals"]], "number": 3}
    right = spoken.comma.join(animals)
    wrongs = {
        "number": spoken.comma.join(animals[:2]),
        "words": spoken.comma.join([*animals[:2], spoken.citation_form("foods", "bread")]),
        "layout": "\n".join(f"{n}. {word}" for n, word in enumerate(animals, 1)),
        "first": spoken.comma.join(animals[::-1]),
        "without": spoken.comma.join([*animals[:2], spoken.citation_form("animals", "lion")]),
    }
    gold = demands | {"layout": "commas", "first": animals[0], "without": spoken.citation_form("animals", "lion")}
    assert task.score(right, json.dumps(gold), language(tag)).values["all_constraints"] == 1
    for broken, text in wrongs.items():
        outcome = task.score(text, json.dumps(gold), language(tag))
        assert outcome.values["constraints"] == pytest.approx(4 / 5), broken
        assert outcome.values["all_constraints"] == 0


@pytest.mark.parametrize(
    ("text", "words", "layout"),
    [
        ("cat, dog", ("cat", "dog"), "commas"),
        ("cat ，dog、 lion،goat.", ("cat", "dog", "lion", "goat"), "commas"),
        ("1. cat\n2) dog\n３．lion", ("cat", "dog", "lion"), "numbered"),
        ("১. cat\n২. dog", ("cat", "dog"), "numbered"),
        ("1. cat\n3. dog", ("cat", "dog"), "lines"),
        ("cat\n\ndog", ("cat", "dog"), "lines"),
    ],
)
def test_forms_that_people_write_are_read(text, words, layout):
    found = task.parse(text)
    assert found is not None
    assert (found.words, found.layout) == (words, layout)


def test_emphasis_is_checked_only_where_it_is_asked_for():
    assert score("CAT, Dog", number=2).values["all_constraints"] == 1
    assert score("CAT, DOG", emphasis="capitals").values["all_constraints"] == 1
    assert score("CAT, Dog", emphasis="capitals").values["all_constraints"] == 0
    assert score("(cat), （dog）", emphasis="brackets").values["all_constraints"] == 1
    assert score("(cat), dog", emphasis="brackets").values["all_constraints"] == 0


def test_a_word_named_twice_is_not_a_list_of_the_topic():
    assert score("cat, cat", number=2).values == {"all_constraints": 0, "constraints": 0.5, "in_language": 1}


@pytest.mark.parametrize("text", ["", " \n", "1. \n2.", "..."])
def test_answers_without_words_are_unparsed(text):
    outcome = score(text, number=2)
    assert (outcome.status, outcome.values["all_constraints"], outcome.values["constraints"]) == ("unparsed", 0, 0)


@pytest.mark.parametrize("gold", ["cat", "[]", "{}", '{"words": null}', '{"colour": 1}'])
def test_a_gold_answer_that_demands_nothing_is_our_mistake(gold):
    with pytest.raises(ValueError, match="JSON object of constraints"):
        task.score("cat", gold, language("en"))
