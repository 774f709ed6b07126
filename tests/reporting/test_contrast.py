"""Text of report and page can be read: its contrast with what is behind it is at least 4.5 (WCAG 2.2, 1.4.3), in the
light and in the dark theme, on plain and on tinted backgrounds."""

from __future__ import annotations

import re

import pytest

from crosslift.reporting.html import theme
from crosslift.reporting.html.templates import environment

LEAST = 4.5
THEMES = {"light": theme.LIGHT, "dark": theme.DARK}


def stylesheet() -> str:
    return environment().get_template("style.css.jinja").render(light=theme.LIGHT, dark=theme.DARK)


def variables(name: str) -> dict[str, str]:
    """The colours that the style sheet declares for a theme."""
    opening = {"light": ":root {", "dark": ':root[data-theme="dark"] {'}[name]
    block = stylesheet().split(opening, 1)[1].split("}", 1)[0]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def channels(colour: str) -> list[float]:
    return [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]


def luminance(parts: list[float]) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: list[float], other: list[float]) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def mixed(over: list[float], under: list[float], share: float) -> list[float]:
    return [share * a + (1 - share) * b for a, b in zip(over, under, strict=True)]


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("text", ["ink", "muted", "gain", "loss-text"])
@pytest.mark.parametrize("behind", ["paper", "panel", "raised"])
def test_text_is_readable_on_every_plain_background(name, text, behind):
    colours = variables(name)
    assert contrast(channels(colours[text]), channels(colours[behind])) >= LEAST


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("shade", ["gain", "loss"])
def test_numbers_are_readable_in_the_darkest_cell_of_a_table(name, shade):
    """Numbers, and the small intervals below them, which are paler."""
    colours = {key: channels(value) for key, value in variables(name).items()}
    strongest = int(re.search(r"calc\(var\(--tint, 0\) \* (\d+)%\)", stylesheet())[1]) / 100
    paler = int(re.search(r"\.matrix td small \{[^}]*var\(--ink\) (\d+)%", stylesheet())[1]) / 100
    behind = mixed(colours[shade], colours["paper"], strongest)
    assert contrast(colours["ink"], behind) >= LEAST
    assert contrast(mixed(colours["ink"], behind, paler), behind) >= LEAST


@pytest.mark.parametrize("name", THEMES)
def test_the_current_entry_of_the_contents_is_readable(name):
    colours = {key: channels(value) for key, value in variables(name).items()}
    share = int(re.search(r"\[aria-current\] \{[^}]*var\(--gain\) (\d+)%", stylesheet())[1]) / 100
    assert contrast(colours["ink"], mixed(colours["gain"], colours["panel"], share)) >= LEAST


@pytest.mark.parametrize("name", THEMES)
def test_labels_of_charts_are_readable(name):
    colours, config = variables(name), theme.vega_config(THEMES[name])
    for part in ("axis", "header", "legend"):
        for key in ("labelColor", "titleColor"):
            assert contrast(channels(config[part][key]), channels(colours["paper"])) >= LEAST


def test_fills_are_never_the_colour_of_text():
    assert not re.search(r"(?<![-\w])color: var\(--(loss|unknown|line|hair)\)", stylesheet())
