"""Every error that crosslift raises on purpose.

    CrossliftError
    |-- StudyError (ValueError)            the study or site file asks for something impossible
    |-- CorpusError (ValueError)           a parallel corpus cannot be read, or is not parallel
    |-- MixtureError (ValueError)          a mixture cannot be drawn as it is asked for
    |-- UnknownName (LookupError)          no language, task, reader ... of that name
    |-- TemplateError (ValueError)         a chat template does not separate prompt from completion
    |-- ModelError (ValueError)            the files of a base model are damaged, or in a form that is not read
    |-- TrainingError (RuntimeError)       a run cannot be trained (diverged, unreadable base model)
    |-- EvaluationError (RuntimeError)     predictions or scores cannot be made
    |-- EndpointError (ConnectionError)    an endpoint refuses to answer, whatever is asked
    |-- TransferError (ValueError)         a contrast is not estimable from the scores at hand
    |-- MissingPackage (ImportError)       a package of an extra is not installed
    |-- StaleStep (RuntimeError)           a finished step disagrees with what the study says now
    |-- LeaseHeld (RuntimeError)           somebody else is working on this step
    `-- StoreError (OSError)               the folder of a study cannot be read or written

A message says what is wrong, where, and what to do. The command line prints these without a traceback and exits with
code 2; any other exception is a bug of crosslift and keeps its traceback.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence


class CrossliftError(Exception):
    """Root of the errors that a user can act on."""


class StudyError(CrossliftError, ValueError):
    """The study or site file asks for something impossible. Holds every problem found, one per line."""

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class CorpusError(CrossliftError, ValueError):
    """A parallel corpus cannot be read, or is not parallel."""


class MixtureError(CrossliftError, ValueError):
    """A mixture cannot be drawn as it is asked for."""


class UnknownName(CrossliftError, LookupError):
    """No member of that kind has that name."""


class TemplateError(CrossliftError, ValueError):
    """A chat template does not separate prompt from completion."""


class ModelError(CrossliftError, ValueError):
    """The files of a base model are damaged, or in a form that is not read."""


class TrainingError(CrossliftError, RuntimeError):
    """A run cannot be trained."""


class EvaluationError(CrossliftError, RuntimeError):
    """Predictions or scores cannot be made."""


class EndpointError(CrossliftError, ConnectionError):
    """An endpoint refuses to answer, whatever is asked."""


class TransferError(CrossliftError, ValueError):
    """A contrast is not estimable from the scores at hand."""


class MissingPackage(CrossliftError, ImportError):
    """A package of an extra is not installed."""


class StaleStep(CrossliftError, RuntimeError):
    """A finished step disagrees with what the study says now."""


class LeaseHeld(CrossliftError, RuntimeError):
    """Somebody else is working on this step."""


class StoreError(CrossliftError, OSError):
    """The folder of a study cannot be read or written."""


MAX_SHOWN = 200
"""Characters of a name or value that are shown in a message."""


def visible(text: str, limit: int | None = None) -> str:
    """A text for a message: control characters and marks of direction as escapes.

    A terminal obeys control characters, so that a name in a downloaded file could clear the screen or change its title,
    and a mark of direction could turn a name round.

    Args:
        limit: for a name or value inside a message: it is cut to so many characters and stays in one line. None: for
            a whole message, whose line feeds and tabs stay.
    """
    if limit is not None and len(text) > limit:
        text = f"{text[:limit]}... ({len(text):,} characters)"
    if text.isascii() and text.isprintable():
        return text
    kept = "\n\t" if limit is None else ""
    return "".join(
        one
        if one in kept or unicodedata.category(one) not in _UNPRINTED or one in _JOINERS
        else one.encode("unicode_escape").decode("ascii")
        for one in text
    )


_UNPRINTED = ("Cc", "Cf", "Cs", "Zl", "Zp")
_JOINERS = "\u200c\u200d"
"""Formatting characters that Persian and Indic words are spelt with."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`" Did you mean 'sw'?"` for the nearest known word, or an empty string when nothing is near."""
    if len(word) > MAX_SHOWN:  # the comparison takes time that grows with the square of the length
        return ""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""
