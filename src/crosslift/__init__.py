"""crosslift: which languages, how much of each, for post-training a language model.

The public names are imported when they are used, so that `import crosslift` takes milliseconds and loads neither polars
nor torch. docs/python.md introduces them. `__init__.pyi` declares them for type checkers and editors: with imports in
this file, every module that reads the version would appear to import the whole package.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_MODULES = {
    "Budget": "crosslift.mixtures.mixture",
    "ComparedStudies": "crosslift.api.comparing.studies",
    "CompletedCorpus": "crosslift.api.making.completions",
    "Component": "crosslift.mixtures.mixture",
    "Cost": "crosslift.recommendation.question",
    "CrossliftError": "crosslift.errors",
    "DataPlan": "crosslift.api.making.data",
    "DrawnMixture": "crosslift.api.corpora",
    "ImportedResults": "crosslift.api.tools",
    "Mixture": "crosslift.mixtures.mixture",
    "Pilot": "crosslift.piloting.pilot",
    "PooledStudies": "crosslift.api.comparing.studies",
    "Question": "crosslift.recommendation.question",
    "RunOutcome": "crosslift.api.running",
    "Score": "crosslift.api.scoring",
    "Study": "crosslift.api.study",
    "StudyFigure": "crosslift.api.results",
    "StudyReader": "crosslift.api.reading",
    "StudyResults": "crosslift.api.results",
    "TranslatedCorpus": "crosslift.api.tools",
    "check_language": "crosslift.api.tools",
    "compare_studies": "crosslift.api.comparing.studies",
    "complete": "crosslift.api.making.completions",
    "draw_mixture": "crosslift.api.corpora",
    "import_results": "crosslift.api.tools",
    "languages_by_tag": "crosslift.api.tools",
    "make_data": "crosslift.api.making.data",
    "members": "crosslift.api.tools",
    "new_study": "crosslift.api.study",
    "open_study": "crosslift.api.study",
    "pilot": "crosslift.api.questions.piloting",
    "plan_data": "crosslift.api.making.data",
    "pool_studies": "crosslift.api.comparing.studies",
    "read_corpus": "crosslift.api.corpora",
    "read_review": "crosslift.api.making.reviews",
    "recognize_corpus": "crosslift.api.corpora",
    "review": "crosslift.api.making.reviews",
    "score": "crosslift.api.scoring",
    "study_schema": "crosslift.api.tools",
    "translate": "crosslift.api.tools",
}
"""Public name -> the module that defines it."""

__all__ = [
    "Budget",
    "ComparedStudies",
    "CompletedCorpus",
    "Component",
    "Cost",
    "CrossliftError",
    "DataPlan",
    "DrawnMixture",
    "ImportedResults",
    "Mixture",
    "Pilot",
    "PooledStudies",
    "Question",
    "RunOutcome",
    "Score",
    "Study",
    "StudyFigure",
    "StudyReader",
    "StudyResults",
    "TranslatedCorpus",
    "__version__",
    "check_language",
    "compare_studies",
    "complete",
    "draw_mixture",
    "import_results",
    "languages_by_tag",
    "make_data",
    "members",
    "new_study",
    "open_study",
    "pilot",
    "plan_data",
    "pool_studies",
    "read_corpus",
    "read_review",
    "recognize_corpus",
    "review",
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
