"""Colours and fonts of charts and page, for the light and the dark theme.

The categorical colours are blue, vermillion and grey, then the rest of Okabe and Ito's palette (2008), which is
distinguishable under the common forms of colour blindness; colour always duplicates shape or text. The diverging scale
runs from vermillion (loss) through the neutral background to blue (gain). Charts contain no colours: they take them
from this config, so that one specification serves both themes.
"""

from __future__ import annotations

from typing import Any

FONT = '"Inter", "Helvetica Neue", "Liberation Sans", Arial, sans-serif'

LIGHT = {
    "ink": "#1d2126",
    "muted": "#646b75",
    "line": "#cdd1d7",
    "grid": "#eceef1",
    "category": ["#0072b2", "#d55e00", "#8a9099", "#009e73", "#a3569a", "#e69f00", "#56b4e9"],
    "diverging": ["#a63f00", "#d9773a", "#f3cdb3", "#f4f4f2", "#bcd9ec", "#4f9bc9", "#085c94"],
    "on_strong": "#ffffff",
    "loss_text": "#b34d00",  # the second category, dark enough for text: contrast 4.9 and more
}
"""Colours of the light theme."""
DARK = {
    "ink": "#e8eaed",
    "muted": "#9aa1ab",
    "line": "#3a3f47",
    "grid": "#282c32",
    "category": ["#5cb3ea", "#f58a3c", "#8d949e", "#35c79f", "#d492cc", "#f2c14e", "#9ad0f5"],
    "diverging": ["#ffa366", "#c4642a", "#6b3d22", "#2b2f35", "#21465f", "#2f80b5", "#7cc8f7"],
    "on_strong": "#101214",
    "loss_text": "#f58a3c",
}
"""Colours of the dark theme."""


def vega_config(colours: dict[str, Any]) -> dict[str, Any]:
    """A Vega-Lite config with the colours of a theme."""
    ink, muted = colours["ink"], colours["muted"]
    text = {"labelFont": FONT, "titleFont": FONT, "labelColor": muted, "titleColor": ink}
    return {
        "background": "transparent",
        "font": FONT,
        "view": {"stroke": None},
        "axis": text
        | {
            "labelFontSize": 11,
            "titleFontSize": 11.5,
            "titleFontWeight": 500,
            "titlePadding": 10,
            "domainColor": colours["line"],
            "tickColor": colours["line"],
            "gridColor": colours["grid"],
            "labelLimit": 260,
            "tickSize": 4,
        },
        "header": text
        | {"labelFontSize": 12.5, "labelFontWeight": 600, "labelColor": ink, "labelPadding": 8, "title": None},
        "legend": text
        | {"labelFontSize": 11.5, "titleFontSize": 11.5, "titleFontWeight": 500, "labelColor": ink, "symbolSize": 80},
        "title": {"font": FONT, "color": ink, "fontSize": 12.5, "fontWeight": 600, "anchor": "start", "offset": 10},
        "text": {"font": FONT, "fontSize": 10.5},
        "range": {"category": colours["category"], "diverging": colours["diverging"]},
        "style": {
            "zero": {"color": muted},
            "outline": {"color": ink},
            "note": {"color": muted},
            "on-strong": {"color": colours["on_strong"]},
            "on-weak": {"color": ink},
        },
    }
