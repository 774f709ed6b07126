"""One version, in `crosslift.__version__`; everything else that tells it agrees."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import crosslift

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ALLOWED = {
    "cff-version", "type", "title", "message", "abstract", "authors", "version", "date-released", "doi", "license",
    "keywords", "references", "url", "repository-code",
}  # fmt: skip
REFERENCE = {"type", "title", "authors", "year", "journal", "url", "doi"}


@pytest.fixture(scope="module")
def citation() -> dict:
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_the_version_has_one_home():
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc|\.dev)\d+)?", crosslift.__version__)
    assert "version" not in PROJECT
    assert "version" in PROJECT["dynamic"]


def test_the_changelog_tells_this_version_first_after_what_is_unreleased():
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    released = [heading for heading in headings if heading != "Unreleased"]
    assert released[0] == crosslift.__version__
    assert headings.count("Unreleased") <= 1
    assert len(set(headings)) == len(headings)


def test_the_citation_is_of_this_version_and_licence(citation: dict):
    assert str(citation["version"]) == crosslift.__version__
    assert " AND ".join(citation["license"]) == PROJECT["license"]


def test_the_citation_has_the_form_of_cff_1_2(citation: dict):
    """The part of the schema that this file uses (https://doi.org/10.5281/zenodo.5171937)."""
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert {"title", "message", "authors"} <= citation.keys() <= ALLOWED
    for one in [citation, *citation["references"]]:
        assert one["authors"]
        for author in one["authors"]:
            assert author.keys() in ({"name"}, {"family-names", "given-names"})
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= reference.keys() <= REFERENCE
        assert isinstance(reference["year"], int)


def test_both_studies_are_cited(citation: dict):
    urls = {reference["url"] for reference in citation["references"]}
    assert urls == {"https://arxiv.org/abs/2604.13286", "https://arxiv.org/abs/2504.16677"}
