"""Commands that process existing results: report, compare, score."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from crosslift.cli.arguments import Folder, open_study, report_damage
from crosslift.cli.printing import say

Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="NAME=NAME",
        help="Model, mixture or evaluation of the first study, and its name in the others.",
    ),
]


def report(
    folder: Folder,
    others: Annotated[
        list[Path] | None, typer.Argument(metavar="[STUDY]...", help="Further studies to pool with the first.")
    ] = None,
    *,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Output folder of pooled studies; required with several.")
    ] = None,
    names: Map = None,
) -> None:
    """Write estimates, tables, figures and the HTML page from the available scores. STUDY@2: of definition 2. With
    several studies: pool them, with the study as a level of the model."""
    from crosslift.api.opening import open_results, split_definition
    from crosslift.api.reports import report_of, report_results

    if others:
        _pool([folder, *others], output, names)
        return
    if output is not None or names:
        from crosslift.errors import StudyError

        raise StudyError("--output and --map are for several studies. Name another study: crosslift report A B")
    if split_definition(folder)[1] is not None:
        study, store = open_results(folder)
        page = report_results(study, store)
        report_damage(store)
        say(str(page))
        return
    graph = open_study(folder, data="optional")
    page = report_of(graph, say=say)
    report_damage(graph.store)
    say(str(page))


def _pool(folders: list[Path], output: Path | None, names: list[str] | None) -> None:
    from crosslift.api.comparing.studies import pool_studies
    from crosslift.errors import StudyError

    problems: list[str] = []
    pairs = _pairs(names, problems)
    if output is None:
        problems.append("--output: several studies are pooled into a folder of their own. Add: --output pooled")
    if problems or output is None:
        raise StudyError(problems)
    found = pool_studies(*folders, names=pairs)
    _say_all(found.damage, found.conclusions)
    say(found.write(output))


def compare(
    folder: Annotated[Path, typer.Argument(metavar="A", help="Folder of a study; STUDY@1 is its definition 1.")],
    other: Annotated[Path, typer.Argument(metavar="B", help="Folder of the study that is compared with A.")],
    *,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Output folder. Default: in the report folder of A.")
    ] = None,
    names: Map = None,
) -> None:
    """Compare two studies, or two definitions of one, item by item on the cells that both have. Differences are B minus
    A."""
    from crosslift.api.comparing.studies import compare_studies
    from crosslift.errors import StudyError

    problems: list[str] = []
    pairs = _pairs(names, problems)
    if problems:
        raise StudyError(problems)
    found = compare_studies(folder, other, names=pairs)
    _say_all(found.damage, found.conclusions)
    say(found.write(output))


def _pairs(given: list[str] | None, problems: list[str]) -> dict[str, str]:
    """Parse `NAME=NAME` options; invalid ones are added to `problems`."""
    pairs: dict[str, str] = {}
    for one in given or []:
        left, _, right = one.partition("=")
        if not (left and right) or left in pairs:
            problems.append(f"--map {one}: must be two names, as tiny=small, and each name may occur once.")
        pairs[left] = right
    return pairs


def _say_all(damage: Iterable[str], lines: Iterable[str]) -> None:
    for line in damage:
        say(line, err=True)
    for line in lines:
        say(line)


def score(folder: Folder) -> None:
    """Score all predictions again after the code of a task has changed, without training or generation."""
    from crosslift.execution.phases.rescore import rescore_all

    graph = open_study(folder, data="optional")
    num_steps, num_errors = rescore_all(graph, say=say)
    report_damage(graph.store)
    say(f"{num_steps} evaluations were scored again. Next: crosslift report {folder}")
    if num_errors:
        say(f"{num_errors} samples could not be scored. See the lines above.", err=True)
        raise typer.Exit(1)
