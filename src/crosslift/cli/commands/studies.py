"""new, check, plan, prepare: what comes before any run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosslift.cli.arguments import Folder, open_study
from crosslift.cli.printing import say


def new(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="See: crosslift list presets")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write; must not exist or be empty.")],
    scale: Annotated[
        str | None,
        typer.Option(help="full (as published) or pocket (two CPU cores). Default: full where there is a GPU."),
    ] = None,
) -> None:
    """Write a study folder to start from."""
    from crosslift.errors import StoreError
    from crosslift.studies.presets import preset_text, scales_of
    from crosslift.system.files import write_text

    known = scales_of(preset)
    why = ""
    if scale is None and len(known) > 1:
        from crosslift.execution.workers.executors.local import visible_gpus

        scale, why = ("full", "there is a GPU") if visible_gpus() else ("pocket", "no GPU was found")
    text = preset_text(preset, scale or known[0])
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreError(f"{folder} exists and is not an empty folder. Name another, or remove it.")
    write_text(folder / "study.toml", text)
    if why:
        other = next(one for one in known if one != scale)
        say(f"Scale {scale}, because {why}; the other is --scale {other}.")
    say(f"Wrote {folder / 'study.toml'}. Next: crosslift check {folder}")


def check(
    folder: Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of a study; with --reader, a corpus's path.")],
    *,
    reader: Annotated[str | None, typer.Option(help="Check one corpus: see crosslift list readers.")] = None,
    task: Annotated[str, typer.Option(help="Of the corpus.")] = "math",
    languages: Annotated[str, typer.Option(help="Of the corpus, in any flavour of codes: en,sw,zh-CN.")] = "en",
    split: Annotated[str, typer.Option(help="Of the corpus.")] = "train",
    option: Annotated[list[str] | None, typer.Option(help="Of the reader: key=value.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write every finding there, as CSV.")] = None,
) -> None:
    """Load everything, report every problem at once, touch nothing; with --reader, look for faults of one corpus."""
    if reader is not None:
        _check_corpus(folder, reader, task=task, languages=languages, split=split, options=option or [], output=output)
        return
    from crosslift.execution.phases.preflight import preflight as check_data

    graph = open_study(folder)
    check_data(graph, say=say)
    say(f"{len(graph.runs)} runs. Nothing is wrong. Next: crosslift plan {folder}")


def _check_corpus(
    path: Path, reader: str, *, task: str, languages: str, split: str, options: list[str], output: Path | None
) -> None:
    from crosslift.corpora.corpus import Source
    from crosslift.corpora.ingest import read_checked
    from crosslift.corpora.quality import summary_lines
    from crosslift.discover import member
    from crosslift.errors import StudyError
    from crosslift.languages.tags import resolve_all

    tags = tuple(resolve_all(languages.split(",")).values())
    kinds = getattr(member("reader", reader), "OPTIONS", {})
    wrong = [one for one in options if one.partition("=")[0] not in kinds or "=" not in one]
    if wrong:
        known = ", ".join(f"{key}=..." for key in kinds) or "none"
        raise StudyError([f"--option {one}: is no option of reader '{reader}'. Known: {known}." for one in wrong])
    given = dict(one.split("=", 1) for one in options)
    source = Source(
        name=path.name or reader,
        reader=reader,
        task=task,
        split=split,
        languages=tags,
        path=path if getattr(member("reader", reader), "NEEDS_PATH", None) is not False else None,
        incomplete="drop",
        options={key: kinds.get(key, str)(value) for key, value in given.items()},
    )
    checked = read_checked(source)
    corpus = checked.corpus
    say(f"{corpus.num_items} items in {', '.join(corpus.languages)}; {corpus.licence}; {corpus.revision}")
    for line in (*corpus.notes, *summary_lines(checked.findings)):
        say(line)
    say(f"{checked.findings.height} findings")
    if output is not None:
        from crosslift.untrusted.csv_file import write_csv

        write_csv(output, checked.findings)


def plan(
    folder: Folder,
    runs: Annotated[bool, typer.Option("--runs", help="Every run in a line.")] = False,
) -> None:
    """What will run and cost, what is done, which differences it can show and which it cannot tell. Touches nothing."""
    from crosslift.cli.planning import show_plan

    show_plan(open_study(folder, data="optional"), folder=folder, runs=runs)


def prepare(folder: Folder) -> None:
    """Corpora, tokens and mixtures, with all downloads. Later steps work offline."""
    from crosslift.execution.phases.prepare import prepare as prepare_all

    graph = open_study(folder)
    prepare_all(graph, say=say)
    say(f"{len(graph.runs)} runs are ready. Next: crosslift run {folder}")
