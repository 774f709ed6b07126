"""The base model that the configuration of a LoRA adapter names.

An adapter in the folder of a study names a local base model by a path relative to the adapter, because an absolute path
would contain names of the machine, and a path relative to the working directory would be wrong in any other. It is
resolved here, so that adapters of a study that was moved still find their base model.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from crosslift.errors import EvaluationError
from crosslift.pocket import checkpoints


def base_of(adapter: Path) -> tuple[str, str | None]:
    """Determine the base model of an adapter.

    Args:
        adapter: folder of the adapter.

    Returns:
        Local folder or hub name, and the revision of a hub model.

    Raises:
        EvaluationError: the configuration names no base model, or a folder that does not exist.
        UnknownName: it names a pocket model that does not exist.
    """
    file = adapter / "adapter_config.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    name, revision = settings.get("base_model_name_or_path"), settings.get("revision")
    if not name:
        raise EvaluationError(f"{file} names no base model. Give `base`.")
    name = str(name)
    if name.startswith("pocket:"):
        return str(checkpoints.folder(name.removeprefix("pocket:"))), None
    if name in (".", "..") or name.startswith(("./", "../")):
        # Without the file system: parts of the path may be links to other disks.
        folder = os.path.normpath(adapter.absolute() / name)
        if not Path(folder).is_dir():
            raise EvaluationError(
                f"{file} names the base model {name}, which is not a folder. Restore it, or give `base`."
            )
        return folder, None
    return name, None if revision is None else str(revision)
