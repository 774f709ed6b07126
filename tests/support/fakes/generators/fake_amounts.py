"""A generator that answers the sums of the tiny study, the more of them correctly the more examples the checkpoint saw.

The share is known, so that a test knows which mixture is best: Swahili examples help most, and in all languages.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from pathlib import Path

from crosslift.evaluation.generators.fake import Tokenizer

from crosslift.evaluation.generator import Completion


def share(seen: dict[str, int]) -> float:
    """Share of correct answers after so many examples per language."""
    gains = {"en": 0.10, "es": 0.05, "sw": 0.15}
    return 0.1 + sum(gains.get(tag, 0.0) * math.log1p(count / 8) for tag, count in seen.items())


class Generator:
    def __init__(self, checkpoint, *, base, revision, device, template):
        file = Path(checkpoint) / "seen.json"
        self.share = share(json.loads(file.read_text())) if file.exists() else 0.05
        self.tokenizer = Tokenizer()

    def generate(self, prompts, *, max_tokens):
        return [self._answer(bytes(prompt).decode()) for prompt in prompts]

    def _answer(self, prompt: str) -> Completion:
        first, second = map(int, re.findall(r"\d+", prompt)[:2])
        right = zlib.crc32(prompt.encode()) % 1000 < 1000 * self.share
        return Completion(text=f"{first + second + (not right)}", finish="stop", num_tokens=1)
