"""The pilot study of a question, for Python and the command line alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosslift.api.failures import user_errors

if TYPE_CHECKING:
    from crosslift.piloting.pilot import Pilot
    from crosslift.recommendation.question import Cost, ObjectiveKind, Question


@user_errors()
def pilot(
    folder: str | Path,
    *,
    model: str,
    data: str | Path | None = None,
    reader: str = "jsonl",
    task: str = "math",
    data_languages: Sequence[str] = ("en",),
    options: Mapping[str, Any] | None = None,
    test: str | Path | None = None,
    larger: str | None = None,
    num_runs: int = 10,
    pilot_budget: float | None = None,
    num_test_items: int | None = None,
    seed: int = 0,
    languages: Iterable[str] = (),
    budget: float | None = None,
    costs: Mapping[str, float | Cost] | None = None,
    objective: ObjectiveKind = "mean",
    weights: Mapping[str, float] | None = None,
    at_least: Mapping[str, float] | None = None,
) -> Pilot:
    """Write a pilot study: few runs that tell most about a question, and what has to be translated for them.

    Args:
        folder: folder to write; must not exist or be empty.
        model: hub name or local path of the model of the pilot, or "pocket:<name>".
        data: training data that exist; None for readers that generate their items or read from the hub.
        reader: reader of the data.
        task: task of the data.
        data_languages: languages of the data; the first is the one to translate from, and the control.
        options: options of the reader.
        test: test data that exist; None to hold out a part of the data.
        larger: the model that is to be trained in the end, for an arm that is off at first.
        num_runs: training runs, the second seed of the control included.
        pilot_budget: cost that its translations may have; default: 30 % of the budget.
        num_test_items: items to test with; default: a quarter of what the pilot uses, at most 200.
        seed: seed of the random candidates.
        languages: languages to consider, besides the first of the data.
        budget: maximum cost of the final data.
        costs: language -> cost of one item, or a `Cost`; default: 1.
        objective: what the final choice maximises over the languages: "mean", "worst" or "weighted".
        weights: language -> weight, such as its users.
        at_least: language -> minimum score.

    Returns:
        What was written, with the commands to execute next.

    Raises:
        StudyError: an argument is invalid, or there are too few items; all problems are listed.
        CorpusError: the data cannot be read.
        StoreError: the folder is not empty.
    """
    from crosslift.recommendation.question import question_of

    return write_pilot(
        Path(folder),
        question_of(
            {
                "languages": languages,
                "budget": budget,
                "costs": costs,
                "objective": objective,
                "weights": weights,
                "at_least": at_least,
            }
        ),
        data=None if data is None else Path(data),
        reader=reader,
        task=task,
        data_languages=data_languages,
        options=options or {},
        test=None if test is None else Path(test),
        model=model,
        larger=larger,
        num_runs=num_runs,
        budget=pilot_budget,
        num_test_items=num_test_items,
        seed=seed,
    )


def write_pilot(
    folder: Path,
    question: Question,
    *,
    data: Path | None,
    reader: str,
    task: str,
    data_languages: Sequence[str],
    options: Mapping[str, Any],
    test: Path | None,
    prefix: str = "",
    **rest: Any,
) -> Pilot:
    """Write a pilot study, see `pilot`.

    Args:
        folder: folder to write.
        question: what is asked.
        data: training data.
        reader: reader of the data.
        task: task of the data.
        data_languages: languages of the data.
        options: options of the reader, as text or of their types.
        test: test data.
        prefix: of the names of options in messages, such as "--".
        **rest: further fields of `PilotRequest`.

    Returns:
        What was written.

    Raises:
        CrossliftError: see `pilot`.
    """
    from crosslift.corpora.corpus import Source
    from crosslift.discover import member
    from crosslift.errors import StudyError
    from crosslift.languages.tags import resolve_all
    from crosslift.piloting.pilot import make_pilot
    from crosslift.piloting.request import PilotRequest
    from crosslift.recommendation.observing.question_file import question_toml

    module = member("reader", reader)
    member("task", task)
    kinds = getattr(module, "OPTIONS", {})
    problems = [
        f"{prefix}option {key}: is not an option of reader '{reader}'. Known: {', '.join(kinds) or 'none'}."
        for key in options
        if key not in kinds
    ]
    needs_path = getattr(module, "NEEDS_PATH", None)
    if needs_path and data is None:
        problems.append(f"{prefix}data: reader '{reader}' reads a file. Name it.")
    if needs_path is False and (data is not None or test is not None):
        problems.append(f"{prefix}data: reader '{reader}' generates its items. Leave the paths out.")
    if problems:
        raise StudyError(problems)

    def source(path: Path | None, split: str) -> Source:
        return Source(
            name=split,
            reader=reader,
            task=task,
            languages=tuple(resolve_all(data_languages).values()),
            split=split,
            path=path,
            options={key: kinds[key](value) for key, value in options.items()},
        )

    request = PilotRequest(
        source=source(data, "train"),
        test=None if test is None else source(test, "test"),
        question=question,
        **rest,
    )
    return make_pilot(request, folder, question_text=question_toml, prefix=prefix)
