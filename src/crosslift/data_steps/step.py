"""A step that makes data, what it is expected to need, and what it has made.

A kind of step is a module in `kinds/` with

    TABLE: type[StepTable]                 schema of [steps.<name>] in data.toml
    check(step, problems) -> None          adds problems that the schema cannot find
    inputs(step) -> tuple[Path, ...]       files and folders that it reads
    outputs(step) -> tuple[Path, ...]      folders that it writes; they hold nothing else
    identity(step, data_seed)              JSON value that determines its outputs, beside the content of its inputs
    expect(step, outlook) -> Expected      what it will need
    make(step, making) -> Made             makes the outputs
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import Field

from crosslift.studies.parsing.problems import Problems
from crosslift.studies.parsing.schema.values import Positive, Table, Text

WORK = Path("data") / "steps"
"""Below the study's folder: what steps keep beside their outputs, such as the journal of paid replies."""


class StepTable(Table):
    """Keys of every step."""

    kind: Text = Field(description="kind of step")


class SizeTable(Table):
    """Size of a source that is not here yet, for `crosslift plan`."""

    items: Positive = Field(description="items of the source")
    texts: Positive = Field(description="different texts that are translated into each language")
    bytes: Positive = Field(description="their UTF-8 bytes, without protected parts")


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of data.toml."""

    name: str
    kind: str
    table: Any
    """The validated table, of the kind's TABLE."""
    folder: Path
    """The study's folder; paths of the table are relative to it."""

    @property
    def work(self) -> Path:
        """Folder of the step's journal and records."""
        return self.folder / WORK / self.name

    def path(self, written: str) -> Path:
        """Resolve a path of the table."""
        return self.folder / Path(written).expanduser()


@dataclass(frozen=True, kw_only=True)
class Size:
    """Size of a corpus that is made or about to be made."""

    num_items: int
    bytes_per_item: float
    """UTF-8 bytes of the translatable text of an item, in the source language."""


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What is known when the needs of a step are estimated."""

    site: Path | None
    """Site file; None if there is none."""
    data_seed: int
    max_items: int | None
    """Number of items to which every step is limited; None for all."""
    reads: bool
    """Whether sources of the hub may be read, which downloads them."""
    sizes: dict[Path, Size] = field(default_factory=dict)
    """Output -> its expected size, for the steps before."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a step will need. Numbers are None where they are not known."""

    what: str
    """What it makes, as text."""
    service: str = ""
    """Table of site.toml with the endpoint that is asked; empty if nothing is sent."""
    local: bool = False
    """Whether the model runs on this machine."""
    num_requests: int | None = 0
    num_known: int = 0
    """Requests with a reply in the journal, which are not sent again."""
    num_prompt_tokens: int | None = 0
    num_completion_tokens: int | None = 0
    prices: tuple[float, float] | None = None
    """Prices of a million prompt and completion tokens, in site.toml."""
    is_most: bool = False
    """Whether completion tokens are the largest possible number, so that the price is the highest."""
    concurrency: int = 1
    """Requests at once."""
    sizes: dict[Path, Size] = field(default_factory=dict)
    """Output -> expected size."""
    unknown: str = ""
    """Why numbers are not known."""


@dataclass(frozen=True, kw_only=True)
class Making:
    """What a step is made with."""

    site: Path | None
    data_seed: int
    max_items: int | None
    say: Callable[[str], None]
    """Receives lines of progress."""
    check: Callable[[], None]
    """Called before something is stored; raises if another process has taken over."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a step has made."""

    num_items: int
    summary: str
    """One line."""


class StepKind(Protocol):
    """A module in `kinds/`."""

    TABLE: type[StepTable]

    def check(self, step: Step, problems: Problems) -> None: ...

    def inputs(self, step: Step) -> tuple[Path, ...]: ...

    def outputs(self, step: Step) -> tuple[Path, ...]: ...

    def identity(self, step: Step, data_seed: int) -> Any: ...

    def expect(self, step: Step, outlook: Outlook) -> Expected: ...

    def make(self, step: Step, making: Making) -> Made: ...
