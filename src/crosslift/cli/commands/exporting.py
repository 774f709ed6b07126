"""Commands that write a study for other tools and machines: export mixture, export scores, pack, unpack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosslift.cli.arguments import Folder, open_study, report_damage
from crosslift.cli.printing import say

app = typer.Typer(help="Write mixtures and scores for other tools.", no_args_is_help=True)
Target = Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write.")]


@app.command()
def mixture(  # noqa: PLR0917 - arguments of a command
    study: Folder,
    name: Annotated[str, typer.Argument(metavar="MIXTURE", help="Name of a mixture. See: crosslift plan STUDY --runs")],
    folder: Target,
    form: Annotated[str, typer.Option("--format", help="jsonl, parquet or datasets.")] = "jsonl",
    model: Annotated[
        str | None, typer.Option(help="Model of the configurations. Default: the study's only model.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Training seed of the configurations. Default: the study's first seed.")
    ] = None,
) -> None:
    """Write the examples of a mixture as chat messages, with configurations for TRL, LLaMA-Factory and Axolotl."""
    from crosslift.exporting.mixture import export_mixture

    graph = open_study(study)
    exported = export_mixture(graph, name, folder, form=form, model=model, seed=seed)
    report_damage(graph.store)
    say(f"{folder}: {exported.num_examples:,} examples, {exported.num_validation:,} for validation")
    for line in exported.notes:
        say(line)
    for file, command in exported.commands.items():
        say(f"{file}: {command}")


@app.command()
def scores(
    study: Folder,
    folder: Target,
    form: Annotated[str, typer.Option("--format", help="lm_eval or inspect.")] = "lm_eval",
) -> None:
    """Write the scores of all finished evaluations as logs of lm-evaluation-harness or inspect."""
    from crosslift.exporting.scores import export_scores

    graph = open_study(study, data="optional")
    exported = export_scores(graph, folder, form=form)
    report_damage(graph.store)
    say(f"{folder}: {exported.num_logs:,} logs with {exported.num_samples:,} samples of {exported.num_runs} runs")
    say(f"They can be read back by: crosslift import {folder / 'import.toml'} DIR")


def pack(
    folder: Folder,
    archive: Annotated[
        Path | None, typer.Argument(metavar="[ARCHIVE]", help="File to write. Default: NAME.tar.gz, after the study.")
    ] = None,
) -> None:
    """Write a study to one archive, without checkpoints, from which another machine continues."""
    from crosslift.exporting.archive import pack as pack_study

    graph = open_study(folder)
    target = Path(f"{graph.study.name}.tar.gz") if archive is None else archive
    packed = pack_study(graph, target)
    size = target.stat().st_size
    say(f"{target}: {packed.num_files:,} files, {size / 1e6:.1f} MB ({packed.num_bytes / 1e6:.1f} MB unpacked)")
    if packed.num_checkpoints:
        say(f"{packed.num_checkpoints} checkpoints are not in it; what needs one trains again.")
    say(f"Next, on the other machine: crosslift unpack {target.name}")


def unpack(
    archive: Annotated[Path, typer.Argument(help="File that crosslift pack wrote.")],
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Folder to create. Default: the name of the study.")
    ] = None,
) -> None:
    """Create the folder of a study from an archive, after comparing every file with its checksum."""
    from crosslift.exporting.unpacking import study_of
    from crosslift.exporting.unpacking import unpack as unpack_study

    target = Path(study_of(archive)) if folder is None else folder
    say(f"{target}: {unpack_study(archive, target):,} files. Next: crosslift status {target}")
