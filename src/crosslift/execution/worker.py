"""A worker takes runs one after another and walks each along the line: train, generate, score.

A worker takes many runs because importing the training libraries costs seconds, which a study of 200 small runs would
otherwise pay 200 times. It knows nothing of other workers: a run belongs to whoever holds its claim, what is done is
read from the folder, and two workers on one study share it by themselves.

What goes wrong in one run is written into its folder and stops neither this worker nor the others. A worker that dies
without a word leaves a dead claim; who takes it over counts the deaths, so that a run that fills the memory is not
tried for ever.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from crosslift.errors import Claimed, CrossliftError, EvaluationError, TrainingError, UnknownName, did_you_mean
from crosslift.execution.evaluate import answered, evaluate, free_memory, load_generator, rescore
from crosslift.execution.executor import BEGINS, orderly_end
from crosslift.execution.ledger import Ledger, RunState, RunSteps
from crosslift.execution.progress import Reporter
from crosslift.execution.provenance import environment
from crosslift.execution.store import Store
from crosslift.execution.train import train
from crosslift.files import HEARTBEAT_SECONDS, Claim, write_json
from crosslift.studies.study import Study

MAX_DEATHS = 2
"""A run whose workers died so often in one session is given up: the memory will not grow by trying."""

log = logging.getLogger(__name__)
Say = Callable[[str], None]


def work(
    study: Study,
    names: Sequence[str] = (),
    *,
    device: str = "auto",
    keep_checkpoints: bool = True,
    session: str = "",
    say: Say = lambda line: None,
) -> bool:
    """Take unclaimed, missing runs until there are none.

    Args:
        names: only these runs, also those that failed before; empty for all that have not failed.
        session: who launched the worker; deaths are counted within it.

    Returns:
        Did every run that this worker took end well?

    Raises:
        StoreError: the study is not prepared.
        UnknownName: no such run.
        StaleStep: finished work disagrees with the study.
    """
    ledger = Ledger(study, Store(study.folder))
    unknown = [name for name in names if name not in ledger.runs]
    if unknown:
        raise UnknownName(
            f"'{unknown[0]}' is not a run of this study.{did_you_mean(unknown[0], ledger.runs)} See: crosslift status"
        )
    ledger.store.lock()
    ledger.store.clear_errors(names)
    runs = [ledger.runs[name] for name in names or ledger.runs]
    waiting = [name for name, state in ledger.states(runs).items() if not state.done]
    good = True
    with orderly_end():
        while waiting:
            left = []
            for name in waiting:
                claim = Claim(ledger.store.run_folder(name), session=session)
                if ledger.store.error(name) is not None:
                    continue
                try:
                    claim.acquire()
                except Claimed:
                    left.append(name)  # looked at once more at the end: its owner may have died
                    continue
                say(f"{BEGINS} {name}")
                good &= _finish(ledger, name, claim, device=device, keep_checkpoints=keep_checkpoints)
            if left == waiting:
                break
            waiting = left
    return good


def _finish(ledger: Ledger, name: str, claim: Claim, *, device: str, keep_checkpoints: bool) -> bool:
    """Do what is missing of a claimed run, and release the claim. Did it end well?"""
    folder = ledger.store.run_folder(name)
    finished = False
    try:
        with _log_to(folder / "log.txt"):
            try:
                if claim.deaths >= MAX_DEATHS:
                    raise TrainingError(
                        f"{claim.deaths} workers died on this run without a word, probably killed for memory. Lower "
                        "micro_batch_tokens, or give the machine more memory; log.txt holds what they said."
                    )
                _walk(ledger, name, claim, device=device, keep_checkpoints=keep_checkpoints)
                finished = True
            except Claimed as error:
                log.error("%s", error)  # the new owner tells how it ends
                return False
            except CrossliftError as error:
                log.error("%s", error)
                ledger.store.write_error(name, error=type(error).__name__, message=str(error))
            except Exception as error:
                log.exception("not foreseen")
                message = f"{error} (the traceback is in {ledger.store.name_of(folder)}/log.txt)"
                ledger.store.write_error(name, error=type(error).__name__, message=message)
    finally:
        claim.release(finished=finished)
    return finished


def _walk(ledger: Ledger, name: str, claim: Claim, *, device: str, keep_checkpoints: bool) -> None:
    """Train, generate, score: what is missing of it.

    Raises:
        EvaluationError: some samples could not be scored for a reason of our own.
    """
    store, run = ledger.store, ledger.runs[name]
    state = ledger.state(run)  # read again: somebody may have finished it before the claim was taken
    if state.done:
        return
    log.info("begins: %s", name)
    reporter = Reporter(
        store.run_folder(name), num_evaluations=len(state.steps.evaluations), evaluations=len(state.results)
    )
    checkpoint = None if run.mixture is None else store.checkpoint_folder(name)
    if checkpoint is not None and not (state.trained and checkpoint.is_dir()):
        reporter.update(phase="starting")
        train(ledger, state.steps, device=device, reporter=reporter, check=_every(HEARTBEAT_SECONDS, claim.check))
        _write_provenance(ledger, state.steps, device)
        free_memory()
    faults = _evaluate(ledger, state, checkpoint, claim, device=device, reporter=reporter)
    free_memory()
    _write_provenance(ledger, state.steps, device)
    if checkpoint is not None and not keep_checkpoints and not faults:
        shutil.rmtree(checkpoint)
    reporter.update(phase="done")
    if faults:
        raise EvaluationError("; ".join(faults) + ". They are tried again by: crosslift run")
    log.info("done: %s", name)


def _evaluate(
    ledger: Ledger, state: RunState, checkpoint: Path | None, claim: Claim, *, device: str, reporter: Reporter
) -> list[str]:
    """Make the missing evaluations. Returns a phrase for each that has errors of our own."""
    model = ledger.models[state.steps.run.model.name]
    missing = state.missing
    faults: list[str] = []
    begun = time.monotonic()
    loaded: tuple[str, Any] | None = None
    for number, one in enumerate(missing):
        claim.check()
        name = f"{one.evaluation.name}.{one.language}"
        reporter.update(phase=f"evaluating {name}")
        log.info("evaluates %s", name)
        whole = answered(one)
        if whole is not None:
            num_errors = rescore(state.steps.run.name, one, seconds=whole["seconds"])
        else:
            if loaded is None or loaded[0] != one.evaluation.generator:
                loaded = None
                free_memory()
                kind = one.evaluation.generator
                loaded = (kind, load_generator(kind, checkpoint, model, ledger, device=device))
            num_errors = evaluate(ledger, state.steps.run.name, one, loaded[1])
        if num_errors:
            faults.append(f"{num_errors} samples of {name} could not be answered or scored (see log.txt)")
        reporter.update(
            phase="evaluated",
            evaluations=len(state.steps.evaluations) - len(missing) + number + 1,
            evaluate_seconds=time.monotonic() - begun,
        )
    return faults


def _write_provenance(ledger: Ledger, steps: RunSteps, device: str) -> None:
    """From the done-markers, so that a run made in three sittings tells the time of all three."""
    trained = steps.train.result() if steps.train is not None else None
    results = [result for one in steps.evaluations if (result := one.step.result()) is not None]
    record = {
        "seed": steps.run.seed,
        "train": trained,
        "evaluate": {"seconds": round(sum(result["seconds"] for result in results), 3)},
        "environment": environment(device=device),
    }
    write_json(ledger.store.run_folder(steps.run.name) / "provenance.json", record)


def _every(seconds: float, call: Callable[[], None]) -> Callable[[], None]:
    """The call, at most once in so many seconds."""
    last = time.monotonic()

    def check() -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            call()
            last = time.monotonic()

    return check


@contextlib.contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Everything that this process says goes into the run's log: also what libraries in C write, and a crash's last
    words, which no logging handler sees."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(file, 1)
        os.dup2(file, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        for descriptor in (file, *kept):
            os.close(descriptor)
