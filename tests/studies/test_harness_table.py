"""Evaluations by lm-evaluation-harness and by likelihood in a study file; nothing here needs the harness."""

from __future__ import annotations

from pathlib import Path

import pytest

from crosslift.errors import StudyError
from crosslift.studies.parsing.load import load

HARNESS = """
[evaluations.bench]
task = "lm_eval"
tasks = ["belebele_{language}", "xnli_{language}"]
languages = ["en", "sw"]
metric = "acc_norm"

[[contrasts]]"""

CHOICE = """
[corpora.choice]
reader = "jsonl"
task = "multiple_choice"
split = "test"
languages = ["en", "sw"]
path = "dev.jsonl"

[evaluations.choice]
corpus = "choice"
KEYS

[[contrasts]]"""


def changed(folder: Path, old: str, new: str):
    file = folder / "study.toml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    return load(folder)


def test_each_task_of_the_harness_becomes_an_evaluation_with_its_documents_as_corpus(study_folder):
    study = changed(study_folder, "[[contrasts]]", HARNESS)
    assert list(study.evaluations) == ["bench-belebele", "bench-xnli", "math"]
    one = study.evaluations["bench-belebele"]
    assert (one.task, one.metric, one.every_run) == ("lm_eval:belebele", "acc_norm", True)
    source = study.corpora[one.corpus]
    assert (source.reader, source.options["harness_task"]) == ("lm_eval", "belebele_{language}")
    trained = next(run for run in study.runs() if run.mixture is not None)
    assert [one.name for one in study.evaluations_of(trained)] == ["bench-belebele", "bench-xnli", "math"]
    metrics = {name: one.metric for name, one in study.evaluations.items()}
    assert metrics == {"bench-belebele": "acc_norm", "bench-xnli": "acc_norm", "math": "accuracy"}


def test_a_single_task_keeps_the_name_of_the_evaluation(study_folder):
    study = changed(study_folder, "[[contrasts]]", HARNESS.replace(', "xnli_{language}"', ""))
    assert list(study.evaluations) == ["bench", "math"]


def test_a_mistake_in_the_table_is_reported_at_its_place(study_folder):
    with pytest.raises(StudyError) as error:
        changed(study_folder, "[[contrasts]]", HARNESS.replace("metric =", "metrik ="))
    assert "evaluations.bench: unknown key 'metrik'. Did you mean 'metric'?" in str(error.value)


def test_a_corpus_of_the_same_name_is_refused(study_folder):
    with pytest.raises(StudyError, match=r"evaluations.test: a corpus or evaluation is named 'test' too"):
        changed(study_folder, "[[contrasts]]", HARNESS.replace("bench", "test").replace(', "xnli_{language}"', ""))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('metric = "accuracy_byte"', "there is no metric of task 'multiple_choice' called 'accuracy_byte'"),
        ("max_tokens = 8", "generates no answer"),
        ("require_language = true", "generates no answer"),
    ],
)
def test_keys_that_mean_nothing_to_the_task_are_refused(study_folder, keys, message):
    with pytest.raises(StudyError, match=message):
        changed(study_folder, "[[contrasts]]", CHOICE.replace("KEYS", keys))


def test_bits_per_byte_cannot_be_primary_and_the_message_says_why(study_folder):
    text = CHOICE.replace("multiple_choice", "perplexity").replace("KEYS", 'metric = "bits_per_byte"')
    with pytest.raises(StudyError, match="not a share that grows with quality"):
        changed(study_folder, "[[contrasts]]", text)


def test_the_chat_template_is_a_choice_of_tasks_by_likelihood_only(study_folder):
    with pytest.raises(StudyError, match="always asks in the chat template"):
        changed(study_folder, 'corpus = "test"', 'corpus = "test"\nchat_template = true')


def test_tasks_by_likelihood_are_asked_of_every_run_unless_the_study_says_otherwise(study_folder):
    study = changed(study_folder, "[[contrasts]]", CHOICE.replace("KEYS", ""))
    trained = next(run for run in study.runs() if run.mixture is not None)
    assert [one.name for one in study.evaluations_of(trained)] == ["math", "choice"]
    study = changed(study_folder, 'corpus = "choice"', 'corpus = "choice"\nruns = "trained"')
    assert [one.name for one in study.evaluations_of(trained)] == ["math"]


def test_what_selects_among_scores_changes_no_result(study_folder):
    study = changed(study_folder, "[[contrasts]]", CHOICE.replace("KEYS", ""))
    before = study.identity_of_evaluation(study.evaluations["choice"])
    study = changed(study_folder, 'corpus = "choice"', 'corpus = "choice"\nmetric = "gold_probability"\nruns = "all"')
    assert study.identity_of_evaluation(study.evaluations["choice"]) == before
    study = changed(study_folder, 'corpus = "choice"', 'corpus = "choice"\nchat_template = true')
    assert study.identity_of_evaluation(study.evaluations["choice"]) != before
