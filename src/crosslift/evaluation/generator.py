"""What a generator is.

A generator is a module in `generators/` with a class

    Generator(checkpoint: Path | str, *, base: str | None, revision: str | None, device: str, template: str | None, ...)
        .tokenizer
        .generate(prompts: Sequence[Sequence[int]], *, max_tokens: int) -> list[Completion]

    OPTIONS: dict[str, type]      settings of the site that it understands, further arguments of Generator

that answers in the order of the prompts, whatever order it works in. Decoding is greedy. `template` is the chat
template of an untouched base model, as `chat.load_tokenizer` takes it; trained checkpoints carry theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Completion:
    text: str
    """Without special tokens."""
    finish: Literal["stop", "length", "error"]
    num_tokens: int
    """Generated tokens, the one that ends the turn included."""
