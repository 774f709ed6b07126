"""Commands before a run: new, pilot, check, plan, prepare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosslift.cli import completion
from crosslift.cli import question as asking
from crosslift.cli.arguments import Folder, open_site, open_study
from crosslift.cli.printing import say


def new(
    preset: Annotated[
        str, typer.Argument(metavar="PRESET", help="See: crosslift list presets", autocompletion=completion.presets)
    ],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write; must not exist or be empty.")],
    scale: Annotated[
        str | None,
        typer.Option(
            help="full (as published), small (models for one GPU, where the preset has it) or pocket (two CPU cores). "
            "Default: full where there is a GPU."
        ),
    ] = None,
) -> None:
    """Create a study folder from a preset."""
    from crosslift.api.opening import write_preset
    from crosslift.studies.presets import scales_of

    chosen, why = write_preset(preset, folder, scale)
    if why:
        other = next(one for one in scales_of(preset) if one != chosen)
        say(f"Scale {chosen}, because {why}; the alternative is --scale {other}.")
    if (folder / "data.toml").is_file():
        say(f"Wrote {folder / 'study.toml'} and {folder / 'data.toml'}. Next: crosslift plan {folder}")
        return
    say(f"Wrote {folder / 'study.toml'}. Next: crosslift check {folder}")


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
    from crosslift.api.questions.piloting import write_pilot

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


def check(
    folder: Annotated[
        Path, typer.Argument(metavar="STUDY", help="Folder of a study; with --reader, path of a corpus.")
    ],
    *,
    reader: Annotated[
        str | None,
        typer.Option(
            help="Check one corpus with this reader. See: crosslift list readers",
            autocompletion=completion.members_of("reader"),
        ),
    ] = None,
    task: Annotated[
        str, typer.Option(help="Task of the corpus.", autocompletion=completion.members_of("task"))
    ] = "math",
    languages: Annotated[str, typer.Option(help="Languages of the corpus, such as en,sw,zh-CN.")] = "en",
    split: Annotated[str, typer.Option(help="Split of the corpus.")] = "train",
    option: Annotated[list[str] | None, typer.Option(help="Option of the reader: key=value.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write all findings to this CSV file.")] = None,
) -> None:
    """Check a study (with --reader, a corpus), and report all problems at once, without writing anything."""
    if reader is not None:
        _check_corpus(folder, reader, task=task, languages=languages, split=split, options=option or [], output=output)
        return
    from crosslift.api.running import check_graph

    graph = open_study(folder)
    errors = check_graph(graph, say=say, site=open_site(folder, None))
    if errors:
        found = ", ".join(f"{check} {count:,}" for check, count in sorted(errors.items()))
        say(
            f"{len(graph.runs)} runs. The study can be run, but its data contain errors (rows: {found}; see above). "
            f"Correct the data, or choose a policy in [corpora.<name>.checks]. Next: crosslift plan {folder}"
        )
        return
    say(f"{len(graph.runs)} runs. No problems were found. Next: crosslift plan {folder}")


def _check_corpus(
    path: Path, reader: str, *, task: str, languages: str, split: str, options: list[str], output: Path | None
) -> None:
    from crosslift.api.corpora import read_corpus
    from crosslift.corpora.quality import summary_lines
    from crosslift.errors import StudyError

    if wrong := [one for one in options if "=" not in one]:
        raise StudyError(
            [f"--option {one}: must be an option of the reader and its value, as key=value." for one in wrong]
        )
    given = dict(one.split("=", 1) for one in options)
    checked = read_corpus(reader, path, task=task, split=split, languages=languages.split(","), options=given)
    corpus = checked.corpus
    say(f"{corpus.num_items} items in {', '.join(corpus.languages)}; {corpus.licence}; {corpus.revision}")
    for line in (*corpus.notes, *summary_lines(checked.findings)):
        say(line)
    say(f"{checked.findings.height} findings")
    if output is not None:
        from crosslift.untrusted.csv_file import write_csv

        write_csv(output, checked.findings)


def read_data(
    place: Annotated[
        str, typer.Argument(metavar="PATH", help="A file, a folder, or a data set of the hub, such as owner/name.")
    ],
    *,
    revision: Annotated[str | None, typer.Option(help="Commit or branch of a data set of the hub.")] = None,
    languages: Annotated[
        str, typer.Option(help="Languages, such as en,sw. Default: those that files or a column name.")
    ] = "",
    split: Annotated[str | None, typer.Option(help="train, validation or test. Default: as files are named.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write the corpus table to this file. Default: print it.")] = None,
) -> None:
    """Recognize the format of data, show its first ten rows, and write its corpus table for study.toml."""
    from crosslift.api.corpora import recognize_corpus
    from crosslift.errors import StudyError, visible
    from crosslift.system.files import write_text

    if split not in (None, "train", "validation", "test"):
        raise StudyError(f"--split {split}: must be train, validation or test.")
    found = recognize_corpus(
        place,
        revision=revision,
        languages=[tag for tag in languages.split(",") if tag],
        split=split,  # type: ignore[arg-type]  # checked above
    )
    say(f"Format: {found.source.reader}. Splits: {', '.join(found.splits) or found.source.split}.")
    for row in found.rows.iter_rows(named=True):
        said = " | ".join(f"{one['role']}: {visible(one['content'], 160)}" for one in row["messages"])
        say(f"{visible(row['item_id'], 40)} {row['language']} | {said} | answer: {visible(row['answer'], 160)}")
    if output is None:
        say(f"\n{found.table()}")
        return
    write_text(output, found.table(output.resolve().parent))
    say(f"Wrote {output}")


def plan(
    folder: Folder,
    runs: Annotated[bool, typer.Option("--runs", help="List every run.")] = False,
) -> None:
    """Print the runs, cost, state and detectable differences of a study, without writing anything."""
    from crosslift.cli.planning import show_plan

    graph = open_study(folder, data="optional")
    show_plan(graph, folder=folder, runs=runs, site=open_site(folder, None))


def prepare(folder: Folder) -> None:
    """Prepare corpora, tokens and mixtures, including all downloads. Later steps work offline."""
    from crosslift.execution.phases.prepare import prepare as prepare_all

    graph = open_study(folder)
    prepare_all(graph, say=say)
    say(f"{len(graph.runs)} runs are ready. Next: crosslift run {folder}")
