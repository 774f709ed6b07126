"""Interface of a generator.

A generator is a module in `generators/` with

    class Generator(checkpoint: Path | str, *, base: str | None, revision: str | None, device: str,
                    template: str | None, ...)
        .tokenizer
        .generate(prompts: Sequence[Sequence[int]], *, max_tokens: int, stop: Sequence[str] = ())
            -> list[Completion]

    OPTIONS: dict[str, type]      options of the site file, which are further arguments of Generator

and, if it can score given texts,

        .max_length: int                                                  longest input of the model in tokens
        .log_likelihoods(requests: Sequence[TokenContinuations]) -> list[list[Likelihood | None]]

(see `requests.kinds`), in the order of the requests and of their continuations.

A generator whose engine takes long to start has three more names. Trained runs of a base model then wait until there
are `RUNS_PER_ENGINE` of them (a site's option `runs_per_engine`), and are evaluated one after another, or together:

    RUNS_PER_ENGINE: int                     default number of runs that wait
    close() -> None                          ends the engine that is kept open for the next run
    Generator
        .is_batched: bool                    whether it can be asked together with the other runs
        .ask_with(others: Sequence[Generator]) -> None
                                             the next calls are made for the others too, which will ask the same

Completions are returned in the order of the prompts. Decoding is greedy. `stop` is optional: a completion may end
behind the first of these texts, which saves time; `scoring.predict` cuts it there in any case. `template` is the chat
template of a base
model, in the form that `chat.load_tokenizer` takes; fine-tuned checkpoints contain their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Completion:
    """Completion of one prompt."""

    text: str
    """Decoded text without special tokens."""
    finish: Literal["stop", "length", "error"]
    """Why generation ended: a stop token, the length limit, or a failure of the generator."""
    num_tokens: int
    """Generated tokens, the stop token included."""
