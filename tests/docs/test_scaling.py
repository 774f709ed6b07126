"""Every site.toml of the page on scaling is a complete one, and its numbers are those of the plan."""

from __future__ import annotations

import re

import pytest
from documents import DOCS

from crosslift.discover import member
from crosslift.studies.site import load_site

TEXT = (DOCS / "scaling.md").read_text(encoding="utf-8")
SITES = dict(re.findall(r'^```toml title="([a-z-]+)/site\.toml"\n(.*?)^```', TEXT, flags=re.MULTILINE | re.DOTALL))


def test_the_page_goes_from_a_laptop_to_ray():
    assert list(SITES) == ["laptop", "one-gpu", "node", "slurm", "ray"]


@pytest.mark.parametrize("name", list(SITES))
def test_every_site_of_the_page_is_valid(name, tmp_path):
    file = tmp_path / "site.toml"
    file.write_text(SITES[name], encoding="utf-8")
    site = load_site(file)
    assert site.executor == (name if name in ("slurm", "ray") else "local")


def test_the_options_of_an_executor_are_those_that_it_accepts():
    for name in ("slurm", "ray"):
        section = TEXT[TEXT.index(f"\n## {name.capitalize()}") :]
        table = section[section.index("| option |") :].partition("\n\n")[0]
        options = re.findall(r"`([a-z_]+)`", "".join(line.split("|")[1] for line in table.splitlines()[2:]))
        assert set(options) == set(member("executor", name).OPTIONS)
