"""Both full presets from `crosslift new` to the report, with nothing brought by hand.

    python benchmarks/full_presets.py --small                    # synthetic sources, a few runs
    python benchmarks/full_presets.py ../shared/data             # API-Bank's and MGSM's own files, a few runs
    python benchmarks/full_presets.py ../shared/data --all-runs --items 40
    python benchmarks/full_presets.py --small --preset post-trainers-guide

Every command is a process of its own, as a user starts it: new, plan, data --plan, data (killed once), run, report. The
paid models are a served stand-in on this machine (`tests/support/stand_in.py`): a word-by-word translator, answers to
open prompts, and a judge. The models that are trained are random and tiny, and `rehearsal` in site.toml limits steps,
items and tokens. Edited are only places: of models, and of sources of the hub, which are files here. Sources that are
not in the folder of real data are synthetic files in the same formats.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from endpoints import serving
from full_presets import P1, P2, keep_few, take_local_places, write_site
from published_data import write_models, write_sources
from stand_in import StandIn, answer

KILLED_AFTER = 60
"""Replies after which the first start of `crosslift data` is killed."""
REAL = {"api_bank/level-1-api.json": "api_bank/level-1-api.json", "mgsm": "mgsm"}
"""Real data -> their place in the study's data."""


def crosslift(*arguments: object, code: int = 0) -> str:
    """Run a command in a process of its own, and return what it printed."""
    started = time.monotonic()
    ended = subprocess.run(_command(arguments), capture_output=True, text=True, env=_environment())
    print(f"$ crosslift {' '.join(map(str, arguments))}    [{time.monotonic() - started:.0f} s]", flush=True)
    if ended.returncode != code:
        raise SystemExit(f"ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def _command(arguments: tuple[object, ...]) -> list[str]:
    return [sys.executable, "-m", "crosslift", *map(str, arguments)]


def _environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def kill_amid_data(study: Path, server: StandIn, *options: object) -> int:
    """Start `crosslift data`, kill it after some replies, and return how many were sent."""
    process = subprocess.Popen(
        _command(("data", study, "--yes", *options)), env=_environment(), stdout=subprocess.DEVNULL
    )
    while process.poll() is None and server.asked.total() < KILLED_AFTER:
        time.sleep(0.01)
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait()
    return server.asked.total()


def walk(name: str, folder: Path, real: Path | None, *, items: int, all_runs: bool) -> None:
    """Take one preset from `new` to the report."""
    study = folder / name
    print(f"\n=== {name}", flush=True)
    print(crosslift("new", name, study, "--scale", "full"), end="")
    take_local_places(study)
    if not all_runs:
        keep_few(study, name)
    write_sources(study / "data")
    write_models(study / "models")
    for source, place in REAL.items() if real is not None else ():
        found, target = real / source, study / "data" / place
        if found.exists():
            shutil.rmtree(target, ignore_errors=True) if target.is_dir() else target.unlink()
            (shutil.copytree if found.is_dir() else shutil.copy)(found, target)
    limit = ("--max-items", items)
    with serving(answer, server=StandIn) as server:
        write_site(study, server.base_url)
        planned = crosslift("plan", study)
        print(planned[planned.index("Data to make before") :].split("\n\n")[0])
        crosslift("data", study, "--plan", *limit)
        assert not server.asked, "a plan must not send anything"
        before = kill_amid_data(study, server, *limit)
        print(crosslift("data", study, "--yes", *limit), end="")
        twice = [text for text, times in server.asked.items() if times > 1]
        # Requests in flight when the process was killed have no reply in its journal.
        assert len(twice) <= 8, f"{len(twice)} replies were paid twice"
        print(f"killed after {before} replies; {server.asked.total()} in all, {len(twice)} of them in flight then")
        made = server.asked.total()
        assert "steps are done" in crosslift("data", study, *limit) and server.asked.total() == made
        ran = crosslift("run", study, "--site", study / "site.toml")
        print("\n".join(ran.splitlines()[-4:]))
        print(f"the judge rated {server.asked.total() - made} answers")
    show(study)


def show(study: Path) -> None:
    """Print what was made and reported."""
    results = study / "rehearsal"
    runs = pl.read_parquet(results / "runs.parquet")
    scores = pl.read_parquet(results / "scores.parquet")
    errors = scores.filter(pl.col("status") == "error").height
    page = (results / "report" / "index.html").stat().st_size
    print(f"{runs.height} runs, {scores.height:,} scores, {errors} errors, a report of {page:,} bytes")
    assert not errors
    licences = {
        name: one["licence"] for name, one in json.loads((results / "lock.json").read_text())["corpora"].items()
    }
    print("licences:", "; ".join(f"{name}: {licence}" for name, licence in licences.items()))
    assert "unknown" not in licences.values()
    calls = study / "data" / "api-bank" / "test"
    for tag in ("en", "es") if calls.is_dir() else ():
        row = json.loads((calls / f"{tag}.jsonl").read_text(encoding="utf-8").splitlines()[1])
        print(f"{tag}: ...{row['messages'][0]['content'][-220:]!r} -> {row['answer']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, help="folder of real data (api_bank, mgsm)")
    parser.add_argument("--small", action="store_true", help="synthetic sources only")
    parser.add_argument("--items", type=int, default=8, help="items of each step")
    parser.add_argument("--preset", choices=(P1, P2), help="one preset only")
    parser.add_argument("--all-runs", action="store_true", help="every run of the presets, not a few of each family")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        for name in [given.preset] if given.preset else (P1, P2):
            walk(name, folder, None if given.small else given.data, items=given.items, all_runs=given.all_runs)
    finally:
        shutil.rmtree(folder)
    print(f"\n{given.preset or 'Both presets'} went from new to the report.")


if __name__ == "__main__":
    main()
