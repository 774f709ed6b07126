"""A generator that answers every prompt with a number made from the prompt and the checkpoint."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import ClassVar

from crosslift.evaluation.generator import Completion


class Tokenizer:
    chat_template = "fake"
    name_or_path = "fake"
    eos_token = "\n"
    all_special_tokens = ("\n",)
    added_tokens_decoder: ClassVar = {}

    def get_chat_template(self):
        return self.chat_template

    def apply_chat_template(self, conversations, **_):
        return [" ".join(message["content"] for message in messages) for messages in conversations]

    def __call__(self, texts, **_):
        return {"input_ids": [list(text.encode()) for text in texts]}

    def batch_decode(self, ids, **_):
        return [bytes(one).decode() for one in ids]


class Generator:
    def __init__(self, checkpoint, *, base, revision, device, template):
        file = Path(checkpoint) / "seen.txt"
        self.seen = file.read_bytes() if file.exists() else b"base"
        self.tokenizer = Tokenizer()
        fault = Path(base).parent / "unanswered"
        self.finish = "error" if fault.exists() else "stop"

    def generate(self, prompts, *, max_tokens):
        numbers = [zlib.crc32(self.seen + bytes(prompt)) % 10 for prompt in prompts]
        return [Completion(text=f"{number}", finish=self.finish, num_tokens=1) for number in numbers]
