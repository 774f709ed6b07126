"""Predictions of tasks that ask for likelihoods: token ids of contexts and continuations, and the table of the results.

Tokenisation follows lm-evaluation-harness 0.4.13, so that verdicts agree item by item: white space at the end of a
context is moved to the continuation, context and continuation are tokenised together, and what follows the tokens of
the context is the continuation. An empty context is the beginning-of-text token, or the end-of-text token if the
tokenizer has no other. A text longer than the model's context is scored in windows that predict each token once, with
as much context as fits.

The table keeps the log-probability and the lengths of every choice, so that another normalisation needs no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import polars as pl

from crosslift.chat import encode_prompts
from crosslift.errors import EvaluationError
from crosslift.evaluation.requests.kinds import Continuations, Likelihood, Text, TokenContinuations
from crosslift.scores import LIKELIHOODS


class SupportsLikelihood(Protocol):
    """Protocol of a generator, as far as tasks by likelihood use it."""

    @property
    def tokenizer(self) -> Any: ...

    @property
    def max_length(self) -> int:
        """Longest input of the model in tokens."""

    def log_likelihoods(self, requests: Sequence[TokenContinuations]) -> list[list[Likelihood | None]]:
        """One entry per continuation; None if it does not fit in the model's context or got no reply."""


def require_likelihoods(generator: Any, name: str = "") -> SupportsLikelihood:
    """The generator, if it returns log-probabilities of given continuations.

    Raises:
        EvaluationError: it does not.
    """
    if not hasattr(generator, "log_likelihoods"):
        raise EvaluationError(
            f"generator '{name or type(generator).__module__.rpartition('.')[2]}' does not return log-probabilities of "
            'given texts, which this task needs. Set generator = "hf" for the evaluation.'
        )
    found: SupportsLikelihood = generator
    return found


def predict_continuations(
    generator: SupportsLikelihood, requests: Sequence[Continuations], rows: pl.DataFrame
) -> pl.DataFrame:
    """Log-probabilities of the choices of each row, with and without their context.

    Args:
        generator: the loaded model.
        requests: one per row.
        rows: frame of schema `corpora.corpus.ROWS`.

    Returns:
        Frame of schema `scores.LIKELIHOODS`. `text` is the most probable choice; `finish` is "length" if a choice does
        not fit in the model's context.
    """
    tokenizer = generator.tokenizer
    asked = encode(tokenizer, requests)
    alone = list(dict.fromkeys(request.delimiter + choice for request in requests for choice in request.choices))
    without = TokenContinuations(context=(prefix_token(tokenizer),), continuations=encode_alone(tokenizer, alone))
    *given, unconditional = generator.log_likelihoods([*asked, without])
    prior = {text: None if one is None else one.log_probability for text, one in zip(alone, unconditional, strict=True)}
    kept, texts, finishes = [], [], []
    for request, tokens, found in zip(requests, asked, given, strict=True):
        fits = [one.log_probability for one in found if one is not None]
        finishes.append("stop" if len(fits) == len(found) else "length")
        texts.append(request.choices[fits.index(max(fits))] if len(fits) == len(found) else "")
        kept.append(
            [
                {
                    "text": choice,
                    "log_probability": None if one is None else one.log_probability,
                    "unconditional": prior[request.delimiter + choice],
                    "is_greedy": None if one is None else one.is_greedy,
                    "num_tokens": len(ids),
                    "num_bytes": len(choice.encode()),
                }
                for choice, ids, one in zip(request.choices, tokens.continuations, found, strict=True)
            ]
        )
    contexts = [tokens.context for tokens in asked]
    return _table(tokenizer, rows, contexts=contexts, texts=texts, finishes=finishes, kept=kept)


def predict_texts(generator: SupportsLikelihood, requests: Sequence[Text], rows: pl.DataFrame) -> pl.DataFrame:
    """Log-probability of the text of each row.

    Args:
        generator: the loaded model.
        requests: one per row.
        rows: frame of schema `corpora.corpus.ROWS`.

    Returns:
        Frame of schema `scores.LIKELIHOODS` with one continuation per row, the text; `text` is empty.
    """
    tokenizer = generator.tokenizer
    prefix = prefix_token(tokenizer)
    ids = encode_alone(tokenizer, [request.text for request in requests])
    cut = [windows(tokens, prefix=prefix, max_length=generator.max_length) for tokens in ids]
    found = iter(generator.log_likelihoods([window for windows_of_text in cut for window in windows_of_text]))
    kept, finishes = [], []
    for request, tokens, windows_of_text in zip(requests, ids, cut, strict=True):
        parts = [next(found)[0] for _ in windows_of_text]
        fits = [one.log_probability for one in parts if one is not None]
        finishes.append("stop" if len(fits) == len(parts) else "error")
        kept.append(
            [
                {
                    "text": "",
                    "log_probability": sum(fits) if len(fits) == len(parts) else None,
                    "unconditional": None,
                    "is_greedy": None,
                    "num_tokens": len(tokens),
                    "num_bytes": len(request.text.encode()),
                }
            ]
        )
    contexts = [(prefix, *tokens) for tokens in ids]
    return _table(tokenizer, rows, contexts=contexts, texts=[""] * len(ids), finishes=finishes, kept=kept)


def encode(tokenizer: Any, requests: Sequence[Continuations]) -> list[TokenContinuations]:
    """Token ids of contexts and continuations.

    Raises:
        EvaluationError: the tokenizer has no token for an empty context, or a continuation has no token of its own.
    """
    contexts, endings = [], []
    for request in requests:
        context = request.context if isinstance(request.context, str) else ""
        bare = context.rstrip()
        moved = context[len(bare) :]
        contexts.append(bare)
        endings.append([moved + request.delimiter + choice for choice in request.choices])
    heads = _encode_heads(tokenizer, requests, contexts)
    together = [bare + end for bare, ends in zip(contexts, endings, strict=True) if bare for end in ends]
    wholes = iter(encode_texts(tokenizer, together))
    prefix = prefix_token(tokenizer)
    found = []
    for request, bare, head, ends in zip(requests, contexts, heads, endings, strict=True):
        # Nothing merges across the end of a chat template's prompt, which is that of training.
        tails = [tuple(next(wholes)[len(head) :]) for _ in ends] if bare else list(encode_alone(tokenizer, ends))
        if not all(tails):
            raise EvaluationError(
                f"the choice {request.choices[tails.index(())]!r} has no token of its own behind its context. Give the "
                "choice a text that the tokenizer keeps apart from the question, such as a full answer."
            )
        found.append(TokenContinuations(context=tuple(head or [prefix]), continuations=tuple(tails)))
    return found


def windows(tokens: Sequence[int], *, prefix: int, max_length: int) -> list[TokenContinuations]:
    """Cut a text into windows in which each token is predicted once.

    Args:
        tokens: the token ids of the text.
        prefix: the token that stands before the text.
        max_length: longest input of the model in tokens.

    Returns:
        One continuation per window. All but the first have as much context as fits.
    """
    found = [TokenContinuations(context=(prefix,), continuations=(tuple(tokens[:max_length]),))]
    for start in range(max_length, len(tokens), max_length):
        end = min(start + max_length, len(tokens))
        context = tuple(tokens[end - max_length - 1 : start])
        found.append(TokenContinuations(context=context, continuations=(tuple(tokens[start:end]),)))
    return found


def prefix_token(tokenizer: Any) -> int:
    """The token that stands for an empty context: beginning of text, else end of text.

    Raises:
        EvaluationError: the tokenizer has neither.
    """
    for found in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if found is not None:
            return int(found)
    raise EvaluationError(
        "the tokenizer has neither a beginning-of-text nor an end-of-text token, so a text without context has no "
        "likelihood. Set bos_token or eos_token in tokenizer_config.json of the model."
    )


def _encode_heads(tokenizer: Any, requests: Sequence[Continuations], contexts: list[str]) -> list[list[int]]:
    """Token ids of the contexts; none for an empty text."""
    texts = iter(encode_texts(tokenizer, [text for text in contexts if text]))
    chats = iter(encode_prompts(tokenizer, [one.context for one in requests if not isinstance(one.context, str)]))
    found = []
    for request, text in zip(requests, contexts, strict=True):
        if isinstance(request.context, str):
            found.append(next(texts) if text else [])
        else:
            found.append(next(chats))
    return found


def encode_texts(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Tokenise with special tokens, except where a text begins with the beginning-of-text token already."""
    if not texts:
        return []
    written = tokenizer.decode([prefix_token(tokenizer)])
    encoded: list[list[int]] = _call(tokenizer, texts, special=True)
    for place, text in enumerate(texts):
        if written and text.startswith(written):
            encoded[place] = _call(tokenizer, [text], special=False)[0]
    return encoded


def encode_alone(tokenizer: Any, texts: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, _call(tokenizer, texts, special=False)))


def _call(tokenizer: Any, texts: Sequence[str], *, special: bool) -> list[list[int]]:
    if not texts:
        return []
    ids: list[list[int]] = tokenizer(
        list(texts), add_special_tokens=special, return_attention_mask=False, return_token_type_ids=False, verbose=False
    )["input_ids"]
    return ids


def _table(
    tokenizer: Any,
    rows: pl.DataFrame,
    *,
    contexts: Sequence[Sequence[int]],
    texts: list[str],
    finishes: list[str],
    kept: list[list[dict[str, Any]]],
) -> pl.DataFrame:
    shown = tokenizer.batch_decode([list(ids) for ids in contexts], skip_special_tokens=False)
    return rows.select(
        pl.concat_str("item_id", "language", separator=".").alias("sample_id"),
        "item_id",
        "cluster",
        "language",
        pl.Series("prompt", shown, pl.String),
        pl.Series("text", texts, pl.String),
        pl.Series("finish", finishes, pl.String),
        pl.Series("num_prompt_tokens", map(len, contexts), pl.Int32),
        pl.Series("num_completion_tokens", [sum(c["num_tokens"] for c in row) for row in kept], pl.Int32),
        "answer",
        pl.Series("continuations", kept, LIKELIHOODS["continuations"]),
    ).cast(LIKELIHOODS)
