"""Does a study that is killed again and again end in the same bytes as an undisturbed one?

    python benchmarks/kills.py [--kills 20] [--seed 0] [--study DIR]

`crosslift run` is started and its whole process group killed (`kill -9`) at a random moment; then it is started again,
and killed again. Whenever a study ends before its next kill, scores.parquet and report/estimates.parquet are compared
byte for byte with those of an undisturbed run, and the next kills hit a fresh copy. Preparing a study is short beside
its runs, so half of the fresh copies are killed within it first. Without --study it is a small study of the pocket
laboratory: seven runs, checkpoints picked by validation loss, three evaluated languages.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

STUDY = """
name = "kills"

[models.pocket-s]
path = "pocket:qwen3-s"

[corpora.train]
reader = "pocket"
task = "math"
languages = ["en", "es", "sw"]
max_items = 200

[corpora.dev]
reader = "pocket"
task = "math"
split = "validation"
languages = ["en", "es", "sw"]
max_items = 20

[corpora.test]
reader = "pocket"
task = "math"
split = "test"
languages = ["en", "sw", "te"]
max_items = 40

[families.coverage]
kind = "coverage"
corpora = ["train"]
languages = [["en"], ["en", "es", "sw"]]
budget = { amount = 150 }
pairing = "shared"

[grid]
seeds = [0, 1, 2]
base = true

[training]
epochs = 4.0
learning_rate = 1e-3
batch_examples = 16
select_by = "loss"
validation = { corpora = ["dev"] }

[evaluations.math]
corpus = "test"
max_tokens = 64

[[contrasts]]
name = "more languages"
control = "coverage-en"
treatments = ["coverage"]
primary = true
"""

COMPARED = ("scores.parquet", "report/estimates.parquet")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--study", type=Path, help="folder with study.toml and its data; it is copied")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.study is None:
            (folder / "fresh").mkdir()
            (folder / "fresh" / "study.toml").write_text(STUDY, encoding="utf-8")
        else:
            shutil.copytree(given.study, folder / "fresh")
        moments, equal = kill_and_compare(folder, num_kills=given.kills, chance=random.Random(given.seed))
    print(f"killed during: {', '.join(f'{what} {count}' for what, count in Counter(moments).most_common())}")
    print(f"{len(moments)} kills, {len(equal)} studies ended, equal to the undisturbed one: {sum(equal)}")
    if not all(equal):
        raise SystemExit(1)


def kill_and_compare(folder: Path, *, num_kills: int, chance: random.Random) -> tuple[list[str], list[bool]]:
    """What was going on at each kill, and for each study that ended whether its bytes are those of an undisturbed run.

    Args:
        folder: holds the study in `fresh`.
    """
    begun = time.time()
    reference = copy(folder, "undisturbed")
    start(reference).wait()
    seconds = time.time() - begun
    preparing = (reference / "lock.json").stat().st_mtime - begun
    print(f"undisturbed: {seconds:.0f} s, of which {preparing:.0f} s preparing", flush=True)
    moments: list[str] = []
    equal: list[bool] = []
    study = copy(folder, "killed")
    while len(moments) < num_kills or study.exists():
        early = not (study / "said.txt").exists() and chance.random() < 0.5
        process = start(study)
        moment = chance.uniform(0, preparing if early else seconds)
        try:
            process.wait(timeout=moment if len(moments) < num_kills else None)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            moments.append(doing(study))
            print(f"kill {len(moments)}: {moments[-1]}", flush=True)
            continue
        assert process.returncode == 0, (study / "said.txt").read_text(encoding="utf-8")
        other = [file for file in COMPARED if (study / file).read_bytes() != (reference / file).read_bytes()]
        equal.append(not other)
        print(f"ended, {f'DIFFERENT: {other}' if other else 'equal'}", flush=True)
        shutil.rmtree(study)
        if len(moments) < num_kills:
            study = copy(folder, "killed")
    return moments, equal


def copy(folder: Path, name: str) -> Path:
    return Path(shutil.copytree(folder / "fresh", folder / name))


def start(study: Path) -> subprocess.Popen[bytes]:
    """`crosslift run` as the leader of its own process group."""
    with (study / "said.txt").open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "crosslift", "run", str(study)], stdout=said, stderr=said, start_new_session=True
        )


def doing(study: Path) -> str:
    """What a study was doing when it was killed, by the traces in its folder."""
    if not (study / "lock.json").is_file():
        return "preparing"
    leased = [path.parent for path in study.glob("runs/*/lease.*.json")]
    phases = [run for run in leased if not all_evaluated(run)]
    if not phases:
        done = [run for run in (study / "runs").iterdir() if all_evaluated(run)]
        return "report" if len(done) == len(list((study / "runs").iterdir())) else "starting"
    newest = max(phases, key=lambda run: run.stat().st_mtime)
    if any(newest.glob("train/started.json")):
        return "training"
    if any((path.parent / "predictions.parquet").is_file() for path in newest.glob("eval/*/started.json")):
        return "scoring"
    return "generating" if any(newest.glob("eval/*")) else "starting a run"


def all_evaluated(run: Path) -> bool:
    return len(list(run.glob("eval/*/done.json"))) >= 3


if __name__ == "__main__":
    main()
