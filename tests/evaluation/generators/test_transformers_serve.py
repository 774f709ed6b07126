"""A real server, asked through the endpoint generator, answers as the model does in this process."""

from __future__ import annotations

import pytest
from served import transformers_serving

from crosslift.corpora.corpus import Source
from crosslift.corpora.readers.general import pocket
from crosslift.evaluation.generators import endpoint
from crosslift.evaluation.generators.hf.generator import Generator
from crosslift.evaluation.scoring import predict
from crosslift.evaluation.task import task
from crosslift.pocket.checkpoints import folder as checkpoint


@pytest.mark.slow
def test_a_served_model_gives_the_predictions_of_the_model_itself():
    for package in ("openai", "fastapi", "uvicorn"):
        pytest.importorskip(package)
    folder = checkpoint("qwen3-s")
    source = Source(name="c", reader="pocket", task="math", split="test", languages=("sw",), max_items=6)
    rows = pocket.read(source).rows
    own = predict(Generator(folder, device="cpu"), task("math"), rows, prompt="bare", max_tokens=24)
    with transformers_serving(folder) as base_url:
        generator = endpoint.Generator(folder, base=str(folder), base_url=base_url, model=str(folder), concurrency=2)
        served = predict(generator, task("math"), rows, prompt="bare", max_tokens=24)
    assert served["text"].to_list() == own["text"].to_list()
    assert served["finish"].to_list() == own["finish"].to_list()
    assert served["prompt"].to_list() == own["prompt"].to_list()
