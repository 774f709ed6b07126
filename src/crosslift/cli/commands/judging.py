"""Command judge: rates answers without gold answers by means of another model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosslift.cli import completion
from crosslift.cli.arguments import Folder, open_study, report_damage
from crosslift.cli.printing import say


def judge(
    folder: Folder,
    evaluation: Annotated[
        str,
        typer.Argument(
            help="Evaluation to judge: a name in the study's [evaluations].", autocompletion=completion.evaluations
        ),
    ],
    site: Annotated[Path, typer.Option(help="Site file with the table [judge].")] = Path("site.toml"),
    against: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Compare with this run's answers, in both orders.",
            autocompletion=completion.runs,
        ),
    ] = None,
) -> None:
    """Let a model rate answers from 1 to 5, or compare them in pairs. A restart resumes an interrupted command."""
    from crosslift.judging.judge import load_judge
    from crosslift.judging.study import judge_study

    one = load_judge(site)
    graph = open_study(folder, data="optional")
    num_missing = judge_study(graph, evaluation, one, baseline=against, say=say)
    report_damage(graph.store)
    say(f"The replies are stored in {folder}/judgements/{evaluation}.jsonl. Next: crosslift report {folder}")
    if num_missing:
        say(
            f"{num_missing} answers have no verdict, because there was no reply or the reply contained none. Run the "
            "command again to repeat the requests without a reply.",
            err=True,
        )
        raise typer.Exit(1)
