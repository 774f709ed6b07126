"""Writing of the report: what a killed process left in its folder is removed, also where the report is up to date."""

from __future__ import annotations

from fake_study import open_graph
from tiny_study import write_study

from crosslift.api.reports import update_report
from crosslift.execution.folder.result_tables import report_step
from crosslift.system.files import temporary_of
from crosslift.system.processes import machine_id


def test_a_temporary_file_of_a_killed_process_does_not_stay_in_the_report(tmp_path):
    graph = open_graph(write_study(tmp_path))
    tables = {"scores": "1", "runs": "2"}
    step = report_step(graph.study, graph.store, tables)
    step.begin()
    page = step.folder / "index.html"
    page.write_text("<p>a report")
    step.finish()
    left = step.folder / "tables" / f".estimates.parquet.{machine_id()}-999999999-1.0123abcd.tmp"
    mine = temporary_of(step.folder / "estimates.parquet")
    left.parent.mkdir()
    for file in (left, mine):
        file.touch()
    assert update_report(graph, tables, say=print) == page
    assert not left.exists()
    assert mine.exists()  # of a process that is writing
