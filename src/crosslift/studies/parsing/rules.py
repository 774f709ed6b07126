"""Validation across the tables of a study file: references, names and constraints that need no corpus."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from crosslift.discover import member, members
from crosslift.errors import visible
from crosslift.mixtures.mixture import Mixture
from crosslift.studies.parsing.data_rules import check_corpus, check_model, known_member
from crosslift.studies.parsing.evaluation_rules import check_evaluation
from crosslift.studies.parsing.families.rules import no_duplicate_mixtures
from crosslift.studies.parsing.limits import check_limits
from crosslift.studies.parsing.mixture_rules import check_mixtures
from crosslift.studies.parsing.problems import Problems, some
from crosslift.studies.parsing.schema.evaluations import corpora_of
from crosslift.studies.parsing.schema.grid import ArmTable, ContrastTable, GridTable
from crosslift.studies.parsing.schema.training import TrainingTable
from crosslift.studies.parsing.tables import Tables, treatments
from crosslift.training.requests import precision_problems

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]*")
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
RESERVED = re.compile(r"con|prn|aux|nul|com\d|lpt\d", re.IGNORECASE)
MAX_NAME = 120
"""Characters of a run name. File systems allow 255 bytes, some of which are needed for suffixes."""


def check(tables: Tables, problems: Problems) -> None:
    """Record every problem that concerns several tables. Tables that failed schema validation are skipped.

    Args:
        tables: The tables of the study file.
        problems: The list to which problems are added.
    """
    _names(tables, problems)
    check_limits(tables, problems)
    for name, model in tables.models.items():
        if model is not None:
            check_model(f"models.{name}", model, tables.folder, problems)
    for name, corpus in tables.corpora.items():
        if corpus is not None:
            check_corpus(f"corpora.{name}", corpus, tables.folder, problems)
    check_mixtures(tables, problems)
    for name, evaluation in tables.evaluations.items():
        if evaluation is not None:
            check_evaluation(f"evaluations.{name}", evaluation, tables, problems)
    if tables.grid is not None:
        _grid(tables.grid, tables, problems)
    for name, arm in tables.arms.items():
        if arm is not None:
            _block(f"arms.{name}", arm, tables, problems)
    if tables.training is not None:
        _training(tables.training, tables, problems)
    for i, contrast in enumerate(tables.contrasts):
        if contrast is not None:
            _contrast(f"contrasts[{i}]", contrast, tables, problems)


def _names(tables: Tables, problems: Problems) -> None:
    """Check names, which become names of folders: no path separators, no names that differ only in case."""
    places = [("name", tables.head.name)] if tables.head is not None else []
    for kind in ("corpora", "mixtures", "families", "evaluations", "arms"):
        places += [(f"{kind}.{name}", name) for name in getattr(tables, kind)]
    for place, name in places:
        if not NAME.fullmatch(name):
            shown = visible(name, MAX_NAME)
            problems.add(place, f"'{shown}' is not a usable name: letters, digits, '_', '+' and '-' only. Rename it.")
        elif RESERVED.fullmatch(name):
            problems.add(place, f"'{name}' is a reserved device name on Windows. Rename it.")
        elif len(name) > MAX_NAME:
            problems.add(place, f"has {len(name):,} characters; the limit is {MAX_NAME}. Shorten the name.")
    for name in tables.models:
        if not MODEL_NAME.fullmatch(name):
            problems.add(
                f"models.{name}",
                f"'{visible(name, MAX_NAME)}' is not a usable name: letters, digits, '_', '.', '+' and '-' only. "
                "Rename it.",
            )
    for name in tables.families:
        if name in tables.mixtures:
            problems.add(f"families.{name}", "a mixture has the same name. Rename one of them.")
    if "base" in (*tables.mixtures, *tables.families):
        problems.add("mixtures.base", "'base' is the name of the base model. Rename the mixture.")
    mixtures = [mixture.name for group in tables.expanded.values() for mixture in group]
    _unique("mixtures", mixtures, problems)
    _unique("models", tables.models, problems)
    _unique("corpora", tables.corpora, problems)
    _unique("evaluations", tables.evaluations, problems)
    longest = f"{max(tables.models, key=len, default='')}.{max(mixtures, key=len, default='')}"
    if len(longest) > MAX_NAME:
        problems.add(
            "",
            f"the run name '{visible(longest, 2 * MAX_NAME)}' is longer than {MAX_NAME} characters. Shorten the names "
            "of models or families.",
        )


def _unique(kind: str, names: Iterable[str], problems: Problems) -> None:
    for name, count in Counter(name.lower() for name in names).items():
        if count > 1:
            problems.add(
                kind, f"{count} entries are named '{name}' (ignoring case), so runs would share a name. Rename one."
            )


def _grid(table: GridTable, tables: Tables, problems: Problems) -> None:
    _block("grid", table, tables, problems)
    if not tables.mixtures and not tables.families and not table.base:
        problems.add(
            "", "the grid has no runs. Add [mixtures.<name>] or [families.<name>], or set base = true under [grid]."
        )
    _check_evaluated(tables, problems)


def _block(place: str, table: GridTable | ArmTable, tables: Tables, problems: Problems) -> None:
    for i, name in enumerate(table.models or []):
        problems.reference(f"{place}.models[{i}]", "model", name, tables.models)
    hidden = _hidden(tables)
    for i, name in enumerate(table.mixtures or []):
        if not name.startswith(hidden):
            problems.reference(f"{place}.mixtures[{i}]", "mixture or family", name, tables.mixture_names())
    no_duplicate_mixtures(f"{place}.models", table.models or [], problems)
    no_duplicate_mixtures(f"{place}.mixtures", table.mixtures or [], problems)
    no_duplicate_mixtures(f"{place}.seeds", table.seeds or [], problems)


def _hidden(tables: Tables) -> tuple[str, ...]:
    """Return the names of invalid mixtures and families; references that begin with one of them are not checked."""
    return tuple(name for kind in (tables.mixtures, tables.families) for name, entry in kind.items() if entry is None)


def _check_evaluated(tables: Tables, problems: Problems) -> None:
    """Record mixtures that train a task without an evaluation."""
    tables_of = [
        tables.corpora.get(name)
        for table in tables.evaluations.values()
        if table is not None
        for name in corpora_of(table)
    ]
    evaluated = {corpus.task for corpus in tables_of if corpus is not None}
    if None in tables_of or None in tables.evaluations.values():
        return
    idle: dict[str, list[str]] = {}
    for mixture in _of_blocks(tables):
        tasks = _tasks(tables, mixture)
        if tasks and not tasks & evaluated and not _asks_every_run(tables):
            idle.setdefault(" and ".join(sorted(tasks)), []).append(mixture.name)
    for task, names in idle.items():
        problems.add("evaluations", f"there is no evaluation of {task}, which {some(names)} train on. Add one.")


def _asks_every_run(tables: Tables) -> bool:
    """Return whether an evaluation is asked of runs that were not trained on its task."""
    for table in tables.evaluations.values():
        corpus = None if table is None else tables.corpora.get(corpora_of(table)[0])
        if table is None or corpus is None or corpus.task not in members("task"):
            continue
        if table.runs == "all" or (table.runs is None and hasattr(member("task", corpus.task), "score_row")):
            return True
    return False


def _tasks(tables: Tables, mixture: Mixture) -> set[str]:
    """Return the tasks that a mixture trains on; empty if a corpus is invalid, which has been recorded elsewhere."""
    corpora = [tables.corpora.get(name) for name in mixture.corpora]
    tasks = {"" if corpus is None else corpus.task for corpus in corpora}
    return tasks if tasks <= {*members("task")} else set()


def _of_blocks(tables: Tables) -> list[Mixture]:
    """Return the mixtures of the grid and all arms."""
    return [mixture for name in tables.named_mixtures() for mixture in tables.members(name)]


def _training(table: TrainingTable, tables: Tables, problems: Problems) -> None:
    known_member("training.trainer", "trainer", table.trainer, problems)
    for first, second in (("epochs", "steps"), ("batch_examples", "batch_tokens")):
        if (getattr(table, first) is None) == (getattr(table, second) is None):
            problems.add("training", f"needs {first} or {second}, and not both. Remove one or add one.")
    if table.lora is not None and table.method != "lora":
        problems.add("training.lora", 'has no effect with method = "full". Remove it, or set method = "lora".')
    for key, sentence in precision_problems(table):
        problems.add(f"training.{key}", sentence)
    if table.validate_every is not None and table.validate_every_steps is not None:
        problems.add("training.validate_every_steps", "is given beside validate_every. Remove one of them.")
    validation = table.validation
    if validation is None:
        _without_validation(table, problems)
        return
    for i, name in enumerate(validation.corpora):
        here = f"training.validation.corpora[{i}]"
        if problems.reference(here, "corpus", name, tables.corpora):
            corpus = tables.corpora[name]
            if corpus is not None and corpus.split == "train":
                problems.add(here, f"'{name}' is the train split. Validate on held-out items.")
    if table.select_by == "last" or any(tables.corpora.get(name) is None for name in validation.corpora):
        return
    mixtures = [mixture for mixture in _of_blocks(tables) if _tasks(tables, mixture)]
    blind = [mix.name for mix in mixtures if not any(_validates(tables, name, mix) for name in validation.corpora)]
    if blind:
        problems.add(
            "training.validation",
            f"has no item in a language and task of {some(blind)}, whose checkpoints cannot be selected by "
            f'{table.select_by}. Add a corpus, or set select_by = "last".',
        )


def _without_validation(table: TrainingTable, problems: Problems) -> None:
    """Record keys that have no meaning without validation data."""
    if table.select_by != "last":
        problems.add(
            "training.select_by",
            f'"{table.select_by}" requires validation data. Add validation = {{ corpora = [...] }}.',
        )
    for key in ("validate_every", "validate_every_steps"):
        if getattr(table, key) is not None:
            problems.add(f"training.{key}", "requires validation data. Add validation = { corpora = [...] }.")


def _validates(tables: Tables, name: str, mixture: Mixture) -> bool:
    corpus = tables.corpora[name]
    if corpus is None or corpus.task not in _tasks(tables, mixture):
        return False
    return any(tag in corpus.languages for tag in mixture.languages)


def _contrast(place: str, table: ContrastTable, tables: Tables, problems: Problems) -> None:
    mixtures = {mixture.name: mixture for group in tables.expanded.values() for mixture in group}
    named = tables.named_mixtures()
    grid = {*named, *(mixture.name for mixture in _of_blocks(tables))}
    if any(not tables.members(name) for name in named):
        grid |= {*mixtures, *tables.families}  # the list itself is invalid, which has been recorded
    hidden = _hidden(tables)
    others = [other for other in tables.contrasts if other is not None and other is not table]
    if any(other.name == table.name for other in others):
        problems.add(place, f"another contrast has the name '{table.name}' too. Rename one.")

    control = mixtures.get(table.control)
    if table.control == "base":
        blocks = [tables.grid, *tables.arms.values()]
        if None not in blocks and not any(block.base for block in blocks if block is not None):
            problems.add(f"{place}.control", "the base models are not in the grid. Set base = true under [grid].")
    elif table.control in tables.families:
        first = [mixture.name for mixture in tables.expanded.get(table.control, ())]
        problems.add(
            f"{place}.control", f"'{table.control}' is a family. Name one of its mixtures: {', '.join(first)}."
        )
    elif not table.control.startswith(hidden) and problems.reference(
        f"{place}.control", "mixture", table.control, mixtures
    ):
        _in_grid(f"{place}.control", table.control, grid, problems)

    for i, name in enumerate(table.treatments):
        here = f"{place}.treatments[{i}]"
        if name.startswith(hidden) or not problems.reference(
            here, "mixture or family", name, [*mixtures, *tables.families]
        ):
            continue
        _in_grid(here, name, grid, problems)
        treatment = mixtures.get(name)
        if treatment is None:
            if not treatments(table, tables.expanded):
                problems.add(
                    here, f"family '{name}' has no mixture to compare with '{table.control}'. Name another family."
                )
        elif treatment is control:
            problems.add(here, f"'{name}' is compared with itself. Remove it.")
        elif (
            control is not None
            and (ours := _tasks(tables, control))
            and (theirs := _tasks(tables, treatment))
            and not ours & theirs
            and not _asks_every_run(tables)
        ):
            problems.add(here, f"'{name}' and '{control.name}' have no task in common. Compare mixtures of one task.")


def _in_grid(place: str, name: str, grid: set[str], problems: Problems) -> None:
    if name not in grid:
        problems.add(place, f"'{name}' is not in grid.mixtures, so no run has it. Add it there, or to an arm.")
