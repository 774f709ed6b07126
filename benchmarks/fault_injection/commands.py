"""The six commands that are disturbed: what they begin with, how they are started, what is finished work of theirs."""

from __future__ import annotations

import json
import re
import shutil
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUPPORT = Path(__file__).parents[2] / "tests" / "support"
sys.path.insert(0, str(SUPPORT))

IMPORT = """
name = "scores of elsewhere"

[source]
format = "table"
path = "scores.csv"

[columns]
run = "run"
language = "lang"
value = "score"
item = "item"
seed = "seed"

[constants]
task = "math"
metric = "accuracy"

[[analyses]]
kind = "against"
control = { run = "english" }
"""

RECIPE = """
[source]
reader = "pocket"
task = "math"
languages = ["en"]
max_items = 12

[translation]
languages = ["sw", "de"]
prompt = "{language}|{text}"
"""

FAKE = (("[training]", '[training]\ntrainer = "fake"'), ("max_tokens = 8", 'max_tokens = 8\ngenerator = "fake"'))


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command of crosslift."""

    name: str
    points: tuple[str, ...]
    """Names of files that it makes, `lease` and `journal`: where it can be killed."""
    arguments: Callable[[Path], list[str]]
    """From the folder of a case."""
    paid: bool = False
    """Does it ask an endpoint?"""
    fakes: bool = True


def _study(*words: str, more: tuple[str, ...] = ()) -> Callable[[Path], list[str]]:
    return lambda folder: [words[0], str(folder), *words[1:], *more]


PREPARING = ("rows.parquet", "findings.parquet", "leaks.parquet", "ids.npy", "examples.parquet", "manifest.json")
RUNNING = ("run.json", "lock.json", "lease", "started.json", "done.json", "predictions.parquet", "scores.parquet")
WRITING = ("progress.json", "provenance.json", "runs.parquet", ".rebuilt.json")
REPORT = ("estimates.parquet", "index.html", "done.json", "lease")

COMMANDS = {
    one.name: one
    for one in (
        Command(
            name="run",
            points=(*PREPARING, *RUNNING, *WRITING, "estimates.parquet", "index.html"),
            arguments=_study("run", more=("--workers", "1")),
        ),
        Command(name="report", points=REPORT, arguments=_study("report")),
        Command(name="recommend", points=("answers.csv", "index.html", "mixture.toml", "lease"),
                arguments=_study("recommend")),
        Command(name="import", points=("runs.parquet", "cells.parquet", "scores.parquet", "manifest.json",
                                       "answers.csv", "index.html", "lease"),
                arguments=lambda folder: ["import", str(folder / "mapping.toml"), str(folder / "out")]),
        Command(name="translate", paid=True,
                points=("journal", "journal", "sw.jsonl", "scores.csv", "manifest.json", "lease"),
                arguments=lambda folder: ["translate", str(folder / "recipe.toml"), str(folder / "out"), "--site",
                                          str(folder / "site.toml")]),
        Command(name="judge", paid=True, points=("journal", "journal", "judged.parquet", "lease"),
                arguments=lambda folder: ["judge", str(folder), "math", "--site", str(folder / "site.toml")]),
        Command(name="run (native)", points=RUNNING, arguments=_study("run", more=("--workers", "1")), fakes=False),
    )
}  # fmt: skip


def write_fresh(folder: Path, base_url: str, *, native: bool) -> None:
    """What each command begins with, below `folder`; studies that `report`, `recommend` and `judge` need are made by
    `finish`."""
    from tiny_study import STUDY, write_study

    text = STUDY
    for old, new in FAKE:
        text = text.replace(old, new)
    write_study(folder / "run", seeds=(0, 1), text=text)
    if native:
        write_study(folder / "run (native)", seeds=(0,))
    (folder / "import").mkdir()
    (folder / "import" / "mapping.toml").write_text(IMPORT)
    rows = ["run,lang,item,seed,score"]
    for number, run in enumerate(("english", "more", "less")):
        for tag in ("en", "sw", "de"):
            rows += [f"{run},{tag},{item},0,{int((item * 7 + number * len(tag + run)) % 5 < 2)}" for item in range(60)]
    (folder / "import" / "scores.csv").write_text("\n".join(rows) + "\n")
    (folder / "translate").mkdir()
    (folder / "translate" / "recipe.toml").write_text(RECIPE)
    site = f'[translation]\ntranslator = "endpoint"\nbase_url = "{base_url}"\nmodel = "m"\nconcurrency = 2\n'
    (folder / "translate" / "site.toml").write_text(site)


def write_finished(folder: Path, finished: Path, base_url: str) -> None:
    """What `report`, `recommend` and `judge` begin with, from a finished study."""
    for name in ("report", "recommend", "judge"):
        shutil.copytree(finished, folder / name)
    shutil.rmtree(folder / "report" / "report")
    site = f'[judge]\nbase_url = "{base_url}"\nmodel = "m"\nconcurrency = 2\n'
    (folder / "judge" / "site.toml").write_text(site)


REWRITTEN = ("done.json", "judged.parquet", "manifest.json", "leaks.parquet")
"""Files of a step that are also written after it is finished; the marker then lists them anew."""


def finished_work(folder: Path, *, by_content: bool = False) -> dict[str, Any]:
    """Every finished step of a study: its files (a step that is computed again gets others).

    Args:
        folder: folder of the study.
        by_content: identify files by their content. A process that was suspended while it wrote a result writes the
            same bytes when it wakes, although another process has finished the step: nothing is lost by that.
    """
    found = {}
    for kind in ("corpora", "tokens", "mixtures", "runs"):
        for marker in (folder / kind).rglob("done.json"):
            names = sorted(file.name for file in marker.parent.iterdir())
            files = [marker.parent / name for name in names if name not in REWRITTEN and name[0] != "."]
            found[str(marker.relative_to(folder))] = [
                (file.name, file.read_bytes() if by_content else (file.stat().st_ino, file.stat().st_mtime_ns))
                for file in files
                if file.is_file()
            ]
    return found


def paid_answers(folder: Path) -> dict[str, str]:
    """Every whole line of the journals by key."""
    found = {}
    for journal in folder.rglob("*.jsonl"):
        if journal.name != "journal.jsonl" and journal.parent.name != "judgements":
            continue
        for line in journal.read_text(encoding="utf-8").split("\n"):
            try:
                entry = json.loads(line)
                found[entry["key"]] = line
            except (ValueError, KeyError, TypeError):
                continue
    return found


SECTION_OF_TIMES = re.compile(rb'<section id="cost">.*?</section>', re.DOTALL)
"""Part of the report that shows how long runs took."""
TIMED = ("done.json", "provenance.json", "progress.json", "log.txt")
"""Files of a run that tell when and how long."""


def compared(file: str) -> bool:
    """Is it a file of a result, and none that tells when something was done?"""
    if file.startswith("logs/") or file in (".hashes.json", ".finished.json"):  # caches, which tell when files changed
        return False
    return not (file.startswith("runs/") and Path(file).name in TIMED)


def results(folder: Path) -> dict[str, bytes]:
    """Every file of a case's folder. Journals by their different lines: they come in the order of the replies, and a
    process that was suspended while it wrote one may write it a second time."""
    found = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            name, content = file.relative_to(folder).as_posix(), file.read_bytes()
            if name.endswith("journal.jsonl") or name.startswith("judgements/"):
                content = b"\n".join(sorted(set(content.split(b"\n"))))
            if name == "report/index.html":
                content = SECTION_OF_TIMES.sub(b"", content)
            found[name] = content
    return found


def asked_twice(base_url: str, since: dict[str, int], texts: set[str]) -> int:
    """How many of these texts the endpoint has answered again."""
    now = asked(base_url)
    return sum(now.get(text, 0) > since.get(text, 0) for text in texts)


def asked(base_url: str) -> dict[str, int]:
    """Text -> how often the endpoint has answered it."""
    with urllib.request.urlopen(base_url.removesuffix("/v1") + "/asked") as reply:
        found: dict[str, int] = json.load(reply)
    return found
