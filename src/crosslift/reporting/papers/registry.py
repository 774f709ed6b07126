"""The figures of both papers, in the order of the page."""

from __future__ import annotations

from collections.abc import Callable

from crosslift.reporting.data import ReportData
from crosslift.reporting.figure import Figure
from crosslift.reporting.papers.coverage_figures import (
    bilingual_gains,
    by_language,
    gain_over_base,
    zero_shot_against_direct,
)
from crosslift.reporting.papers.dose_figures import by_script, by_setting, gap_by_dose
from crosslift.reporting.papers.number_figure import mean_by_number

PAPER_FIGURES: tuple[Callable[[ReportData], Figure], ...] = (
    mean_by_number,
    bilingual_gains,
    zero_shot_against_direct,
    gain_over_base,
    by_language,
    gap_by_dose,
    by_setting,
    by_script,
)
"""All figures of the papers."""
