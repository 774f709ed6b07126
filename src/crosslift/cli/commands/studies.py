"""Commands before a run: new, check, plan, prepare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosslift.cli import completion
from crosslift.cli.arguments import Folder, open_study
from crosslift.cli.printing import say


def new(
    preset: Annotated[
        str, typer.Argument(metavar="PRESET", help="See: crosslift list presets", autocompletion=completion.presets)
    ],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write; must not exist or be empty.")],
    scale: Annotated[
        str | None,
        typer.Option(help="full (as published) or pocket (two CPU cores). Default: full where there is a GPU."),
    ] = None,
) -> None:
    """Create a study folder from a preset."""
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
        raise StoreError(
            f"{folder} exists and is not an empty folder. Choose another folder, such as: "
            f"crosslift new {preset} {folder / preset}"
        )
    write_text(folder / "study.toml", text)
    if why:
        other = next(one for one in known if one != scale)
        say(f"Scale {scale}, because {why}; the alternative is --scale {other}.")
    say(f"Wrote {folder / 'study.toml'}. Next: crosslift check {folder}")


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
    from crosslift.execution.phases.preflight import preflight as check_data

    graph = open_study(folder)
    errors = check_data(graph, say=say)
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
        raise StudyError([f"--option {one}: is not an option of reader '{reader}'. Known: {known}." for one in wrong])
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
    runs: Annotated[bool, typer.Option("--runs", help="List every run.")] = False,
) -> None:
    """Print the runs, cost, state and detectable differences of a study, without writing anything."""
    from crosslift.cli.planning import show_plan

    show_plan(open_study(folder, data="optional"), folder=folder, runs=runs)


def prepare(folder: Folder) -> None:
    """Prepare corpora, tokens and mixtures, including all downloads. Later steps work offline."""
    from crosslift.execution.phases.prepare import prepare as prepare_all

    graph = open_study(folder)
    prepare_all(graph, say=say)
    say(f"{len(graph.runs)} runs are ready. Next: crosslift run {folder}")
