"""Edits of a finished pocket study, each forwards and back: what was trained and evaluated, and are the old bytes back?

    python benchmarks/edits.py FOLDER [NAME ...]

The edits are those of tests/execution/definitions/edits/, which the tests apply with a trainer and a generator that
learn nothing: all of them, or those with these names. Here a pretrained pocket model is trained on pocket problems in
three languages by the native trainer, and every command is a process of its own, as a user starts it. A training counts
as made where the weights of its checkpoint are a new file, an evaluation where its predictions are. Ends with exit code
1 if an edit computed anything else than what is necessary, if going back computed anything, or if any file of the first
report has changed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from study_edits import Edit, add_files, apply, edits_of, start_of
from tiny_study import LANGUAGES, STUDY

from crosslift.corpora.corpus import Source
from crosslift.corpora.readers.general import pocket
from crosslift.pocket.checkpoints import folder as checkpoint
from crosslift.studies.parsing.load import load

STUDIES = ("tiny", "validated")
"""Studies with real training; every kind of family and lm-evaluation-harness are left to the tests."""
NUM_ITEMS = {"train": 40, "test": 8, "dev": 8}
SPLITS = {"train": "train", "test": "test", "dev": "validation"}
WEIGHTS = ("model.safetensors", "adapter_model.safetensors")
Files = dict[tuple[int, int], str]
"""(inode, time of change in ns) -> the step that a file belongs to. A file that is moved keeps both."""


def main() -> int:
    folder = Path(sys.argv[1])
    if folder.exists():
        sys.exit(f"{folder} exists. Name a folder that does not.")
    names = sys.argv[2:]
    wrong = num_edits = 0
    print("| edit | trained | evaluated | seconds | going back: trained, evaluated, seconds |\n|---|---|---|---|---|")
    for study in STUDIES:
        edits = [one for one in edits_of(study) if one.real and (not names or one.name in names)]
        if edits:
            wrong += all_of(edits, folder / study)
            num_edits += len(edits)
    print(f"\n{wrong} of {num_edits} edits went wrong.")
    return int(wrong > 0)


def all_of(edits: list[Edit], folder: Path) -> int:
    """Apply edits of one study; return the number of those that went wrong."""
    write_pocket_study(folder)
    apply(folder, start_of(edits[0].study))
    crosslift("run", folder)
    original, first = (folder / "study.toml").read_text(), report(folder)
    wrong = 0
    for edit in edits:
        before = results(folder)
        apply(folder, edit.replace, real=True)
        forwards = timed(folder)
        made, expected = new(folder, before), edit.expected(load(folder))
        before = results(folder)
        (folder / "study.toml").write_text(original)
        back = timed(folder)
        again = new(folder, before)
        trained, evaluated = (sum(kind in step for step in made) for kind in ("/train", "/eval/"))
        right = made == expected and not again and report(folder) == first
        wrong += not right
        print(
            f"| {edit.name} | {trained} | {evaluated} | {forwards:.1f} | "
            f"{sum('/train' in step for step in again)}, {sum('/eval/' in step for step in again)}, {back:.1f} |"
            + (
                ""
                if right
                else f" WRONG: expected {sorted(expected)}, made {sorted(made)}, changed "
                f"{sorted(name for name, content in report(folder).items() if first.get(name) != content)}"
            ),
            flush=True,
        )
    same = "all as at first" if report(folder) == first else "CHANGED"
    print(f"\n{edits[0].study}: {len(first)} files of scores and report, {same}.\n", flush=True)
    return wrong


def write_pocket_study(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(STUDY.replace("SEEDS", "[0, 1]"), encoding="utf-8")
    shutil.copytree(checkpoint("qwen3-s"), folder / "model")
    for name, number in NUM_ITEMS.items():
        write_problems(folder / f"{name}.jsonl", name, number)
    add_files(folder)


def write_problems(file: Path, split: str, num_items: int) -> None:
    source = Source(
        name="pocket", reader="pocket", task="math", languages=LANGUAGES, split=SPLITS[split], max_items=num_items
    )
    lines = []
    for row in pocket.read(source).rows.iter_rows(named=True):
        prompt, completion = (message["content"] for message in row["messages"])
        line = {"item_id": row["item_id"], "language": row["language"], "prompt": prompt, "completion": completion}
        lines.append(json.dumps(line | {"answer": row["answer"]}, ensure_ascii=False))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def results(folder: Path) -> Files:
    """Every checkpoint and every file of predictions, of the present definition and of earlier ones."""
    found: Files = {}
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if path.name in WEIGHTS and "train" in parts:
            step = "/".join(("runs", *parts[parts.index("train") - 1 : parts.index("train") + 1]))
        elif path.name == "predictions.parquet" and "eval" in parts:
            step = "/".join(("runs", *parts[parts.index("eval") - 1 : parts.index("eval") + 2]))
        else:
            continue
        status = path.stat()
        found[status.st_ino, status.st_mtime_ns] = step
    return found


def new(folder: Path, before: Files) -> set[str]:
    return {step for key, step in results(folder).items() if key not in before}


def report(folder: Path) -> dict[str, bytes]:
    kept = ("index.html", "estimates.parquet", "scores.parquet", "runs.parquet")
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in (*folder.glob("*.parquet"), *folder.glob("report/**/*"))
        if path.is_file() and (path.name in kept or path.suffix in (".csv", ".svg"))
    }


def timed(folder: Path) -> float:
    begun = time.monotonic()
    crosslift("run", folder)
    return time.monotonic() - begun


def crosslift(command: str, folder: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "crosslift", command, str(folder)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


if __name__ == "__main__":
    sys.exit(main())
