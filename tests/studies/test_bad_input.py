"""What users get wrong: every mistake is named with its place and what to do, and nothing is written.

The same table goes through `load`, the readers and the command line.
"""

from __future__ import annotations

import copy
import functools
import itertools
import json
import operator
import os
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crosslift import cli
from crosslift.discover import member
from crosslift.errors import CorpusError, CrossliftError, StudyError
from crosslift.studies.load import load
from crosslift.studies.plan import plan

Spoil = Callable[[Path], None]


def text(old: str, new: str) -> Spoil:
    """Replace something in study.toml."""

    def spoil(folder: Path) -> None:
        file = folder / "study.toml"
        before = file.read_text(encoding="utf-8")
        assert before.count(old) >= 1, f"{old!r} is not in the study"
        file.write_text(before.replace(old, new, 1), encoding="utf-8")

    return spoil


def append(what: str) -> Spoil:
    def spoil(folder: Path) -> None:
        with (folder / "study.toml").open("a", encoding="utf-8") as file:
            file.write(what)

    return spoil


def data(file: str, content: bytes) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / file).write_bytes(content)

    return spoil


def rows(file: str, change: Callable[[list[dict]], list[dict]]) -> Spoil:
    """Change the rows of a JSONL corpus."""

    def spoil(folder: Path) -> None:
        path = folder / file
        found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        path.write_text("".join(json.dumps(row) + "\n" for row in change(found)), encoding="utf-8")

    return spoil


def both(*spoils: Spoil) -> Spoil:
    def spoil(folder: Path) -> None:
        for one in spoils:
            one(folder)

    return spoil


def truncate(file: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / file).write_bytes((folder / file).read_bytes()[:-20])

    return spoil


def remove(what: str) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / what
        if path.is_dir():
            for file in path.iterdir():
                file.unlink()
            path.rmdir()
        else:
            path.unlink()

    return spoil


def conversation(*roles: str) -> Callable[[list[dict]], list[dict]]:
    """The first row becomes a conversation with these roles."""

    def change(found: list[dict]) -> list[dict]:
        first = {key: value for key, value in found[0].items() if key not in ("prompt", "completion")}
        first["messages"] = [{"role": role, "content": "3 + 4?"} for role in roles]
        return [first, *found[1:]]

    return change


MIXTURE = '\n[mixtures.m]\ncomponents = [{ corpus = "train", %s }]\npairing = "shared"\n'
FAMILY = '\n[families.f]\ncorpora = ["train"]\npairing = "shared"\n'
EN = 'components = [{ corpus = "train", shares = { en = 1.0 } }]'

# name: (what is spoilt, what the messages must say; a tuple for several at once)
STUDIES: dict[str, tuple[Spoil, str | tuple[str, ...]]] = {
    "toml_syntax": (text("data_seed = 7", "data_seed 7"), "study.toml, line 3, column 11: is not TOML: "),
    "toml_unclosed": (append("x = ["), "study.toml, at the end of the file: is not TOML: "),
    "toml_key_twice": (text("data_seed = 7", "data_seed = 7\ndata_seed = 8"), "line 4, column"),
    "not_utf8": (data("study.toml", 'name = "Größe"'.encode("latin-1")), "study.toml, line 1: is not UTF-8."),
    "empty_study": (data("study.toml", b""), ("'name' is missing", "[models.<name>]", "[training]")),
    "no_study": (remove("study.toml"), "study.toml does not exist. Write one with: crosslift new"),
    "unknown_key": (
        text("max_items = 6", "max_item = 6"),
        "study.toml, corpora.train: unknown key 'max_item'. Did you mean 'max_items'?",
    ),
    "unknown_table": (append("\n[trainng]\nepochs = 3\n"), "unknown key 'trainng'. Did you mean 'training'?"),
    "unknown_training_key": (
        text("learning_rate = 1e-3", "learnin_rate = 1e-3"),
        ("training: unknown key 'learnin_rate'. Did you mean 'learning_rate'?", "'learning_rate' is missing"),
    ),
    "wrong_type": (
        text("learning_rate = 1e-3", 'learning_rate = "1e-3"'),
        'training.learning_rate: must be a number, not "1e-3". Remove the quotes.',
    ),
    "wrong_word": (
        text('pairing = "disjoint"', 'pairing = "disjunct"'),
        "families.cov.pairing: \"disjunct\" is not one of 'shared', 'disjoint' or 'independent'. Did you mean 'disj",
    ),
    "missing_pairing": (
        text('budget = { amount = 6 }\npairing = "shared"', "budget = { amount = 6 }"),
        "mixtures.en: 'pairing' is missing. Add it: \"shared\" (the same items",
    ),
    "shares_not_one": (
        text("sw = 0.5", "sw = 0.55"),
        "study.toml, mixtures.en50-sw50: shares sum to 1.05 and must sum to 1. Change one of them.",
    ),
    "share_negative": (text("sw = 0.5", "sw = -0.5"), "shares.sw: is -0.5 and must be at least 0"),
    "negative_amount": (
        text("amount = 6", "amount = -6"),
        "mixtures.en.budget.amount: is -6 and must be greater than 0",
    ),
    "shares_and_counts": (
        append(MIXTURE % "shares = { en = 1.0 }, counts = { en = 3 }"),
        "mixtures.m.components[0]: needs shares or counts, and not both",
    ),
    "shares_without_budget": (append(MIXTURE % "shares = { en = 1.0 }"), "mixtures.m: 'budget' is missing"),
    "all_counts_zero": (append(MIXTURE % "counts = { en = 0 }"), "all counts are 0, so there is nothing to train on"),
    "counts_and_budget_disagree": (
        append(MIXTURE % "counts = { en = 3 }" + "budget = { amount = 4 }\n"),
        "mixtures.m.budget.amount: is 4 and the counts sum to 3",
    ),
    "tokens_without_tokenizer": (text("amount = 6", 'amount = 6, unit = "tokens"'), "'tokenizer' is missing"),
    "unknown_tokenizer": (
        text("amount = 6", 'amount = 6, unit = "tokens", tokenizer = "tinny"'),
        "there is no model 'tinny'. Did you mean 'tiny'?",
    ),
    "unknown_language": (
        text('corpus = "test"', 'corpus = "test"\nlanguages = ["en", "swa-x"]'),
        "study.toml, evaluations.math.languages[1]: 'swa-x' is not a language tag. Did you mean 'sw'? "
        "See: crosslift list languages",
    ),
    "evaluation_language_not_in_corpus": (
        text('corpus = "test"', 'corpus = "test"\nlanguages = ["es"]'),
        "evaluations.math.languages[0]: corpus 'test' has no 'es'. It has: en, sw, te.",
    ),
    "shots_of_nowhere": (
        text('corpus = "test"', 'corpus = "test"\nshots = { corpus = "exampels", number = 2 }'),
        "evaluations.math.shots.corpus: there is no corpus 'exampels'",
    ),
    "shots_lack_a_language": (
        text('corpus = "test"', 'corpus = "test"\nshots = { corpus = "train", number = 2 }'),
        "evaluations.math.shots.corpus: 'train' has no te, which is asked",
    ),
    "shots_of_the_test": (
        text('corpus = "test"', 'corpus = "test"\nshots = { corpus = "test", number = 2 }'),
        "evaluations.math.shots.corpus: shows the items that are asked",
    ),
    "more_shots_than_items": (
        text('corpus = "test"', 'corpus = "test"\nlanguages = ["en"]\nshots = { corpus = "train", number = 7 }'),
        "evaluations.math.shots.number: is 7 and 'train' is read to 6 items",
    ),
    "no_shots": (
        text('corpus = "test"', 'corpus = "test"\nshots = { corpus = "train", number = 0 }'),
        "evaluations.math.shots.number: is 0 and must be greater than 0",
    ),
    "language_twice": (text('["en", "sw", "te"]', '["en", "sw", "en"]'), "languages[2]: 'en' stands twice"),
    "mixture_language_not_in_corpus": (
        text("sw = 0.5", "te = 0.5"),
        "mixtures.en50-sw50.components[0].shares.te: corpus 'train' has no 'te'",
    ),
    "unknown_corpus": (
        text('corpus = "train"', 'corpus = "trian"'),
        "mixtures.en.components[0].corpus: there is no corpus 'trian'. Did you mean 'train'?",
    ),
    "corpus_twice_in_a_mixture": (
        text(EN, EN.replace("}]", '}, { corpus = "train", shares = { sw = 0.0 } }]')),
        "components[1]: corpus 'train' stands twice",
    ),
    "trained_on_test": (
        text('corpus = "train"', 'corpus = "test"'),
        "'test' is the test split. Train on a corpus with",
    ),
    "unknown_reader": (text('"jsonl"', '"jsnol"'), "there is no reader 'jsnol'. Did you mean 'jsonl'?"),
    "unknown_task": (text('task = "math"', 'task = "maths"'), "there is no task 'maths'. Did you mean 'math'?"),
    "unknown_prompt": (text('task = "math"', 'task = "math"\nprompt = "bear"'), "Did you mean 'bare'?"),
    "unknown_generator": (
        text('corpus = "test"', 'corpus = "test"\ngenerator = "hff"'),
        "evaluations.math.generator: there is no generator 'hff'. Did you mean 'hf'?",
    ),
    "unknown_trainer": (text("epochs = 2", 'epochs = 2\ntrainer = "nativ"'), "there is no trainer 'nativ'."),
    "unknown_mixture_in_grid": (
        text("seeds = [0, 1]", 'mixtures = ["cow"]'),
        "no mixture or family 'cow'. Did you mean 'cov'?",
    ),
    "unknown_model_in_grid": (
        text("seeds = [0, 1]", 'models = ["teeny"]'),
        "grid.models[0]: there is no model 'teeny'",
    ),
    "seed_twice": (text("[0, 1]", "[1, 1]"), "grid.seeds: 1 stands 2 times"),
    "missing_model_folder": (remove("tiny"), "models.tiny.path: the folder ./tiny does not exist"),
    "model_folder_without_config": (remove("tiny/config.json"), "./tiny has no config.json"),
    "no_hub_name": (text('"./tiny"', '"qwen3-s"'), "pocket models are written pocket:qwen3-s"),
    "unknown_pocket_model": (text('"./tiny"', '"pocket:qwen9"'), "there is no pocket model 'qwen9'"),
    "missing_template": (
        text('path = "./tiny"', 'path = "./tiny"\ntemplate = "chat.jinja"'),
        "models.tiny.template: there is no file chat.jinja",
    ),
    "missing_corpus_file": (remove("train.jsonl"), "corpora.train.path: train.jsonl does not exist"),
    "corpus_without_path": (text('path = "train.jsonl"\n', ""), "corpora.train: 'path' is missing"),
    "option_of_wrong_type": (
        text("max_items = 6", "licence = 6"),
        "corpora.train.licence: must be a text, not 6",
    ),
    "too_few_items": (
        text("amount = 6", "amount = 9"),
        "asks for 9 items of corpus 'train' in 'en' and max_items is 6: 3 too few",
    ),
    "too_few_for_disjoint": (
        text('budget = { amount = 6 }\npairing = "disjoint"', 'budget = { amount = 7 }\npairing = "disjoint"'),
        "families.cov: mixture cov-en asks for 7 items of corpus 'train' in all languages together",
    ),
    "empty_family": (
        text('nested = ["en", "sw", "es"]', "languages = []"),
        "families.cov.languages: is [] and must not be empty",
    ),
    "empty_language_set": (
        text('nested = ["en", "sw", "es"]', 'languages = [["en"], []]'),
        "families.cov.languages[1]: is []",
    ),
    "family_with_nothing": (
        text('nested = ["en", "sw", "es"]\n', ""),
        "needs languages (one list per mixture) or nested",
    ),
    "nested_too_small": (
        text('nested = ["en", "sw", "es"]', 'nested = ["en"]\nsizes = [2]'),
        "2 is more than the 1 languages",
    ),
    "unknown_kind": (text('kind = "coverage"', 'kind = "coverge"'), "families.cov: 'coverge' is not a kind of family."),
    "missing_kind": (text('kind = "coverage"\n', ""), "families.cov: 'kind' is missing"),
    "doses_not_whole": (
        append(FAMILY + 'kind = "dose"\nfixed = { en = 2 }\nlanguages = ["es"]\ndoses = [0, 1.5]\n'),
        "families.f.doses[1]: must be a whole number, not 1.5",
    ),
    "dose_of_the_fixed_language": (
        append(FAMILY + 'kind = "dose"\nfixed = { en = 2 }\nlanguages = ["en"]\ndoses = [1]\n'),
        "'en' is fixed and gets a dose too",
    ),
    "fixed_from_nowhere": (
        append(
            FAMILY + 'kind = "dose"\nfixed = { en = 2 }\nfixed_from = { train = "trane" }\n'
            'languages = ["es"]\ndoses = [1]\n'
        ),
        "families.f.fixed_from: there is no corpus 'trane'. Did you mean 'train'?",
    ),
    "fixed_from_a_stranger": (
        append(
            FAMILY + 'kind = "dose"\nfixed = { en = 2 }\nfixed_from = { tarin = "train" }\n'
            'languages = ["es"]\ndoses = [1]\n'
        ),
        "families.f.fixed_from: there is no corpus of the family 'tarin'",
    ),
    "donor_is_pivot": (
        append(FAMILY + 'kind = "donors"\npivot = "en"\ndonors = ["en", "es"]\nbudget = { amount = 2 }\n'),
        "families.f.donors: 'en' is the pivot",
    ),
    "leave_one_out_of_one": (
        append(FAMILY + 'kind = "leave_one_out"\nlanguages = ["en"]\nbudget = { amount = 2 }\n'),
        'families.f.languages: is ["en"] and needs 2 entries at least',
    ),
    "epochs_and_steps": (text("epochs = 2", "epochs = 2\nsteps = 9"), "training: needs epochs or steps, and not both"),
    "no_batch": (text("batch_examples = 2\n", ""), "training: needs batch_examples or batch_tokens, and not both"),
    "lora_without_method": (text("epochs = 2", "epochs = 2\nlora = { rank = 4 }"), 'no meaning with method = "full"'),
    "lora_targets": (
        text("epochs = 2", 'epochs = 2\nmethod = "lora"\nlora = { target_modules = "all" }'),
        "training.lora.target_modules",
    ),
    "select_without_validation": (
        text('validation = { corpora = ["dev"], max_items = 2 }\n', ""),
        'training.select_by: "loss" needs held-out items',
    ),
    "validation_without_the_language": (
        text('languages = ["en", "es", "sw"]\npath = "dev.jsonl"', 'languages = ["es", "sw"]\npath = "dev.jsonl"'),
        "training.validation: has no item in a language and task of en, cov-en, whose checkpoints cannot be",
    ),
    "validation_on_train": (
        text('corpora = ["dev"]', 'corpora = ["train"]'),
        "'train' is the train split. Validate on",
    ),
    "contrast_control_missing": (text('control = "en"\n', ""), "contrasts[0]: 'control' is missing"),
    "contrast_control_unknown": (
        text('control = "en"', 'control = "eng"'),
        "contrasts[0].control: there is no mixture 'eng'",
    ),
    "contrast_control_is_a_family": (
        text('control = "en"', 'control = "cov"'),
        "'cov' is a family. Name one of its mixtures: cov-en",
    ),
    "contrast_with_itself": (text('"en50-sw50", "cov"', '"en"'), "'en' is compared with itself"),
    "contrast_base_without_base": (
        both(text("base = true", "base = false"), text('control = "en"', 'control = "base"')),
        "the base models are not in the grid. Say base = true",
    ),
    "contrast_outside_the_grid": (
        text("seeds = [0, 1]", 'mixtures = ["en", "cov"]'),
        "'en50-sw50' is not in grid.mixtures",
    ),
    "two_runs_of_one_name": (
        text("[mixtures.en]", "[mixtures.EN50-sw50]"),
        "2 are called 'en50-sw50' (case does not count)",
    ),
    "mixture_named_like_a_family": (
        text("[families.cov]", "[families.en]"),
        "families.en: a mixture has the same name",
    ),
    "mixture_named_base": (text("[mixtures.en]", "[mixtures.base]"), "'base' is the name of the untouched base model"),
    "name_with_a_slash": (text('name = "toy"', 'name = "toy/2"'), "'toy/2' is not a usable name"),
    "run_name_too_long": (text("[models.tiny]", f"[models.{'tiny' * 40}]"), "is longer than 120 characters"),
    "nothing_evaluates_the_task": (
        text('task = "math"', 'task = "api_calling"'),
        "no evaluation asks for api_calling, which is trained by en, en50-sw50, cov-en and 2 more. Add one.",
    ),
    "tables_as_a_list": (append("\n[[models_]]\n"), "unknown key 'models_'. Did you mean 'models'?"),
    "contrasts_as_a_table": (text("[[contrasts]]", "[contrasts]"), "must be tables of the form [[contrasts]]"),
    "several_at_once": (
        both(
            text("learning_rate = 1e-3", "learning_rate = 0"),
            text("sw = 0.5", "sw = 0.4"),
            text('"./tiny"', '"./tyni"'),
            text('["en", "sw", "te"]', '["en", "sw", "xx"]'),
        ),
        (
            "learning_rate: is 0 and must be greater than 0",
            "shares sum to 0.9",
            "./tyni does not exist",
            "'xx' is not a language",
        ),
    ),
}

SHORT = b'{"item_id": "i0", "language": "en", "prompt": "1 + 1?", "completion": "2.", "answer": "2"}\n'

CORPORA: dict[str, tuple[Spoil, str | tuple[str, ...]]] = {
    "empty_file": (data("train.jsonl", b""), "corpora.train (train.jsonl): is empty. Fill it, or correct the path."),
    "blank_lines_only": (data("train.jsonl", b"\n \n"), "corpora.train (train.jsonl): is empty"),
    "not_utf8_data": (
        data("train.jsonl", SHORT + '{"item_id": "ä"}'.encode("latin-1")),
        "corpora.train (train.jsonl, line 2): is not UTF-8. Save the file as UTF-8.",
    ),
    "not_json": (
        data("train.jsonl", SHORT + b"{broken\n"),
        "corpora.train (train.jsonl, line 2): is not a JSON object",
    ),
    "json_but_no_object": (data("train.jsonl", b"[1, 2]\n"), "line 1): is not a JSON object in { }"),
    "missing_column": (
        rows("train.jsonl", lambda found: [{"item_id": "i", "language": "en"}]),
        "line 1): 'answer' is missing",
    ),
    "misspelt_column": (
        rows("train.jsonl", lambda found: [*found[:4], {**found[4], "clusters": "d1"}]),
        "line 5): unknown column 'clusters'. Did you mean 'cluster'?",
    ),
    "answer_of_wrong_type": (
        rows("train.jsonl", lambda found: [{**found[0], "answer": 1.5}, *found[1:]]),
        "line 1): answer must be a text or a whole number, not 1.5",
    ),
    "message_of_wrong_type": (
        rows("train.jsonl", lambda found: [{"item_id": "i", "language": "en", "answer": "1", "messages": ["hello"]}]),
        "line 1): messages.0",
    ),
    "no_prompt": (
        rows("train.jsonl", lambda found: [{"item_id": "i", "language": "en", "answer": "1"}]),
        "needs messages, or prompt and completion, and not both",
    ),
    "no_language": (
        rows("train.jsonl", lambda found: [{key: value for key, value in found[0].items() if key != "language"}]),
        "line 1): 'language' is missing",
    ),
    "many_bad_lines": (data("train.jsonl", b"{}\n" * 50), "(train.jsonl): 40 more lines are wrong"),
    "wrong_role_order": (
        rows("train.jsonl", conversation("assistant", "user")),
        "corpora.train (train.jsonl): 1 row has roles out of order",
    ),
    "unknown_role": (rows("train.jsonl", conversation("human", "assistant")), "roles out of order"),
    "no_completion_to_train_on": (rows("train.jsonl", conversation("user")), "the assistant has the last word"),
    "empty_message": (
        rows("train.jsonl", lambda found: [{**found[0], "prompt": "  "}, *found[1:]]),
        "has an empty message",
    ),
    "empty_answer": (
        rows("train.jsonl", lambda found: [{**found[0], "answer": " "}, *found[1:]]),
        "1 row has an empty answer: 'i0' in 'en'. Correct the data.",
    ),
    "duplicate_ids": (
        rows("train.jsonl", lambda found: [*found, found[0]]),
        "corpora.train (train.jsonl): 'i0' in 'en': more than one row",
    ),
    "item_lacks_a_language": (
        rows("train.jsonl", lambda found: found[:-1]),
        "1 of 6 items lack a language: 'i5' (sw). Complete them, ask for fewer languages, or say incomplete",
    ),
    "no_row_in_a_language": (
        rows("train.jsonl", lambda found: [row for row in found if row["language"] != "es"]),
        "has no row in 'es'. Take it out of languages, or add the rows.",
    ),
    "no_row_in_any_language": (
        rows("train.jsonl", lambda found: [{**row, "language": "te"} for row in found]),
        "has no item in en, es, sw",
    ),
    "several_in_one_corpus": (
        rows("train.jsonl", lambda found: [{**found[0], "answer": ""}, *found[1:-1], found[1]]),
        ("an empty answer", "more than one row", "lack a language"),
    ),
    "truncated_parquet": (truncate("test.parquet"), "corpora.test (test.parquet): is not a complete Parquet file"),
    "empty_parquet": (data("test.parquet", b""), "corpora.test (test.parquet): is not a complete Parquet file"),
    "text_instead_of_parquet": (data("test.parquet", SHORT), "is not a complete Parquet file"),
    "folder_without_a_language": (
        both(
            remove("train.jsonl"),
            lambda folder: (folder / "train.jsonl").mkdir(),
            data("train.jsonl/en.jsonl", SHORT),
        ),
        "corpora.train (train.jsonl): the folder lacks es.jsonl, sw.jsonl",
    ),
    "other_revision": (
        text('path = "train.jsonl"', 'path = "train.jsonl"\nrevision = "sha256:0000"'),
        "and the study asks for sha256:0000. Bring the old file back, or change revision.",
    ),
}


def files(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def read_everything(folder: Path) -> None:
    """What `crosslift check` does."""
    study = load(folder)
    problems = []
    for source in study.corpora.values():
        try:
            member("reader", source.reader).read(source)
        except CorpusError as error:
            problems.append(str(error))
    if problems:
        raise CorpusError("\n".join(problems))


@pytest.mark.parametrize("name", [*STUDIES, *CORPORA])
def test_bad_input_is_refused_with_place_and_remedy_and_nothing_is_written(name: str, study_folder: Path) -> None:
    spoil, expected = {**STUDIES, **CORPORA}[name]
    spoil(study_folder)
    before = files(study_folder)
    with pytest.raises(CrossliftError) as caught:
        read_everything(study_folder)
    assert isinstance(caught.value, StudyError if name in STUDIES else CorpusError)
    message = str(caught.value)
    for part in (expected,) if isinstance(expected, str) else expected:
        assert part in message, message
    assert all(
        line.endswith((".", "?", "crosslift list languages")) or "crosslift new" in line
        for line in message.splitlines()
    )
    assert files(study_folder) == before


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """The exit code of `crosslift <arguments>`."""
    monkeypatch.setattr(sys, "argv", ["crosslift", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


@pytest.mark.parametrize("name", [*STUDIES, *CORPORA])
def test_the_command_line_says_the_same_with_exit_code_2_and_without_a_traceback(
    name: str, study_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, expected = {**STUDIES, **CORPORA}[name]
    spoil(study_folder)
    before = files(study_folder)
    code = command(monkeypatch, "check", str(study_folder))
    shown = capsys.readouterr()
    said = " ".join((shown.out + shown.err).split())
    assert code == 2
    for part in (expected,) if isinstance(expected, str) else expected:
        assert " ".join(part.split()) in said, said
    assert "Traceback" not in said
    assert files(study_folder) == before


@pytest.mark.parametrize(
    "name", [name for name in STUDIES if name not in ("empty_study", "unknown_training_key", "several_at_once")]
)
def test_one_mistake_makes_one_message_or_few(name: str, study_folder: Path) -> None:
    """A mistake is not repeated by everything that refers to what is wrong."""
    STUDIES[name][0](study_folder)
    with pytest.raises(StudyError) as caught:
        load(study_folder)
    assert len(caught.value.problems) <= 3, str(caught.value)


def test_the_study_that_the_tests_spoil_is_right(study_folder: Path) -> None:
    read_everything(study_folder)


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert command(monkeypatch, "new", "demo", str(tmp_path / "file" / "study")) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_files_are_named(study_folder: Path) -> None:
    (study_folder / "train.jsonl").chmod(0)
    with pytest.raises(StudyError, match=r"train\.jsonl cannot be read"):
        load(study_folder)


ODD: list[Any] = [
    -1,
    10**30,
    1.5,
    float("nan"),
    True,
    "",
    "x",
    "~x/a\0b",
    "ü" * 300,
    [],
    {},
    [[]],
    {"en": 1},
    [1, "en"],
]


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every table, list and value of a study."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, element in inner:
        yield from leaves(element, (*path, key))


def test_no_value_in_any_place_raises_anything_but_a_study_error(
    study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tomllib.loads((study_folder / "study.toml").read_text(encoding="utf-8"))
    refused = 0
    for path, odd in itertools.product(leaves(study), ODD):
        raw = copy.deepcopy(study)
        inner = functools.reduce(operator.getitem, path[:-1], raw)
        inner[path[-1]] = odd
        monkeypatch.setattr("crosslift.studies.load.read_toml", lambda file, remedy, raw=raw: raw)
        try:
            plan(load(study_folder))
        except StudyError as error:
            refused += 1
            assert all(problem.startswith("study.toml") for problem in error.problems)
    assert refused > 1000
