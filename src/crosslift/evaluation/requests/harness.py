"""A generator as a model of lm-evaluation-harness, and the harness's evaluation of one task in one language.

The harness builds the prompts, asks, filters and scores; the generator only returns log-probabilities and completions.
Tokenisation is that of the harness's own Hugging Face model. Decoding is greedy; tasks that sample are refused.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from typing import Any

import polars as pl

from crosslift.chat import render_prompt
from crosslift.corpora.corpus import Source
from crosslift.corpora.harness import document_hash, documents, load_task, metric_name
from crosslift.errors import EvaluationError
from crosslift.evaluation.requests.kinds import Continuations
from crosslift.evaluation.requests.likelihood import (
    encode,
    encode_texts,
    prefix_token,
    require_likelihoods,
    windows,
)
from crosslift.extras import optional
from crosslift.scores import PREDICTIONS, scale

log = logging.getLogger(__name__)


def predict_by_harness(generator: Any, rows: pl.DataFrame, *, source: Source, chat: bool) -> pl.DataFrame:
    """Evaluate the documents of one language.

    Args:
        generator: the loaded model.
        rows: rows of the reader `lm_eval` in one language.
        source: specification of the corpus.
        chat: ask in the model's chat template, with worked examples as turns of the conversation.

    Returns:
        Frame of schema `scores.PREDICTIONS`; `text` is a JSON object with the responses and the values of the metrics.

    Raises:
        EvaluationError: the documents are not those that were prepared, the task samples, or a metric is no share.
        MissingPackage: the harness is not installed.
    """
    with optional():
        from lm_eval.evaluator import evaluate

    task = load_task(source, rows["language"][0])
    gold = [json.loads(answer) for answer in rows["answer"]]
    numbers = [one["document"] for one in gold]
    present = documents(task)
    changed = [one["document"] for one in gold if _hash(present, one["document"]) != one["hash"]]
    if changed:
        raise EvaluationError(
            f"{task.task_name}: {len(changed)} documents are not those that were prepared, the first is number "
            f"{changed[0]}. Remove the folder of the corpus {source.name} and run crosslift run again."
        )
    found = evaluate(
        lm=model_of(generator),
        task_dict={"tasks": {task.task_name: task}, "groups": {}, "group_map": {}},
        samples={task.task_name: numbers},
        bootstrap_iters=0,
        log_samples=True,
        apply_chat_template=chat,
        fewshot_as_multiturn=chat,
    )
    assert found is not None
    by_document: dict[int, list[dict[str, Any]]] = {}
    for sample in found["samples"][task.task_name]:
        by_document.setdefault(sample["doc_id"], []).append(sample)
    samples = [by_document[number] for number in numbers]
    left_out: set[str] = set()
    values = [_values(one, left_out) for one in samples]
    if left_out:
        log.warning("%s: no value per item in [0, 1], left out: %s", task.task_name, ", ".join(sorted(left_out)))
    prompts = [str(one[0]["arguments"][0][0]) for one in samples]
    texts = [
        json.dumps({"metrics": metrics, "responses": one[0]["resps"]}, default=str, ensure_ascii=False)
        for metrics, one in zip(values, samples, strict=True)
    ]
    return rows.select(
        pl.concat_str("item_id", "language", separator=".").alias("sample_id"),
        "item_id",
        "cluster",
        "language",
        pl.Series("prompt", prompts, pl.String),
        pl.Series("text", texts, pl.String),
        pl.lit("stop").alias("finish"),
        pl.Series("num_prompt_tokens", map(len, encode_texts(generator.tokenizer, prompts)), pl.Int32),
        pl.lit(0, pl.Int32).alias("num_completion_tokens"),
        "answer",
    ).cast(PREDICTIONS)


def _hash(present: list[dict[str, Any]], number: int) -> str:
    return document_hash(present[number]) if number < len(present) else ""


def _values(samples: list[dict[str, Any]], left_out: set[str]) -> dict[str, float]:
    """Metric -> value of one document, over all filters."""
    values = {}
    for sample in samples:
        for metric in sample["metrics"]:
            name = metric_name(metric, sample["filter"])
            value = _number(metric, sample[metric])
            if value is None or not scale(metric).low <= value <= scale(metric).high:
                left_out.add(name)
            else:
                values[name] = value
                if metric == "bits_per_byte":  # no share, so it cannot be primary; see tasks.perplexity
                    values["byte_probability"] = 2.0**-value
    return values


def _number(metric: str, value: Any) -> float | None:
    """The value of a metric as a number; None if the harness needs all documents to compute it."""
    if isinstance(value, (bool, int, float)) or hasattr(value, "item"):
        return float(value)
    if metric == "bits_per_byte":
        log_likelihood, num_bytes = value
        return float(-log_likelihood / num_bytes / math.log(2))
    return None


def model_of(generator: Any) -> Any:
    """A generator as the harness's `LM`.

    Raises:
        MissingPackage: the harness is not installed.
    """
    with optional():
        from lm_eval.api.model import LM

    class GeneratorLM(LM):  # type: ignore[misc]  # the harness is not typed
        """Answers the harness's requests with a generator."""

        tokenizer = generator.tokenizer
        tokenizer_name = str(getattr(generator.tokenizer, "name_or_path", ""))

        def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
            return log_likelihoods(generator, [request.args for request in requests])

        def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
            return rolling(generator, [request.args[0] for request in requests])

        def generate_until(self, requests: Sequence[Any]) -> list[str]:
            return generate_until(generator, [request.args for request in requests])

        def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
            if add_generation_prompt:
                return render_prompt(generator.tokenizer, chat_history)
            return str(
                generator.tokenizer.apply_chat_template(
                    chat_history, tokenize=False, add_generation_prompt=False, continue_final_message=True
                )
            )

        def chat_template(self, chat_template: bool | str = False) -> str | None:
            return str(generator.tokenizer.chat_template) if chat_template else None

    return GeneratorLM()


def log_likelihoods(generator: Any, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, bool]]:
    """Log-probability of each continuation of its context, and whether greedy decoding would write it.

    Args:
        generator: the loaded model.
        pairs: (context, continuation).

    Raises:
        EvaluationError: the generator returns no likelihoods, or a continuation does not fit in its context.
    """
    able = require_likelihoods(generator)
    by_context: dict[str, dict[str, None]] = {}
    for context, continuation in pairs:
        by_context.setdefault(context, {})[continuation] = None
    asked = [
        Continuations(context=context, delimiter="", choices=tuple(choices)) for context, choices in by_context.items()
    ]
    found = {}
    for request, likelihoods in zip(asked, able.log_likelihoods(encode(able.tokenizer, asked)), strict=True):
        for choice, one in zip(request.choices, likelihoods, strict=True):
            if one is None:
                raise EvaluationError(
                    f"a continuation of {len(choice)} characters got no log-probability: it is longer than the model's "
                    "context, or the server did not reply."
                )
            found[request.context, choice] = (one.log_probability, one.is_greedy)
    return [found[pair] for pair in pairs]


def rolling(generator: Any, texts: Sequence[str]) -> list[float]:
    """Log-probability of each whole text.

    Raises:
        EvaluationError: the generator returns no likelihoods.
    """
    able = require_likelihoods(generator)
    prefix = prefix_token(able.tokenizer)
    cut = [windows(ids, prefix=prefix, max_length=able.max_length) for ids in encode_texts(able.tokenizer, texts)]
    found = iter(able.log_likelihoods([window for one in cut for window in one]))
    sums = []
    for one in cut:
        parts = [next(found)[0] for _ in one]
        if any(part is None for part in parts):
            raise EvaluationError("a text got no log-probability: the server did not reply. Run again.")
        sums.append(sum(part.log_probability for part in parts if part is not None))
    return sums


def generate_until(generator: Any, requests: Sequence[tuple[str, dict[str, Any]]]) -> list[str]:
    """Greedy completions, cut at the first stop sequence.

    Args:
        generator: the loaded model.
        requests: (context, arguments of generation).

    Raises:
        EvaluationError: a task samples, or the generator failed on a prompt.
    """
    from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text

    tokenizer = generator.tokenizer
    eos = tokenizer.decode([tokenizer.eos_token_id], skip_special_tokens=False)
    texts = [""] * len(requests)
    groups: dict[str, list[int]] = {}
    for place, (_, arguments) in enumerate(requests):
        groups.setdefault(json.dumps(arguments, sort_keys=True, default=str), []).append(place)
    for places in groups.values():
        arguments = normalize_gen_kwargs(dict(requests[places[0]][1]), 256)
        if arguments.get("do_sample") or arguments.get("temperature"):
            raise EvaluationError("the task samples its answers; crosslift decodes greedily. Choose another task.")
        until = handle_stop_sequences(arguments.get("until"), eos=eos)
        limit = int(arguments["max_gen_toks"])
        room = max(1, getattr(generator, "max_length", 1 << 30) - limit)
        prompts = [ids[-room:] for ids in encode_texts(tokenizer, [requests[place][0] for place in places])]
        for place, completion in zip(places, generator.generate(prompts, max_tokens=limit), strict=True):
            if completion.finish == "error":
                raise EvaluationError("the generator gave no answer to a prompt of the harness. Run again.")
            texts[place] = postprocess_generated_text(generation=completion.text, stop=until, think_end_token=None)
    return texts
