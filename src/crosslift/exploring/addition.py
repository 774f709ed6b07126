"""New mixtures of an exploration in the study file.

They are appended to study.toml as a block of their own, under a comment, after the whole text has passed all checks;
the text that was there stays as it is, byte for byte. So `run`, `status`, `check`, `report`, definitions and archives
know them like any mixture, and a user may edit or remove them. An arm keeps them out of the grid.
"""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Sequence

from crosslift.errors import StoreError, StudyError
from crosslift.recommendation.pattern import Pattern, mixture_toml
from crosslift.studies.parsing.load import FILE, load
from crosslift.studies.study import Study
from crosslift.system.files import atomic_write, read_bytes
from crosslift.transfer.model.observations import Amounts

PREFIX = "explored"
_NUMBER = re.compile(rf"{PREFIX}-(\d+)(-\d+)?", re.IGNORECASE)


def append_batch(
    study: Study, pattern: Pattern, mixtures: Sequence[Amounts], *, unit: str, model: str
) -> list[tuple[str, Amounts]]:
    """Append new mixtures to the study file, as an arm of one model with the first seed of the grid.

    Args:
        study: the study.
        pattern: how its mixtures are built.
        mixtures: amounts per language of the new mixtures.
        unit: unit of the amounts.
        model: name of the model.

    Returns:
        Name of each mixture with its amounts.

    Raises:
        StudyError: the study file cannot be extended; it is unchanged.
        StoreError: it was changed by somebody else in the meantime, or cannot be written.
    """
    before = content_of(study)
    number = 1 + max((int(found[1]) for name in _names(before) if (found := _NUMBER.fullmatch(name))), default=0)
    names = [f"{PREFIX}-{number}-{place}" for place in range(1, len(mixtures) + 1)]
    lines = [f"# Batch {number} of crosslift explore: mixtures beside the grid. They may be edited or removed.", ""]
    for name, amounts in zip(names, mixtures, strict=True):
        lines += [mixture_toml(study, pattern, amounts, unit=unit, model=model, name=name)]
    lines += [f"[arms.{PREFIX}-{number}]", f"models = [{json.dumps(model)}]"]
    lines += [f"mixtures = {json.dumps(names)}", f"seeds = [{study.seeds[0]}]"]
    end = b"\n" if before.endswith(b"\n") else b"\n\n"
    replace_content(study, before, before + end + ("\n".join(lines) + "\n").encode())
    return list(zip(names, mixtures, strict=True))


def replace_content(study: Study, before: bytes, after: bytes) -> None:
    """Replace the content of the study file by one that passes all checks.

    Args:
        study: the study.
        before: the content that the new one was made of.
        after: the new content.

    Raises:
        StudyError: the new content is not a valid study file; the file is unchanged.
        StoreError: the file is no longer what it was, or cannot be written.
    """
    file = (study.folder / FILE).resolve()  # a link stays a link
    with atomic_write(file) as temporary:
        temporary.write_bytes(after)
        shutil.copymode(file, temporary)
        try:
            load(temporary, folder=study.folder)
        except StudyError as error:
            raise StudyError(
                [
                    f"{FILE} cannot be extended by the mixtures of an exploration, and is unchanged. Write mixtures "
                    "and arms as tables of the form [mixtures.<name>].",
                    *str(error).splitlines(),
                ]
            ) from error
        if read_bytes(file) != before:
            raise StoreError(f"{file} was edited while its next mixtures were chosen. Start again.")


def content_of(study: Study) -> bytes:
    """Return the present content of the study file.

    Raises:
        StoreError: it is gone.
    """
    found = read_bytes(study.folder / FILE)
    if found is None:
        raise StoreError(f"{study.folder / FILE} is gone. Restore it and start again.")
    return found


def _names(content: bytes) -> list[str]:
    raw = tomllib.loads(content.decode("utf-8-sig"))
    return [name for kind in ("mixtures", "families", "arms") for name in raw.get(kind, {})]
