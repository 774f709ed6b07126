"""Exception hierarchy of crosslift.

    CrossliftError
    |-- StudyError (ValueError)            the study or site file is invalid
    |-- CorpusError (ValueError)           a parallel corpus cannot be read, or is not parallel
    |-- MixtureError (ValueError)          a mixture cannot be drawn as specified
    |-- UnknownName (LookupError)          no language, task, reader ... has that name
    |-- TemplateError (ValueError)         a chat template does not separate prompt from completion
    |-- ModelError (ValueError)            the files of a base model are damaged or in an unsupported format
    |-- TrainingError (RuntimeError)       a run cannot be trained (diverged, unreadable base model)
    |-- EvaluationError (RuntimeError)     predictions or scores cannot be computed
    |-- EndpointError (ConnectionError)    an endpoint rejects every request
    |-- TransferError (ValueError)         a contrast is not estimable from the available scores
    |-- MissingPackage (ImportError)       a package of an extra is not installed
    |-- NotPrepared (RuntimeError)         the prepared data do not match the study file
    |-- LeaseHeld (RuntimeError)           another process holds the lease
    `-- StoreError (OSError)               the folder of a study cannot be read or written

Each message names the problem, its location and the remedy. The command line prints these errors without a traceback
and exits with code 2; any other exception is a bug in crosslift and keeps its traceback.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence


class CrossliftError(Exception):
    """Base class of the errors that a user can act on."""


class StudyError(CrossliftError, ValueError):
    """The study or site file is invalid. `problems` holds every problem found; the message has one per line."""

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class CorpusError(CrossliftError, ValueError):
    """A parallel corpus cannot be read, or is not parallel."""


class MixtureError(CrossliftError, ValueError):
    """A mixture cannot be drawn as specified."""


class UnknownName(CrossliftError, LookupError):
    """No member of that kind has that name."""


class TemplateError(CrossliftError, ValueError):
    """A chat template does not separate prompt from completion."""


class ModelError(CrossliftError, ValueError):
    """The files of a base model are damaged or in an unsupported format."""


class TrainingError(CrossliftError, RuntimeError):
    """A run cannot be trained."""


class EvaluationError(CrossliftError, RuntimeError):
    """Predictions or scores cannot be computed."""


class EndpointError(CrossliftError, ConnectionError):
    """An endpoint rejects every request."""


class TransferError(CrossliftError, ValueError):
    """A contrast is not estimable from the available scores."""


class MissingPackage(CrossliftError, ImportError):
    """A package of an extra is not installed."""


class NotPrepared(CrossliftError, RuntimeError):
    """The prepared data do not match the study file, which was changed since."""


class LeaseHeld(CrossliftError, RuntimeError):
    """Another process holds the lease."""


class StoreError(CrossliftError, OSError):
    """The folder of a study cannot be read or written."""


MAX_SHOWN = 200
"""Maximum number of characters of a name or value in a message."""


def visible(text: str, limit: int | None = None) -> str:
    """Escape the control and bidirectional formatting characters of a text for display.

    A terminal interprets control characters, so a name in a downloaded file could clear the screen or change the
    window title; bidirectional formatting characters could reverse the displayed text.

    Args:
        text: the text to display.
        limit: maximum length in characters of a name or value inside a message; longer text is truncated and line
            feeds are escaped. None: the text is a complete message, whose line feeds and tabs are kept.

    Returns:
        The escaped text.
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
"""Zero-width joiners, which the orthographies of Persian and Indic languages require."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the closest known word.

    Args:
        word: the unknown word.
        known: the valid words.

    Returns:
        A sentence such as `" Did you mean 'sw'?"`; an empty string if no known word is similar.
    """
    if len(word) > MAX_SHOWN:  # the comparison is quadratic in the length
        return ""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""
