"""The study: a set of runs that differ only in the factors under study.

A `Study` is a study file with families expanded, defaults filled in and names resolved. It is independent of where it
runs (`site`) and of the layout of the study's folder.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from crosslift.corpora.corpus import Source
from crosslift.discover import member
from crosslift.fingerprint import fingerprint_file
from crosslift.mixtures.mixture import Mixture
from crosslift.studies.evaluation import Evaluation
from crosslift.studies.run import Model, Run
from crosslift.training.trainer import SFTConfig


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Held-out items for checkpoint selection. Every run is validated only in the languages of its mixture."""

    corpora: tuple[str, ...]
    max_items: int | None = None


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A comparison of each treatment with a control, declared before the runs."""

    name: str
    control: str
    """Name of a mixture, or "base"."""
    treatments: tuple[str, ...]
    """Names of mixtures. Families are expanded, without the control."""
    primary: bool = False

    def within(self, mixtures: Collection[str]) -> Contrast | None:
        """Restrict the contrast to mixtures that are run.

        Args:
            mixtures: Names of the mixtures that are run, and "base" if the base models are evaluated.

        Returns:
            The restricted contrast, or None if the control or all treatments are missing.
        """
        treatments = tuple(name for name in self.treatments if name in mixtures)
        if not treatments or self.control not in mixtures:
            return None
        return replace(self, treatments=treatments)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block of runs, models x mixtures x seeds: the grid or an arm."""

    name: str
    models: tuple[str, ...]
    mixtures: tuple[str, ...]
    seeds: tuple[int, ...]
    base: bool = False
    """Whether the block includes the base models."""
    enabled: bool = True
    separates: str = ""
    """The explanations that the arm distinguishes."""


@dataclass(frozen=True, kw_only=True)
class Study:
    name: str
    question: str
    hypothesis: str
    data_seed: int
    folder: Path
    models: dict[str, Model]
    """Models of enabled blocks only, as for `mixtures`. Paths are those of the study file, relative to `folder`."""
    corpora: dict[str, Source]
    prompts: dict[str, str]
    """Corpus -> published form of the prompt."""
    mixtures: dict[str, Mixture]
    blocks: tuple[Block, ...]
    """The grid, followed by all arms, including disabled ones."""
    training: SFTConfig
    validation: Validation | None
    evaluations: dict[str, Evaluation]
    contrasts: tuple[Contrast, ...]
    inactive: tuple[str, ...] = ()
    """Contrasts that require a disabled arm."""
    absent: tuple[str, ...] = ()
    """Messages about missing files of corpora and folders of models."""
    results: Path | None = None
    """Folder for the output of the study; None means `folder`."""
    paths: dict[str, str] = field(default_factory=dict)
    """Corpus -> path as written in the study file (`Source.path` is joined to `folder`), so that a study keeps its
    identity when it is moved to another machine."""
    tokenizers: dict[str, Model] = field(default_factory=dict)
    """All models of the study file, including those that are not run, because token budgets may refer to them."""

    @property
    def results_folder(self) -> Path:
        """Folder for the output of the study."""
        return self.results or self.folder

    @property
    def seeds(self) -> tuple[int, ...]:
        """All training seeds of enabled blocks, in the order of the blocks."""
        return tuple(dict.fromkeys(seed for block in self.blocks if block.enabled for seed in block.seeds))

    def runs(self) -> tuple[Run, ...]:
        """Return the runs of all enabled blocks, without duplicates.

        Returns:
            Runs ordered by block, model, mixture and seed. The base model precedes the mixtures, and a run that occurs
            in several blocks takes its first position.
        """
        runs = [run for block in self.blocks if block.enabled for run in self.runs_of(block)]
        return tuple({run.name: run for run in runs}.values())

    def runs_of(self, block: Block) -> tuple[Run, ...]:
        """Return the runs of an enabled block, including those that also occur in an earlier block."""
        runs: list[Run] = []
        for model in (self.models[name] for name in block.models):
            if block.base:
                runs.append(Run(model=model, mixture=None, seed=0))
            runs += [
                Run(model=model, mixture=self.mixtures[name], seed=seed)
                for name in block.mixtures
                for seed in block.seeds
            ]
        return tuple(runs)

    def tasks_of(self, mixture: Mixture) -> tuple[str, ...]:
        """Return the tasks that a mixture trains on, sorted."""
        return tuple(sorted({self.corpora[corpus].task for corpus in mixture.corpora}))

    def evaluations_of(self, run: Run) -> tuple[Evaluation, ...]:
        """Return the evaluations of a run: those of its training tasks and those of every run; all for a base model."""
        if run.mixture is None:
            return tuple(self.evaluations.values())
        tasks = self.tasks_of(run.mixture)
        return tuple(one for one in self.evaluations.values() if one.every_run or one.task in tasks)

    def validation_of(self, run: Run) -> dict[str, tuple[str, ...]]:
        """Return validation corpus -> languages for a run, restricted to the run's own tasks and languages."""
        if run.mixture is None or self.validation is None:
            return {}
        tasks = self.tasks_of(run.mixture)
        chosen = {}
        for corpus in self.validation.corpora:
            source = self.corpora[corpus]
            tags = tuple(tag for tag in source.languages if tag in run.mixture.languages)
            if source.task in tasks and tags:
                chosen[corpus] = tags
        return chosen

    def identity_of(self, run: Run) -> dict[str, Any]:
        """Return everything in the study file that determines the result of the run's training, and nothing else.

        The names of the study, run, mixture and family, other mixtures, contrasts, evaluations
        (`identity_of_evaluation`) and the site are excluded, so that adding a mixture changes no other run. The
        content of corpora and models is not known here; callers that compute a fingerprint add those of the content.
        """
        identity: dict[str, Any] = {"model": self._model(run.model)}
        if run.mixture is None:
            return identity
        mixture = run.mixture
        validation = self.validation_of(run)
        config = self.training.recorded()
        if config["validate_every_steps"] is None:  # so that studies without it keep their fingerprints
            del config["validate_every_steps"]
        identity |= {
            "data_seed": self.data_seed,
            "seed": run.seed,
            "mixture": self.identity_of_mixture(mixture),
            "corpora": {name: self.identity_of_corpus(name) for name in dict.fromkeys([*mixture.corpora, *validation])},
            "training": config,
            "validation": None
            if not validation or self.validation is None
            else {"corpora": validation, "max_items": self.validation.max_items},
        }
        if self.training.select_by == "score" and (selection := self._selection(run)):
            identity["selection"] = selection
        return identity

    def _selection(self, run: Run) -> dict[str, Any]:
        """Return how checkpoints are scored for selection, by the first evaluation of each task: settings that are not
        those of the task."""
        found: dict[str, Any] = {}
        for task in self.tasks_of(run.mixture) if run.mixture is not None else ():
            of_task = [one for one in self.evaluations_of(run) if one.task == task]
            if not of_task:
                continue
            first = of_task[0]
            usual_length = int(member("task", task).MAX_TOKENS)
            settings: dict[str, Any] = {
                "max_tokens": None if first.max_tokens == usual_length else first.max_tokens,
                "generator": None if first.generator == "hf" else first.generator,
                "require_language": any(one.require_language for one in of_task) or None,
                "stop": list(first.stop) or None,
                "shots": first.shots
                and {
                    "number": first.shots.number,
                    "corpora": {name: self.identity_of_corpus(name) for name in first.shots.corpora},
                },
            }
            if set_ := {key: value for key, value in settings.items() if value is not None}:
                found[task] = set_
        return found

    def identity_of_corpus(self, name: str) -> dict[str, Any]:
        """Return the settings of a corpus that determine its rows, with the path as written in the study file."""
        source = replace(self.corpora[name], path=None)
        identity = asdict(source) | {"path": self.paths.get(name), "prompt": self.prompts[name]}
        if source.order == "file":  # then the seed changes nothing, and earlier studies keep their fingerprints
            del identity["order"], identity["data_seed"]
        identity["checks"] = {check: policy for check, policy in source.checks.items() if policy == "drop"}
        if not identity["checks"]:  # only checks that drop items change the corpus
            del identity["checks"]
        return identity

    def identity_of_mixture(self, mixture: Mixture) -> dict[str, Any]:
        """Return what determines the drawn examples and their order, except the corpora and the data seed."""
        if mixture.unit == "items":  # the same for counts and for shares of a budget, and without doses of 0
            drawn = [[corpus, tag, amount] for (corpus, tag), amount in mixture.amounts().items() if amount]
            identity: dict[str, Any] = {
                "amounts": drawn,
                "pairing": mixture.pairing,
                "order": mixture.order,
                "repeat": mixture.repeat,
            }
            if mixture.budget is not None and mixture.budget.if_fewer == "all":
                identity["if_fewer"] = "all"
            if mixture.limits:
                identity["different"] = [[corpus, tag, number] for (corpus, tag), number in mixture.limits.items()]
            if mixture.stages:
                identity["stages"] = [asdict(stage) for stage in mixture.stages]
            return identity
        identity = asdict(mixture)
        for key in ("name", "family", "dose", "factors", "origins"):
            del identity[key]
        if not mixture.stages:  # as before there were stages and limits
            del identity["stages"]
        for component in identity["components"]:
            if component["different"] is None:
                del component["different"]
        if listed := _order_that_matters(mixture):  # fingerprints sort the languages
            identity["listed"] = listed
        if identity["budget"] is not None:
            del identity["budget"]["if_fewer"]  # of items only
        if mixture.budget is not None and mixture.budget.tokenizer is not None:
            identity["budget"]["tokenizer"] = self._model(self.tokenizers[mixture.budget.tokenizer])
        return identity

    def identity_of_evaluation(self, evaluation: Evaluation, tag: str | None = None) -> dict[str, Any]:
        """Return what determines the predictions and scores of an evaluation, except the checkpoint.

        Args:
            evaluation: The evaluation.
            tag: One of its languages, of which the corpus is part of the identity; None: of the first language. An
                evaluation of joined corpora is therefore the same, in each language, as one of that corpus alone.
        """
        tag = evaluation.languages[0] if tag is None else tag
        identity = asdict(evaluation)
        for key in ("name", "shots", "metric", "every_run", "corpus_of", "judging"):
            del identity[key]
        for key in ("chat_template", "stop"):
            if not identity[key]:
                del identity[key]
        if evaluation.shots is not None:
            shown = self.identity_of_corpus(evaluation.shots.corpus_in(tag))
            identity["shots"] = {"number": evaluation.shots.number, "corpus": shown}
        return identity | {"corpus": self.identity_of_corpus(evaluation.corpus_in(tag))}

    def _model(self, model: Model) -> dict[str, Any]:
        template = model.template
        if template not in (None, "plain"):
            template = fingerprint_file(self.folder / Path(template).expanduser())
        return {"path": model.path, "revision": model.revision, "template": template}


def _order_that_matters(mixture: Mixture) -> list[list[Any]]:
    """Return corpora, languages and amounts as the study file lists them, if another order of languages would give
    other examples: examples in the order of languages, and the remainder of an amount that goes to the first one."""
    listed = [[corpus, tag, amount] for (corpus, tag), amount in mixture.amounts().items()]
    components = (
        replace(
            one,
            shares=None if one.shares is None else dict(sorted(one.shares.items())),
            counts=None if one.counts is None else dict(sorted(one.counts.items())),
        )
        for one in mixture.components
    )
    usual = replace(mixture, components=tuple(components)).amounts()
    in_order = mixture.order == "by_language" and list(usual) != list(mixture.amounts())
    return listed if in_order or usual != mixture.amounts() else []
