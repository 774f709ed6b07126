"""Embedding charts in a page: static images, interactive specifications, and the scripts that render them."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from crosslift.reporting.figure import Figure
from crosslift.reporting.html import theme


@dataclass(frozen=True, kw_only=True)
class RenderedFigure:
    """A figure with its Vega-Lite specification and static image; None if the figure is not drawn."""

    figure: Figure
    spec: dict[str, Any] | None = None
    """The Vega-Lite specification without a theme."""
    svg: str | None = None
    """The static image in the light theme."""

    @property
    def data_uri(self) -> str:
        """The static image as a data URI, which keeps its ids separate from those of the page."""
        return "data:image/svg+xml;base64," + base64.b64encode((self.svg or "").encode()).decode()


def render_figure(figure: Figure) -> RenderedFigure:
    """Compile a figure to a static image in the light theme, without ARIA attributes inside the image."""
    import vl_convert

    if figure.chart is None:
        return RenderedFigure(figure=figure)
    spec = figure.spec()
    still = spec | {"config": theme.vega_config(theme.LIGHT) | {"aria": False}}
    return RenderedFigure(figure=figure, spec=spec, svg=_renumber_ids(vl_convert.vegalite_to_svg(still)))


def _renumber_ids(svg: str) -> str:
    """Number the ids of each image from 0. The renderer counts over all images of a process, so that a second report
    would otherwise differ from the first."""
    order = list(dict.fromkeys(re.findall(r'id="([a-z]+_?)(\d+)"', svg)))
    for number, (kind, old) in enumerate(order):
        svg = re.sub(rf'(id="|url\(#){kind}{old}(?=["\)])', rf"\g<1>{kind}n{number}", svg)
    return svg


def script_json(value: Any) -> str:
    """JSON that cannot close the script element that contains it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@cache
def vega_bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one JavaScript module, in the versions that also render the static images."""
    import vl_convert

    return str(vl_convert.javascript_bundle(None)).replace("</script", "<\\/script")  # type: ignore[arg-type]


def add_white_background(svg: str) -> str:
    """Add a white background for PNG export; dark text on a transparent background is not readable on dark slides."""
    head, _, rest = svg.partition(">")
    return f'{head}><rect width="100%" height="100%" fill="white"/>{rest}'
