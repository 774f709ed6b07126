"""The site is complete without the network, its links lead somewhere, its reference pages hold all that there is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from places import REPOSITORY

from crosslift import discover
from crosslift.studies.parsing.schema.study_file import TABLES
from crosslift.studies.site import SiteTable

sys.path.insert(0, str(REPOSITORY / "tools"))

import check_site
import reference_pages


@pytest.mark.parametrize(
    ("html", "problem"),
    [
        ('<script src="https://example.org/a.js"></script>', "loads https://example.org/a.js"),
        ('<link rel="stylesheet" href="//example.org/a.css">', "loads //example.org/a.css"),
        ('<p style="background: url(https://example.org/a.png)">', "loads https://example.org/a.png"),
        ('<a href="gone.html">', "gone.html does not exist"),
        ('<a href="index.html#nowhere">', "index.html#nowhere: no such place on that page"),
        ('<img src="gone.png">', "gone.png does not exist"),
        ('<pre class="mermaid">', "uses 'mermaid', which the theme fetches from elsewhere"),
    ],
)
def test_what_is_wrong_on_a_page_is_found(html: str, problem: str, tmp_path: Path):
    (tmp_path / "index.html").write_text(html)
    assert list(check_site.problems(tmp_path)) == [f"index.html: {problem}"]


def test_links_to_other_sites_and_to_places_on_the_page_are_fine(tmp_path: Path):
    html = '<h2 id="here"></h2><a href="#here"></a><a href="https://arxiv.org/abs/2604.13286"></a>'
    (tmp_path / "index.html").write_text(html)
    assert list(check_site.problems(tmp_path)) == []


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return reference_pages.pages()


def test_every_key_of_study_and_site_file_is_on_its_page(pages: dict[str, str]):
    for name, table in TABLES.items():
        for key in getattr(table, "model_fields", ()):
            if name != "mixtures" or key not in ("components", "budget"):  # tables of their own
                assert f"| `{key}` |" in pages["reference/study-keys.md"]
    for key in SiteTable.model_fields:
        assert f"| `{key}` |" in pages["reference/site-keys.md"]


def test_every_member_of_every_kind_is_on_its_page(pages: dict[str, str]):
    assert set(reference_pages.MEMBERS) == set(discover.PACKAGES)
    for kind in discover.PACKAGES:
        for name in discover.members(kind):
            assert f"| `{name}` |" in pages["reference/members.md"]


def test_every_module_of_the_index_has_its_place(pages: dict[str, str]):
    index = pages["reference/python/index.md"]
    for path, text in pages.items():
        for line in text.split("\n") if path.startswith("reference/python/") else ():
            if line.startswith("::: "):
                assert f"[`{line[4:]}`]" in index


def test_the_generated_pages_replace_no_page_that_is_written(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    import docs_hooks
    from mkdocs.config.defaults import MkDocsConfig

    monkeypatch.setattr(reference_pages, "python_nav", lambda: ["generated.md"])
    config = MkDocsConfig()
    config.nav = [{"Guides": [{"Python": "python.md"}]}, {"Reference": [{"Python": []}]}]
    docs_hooks.on_config(config)
    assert config.nav == [{"Guides": [{"Python": "python.md"}]}, {"Reference": [{"Python": ["generated.md"]}]}]
