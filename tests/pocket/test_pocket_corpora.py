"""Splits of the pocket corpora: disjoint, nested, and never in the pretraining text."""

import itertools

import numpy as np
import polars as pl
import pytest

from crosslift.corpora.corpus import Source
from crosslift.corpora.readers.general import pocket
from crosslift.errors import CorpusError
from crosslift.evaluation.tasks import instruction_following
from crosslift.languages.language import language
from crosslift.pocket import calls, stories, tales, text, wordlists
from crosslift.pocket.grammar import grammar
from crosslift.pocket.pools import draw, pool

TASKS = ["math", "api_calling", "summarization", "instruction_following", "multiple_choice", "perplexity"]


def read(task: str, split: str, num_items: int, languages: tuple[str, ...] = ("en", "sw")):
    return pocket.read(
        Source(name="toy", reader="pocket", task=task, split=split, languages=languages, max_items=num_items)
    )


@pytest.mark.parametrize("task", TASKS)
def test_fewer_items_are_a_prefix_of_more(task: str):
    assert read(task, "train", 30).rows.equals(read(task, "train", 60).rows.head(60))


@pytest.mark.parametrize("task", TASKS)
def test_splits_share_no_problem(task: str):
    clusters = [set(read(task, split, 150).rows["cluster"]) for split in ("train", "validation", "test")]
    assert all(not a & b for a, b in itertools.combinations(clusters, 2))


@pytest.mark.parametrize("task", TASKS)
def test_a_language_reads_the_same_whatever_the_others_are(task: str):
    alone = read(task, "test", 20, ("sw",)).rows
    beside = read(task, "test", 20, ("en", "sw", "th")).rows.filter(language="sw")
    assert alone.equals(beside)


def test_held_out_problems_are_never_in_the_pretraining_text():
    held_out = list(itertools.islice(draw(stories.make, stories.skeleton, "test"), 300))
    openings = {tuple(sentence.name for sentence in s.sentences) + s.equations for s in held_out}
    writer = text._Writer(np.random.default_rng(0))
    for _ in range(3000):
        story = writer.sample_story()
        assert tuple(sentence.name for sentence in story.sentences) + story.equations not in openings
        assert pool(calls.skeleton(writer.sample_call())) == "pretraining"
        assert pool(tales.skeleton(writer.sample_tale())) == "pretraining"
        assert pool(wordlists.skeleton(writer.sample_wordlist())) == "pretraining"


@pytest.mark.parametrize("task", ["summarization", "instruction_following"])
@pytest.mark.parametrize("split", ["validation", "test"])
def test_as_many_problems_as_promised_and_none_twice(task: str, split: str):
    num_items = pocket.KINDS[task].largest[split]
    rows = read(task, split, num_items, ("en",)).rows
    assert rows["cluster"].n_unique() == num_items


@pytest.mark.parametrize("task", TASKS)
def test_no_training_item_comes_twice(task: str):
    rows = read(task, "train", 1000, ("en",)).rows
    assert rows.select(pl.col("messages").hash()).n_unique() == 1000


@pytest.mark.parametrize("tag", ["en", "ar", "th"])
def test_every_answer_of_the_corpora_meets_its_demands(tag: str):
    rows = read("instruction_following", "train", 200, (tag,)).rows
    outcomes = [
        instruction_following.score(messages[-1]["content"], answer, language(tag))
        for messages, answer in zip(rows["messages"], rows["answer"], strict=True)
    ]
    assert {outcome.values["all_constraints"] for outcome in outcomes} == {1.0}


def test_lists_keep_the_usual_order():
    english = grammar("en")
    for _, plan in zip(
        range(200), draw(lambda rng: wordlists.make(rng, english), wordlists.skeleton, "test"), strict=False
    ):
        usual = wordlists.canonical_order(plan, english)
        order = list(english.words[plan.section])
        places = [(order.index(concept) - order.index(usual.concepts[0])) % len(order) for concept in usual.concepts]
        assert places == sorted(places)
        assert wordlists.skeleton(usual) == wordlists.skeleton(plan)
        assert not usual.first or usual.concepts[0] == plan.concepts[0]


def test_a_summary_is_about_whoever_is_named_first_not_about_the_others():
    english = grammar("en")
    rng = np.random.default_rng(0)
    for _ in range(100):
        tale = tales.add_distractor(rng, tales.make(rng, english), english)
        names = {name: english.citation_form("people", name) for name in stories.PEOPLE}
        told = tales.story(tale, english)
        assert min(names, key=lambda name: told.find(names[name]) % 10_000) == tale.concepts["n"]
        others = {tale.meanwhile.concepts[slot] for slot in "nm"}
        assert not any(names[name] in tales.summary(tale, english) for name in others)


def test_pretraining_text_never_shows_the_format_of_the_tasks():
    documents = list(itertools.islice(text.documents(seed=1, part=0), 1500))
    answers = [
        grammar(tag).render("math", "answer", {"a": 7}).partition("7")[0].strip() for tag in text.LANGUAGE_SHARES
    ]
    assert not any(cue in document for cue in answers for document in documents)
    assert not any("[" in document or "<|" in document for document in documents)
    assert not any(document.endswith(("?", "？", "؟")) and "+" in document for document in documents)


def test_shares_of_the_text_sum_to_one_and_fall_with_resource():
    assert abs(sum(text.LANGUAGE_SHARES.values()) - 1) < 1e-9
    assert min(text.LANGUAGE_SHARES[tag] for tag in ("es", "fr", "de")) > max(
        text.LANGUAGE_SHARES[tag] for tag in ("bn", "sw", "te", "th")
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "dancing"}, "no task 'dancing'"),
        ({"split": "dev"}, "no split 'dev'"),
        ({"languages": ("en", "fi")}, "has no language 'fi'"),
        ({"max_items": 10**9}, "has 50000 items"),
    ],
)
def test_what_the_pocket_world_lacks_is_said(change: dict[str, object], message: str):
    source = {"name": "toy", "reader": "pocket", "task": "math", "split": "train", "languages": ("en",)} | change
    with pytest.raises(CorpusError, match=message):
        pocket.read(Source(**source))
