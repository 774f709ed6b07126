"""Pages of the documentation as tests: the fenced blocks of a page, in order, in a folder of their own.

A block with `title="PATH"` is a file that the reader saves; ```diff with a title changes a file. Blocks of `sh` and
`python` without a title are executed. All others need a comment before them that tells what they are:

    <!-- test: output -->                the output of the block before; lines "..." stand for anything
    <!-- test: skip: REASON -->          cannot be executed in a test (or is no step), for this reason
    <!-- test: needs PACKAGE -->         executed only where this package is installed
    <!-- test: setup NAME FOLDER -->     before any block: put a ready-made folder there (SETUPS)
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from places import REPOSITORY

DOCS = REPOSITORY / "docs"
SUPPORT = Path(__file__).parent
TIMEOUT_SECONDS = 600
PORT = "8765"
"""The port that pages show for a server on this machine; a test takes a free one in its place."""
SETUPS = {
    "finished_study": "from finished_study import write_finished_study as w; w(folder, num_mixtures=3, num_seeds=1)",
    "better_study": "from finished_study import write_finished_study as w; "
    "w(folder, num_mixtures=4, num_seeds=1, num_right=20)",
    "fake_study": "from fake_study import write_fake_study as w; w(folder)",
}
_FENCE = re.compile(r"^```(?P<info>.*)$")
_COMMENT = re.compile(r"^<!-- test: (?P<kind>skip|output|setup|needs)(?::? (?P<rest>.*?))? -->$")


@dataclass(frozen=True, kw_only=True)
class Block:
    page: str
    line: int
    language: str
    title: str | None
    text: str
    directive: str | None
    """"skip", "output" or None."""
    reason: str = ""
    needs: str | None = None
    """Package without which the block is not executed."""

    @property
    def place(self) -> str:
        return f"docs/{self.page}:{self.line}"

    @property
    def is_executed(self) -> bool:
        return self.directive is None and self.title is None and self.language in ("sh", "python")


@dataclass(frozen=True, kw_only=True)
class Page:
    name: str
    blocks: tuple[Block, ...]
    setups: tuple[tuple[str, str], ...]


def read_page(name: str) -> Page:
    """The blocks of a page.

    Raises:
        ValueError: a block that is no file, no program and has no comment that tells what it is.
    """
    blocks, setups = [], []
    lines = (DOCS / name).read_text(encoding="utf-8").split("\n")
    place = 0
    directive: tuple[str, str] | None = None
    needs: str | None = None
    while place < len(lines):
        line = lines[place]
        place += 1
        if comment := _COMMENT.match(line):
            if comment["kind"] == "setup":
                setup, _, folder = comment["rest"].partition(" ")
                setups.append((setup, folder))
            elif comment["kind"] == "needs":
                needs = comment["rest"]
            else:
                directive = comment["kind"], comment["rest"] or ""
        elif fence := _FENCE.match(line):
            end = lines.index("```", place)
            language, _, attributes = fence["info"].partition(" ")
            title = re.search(r'title="([^"]*)"', attributes)
            block = Block(
                page=name,
                line=place,
                language=language,
                title=title[1] if title else None,
                text="\n".join(lines[place:end]) + "\n",
                directive=directive[0] if directive else None,
                reason=directive[1] if directive else "",
                needs=needs,
            )
            if block.directive is None and block.title is None and not block.is_executed:
                raise ValueError(f"{block.place}: a block of '{language}' needs a title or a comment, see {__name__}.")
            blocks.append(block)
            place, directive, needs = end + 1, None, None
        elif line.strip():
            directive = None
    return Page(name=name, blocks=tuple(blocks), setups=tuple(setups))


def run_page(page: Page, folder: Path, *, sources: Path = REPOSITORY / "src") -> None:
    """Do what the page tells its reader to do.

    Args:
        sources: folder that holds the package.

    Raises:
        AssertionError: a program fails, or prints something else than the page shows.
    """
    environment = os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(sources), str(SUPPORT / "fakes")]),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "COLUMNS": "200",
    }
    port = _free_port()
    with _programs(folder, environment) as run:
        if page.setups:  # in one process, since importing torch takes longer than each of them
            code = f"import sys; sys.path.insert(0, {str(SUPPORT)!r}); from pathlib import Path; "
            code += "; ".join(f"folder = Path({name!r}); {SETUPS[setup]}" for setup, name in page.setups)
            run(f"{page.name}: setup", [sys.executable, "-c", code])
        output = ""
        for block in page.blocks:
            text = block.text.replace(PORT, port)
            if block.directive == "skip" or (block.needs and find_spec(block.needs) is None):
                continue
            if block.directive == "output":
                _compare(block, text, output)
            elif block.title is not None:
                _save(folder / block.title, text, is_change=block.language == "diff")
            elif block.language == "sh":
                output = run(block.place, ["bash", "-euo", "pipefail", "-c", text])
            else:
                output = run(block.place, [sys.executable, "-c", text])


def _free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@contextmanager
def _programs(folder: Path, environment: dict[str, str]) -> Iterator[Callable[[str, list[str]], str]]:
    """A function that runs a program and gives its output. What it leaves in the background ends with the page."""
    sessions: list[int] = []

    def run(place: str, command: list[str]) -> str:
        said = folder / ".output"
        with said.open("wb") as file:  # a file, since a background process would keep a pipe open
            program = subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                start_new_session=True,
            )  # fmt: skip
            sessions.append(program.pid)
            code = program.wait(TIMEOUT_SECONDS)
        output = said.read_text(encoding="utf-8", errors="replace")
        assert code == 0, f"{place} ended with exit code {code}:\n{output}"
        return output

    try:
        yield run
    finally:
        for session in sessions:
            with suppress(ProcessLookupError):
                os.killpg(session, signal.SIGTERM)


def _compare(block: Block, shown: str, output: str) -> None:
    """Each line that is shown stands in the output, in this order."""
    rest = [" ".join(line.split()) for line in output.split("\n")]
    for line in shown.strip().split("\n"):
        wanted = " ".join(line.split())
        if wanted == "...":
            continue
        assert wanted in rest, f"{block.place}: the program does not print {wanted!r} there, but:\n{output}"
        rest = rest[rest.index(wanted) + 1 :]


def _save(file: Path, text: str, *, is_change: bool) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if not is_change:
        file.write_text(text, encoding="utf-8")
        return
    before = file.read_text(encoding="utf-8")
    for hunk in filter(None, re.split(r"(?m)^@@.*\n", text)):
        lines = hunk.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] in " -")
        new = "".join(line[1:] for line in lines if line[0] in " +")
        assert before.count(old) == 1, f"{file} does not hold these lines exactly once:\n{old}"
        before = before.replace(old, new)
    file.unlink()  # it may be a link into the repository
    file.write_text(before, encoding="utf-8")
