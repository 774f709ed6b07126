"""crosslift: which languages, how much of each, for post-training a language model.

The public names are imported when they are used, so that `import crosslift` takes milliseconds and loads neither polars
nor torch. docs/python.md introduces them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from crosslift.api.corpora import DrawnMixture as DrawnMixture
    from crosslift.api.corpora import draw_mixture as draw_mixture
    from crosslift.api.corpora import read_corpus as read_corpus
    from crosslift.api.reading import StudyReader as StudyReader
    from crosslift.api.results import StudyFigure as StudyFigure
    from crosslift.api.results import StudyResults as StudyResults
    from crosslift.api.running import RunOutcome as RunOutcome
    from crosslift.api.scoring import Score as Score
    from crosslift.api.scoring import score as score
    from crosslift.api.study import Study as Study
    from crosslift.api.study import new_study as new_study
    from crosslift.api.study import open_study as open_study
    from crosslift.api.tools import ImportedResults as ImportedResults
    from crosslift.api.tools import TranslatedCorpus as TranslatedCorpus
    from crosslift.api.tools import import_results as import_results
    from crosslift.api.tools import languages_by_tag as languages_by_tag
    from crosslift.api.tools import members as members
    from crosslift.api.tools import study_schema as study_schema
    from crosslift.api.tools import translate as translate
    from crosslift.errors import CrossliftError as CrossliftError
    from crosslift.mixtures.mixture import Budget as Budget
    from crosslift.mixtures.mixture import Component as Component
    from crosslift.mixtures.mixture import Mixture as Mixture

_MODULES = {
    "Budget": "crosslift.mixtures.mixture",
    "Component": "crosslift.mixtures.mixture",
    "CrossliftError": "crosslift.errors",
    "DrawnMixture": "crosslift.api.corpora",
    "ImportedResults": "crosslift.api.tools",
    "Mixture": "crosslift.mixtures.mixture",
    "RunOutcome": "crosslift.api.running",
    "Score": "crosslift.api.scoring",
    "Study": "crosslift.api.study",
    "StudyFigure": "crosslift.api.results",
    "StudyReader": "crosslift.api.reading",
    "StudyResults": "crosslift.api.results",
    "TranslatedCorpus": "crosslift.api.tools",
    "draw_mixture": "crosslift.api.corpora",
    "import_results": "crosslift.api.tools",
    "languages_by_tag": "crosslift.api.tools",
    "members": "crosslift.api.tools",
    "new_study": "crosslift.api.study",
    "open_study": "crosslift.api.study",
    "read_corpus": "crosslift.api.corpora",
    "score": "crosslift.api.scoring",
    "study_schema": "crosslift.api.tools",
    "translate": "crosslift.api.tools",
}
"""Public name -> the module that defines it."""

__all__ = [
    "Budget",
    "Component",
    "CrossliftError",
    "DrawnMixture",
    "ImportedResults",
    "Mixture",
    "RunOutcome",
    "Score",
    "Study",
    "StudyFigure",
    "StudyReader",
    "StudyResults",
    "TranslatedCorpus",
    "__version__",
    "draw_mixture",
    "import_results",
    "languages_by_tag",
    "members",
    "new_study",
    "open_study",
    "read_corpus",
    "score",
    "study_schema",
    "translate",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'crosslift' has no attribute '{name}'")
    found = getattr(import_module(_MODULES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List the public names, for completion."""
    return sorted({*globals(), *__all__})
