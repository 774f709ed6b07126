"""Which kind of file system a folder lies on."""

from __future__ import annotations

import os
from pathlib import Path

LOCAL = frozenset(
    ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "tmpfs", "ramfs", "overlay", "squashfs", "apfs", "vfat")
)
"""File systems that only one machine sees, unless it exports them."""
MOUNTS = Path("/proc/self/mounts")


def file_system(path: Path) -> str:
    """Return the type of the file system of a path, such as "ext4", "nfs4" or "lustre".

    Args:
        path: a path; it need not exist.

    Returns:
        The type; "" if the system does not tell.
    """
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    found, longest = "", -1
    real = os.path.realpath(path)
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        place, kind = fields[1].encode().decode("unicode_escape"), fields[2]
        inside = real == place or real.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= longest:  # a later mount hides an earlier one
            found, longest = kind, len(place)
    return found


def is_local(path: Path) -> bool:
    """Return whether a path lies on a file system that other machines usually do not see."""
    return file_system(path) in LOCAL
