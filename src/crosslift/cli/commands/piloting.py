"""Command pilot: writes a first small study for a question."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosslift.cli import completion
from crosslift.cli import question as asking
from crosslift.cli.printing import say


def pilot(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write; must not exist or be empty.")],
    *,
    model: Annotated[str, typer.Option(help="Model of the pilot: a hub name, a local path or pocket:<name>.")],
    data: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Training data that exist, as path in [corpora.<name>].")
    ] = None,
    reader: Annotated[
        str, typer.Option(help="Reader of the data.", autocompletion=completion.members_of("reader"))
    ] = "jsonl",
    task: Annotated[str, typer.Option(help="Task of the data.", autocompletion=completion.members_of("task"))] = "math",
    data_languages: Annotated[
        str, typer.Option(help="Languages of the data; the first is translated from, and the control.")
    ] = "en",
    option: Annotated[list[str] | None, typer.Option(help="Option of the reader: key=value.")] = None,
    test: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Test data that exist. Default: a part of the data is held out.")
    ] = None,
    larger: Annotated[
        str | None, typer.Option(help="The model that is to be trained in the end, for an arm that is off at first.")
    ] = None,
    runs: Annotated[int, typer.Option(help="Training runs, the second seed of the control included.")] = 10,
    pilot_budget: Annotated[
        float | None, typer.Option(help="Cost that its translations may have. Default: 30 % of --budget.")
    ] = None,
    test_items: Annotated[int | None, typer.Option(help="Items to test with. Default: a quarter, at most 200.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random candidates.")] = 0,
    question: asking.QuestionFile = None,
    budget: asking.Budget = None,
    languages: asking.Languages = "",
    cost: asking.Costs = None,
    fixed_cost: asking.FixedCosts = None,
    objective: asking.ObjectiveName = None,
    weight: asking.Weights = None,
    at_least: asking.AtLeast = None,
    english_at_least: asking.EnglishAtLeast = None,
) -> None:
    """Write a pilot study: few runs that tell most about a question, and what has to be translated for them."""
    from crosslift.api.tools import write_pilot

    asked = asking.question_from(
        question,
        budget=budget,
        languages=languages,
        cost=cost,
        fixed_cost=fixed_cost,
        objective=objective,
        weight=weight,
        at_least=at_least,
        english_at_least=english_at_least,
        problems=[
            f"--option {one}: must be an option of the reader and its value, as key=value."
            for one in option or ()
            if "=" not in one
        ],
    )
    written = write_pilot(
        folder,
        asked,
        data=data,
        reader=reader,
        task=task,
        data_languages=data_languages.split(","),
        options=dict(one.split("=", 1) for one in option or ()),
        test=test,
        model=model,
        larger=larger,
        num_runs=runs,
        budget=pilot_budget,
        num_test_items=test_items,
        seed=seed,
        prefix="--",
    )
    say(f"Wrote {folder}")
    for sentence in written.sentences:
        say(f"- {sentence}")
    if any(" translate " in command for command in written.commands):
        say(
            f"The translator is named in {folder / 'site.toml'}, table [translation]. Add --dry-run to see the cost "
            "first."
        )
    say("Next:")
    for command in written.commands:
        say(f"  {command}")
