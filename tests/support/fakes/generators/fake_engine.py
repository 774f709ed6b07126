"""The generator `fake` behind an engine: it notes starts and calls, and asks several runs at once.

`engine.json` in the study's folder lists what happened: "start", "close", and "ask N" for a call for N runs. A run
named in `engine_faults.json` fails when its adapter is loaded; "die" kills the process then.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from crosslift.errors import EvaluationError
from crosslift.evaluation.generators import fake

OPTIONS: dict[str, type] = {"runs_per_engine": int, "max_lora_rank": int}
RUNS_PER_ENGINE = 3

_open: list[Path] = []


def close() -> None:
    while _open:
        _note(_open.pop(), "close")


class Generator(fake.Generator):
    def __init__(self, checkpoint, *, base, runs_per_engine=RUNS_PER_ENGINE, max_lora_rank=None, **options):
        super().__init__(checkpoint, base=base, **options)
        self.study = Path(base).parent
        self.run = "base" if str(checkpoint) == base else Path(checkpoint).parents[1].name
        self.is_batched = not (self.study / "full").exists()
        self.others, self.held = [], {}
        if not _open:
            _open.append(self.study)
            _note(self.study, "start")
        faults = self.study / "engine_faults.json"
        fault = json.loads(faults.read_text()).get(self.run) if faults.exists() else None
        if fault == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault is not None:
            raise EvaluationError(f"vLLM cannot load the adapter of {self.run}: {fault}")

    def ask_with(self, others):
        self.others = list(others)
        for one in (self, *others):
            one.held.clear()

    def generate(self, prompts, *, max_tokens):
        key = (tuple(map(tuple, prompts)), max_tokens)
        if key not in self.held:
            _note(self.study, f"ask {1 + len(self.others)}")
            for one in (self, *self.others):
                one.held[key] = fake.Generator.generate(one, prompts, max_tokens=max_tokens)
        return self.held.pop(key)


def _note(study: Path, what: str) -> None:
    file = study / "engine.json"
    noted = json.loads(file.read_text()) if file.exists() else []
    file.write_text(json.dumps([*noted, what]))
