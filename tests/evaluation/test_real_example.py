"""The parts of examples/real-data work together: load, read, train-side rows, predict, score. On five items."""

from __future__ import annotations

import shutil

import places
import polars as pl
import pytest

from crosslift.chat import encode_examples
from crosslift.discover import member
from crosslift.evaluation.generators.hf import generator as hf
from crosslift.evaluation.scoring import predict, score
from crosslift.evaluation.task import task
from crosslift.scores import STATUSES
from crosslift.studies.parsing.load import load

EXAMPLE = places.REPOSITORY / "examples" / "real-data"
DATA = places.DATA
LINKS = {
    "gsm8k-parallel/gsm8k": "gsm8k",
    "gsm8k-parallel/gsm8k_translated_questions": "gsm8k_translated_questions",
    "mgsm": "mgsm",
    "api_bank": "api_bank",
}


@pytest.mark.skipif(not DATA.exists(), reason="needs the real data")
def test_the_real_data_example_goes_from_its_study_file_to_scores(tiny_model, tmp_path):
    text = (EXAMPLE / "study.toml").read_text("utf-8")
    shutil.copytree(tiny_model("qwen3"), tmp_path / "model")
    (tmp_path / "study.toml").write_text(text.replace("pocket:qwen3-m", "./model"), "utf-8")
    for link, target in LINKS.items():
        (tmp_path / "data" / link).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / link).symlink_to(DATA / target)
    study = load(tmp_path)

    generator = hf.Generator(tmp_path / "model", device="cpu")
    corpora = {name: member("reader", source.reader).read(source) for name, source in study.corpora.items()}
    assert {name: corpus.num_items for name, corpus in corpora.items()} == {
        "gsm8k": 7342,
        "mgsm": 250,
        "api-bank-train": 907,
        "api-bank": 399,
    }
    for name in ("gsm8k", "api-bank-train"):
        examples = encode_examples(generator.tokenizer, corpora[name].rows["messages"].head(20).to_list())
        assert len(examples.prompt_lengths) == 20

    num_scores = 0
    for evaluation in study.evaluations.values():
        corpus = corpora[evaluation.corpus]
        module = task(evaluation.task)
        for tag in evaluation.languages:
            rows = corpus.rows.filter(pl.col("language") == tag).head(5)
            answers = predict(generator, module, rows, prompt=study.prompts[evaluation.corpus], max_tokens=4)
            scores = score(module, answers, run="r", evaluation=evaluation.name, task_name=evaluation.task)
            assert scores.height == 5 * len(module.METRICS)
            assert set(scores["status"]) <= set(STATUSES) - {"error"}
            num_scores += scores.height
    assert num_scores == 11 * 5 * 2 + 5 * 5
