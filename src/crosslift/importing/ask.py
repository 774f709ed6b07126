"""Running the analyses of a mapping."""

from __future__ import annotations

from collections.abc import Callable

from crosslift.discover import member
from crosslift.errors import StudyError
from crosslift.importing.mapping import ImportMapping
from crosslift.importing.results import Results
from crosslift.studies.parsing.problems import Problems
from crosslift.transfer.answers import Analysis, Answer


def run_analyses(mapping: ImportMapping, results: Results, *, say: Callable[[str], None]) -> list[Analysis]:
    """Run all analyses of a mapping and report each answer in one line.

    Args:
        mapping: the mapping.
        results: its results.
        say: receives the lines.

    Raises:
        StudyError: an analysis has unknown options; all are listed.
        TransferError: the results lack what an analysis requires.
    """
    problems = Problems(mapping.name)
    modules = [(member("analysis", one["kind"]), one) for one in mapping.analyses]
    for number, (module, one) in enumerate(modules):
        given = {key: value for key, value in one.items() if key != "kind"}
        problems.options(f"analyses[{number}]", given, module.OPTIONS, ())
    if problems:
        raise StudyError(problems)
    analysed = []
    for module, one in modules:
        options = {key: value for key, value in one.items() if key != "kind"}
        if "published" in options:
            options["published"] = str(mapping.root / options["published"])
        found: Analysis = module.analyse(results, options)
        for answer in found.answers:
            say(summary_line(answer))
        analysed.append(found)
    return analysed


def summary_line(answer: Answer) -> str:
    """One line for the terminal: the question, the estimate with its interval, the published value and the verdict."""
    if answer.value is None:
        number = "no number"
    else:
        digits = 2 if abs(answer.value) < 10 else 1 if abs(answer.value) < 1000 else 0
        number = f"{answer.value:.{digits}f}"
        if answer.low is not None and answer.high is not None:
            number += f" [{answer.low:.{digits}f}, {answer.high:.{digits}f}]"
    printed = ""
    if answer.reproduces is not None and answer.printed is not None:
        printed = f" (printed {answer.printed:g}: {'reproduces' if answer.reproduces else 'DOES NOT REPRODUCE'})"
    verdict = f" -> {answer.verdict}" if answer.verdict else ""
    return f"{answer.question} | {answer.about} | {answer.measure}: {number}{printed}{verdict}"
