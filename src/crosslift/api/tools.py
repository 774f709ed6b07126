"""What the command line does beside studies: list names, import results of other tools, translate corpora."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosslift.api.failures import user_errors
from crosslift.api.running import nothing

if TYPE_CHECKING:
    import polars as pl

    from crosslift.corpora.corpus import ParallelCorpus
    from crosslift.importing.results import Results
    from crosslift.transfer.answers import Analysis
    from crosslift.translation.estimate import Estimate
    from crosslift.translation.translate import Outcome


@user_errors()
def members(kind: str) -> dict[str, str]:
    """List the members of a kind.

    Args:
        kind: "reader", "check", "task", "metric", "generator", "trainer", "translator", "format", "analysis",
            "executor" or "preset".

    Returns:
        Name -> one sentence on what it is; for presets, the question of the study.

    Raises:
        UnknownName: there is no such kind.
    """
    from crosslift import discover
    from crosslift.errors import UnknownName, did_you_mean

    if kind == "preset":
        import tomllib

        from crosslift.studies.presets import preset_names, preset_text, scales_of

        texts = {name: preset_text(name, scales_of(name)[0]) for name in preset_names()}
        return {name: str(tomllib.loads(text).get("question", "")) for name, text in texts.items()}
    if kind not in discover.PACKAGES:
        known = (*discover.PACKAGES, "preset")
        raise UnknownName(f"'{kind}' is not a kind of member.{did_you_mean(kind, known)} Known: {', '.join(known)}.")
    return {name: discover.summary(kind, name) for name in discover.members(kind)}


@user_errors()
def languages_by_tag() -> dict[str, str]:
    """List the languages that have a file: tag -> English name. Further ones work without."""
    from crosslift.languages.language import language, tags

    return {tag: language(tag).name for tag in tags()}


@user_errors()
def check_language(file: str | Path) -> list[str]:
    """Check a file of a language, `<tag>.toml`, against CLDR, and that answers in its words are read.

    Args:
        file: path of the file.

    Returns:
        One sentence per problem; empty if there are none.

    Raises:
        UnknownName: there is no such file, or its name is no language tag.
    """
    from crosslift.errors import UnknownName
    from crosslift.languages.coverage import problems_of_file

    if not Path(file).is_file():
        raise UnknownName(f"there is no file {file}. Correct the path.")
    return problems_of_file(Path(file))


@user_errors()
def study_schema() -> dict[str, Any]:
    """Return the JSON Schema of the study file, as a dictionary of JSON types."""
    from crosslift.studies.parsing.load import json_schema

    return json_schema()


@dataclass(frozen=True, kw_only=True)
class ImportedResults:
    """Results of other tools in the tables of crosslift."""

    name: str
    results: Results
    """`.runs`, `.cells` (one row per run, evaluation, metric and language, with value, num_items, standard_error) and
    `.scores` (one row per sample; empty if the source has means only)."""
    analyses: tuple[Analysis, ...]
    """The answers to the questions of the mapping."""
    page: Path | None
    """The HTML page; None if no folder was given."""

    def answers(self) -> pl.DataFrame:
        """Return one row per answer: analysis, question, about, measure, value, low, high, printed, reproduces,
        verdict, num_runs, runs and note."""
        import polars as pl

        from crosslift.transfer.answers import ANSWERS, answer_table

        return answer_table(list(self.analyses)) if self.analyses else pl.DataFrame(schema=ANSWERS)


@user_errors()
def import_results(
    mapping: str | Path,
    folder: str | Path | None = None,
    *,
    data: str | Path | None = None,
    progress: Callable[[str], None] = nothing,
) -> ImportedResults:
    """Import results of other tools, and run the analyses of the mapping.

    Args:
        mapping: TOML file that maps the columns; see docs/importing.md.
        folder: folder to write tables, analyses and the page to; None to write nothing.
        data: base folder of the mapping's paths; default: the mapping's folder.
        progress: receives one line per step and answer.

    Returns:
        Tables and answers.

    Raises:
        StudyError: the mapping is invalid; all problems are listed.
        TransferError: the results cannot be read, or lack what an analysis requires.
    """
    from crosslift.importing.ask import run_analyses
    from crosslift.importing.head import page_header
    from crosslift.importing.mapping import load_import
    from crosslift.importing.results import read_results, write_results
    from crosslift.reporting.questions.page import write_page
    from crosslift.system.files import expect_folder, remove_leftovers
    from crosslift.system.leases import waiting_lease

    if folder is not None:
        expect_folder(Path(folder))
    definition = load_import(Path(mapping), data=None if data is None else Path(data))
    results = read_results(definition)
    progress(
        f"{definition.name}: {results.runs.height} runs, {results.cells.height:,} cells"
        + (f", {results.scores.height:,} scores of samples" if results.scores.height else "")
    )
    analysed = run_analyses(definition, results, say=progress)
    page = None
    if folder is not None:
        place = Path(folder)
        with waiting_lease(place):
            remove_leftovers(place, below=True)
            write_results(place, definition, results)
            page = write_page(place, page_header(definition, results), analysed)
    return ImportedResults(name=definition.name, results=results, analyses=tuple(analysed), page=page)


@dataclass(frozen=True, kw_only=True)
class TranslatedCorpus:
    """A translated corpus."""

    corpus: ParallelCorpus
    """The source."""
    languages: tuple[str, ...]
    estimate: Estimate
    """Texts, tokens and cost, estimated before the translation."""
    outcome: Outcome | None
    """Requests, tokens, scores and the items set aside; None if only the estimate was requested."""


@user_errors()
def translate(
    recipe: str | Path,
    folder: str | Path,
    *,
    site: str | Path = "site.toml",
    data: str | Path | None = None,
    dry_run: bool = False,
    progress: Callable[[str], None] = nothing,
) -> TranslatedCorpus:
    """Translate a corpus into further languages, preserving and verifying gold answers.

    A repeated call resumes an interrupted one and sends no request twice.

    Args:
        recipe: TOML file, or the name of a recipe.
        folder: output folder, with one file per language.
        site: site file with the table [translation].
        data: path of the source; overrides the path in the recipe.
        dry_run: only estimate the cost.
        progress: receives lines of progress.

    Returns:
        The source, the estimate and the outcome.

    Raises:
        StudyError: the recipe or the site file is invalid.
        CorpusError: the source cannot be read.
        EndpointError: the endpoint rejects the requests.
    """
    from crosslift.corpora.ingest import read_checked
    from crosslift.discover import member
    from crosslift.system.files import expect_folder
    from crosslift.system.leases import waiting_lease
    from crosslift.translation import translate as work
    from crosslift.translation.estimate import estimate
    from crosslift.translation.output import manifest_of, write
    from crosslift.translation.recipe import load_recipe, load_service

    place, target = Path(site), Path(folder)
    expect_folder(target)
    loaded = load_recipe(Path(recipe), data=None if data is None else Path(data))
    service = load_service(place)
    corpus = read_checked(loaded.source).corpus
    items = work.items_of(corpus)
    expected = estimate(loaded, service, items)
    cost = "" if expected.cost is None else f", about {expected.cost:,.2f} at the site's prices"
    progress(
        f"{corpus.num_items} items into {', '.join(loaded.languages)}: {expected.num_texts:,} texts, about "
        f"{expected.num_prompt_tokens:,} prompt tokens and {expected.num_completion_tokens:,} completion tokens{cost}"
    )
    outcome = None
    if not dry_run:
        module = member("translator", service.translator)
        translator = module.Translator(service.options, place=f"{place.name}, translation")
        origin = str(corpus.rows["origin"][0])
        with waiting_lease(target) as lease:
            outcome = work.translate(loaded, items, translator, target, origin=origin, say=progress, check=lease.check)
            write(target, outcome, manifest_of(loaded, corpus, translator.name, outcome))
    return TranslatedCorpus(corpus=corpus, languages=loaded.languages, estimate=expected, outcome=outcome)
