"""The templates of pages: all text is escaped, and an unknown name is an error."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2


@cache
def environment(*packages: str) -> jinja2.Environment:
    """The environment that renders templates.

    Args:
        *packages: packages whose folder `templates` is searched before the one of the report.

    Returns:
        The environment, with escaping and without undefined names.
    """
    import jinja2

    places = [jinja2.PackageLoader(package, "templates") for package in (*packages, "crosslift.reporting")]
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(places),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
