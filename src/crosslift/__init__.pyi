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

__version__: str
