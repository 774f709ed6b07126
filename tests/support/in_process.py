"""Commands in this process, with workers in it and pages without charts: a run takes a second."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crosslift.cli import app
from crosslift.errors import CrossliftError
from crosslift.execution.folder import checksums
from crosslift.execution.workers.executors import local
from crosslift.execution.workers.job import Job
from crosslift.execution.workers.worker import work
from crosslift.reporting import report
from crosslift.reporting.html.embed import RenderedFigure
from crosslift.reporting.questions import page as answers
from crosslift.studies.parsing.load import load
from crosslift.studies.planning.rehearsal import rehearse


@dataclass
class Told:
    text: str
    code: int


def quicker(patch: pytest.MonkeyPatch) -> None:
    """Workers in this process, and pages without charts."""

    def launch(job: Job, tick: object) -> None:
        study = load(job.folder)
        if job.site.rehearsal is not None:
            study = rehearse(study, job.site.rehearsal)
        work(study, job.runs, session=job.session if job.runs else "")

    patch.setattr(local, "launch", launch)
    patch.setattr(report, "publish", publish)
    without_charts(patch)


def without_charts(patch: pytest.MonkeyPatch) -> None:
    """Pages of answers without charts, whose drawing takes longer than the answers; tests of the pages draw them."""
    patch.setattr(answers, "render_figure", lambda figure: RenderedFigure(figure=figure))


def publish(data: report.ReportData, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    page = folder / "index.html"
    shutil.rmtree(page) if page.is_dir() else None
    page.write_text(f"{data.estimates.write_csv()} {sorted(data.manifests)} {data.training.height}")
    return page


def crosslift(*arguments: object) -> Told:
    checksums.forget_hashes()  # every command is a process of its own
    ended = CliRunner().invoke(app, list(map(str, arguments)))
    if ended.exception is not None and not isinstance(ended.exception, (SystemExit, CrossliftError)):
        raise ended.exception
    message = str(ended.exception) if isinstance(ended.exception, CrossliftError) else ""
    return Told(text=ended.output + message, code=2 if message else ended.exit_code)
