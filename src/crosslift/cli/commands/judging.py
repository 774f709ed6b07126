"""judge: answers without gold, judged by another model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosslift.cli.arguments import Folder, open_study, tell_damage
from crosslift.cli.printing import say


def judge(
    folder: Folder,
    evaluation: Annotated[str, typer.Argument(help="Whose answers: a name of the study's [evaluations].")],
    site: Annotated[Path, typer.Option(help="Who judges: the site's [judge].")] = Path("site.toml"),
    against: Annotated[
        str | None, typer.Option(metavar="RUN", help="Compare with this run's answers, in both orders.")
    ] = None,
) -> None:
    """Have a model rate answers from 1 to 5, or compare them in pairs. Start it again to go on where it stopped."""
    from crosslift.judging.judge import load_judge
    from crosslift.judging.study import judge_study

    one = load_judge(site)
    graph = open_study(folder)
    num_missing = judge_study(graph, evaluation, one, baseline=against, say=say)
    tell_damage(graph.store)
    say(f"Every reply is kept in {folder}/judgements/{evaluation}.jsonl. Now: crosslift report {folder}")
    if num_missing:
        say(
            f"{num_missing} answers have no verdict: no reply came, or none that ends in one. Start this again to ask "
            "for those without a reply.",
            err=True,
        )
        raise typer.Exit(1)
