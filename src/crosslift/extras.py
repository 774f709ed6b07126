"""Packages that not every installation has: which extra brings each, and the error that says so.

Whoever writes study files and checks corpora needs neither torch nor the packages that draw figures. An import that
fails because its extra is not installed is no bug: the command line and the workers turn it into one line, and imports
at places where any other exception is counted or collected stand in `optional`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from types import MappingProxyType

from crosslift.errors import MissingPackage

EXTRA_OF: Mapping[str, str] = MappingProxyType(
    {
        "torch": "train",
        "transformers": "train",
        "tokenizers": "train",
        "peft": "train",
        "accelerate": "train",
        "safetensors": "train",
        "py3langid": "train",
        "rouge_score": "train",
        "nltk": "train",
        "sacrebleu": "train",
        "icu4py": "train",
        "scipy": "report",
        "altair": "report",
        "vl_convert": "report",
        "backports": "report",
        "openai": "endpoint",
        "datasets": "hub",
        "huggingface_hub": "hub",
    }
)
"""Import name -> extra of pyproject.toml that installs it."""


def missing(error: ImportError) -> MissingPackage | None:
    """The error for a package of an extra that is not installed; None where the import failed for another reason."""
    package = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or package not in EXTRA_OF:
        return None
    extra = EXTRA_OF[package]
    return MissingPackage(
        f"This needs the package {package}, which is not installed. Run: pip install 'crosslift[{extra}]'"
    )


@contextmanager
def optional() -> Iterator[None]:
    """Imports of packages of an extra.

    Raises:
        MissingPackage: one is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        found = missing(error)
        if found is None:
            raise
        raise found from None


def require(*packages: str) -> None:
    """Look whether packages are there, without importing them, before work begins that would need them at its end.

    Raises:
        MissingPackage: one is not installed.
    """
    for package in packages:
        with optional():
            if find_spec(package) is None:
                raise ModuleNotFoundError(f"No module named '{package}'", name=package)
