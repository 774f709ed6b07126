"""The report says why answers could not be scored, most often, with an example, and in one line what is not drawn."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from crosslift.errors import StoreError
from crosslift.evaluation.task import task
from crosslift.evaluation.unscored import CUT_OFF, EMPTY, OTHER_LANGUAGE, reason, remedy
from crosslift.languages.language import language
from crosslift.reporting import report
from crosslift.reporting.html.embed import RenderedFigure
from crosslift.reporting.unscored import failure_hints
from crosslift.scores import SCORES

MATH = task("math")
REASONS = [
    ("truncated", "length", "1 + 1 = 2, 2 + 1", "en", CUT_OFF),
    ("wrong_language", "stop", "Die Antwort ist 2.", "en", OTHER_LANGUAGE),
    ("unparsed", "stop", "  ", "en", EMPTY),
    ("unparsed", "stop", "Никто не знает, сколько яблок осталось.", "sw", OTHER_LANGUAGE),
    ("unparsed", "stop", "The answer is unknown.", "en", "announced, but no number follows the announcement"),
    ("unparsed", "stop", "Nobody knows that.", "en", "without a number, and without a phrase that announces an answer"),
]


@pytest.mark.parametrize(("status", "finish", "text", "tag", "why"), REASONS)
def test_a_failure_has_a_reason_and_a_remedy(status, finish, text, tag, why):
    assert reason(MATH, status=status, finish=finish, text=text, language=language(tag)) == why
    assert remedy(why).endswith(".")


def test_a_task_without_reasons_of_its_own_has_a_general_one():
    why = reason(task("api_calling"), status="unparsed", finish="stop", text="[]", language=language("en"))
    assert why == "without an answer in the expected form"


class Store:
    """Answers of two runs; those of one are damaged."""

    def predictions(self, run, evaluation, tag):
        if run == "damaged":
            raise StoreError("damaged")
        texts = {"i0": "x" * 500, "i1": "Nobody knows that.", "i2": "y" * 500}
        rows = [
            {"sample_id": f"{item}.{tag}", "text": text, "finish": "length" if len(text) > 100 else "stop"}
            for item, text in texts.items()
        ]
        return pl.DataFrame(rows)


def scores():
    rows = [
        {"run": run, "evaluation": "math", "task": "math", "language": "en",
         "sample_id": f"i{item}.en",
         "item_id": f"i{item}", "cluster": f"i{item}", "metric": metric, "value": 0.0,
         "status": "unparsed" if item == 1 else "truncated"}
        for run in ("damaged", "fine") for item in range(3) for metric in ("accuracy", "in_language")
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=SCORES)


def test_the_commonest_reason_is_found_with_counts_and_the_end_of_an_answer_that_was_cut_off():
    (hint,) = failure_hints(Store(), scores())
    assert (hint.reason, hint.count, hint.num_examined, hint.num_unscored) == (CUT_OFF, 2, 3, 6)
    assert hint.sentence == (
        "math: most often, the answer is cut off at max_tokens (2 of 3 examined of 6 unscored answers). "
        "Raise max_tokens of the evaluation, or check whether the model repeats itself."
    )
    assert (hint.where, hint.quote) == ("fine, en", "… " + "x" * 160)


def test_without_failures_there_is_no_hint():
    assert failure_hints(Store(), scores().with_columns(status=pl.lit("scored"))) == []


def test_the_page_escapes_the_example_and_names_what_is_not_drawn_once(data):
    (hint,) = failure_hints(Store(), scores())
    hostile = "<script>alert(1)</script>"
    drawn = [
        RenderedFigure(figure=replace(make(data), chart=None))
        for make in report.FIGURES
        if make is not report.FIGURES[5]
    ]
    variance = replace(drawn[0].figure, name="variance", title="Variance", caption="Not drawn: no reason.")
    drawn.insert(5, RenderedFigure(figure=variance))
    papers = [RenderedFigure(figure=replace(make(data), chart=None)) for make in report.PAPER_FIGURES]
    page = report.render(replace(data, failure_hints=[replace(hint, quote=hostile)]), [*drawn, *papers])
    assert "most often, the answer is cut off at max_tokens" in page
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
    assert page.count("Not drawn for this study:") == 1
    assert 'href="#dose"' not in page and 'id="dose"' not in page
    assert "Variance (no reason)" in page
