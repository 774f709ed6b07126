"""Charts inside a page: still pictures, interactive specifications, and the scripts that draw them."""

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
    """A figure as files and as a specification for the page; all None where it is not drawn."""

    figure: Figure
    spec: dict[str, Any] | None = None
    svg: str | None = None

    @property
    def data_uri(self) -> str:
        """The picture as a data address: apart from the page, so that the ids inside cannot collide."""
        return "data:image/svg+xml;base64," + base64.b64encode((self.svg or "").encode()).decode()


def render_figure(figure: Figure) -> RenderedFigure:
    """Compile a figure for paper: light colours, no descriptions for screen readers inside the picture."""
    import vl_convert

    if figure.chart is None:
        return RenderedFigure(figure=figure)
    spec = figure.spec()
    still = spec | {"config": theme.vega_config(theme.LIGHT) | {"aria": False}}
    return RenderedFigure(figure=figure, spec=spec, svg=_renumber_ids(vl_convert.vegalite_to_svg(still)))


def _renumber_ids(svg: str) -> str:
    """Ids counted from 0 in every picture; the renderer counts over all that it drew, so the second report of a process
    would differ from the first."""
    order = list(dict.fromkeys(re.findall(r'id="([a-z]+_?)(\d+)"', svg)))
    for number, (kind, old) in enumerate(order):
        svg = re.sub(rf'(id="|url\(#){kind}{old}(?=["\)])', rf"\g<1>{kind}n{number}", svg)
    return svg


def script_json(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@cache
def vega_bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one module, from the library that also drew the still pictures."""
    import vl_convert

    return str(vl_convert.javascript_bundle(None)).replace("</script", "<\\/script")  # type: ignore[arg-type]


def add_white_background(svg: str) -> str:
    """A PNG is pasted anywhere; transparent ink-on-nothing would vanish on a dark slide."""
    head, _, rest = svg.partition(">")
    return f'{head}><rect width="100%" height="100%" fill="white"/>{rest}'
