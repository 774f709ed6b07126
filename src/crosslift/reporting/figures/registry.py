"""The figures of every study, in the order of the page.

A figure is a function of the report's data. If the data do not allow it, its caption gives the reason. All figures are
in the primary metric of their task and in points (hundredths), and contain no colours: see `html.theme`.
"""

from __future__ import annotations

from collections.abc import Callable

from crosslift.reporting.data import ReportData
from crosslift.reporting.figure import Figure
from crosslift.reporting.figures.by_amount import relative_by_dose, score_by_dose, score_by_num_languages
from crosslift.reporting.figures.designs import score_by_number_and_amount, score_by_origin
from crosslift.reporting.figures.exploration import exploration
from crosslift.reporting.figures.forest import forest
from crosslift.reporting.figures.training import training_curves
from crosslift.reporting.figures.transfer_matrix import transfer_heat_map
from crosslift.reporting.figures.variance import variance

FIGURES: tuple[Callable[[ReportData], Figure], ...] = (
    forest,
    score_by_num_languages,
    score_by_dose,
    relative_by_dose,
    transfer_heat_map,
    variance,
    training_curves,
    exploration,
)
"""All figures of a study."""
DESIGN_FIGURES: tuple[Callable[[ReportData], Figure], ...] = (score_by_number_and_amount, score_by_origin)
"""Figures of studies with a certain family; they are not missed in others."""
