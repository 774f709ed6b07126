"""Optional dependencies: the extra that installs each package, and the error for a missing one.

Writing study files and checking corpora requires neither torch nor the plotting packages. An import that fails because
its extra is not installed is not a bug: the command line and the workers report it in one line. Code that counts or
collects all other exceptions wraps such imports in `optional`.
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
        "tensorboard": "trackers",
        "trackio": "trackers",
        "wandb": "trackers",
        "openai": "endpoint",
        "datasets": "hub",
        "huggingface_hub": "hub",
        "trl": "trl",
        "submitit": "slurm",
        "ray": "ray",
        "lm_eval": "harness",
        "torchao": "low-memory",
    }
)
"""Import name -> extra of pyproject.toml that installs it."""


def missing(error: ImportError) -> MissingPackage | None:
    """Convert a failed import into an error that names the extra to install.

    Args:
        error: the exception of the import statement.

    Returns:
        The error to raise; None if the import failed for any reason other than an extra that is not installed.
    """
    package = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or package not in EXTRA_OF:
        return None
    extra = EXTRA_OF[package]
    return MissingPackage(
        f"This needs the package {package}, which is not installed. Run: pip install 'crosslift[{extra}]'"
    )


@contextmanager
def optional() -> Iterator[None]:
    """Context manager for imports of optional dependencies.

    Raises:
        MissingPackage: a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        found = missing(error)
        if found is None:
            raise
        raise found from None


def require(*packages: str) -> None:
    """Check that packages are installed, without importing them.

    Long-running commands call this before they start, so that they do not fail at the end for want of a package.

    Args:
        *packages: import names.

    Raises:
        MissingPackage: a package is not installed.
    """
    for package in packages:
        with optional():
            if find_spec(package) is None:
                raise ModuleNotFoundError(f"No module named '{package}'", name=package)
