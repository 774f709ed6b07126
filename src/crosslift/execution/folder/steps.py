"""A step of a study: a folder, what goes into it, and a marker that is written last.

The marker `done.json` carries the inputs themselves beside their fingerprint. A fingerprint alone could only say that
something changed; with the inputs a stale step names the field and both values.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from crosslift.errors import StaleStep
from crosslift.files import read_json, remove_leftovers, sync_folder, write_json
from crosslift.fingerprint import canonical, fingerprint

MARKER = "done.json"
STARTED = "started.json"


@dataclass(frozen=True, kw_only=True)
class Step:
    """Work that ends in one folder."""

    name: str
    """As messages call it: the folder relative to the study, `runs/pocket-m.en.s3/train`."""
    folder: Path
    inputs: Mapping[str, Any]
    """All that decides the result. A key `path` is shown in messages and not fingerprinted: what lies there is."""

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(_without_paths(self.inputs))

    def result(self) -> dict[str, Any] | None:
        """What `finish` was given; None when the step is not finished.

        Raises:
            StaleStep: it is finished with other inputs.
        """
        marker = read_json(self.folder / MARKER)
        if marker is None:
            return None
        if marker["fingerprint"] != self.fingerprint:
            changes = "; ".join(differences(marker["inputs"], canonical(self.inputs)))
            raise StaleStep(f"{self.name} is stale: {changes}. Move the folder or rename the study.")
        outputs: dict[str, Any] = marker["outputs"]
        return outputs

    def done(self) -> bool:
        """Is the step finished, with these inputs? Finished with other inputs is not."""
        marker = read_json(self.folder / MARKER)
        return marker is not None and marker["fingerprint"] == self.fingerprint

    def begin(self) -> None:
        """Make the folder ready. What an earlier, killed start left is kept only if it had the same inputs."""
        started = read_json(self.folder / STARTED)
        if started is None or started["fingerprint"] != self.fingerprint:
            if self.folder.exists():
                shutil.rmtree(self.folder)
            write_json(self.folder / STARTED, {"fingerprint": self.fingerprint}, durable=False)
        remove_leftovers(self.folder, below=True)
        (self.folder / MARKER).unlink(missing_ok=True)

    def finish(self, **outputs: Any) -> None:
        """Write the marker, after all files of the folder are on the disk. `outputs`: facts about the result."""
        (self.folder / STARTED).unlink(missing_ok=True)
        sync_folder(self.folder)
        marker = {"fingerprint": self.fingerprint, "inputs": canonical(self.inputs), "outputs": outputs}
        write_json(self.folder / MARKER, marker)


def _without_paths(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_paths(element) for key, element in value.items() if key != "path"}
    return value


def differences(was: Any, now: Any) -> list[str]:
    """One phrase per changed field: `training.learning_rate was 1e-05, the study says 1e-04`."""
    return list(_differences(was, now, ""))


def _differences(was: Any, now: Any, path: str) -> Iterator[str]:
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in sorted({*was, *now}):
            inner = f"{path}.{key}" if path else key
            if key not in was:
                yield f"{inner} was not given, the study says {_show(now[key])}"
            elif key not in now:
                yield f"{inner} was {_show(was[key])}, the study does not give it"
            else:
                yield from _differences(was[key], now[key], inner)
    elif was != now or type(was) is not type(now):
        yield f"{path} was {_show(was)}, the study says {_show(now)}"


def _show(value: Any) -> str:
    """Short, as a study file would have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value != 0 and not 1e-3 <= abs(value) < 1e6:
        digits, exponent = f"{value:e}".split("e")
        return f"{digits.rstrip('0').rstrip('.')}e{exponent}"
    if isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key} = {_show(element)}" for key, element in value.items()) + "}"
    elif isinstance(value, (list, tuple)):
        text = "[" + ", ".join(map(_show, value)) + "]"
    else:
        text = "none" if value is None else str(value)
    return text if len(text) <= 200 else text[:197] + "..."
