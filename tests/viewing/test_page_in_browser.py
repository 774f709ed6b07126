"""The page in a real browser: it follows the study, sends nothing elsewhere, fits three widths, works from the keyboard
and prints. Skipped where there is no Chromium."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest
from browser import browser, find_browser
from fake_study import FAKES
from live_study import HOSTILE, finish_evaluation, running, served, train
from synthetic_study import synthetic

from crosslift.reporting import report as report_module
from crosslift.reporting.figure import Figure
from crosslift.reporting.figures.variance import variance
from crosslift.system.files import write_text

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_browser() is None, reason="there is no Chromium"),
    pytest.mark.xdist_group("browser"),  # it and the report are there once
]

RUN = "tiny.en.s0"
WIDTHS = (390, 1280, 1920)
CUT = """[...document.querySelectorAll('body *')].filter(element =>
  !(element instanceof SVGElement) && !element.closest('.sr-only') && element.clientWidth > 0
  && element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== 'inline'
  && !['auto', 'scroll'].includes(getComputedStyle(element).overflowX)
).map(element => `${element.tagName} ${element.className} ${element.scrollWidth} > ${element.clientWidth}`)"""
FOCUSED = "one.id || one.textContent.trim() || one.getAttribute('aria-label')"
SIDEWAYS = "document.documentElement.scrollWidth > innerWidth"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture(scope="module")
def report_of_a_study():
    """A report with charts, of a study of one model with long names of mixtures."""
    data = synthetic(models=("pocket-m",), num_items=24, num_resamples=50)
    drawn = [figure(data, make) for make in (*report_module.FIGURES, *report_module.PAPER_FIGURES)]
    return report_module.render(data, drawn)


def figure(data, make):
    """A figure, if it is quickly drawn: the variances of a mixed model take half a minute."""
    if make is variance:
        return report_module.RenderedFigure(
            figure=Figure(name="variance", title="Variance", caption="Not drawn: slow.")
        )
    return report_module.render_figure(make(data))


def shown(page, run=RUN):
    """Texts of the cells of a run in the table."""
    return page.value(
        f"[...[...document.querySelectorAll('#rows tr')].find(row => row.firstChild.textContent === '{run}').children]"
        ".map(cell => cell.textContent)"
    )


def only_here(page, server):
    """Whether no request left the machine; pictures inside the page have no address."""
    return [one for one in page.requests if not one.startswith((server.address, "data:", "about:", "blob:"))] == []


def test_the_page_follows_a_run_until_the_report_is_the_page(graph, chromium, report_of_a_study):
    folder = graph.study.folder
    with served(folder) as server:
        page = chromium.page()
        page.open(server.address)
        page.wait("document.querySelectorAll('#rows tr').length === 5")
        assert page.value("document.getElementById('num-running').textContent") == "0"
        with running(graph, RUN) as progress:
            train(progress, 2, loss=1.5)
            page.wait("document.getElementById('num-running').textContent === '1'")
            assert shown(page)[1:6] == ["running: training", "2 / 4", "0 / 3", "1.500", "en\u00a01.500 sw\u00a02.500"]
            train(progress, 4, loss=0.75)
            page.wait("document.querySelector('#active').textContent.includes('loss 0.750')")
            finish_evaluation(graph, RUN, "en", text=HOSTILE)
            progress._written = 0.0
            progress.update(phase="evaluating math.es", evaluations=1)
            page.wait("document.querySelector('#scores-tables').textContent.includes('50.0')")
            page.value(
                f"[...document.querySelectorAll('#rows button')].find(one => one.textContent === '{RUN}').click()"
            )
            page.wait("document.querySelectorAll('#details .sample').length === 2")
            assert "window.hacked = 1" in page.value("document.querySelector('#details .sample pre').textContent")
            assert page.value("document.querySelectorAll('#details svg.curve path').length") == 3
            assert "1 unparsed of 2 answers" in page.value("document.getElementById('unscored-list').textContent")
        graph.store.write_error("tiny.en.s1", error="TrainingError", message=HOSTILE)
        page.wait("document.getElementById('num-failed').textContent === '1'")
        assert HOSTILE in page.value("document.getElementById('failures-list').textContent")
        assert page.value("document.getElementById('in-short')") is None
        write_text(graph.store.report_folder / "index.html", report_of_a_study)
        write_text(graph.store.report_folder / "done.json", "{}")
        page.wait("document.getElementById('in-short') && document.querySelectorAll('#rows tr').length === 5")
        page.wait("document.querySelectorAll('.canvas.drawn').length > 3")  # the charts, under the page's policy
        assert page.value("window.hacked") is None
        assert page.problems == []
        assert only_here(page, server)


@pytest.mark.parametrize("with_report", [False, True])
def test_nothing_is_cut_at_three_widths(graph, chromium, report_of_a_study, with_report):
    long = "an-error-without-a-space-" * 12
    graph.store.run_folder("tiny.en.s1").mkdir(parents=True, exist_ok=True)
    graph.store.write_error("tiny.en.s1", error="TrainingError", message=long)
    if with_report:
        write_text(graph.store.report_folder / "index.html", report_of_a_study)
        write_text(graph.store.report_folder / "done.json", "{}")
    with running(graph, RUN) as progress, served(graph.study.folder) as server:
        train(progress, 3, loss=1.5)
        finish_evaluation(graph, RUN, "en", text="x" * 3000)
        page = chromium.page()
        for width in WIDTHS:
            page.resize(width)
            page.open(server.address)
            page.wait("document.querySelectorAll('#rows tr').length === 5")
            page.value("document.querySelector('#rows button').click()")
            page.wait("!document.getElementById('details').hidden")
            if with_report:
                page.wait("document.querySelectorAll('.canvas.drawn').length > 3")
            assert page.value(CUT) == [], width
            assert not page.value(SIDEWAYS), width
            if width >= 1280:
                fits = "(one => one.scrollWidth <= one.clientWidth + 1)(document.querySelector('#runs .scroll'))"
                assert page.value(fits), "the table of runs is cut"
            if with_report and width >= 1280:
                wide = (
                    "[...document.querySelectorAll('#contrasts .scroll')].map(one => one.scrollWidth - one.clientWidth)"
                )
                assert max(page.value(wide)) <= 1, "the table of contrasts is cut"


def test_the_page_works_from_the_keyboard(graph, chromium):
    with served(graph.study.folder) as server:
        page = chromium.page()
        page.resize(1280)
        page.open(server.address)
        page.wait("document.querySelectorAll('#rows tr').length === 5")
        reached = []
        for _ in range(30):
            page.press("Tab", 9)
            reached.append(page.value(f"(one => {FOCUSED})(document.activeElement)"))
            if reached[-1] == RUN:
                break
        assert reached[0] == "Skip to the runs"
        assert {"Progress", "find", "state", RUN} <= set(reached)
        assert page.value("getComputedStyle(document.activeElement).outlineStyle") != "none"
        page.press("Enter", 13, "\r")
        page.wait("!document.getElementById('details').hidden && document.activeElement.id === 'details'")
        page.press("Escape", 27)
        page.wait("document.getElementById('details').hidden")
        assert page.value("document.activeElement.textContent") == RUN
        page.value("document.getElementById('find').focus()")
        for letter in "sw.s1":
            page.call("Input.insertText", text=letter)
        page.wait("document.getElementById('num-shown').textContent === '1 of 5 runs'")


def test_the_page_prints(graph, chromium, report_of_a_study):
    write_text(graph.store.report_folder / "index.html", report_of_a_study)
    write_text(graph.store.report_folder / "done.json", "{}")
    with served(graph.study.folder) as server:
        page = chromium.page()
        page.open(server.address)
        page.wait("document.querySelectorAll('#rows tr').length === 5")
        assert page.pdf().startswith(b"%PDF")
        page.call("Emulation.setEmulatedMedia", media="print")
        visible = "[...document.querySelectorAll('{}')].filter(one => one.getClientRects().length).length"
        assert page.value(visible.format(".sidebar, .controls, .skip, button.action")) == 0
        assert page.value(visible.format("#rows tr")) == 5
        assert page.value("getComputedStyle(document.querySelector('.scroll')).overflow") == "visible"


def test_the_command_serves_the_page_and_its_end_is_said_in_the_page(graph, chromium):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(FAKES), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "crosslift", "view", str(graph.study.folder), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        line = process.stdout.readline()
        page = chromium.page()
        page.open(re.match(r"http://127\.0\.0\.1:\d+/", line)[0])
        page.wait("document.querySelectorAll('#rows tr').length === 5")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert process.stdout.read() == "Ended. The study runs on.\n"
        page.wait("document.getElementById('connection').textContent.includes('crosslift view has ended')")
        assert page.value("document.querySelectorAll('#rows tr').length") == 5
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
