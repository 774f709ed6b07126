"""Checks the built documentation: no page loads anything from elsewhere, and every link inside it leads somewhere.

python tools/check_site.py site
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "iframe": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "audio": ("src",),
    "object": ("data",),
    "embed": ("src",),
}
"""Tag -> attributes whose address a browser fetches by itself."""
PASSIVE = {"canonical", "prev", "next", "alternate", "edit"}
"""Kinds of <link> that are never fetched."""
FETCHED_BY_THEME = ("mermaid", "data-md-source")
"""Classes and attributes for which the theme's script would fetch something from elsewhere."""


class Page(HTMLParser):
    """What a page loads, links to and can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.problems: list[str] = []
        self._in_style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        self.loads += [found[name] for name in LOADS.get(tag, ()) if found.get(name)]
        self.loads += _urls(found.get("style", ""))
        if tag == "link" and not PASSIVE & set(found.get("rel", "").split()):
            self.loads.append(found.get("href", ""))
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        for one in FETCHED_BY_THEME:
            if one in found.get("class", "").split() or one in found:
                self.problems.append(f"uses '{one}', which the theme fetches from elsewhere")

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.loads += _urls(data)


def _urls(css: str) -> list[str]:
    return re.findall(r"url\(\s*['\"]?([^'\")]+)", css) + re.findall(r"@import\s+['\"]([^'\"]+)", css)


def _is_external(address: str) -> bool:
    return bool(urlsplit(address).netloc) or urlsplit(address).scheme in ("http", "https")


def problems(site: Path) -> Iterator[str]:
    """Everything that is wrong, each with its page."""
    pages = {file.resolve(): Page(file.read_text(encoding="utf-8")) for file in sorted(site.rglob("*.html"))}
    if not pages:
        yield f"{site}: holds no page. Build it: make docs"
    for file, page in pages.items():
        name = file.relative_to(site.resolve())
        for problem in page.problems:
            yield f"{name}: {problem}"
        for address in page.loads:
            if _is_external(address):
                yield f"{name}: loads {address}"
        if name.name == "404.html":
            continue  # its addresses begin at the root of a server
        for link in [*page.links, *page.loads]:
            yield from (f"{name}: {problem}" for problem in _dead(link, file, pages))
    for file in sorted(site.rglob("*.css")):
        for address in _urls(file.read_text(encoding="utf-8")):
            if _is_external(address):
                yield f"{file.relative_to(site)}: loads {address}"


def _dead(link: str, file: Path, pages: dict[Path, Page]) -> Iterator[str]:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    if target.is_dir():
        target = target / "index.html"
    if not target.is_file():
        yield f"{link} does not exist"
    elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
        yield f"{link}: no such place on that page"


def main() -> None:
    found = list(problems(Path(sys.argv[1])))
    for problem in found:
        print(problem, file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
