"""The page of a study: its report, if there is one, between the progress and the list of runs.

Page and report have one layout (`reporting/templates/layout.html.jinja`), whose comments mark where those sections go.
The report in the folder is a file like any other: of its scripts only those run that this version of crosslift writes
itself, because the Content-Security-Policy names the checksums of these.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from crosslift.reporting.html import theme
from crosslift.reporting.html.embed import script_json, vega_bundle
from crosslift.reporting.html.templates import environment
from crosslift.studies.study import Study

LINKS, MORE_LINKS = "<!-- view: links -->\n", "<!-- view: more links -->\n"
SECTIONS, MORE_SECTIONS = "<!-- view: sections -->\n", "<!-- view: more sections -->\n"
SCRIPT = "<!-- view: script -->\n"
_SCRIPTS = re.compile(r'<script type="module">(.*?)</script>', re.DOTALL)
_STYLES = re.compile(r"<style>(.*?)</style>", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class LivePage:
    """A page with its Content-Security-Policy."""

    html: str
    policy: str


def render(study: Study, report: str = "", *, report_version: str = "") -> LivePage:
    """Render the page.

    Args:
        study: the study.
        report: the page of its report; empty if there is none. A report without the marks of the layout, of another
            version of crosslift, is not shown.
        report_version: changes whenever the report is written; the page compares it with that of the server.

    Returns:
        The page. Its policy forbids everything but its own scripts, styles, pictures in the page and requests to the
        server that it came from.
    """
    shell = _shell(study)
    with_report = all(mark in report for mark in (LINKS, MORE_LINKS, SECTIONS, MORE_SECTIONS, SCRIPT))
    page = report if with_report else shell
    icon = '<link rel="icon" href="data:,">\n'  # none, and no request for one
    head = f'{icon}<meta name="crosslift-report" content="{report_version if report else ""}">\n'
    style = f"<style>\n{_css()}</style>\n"
    script = f'<script type="module">\n{_file("live.js")}</script>\n'
    for mark, text in (
        ("</head>", head + style + "</head>"),
        (LINKS, _file("live.progress.links.html")),
        (MORE_LINKS, _file("live.runs.links.html")),
        (SECTIONS, _file("live.progress.html")),
        (MORE_SECTIONS, _file("live.runs.html") + (_OTHER_VERSION if report and not with_report else "")),
        (SCRIPT, script),
    ):
        page = page.replace(mark, text, 1)
    known = [*_SCRIPTS.findall(shell), *_SCRIPTS.findall(script), *_charts()]
    # Charts and bars of a report have style attributes, which no checksum can allow.
    styles = "'unsafe-inline'" if with_report else " ".join(_checksum(text) for text in _STYLES.findall(page))
    return LivePage(html=page, policy=_policy(" ".join(_checksum(text) for text in known), styles))


_OTHER_VERSION = (
    '<section><h2>Report</h2><p>The report was written by another version of crosslift: <a href="index.html">open '
    "it</a>, or write it again with <code>crosslift report</code>.</p></section>\n"
)


def _shell(study: Study) -> str:
    payload: dict[str, Any] = {"specs": {}, "themes": {"light": {}, "dark": {}}}
    template = environment("crosslift.viewing").get_template("running.html.jinja")
    return template.render(study=study, light=theme.LIGHT, dark=theme.DARK, payload=script_json(payload), bundle="")


def _policy(scripts: str, styles: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {scripts}",
            f"style-src {styles}",
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _checksum(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _charts() -> tuple[str, ...]:
    """The script of the charts; without the package, the report's charts are pictures."""
    try:
        return (vega_bundle(),)
    except ImportError:
        return ()


@cache
def _css() -> str:
    template = environment("crosslift.viewing").get_template("live.css.jinja")
    return template.render(light=theme.LIGHT, dark=theme.DARK) + "\n"


@cache
def _file(name: str) -> str:
    return (resources.files("crosslift.viewing") / "templates" / name).read_text(encoding="utf-8")
