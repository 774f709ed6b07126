"""A study: one question, asked of several runs that differ in what the study varies and in nothing else.

This is the study file with its families expanded, defaults filled in and names resolved. It knows nothing of where it
runs (`site`) nor of the folder it leaves behind.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from crosslift.corpora.corpus import Source
from crosslift.fingerprint import fingerprint_file
from crosslift.mixtures.mixture import Mixture
from crosslift.studies.run import Model, Run
from crosslift.training.trainer import SFTConfig


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Held-out items that pick the checkpoint; every run is validated in its own mixture's languages only."""

    corpora: tuple[str, ...]
    max_items: int | None = None


@dataclass(frozen=True, kw_only=True)
class Shots:
    """Worked examples before each question: the first items of a corpus, in the language of the question."""

    corpus: str
    number: int


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    name: str
    corpus: str
    task: str
    languages: tuple[str, ...]
    max_tokens: int
    generator: str = "hf"
    require_language: bool = False
    shots: Shots | None = None


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Each treatment minus the control, written before the runs."""

    name: str
    control: str
    """A mixture, or "base"."""
    treatments: tuple[str, ...]
    """Mixtures; families are expanded, without the control itself."""
    primary: bool = False

    def within(self, mixtures: Collection[str]) -> Contrast | None:
        """The contrast as far as these mixtures (and "base") are run; None without the control or any treatment."""
        treatments = tuple(name for name in self.treatments if name in mixtures)
        if not treatments or self.control not in mixtures:
            return None
        return replace(self, treatments=treatments)


@dataclass(frozen=True, kw_only=True)
class Block:
    """Models x mixtures x seeds: the grid, or an arm beside it."""

    name: str
    models: tuple[str, ...]
    mixtures: tuple[str, ...]
    seeds: tuple[int, ...]
    base: bool = False
    """The base models too."""
    enabled: bool = True
    separates: str = ""
    """What the arm tells apart."""


@dataclass(frozen=True, kw_only=True)
class Study:
    name: str
    question: str
    hypothesis: str
    data_seed: int
    folder: Path
    models: dict[str, Model]
    """Of enabled blocks only; likewise `mixtures`. Paths as the file writes them, relative to `folder`."""
    corpora: dict[str, Source]
    prompts: dict[str, str]
    """Corpus -> published form of the prompt."""
    mixtures: dict[str, Mixture]
    blocks: tuple[Block, ...]
    """The grid first, then the arms, also those that are not enabled."""
    training: SFTConfig
    validation: Validation | None
    evaluations: dict[str, Evaluation]
    contrasts: tuple[Contrast, ...]
    inactive: tuple[str, ...] = ()
    """Contrasts that wait for an arm that is not enabled."""
    absent: tuple[str, ...] = ()
    """Messages on corpora whose files are not here yet."""
    results: Path | None = None
    """Folder for what is made of the study; None: `folder`."""
    paths: dict[str, str] = field(default_factory=dict)
    """Corpus -> its path as the file writes it (`Source.path` is joined to `folder`), so that a study that is moved to
    another machine keeps its identity."""
    tokenizers: dict[str, Model] = field(default_factory=dict)
    """All models of the file, also those that are not run: token budgets may name them."""

    @property
    def results_folder(self) -> Path:
        return self.results or self.folder

    @property
    def seeds(self) -> tuple[int, ...]:
        """All training seeds, in the order of the blocks."""
        return tuple(dict.fromkeys(seed for block in self.blocks if block.enabled for seed in block.seeds))

    def runs(self) -> tuple[Run, ...]:
        """Block by block; in each base model first, then mixture by mixture, seed by seed; model after model. A run of
        several blocks stands where it comes first."""
        runs = [run for block in self.blocks if block.enabled for run in self.runs_of(block)]
        return tuple({run.name: run for run in runs}.values())

    def runs_of(self, block: Block) -> tuple[Run, ...]:
        """The runs of one enabled block, also those that an earlier block has already."""
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
        """The tasks that a mixture trains on, sorted."""
        return tuple(sorted({self.corpora[corpus].task for corpus in mixture.corpora}))

    def evaluations_of(self, run: Run) -> tuple[Evaluation, ...]:
        """A run is asked the tasks it was trained on; a base model all."""
        if run.mixture is None:
            return tuple(self.evaluations.values())
        tasks = self.tasks_of(run.mixture)
        return tuple(evaluation for evaluation in self.evaluations.values() if evaluation.task in tasks)

    def validation_of(self, run: Run) -> dict[str, tuple[str, ...]]:
        """Validation corpus -> languages that this run is validated in: its own tasks and languages; empty for none."""
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
        """Everything in the study file that decides what the run's training ends in, and nothing else.

        Left out on purpose: names of the study, the run, the mixture and its family, other members, contrasts,
        evaluations (`identity_of_evaluation`) and where it runs. Adding a mixture makes no other run stale. The
        *content* of corpora and models is not known here; who hashes this adds their fingerprints.
        """
        identity: dict[str, Any] = {"model": self._model(run.model)}
        if run.mixture is None:
            return identity
        mixture = run.mixture
        validation = self.validation_of(run)
        config = asdict(self.training)
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
        return identity

    def identity_of_corpus(self, name: str) -> dict[str, Any]:
        """What the study file says of a corpus, with its path as written."""
        source = replace(self.corpora[name], path=None)
        identity = asdict(source) | {"path": self.paths.get(name), "prompt": self.prompts[name]}
        identity["checks"] = {check: policy for check, policy in source.checks.items() if policy == "drop"}
        if not identity["checks"]:  # a check that only looks changes nothing
            del identity["checks"]
        return identity

    def identity_of_mixture(self, mixture: Mixture) -> dict[str, Any]:
        """What decides which examples are drawn and in which order, the corpora and the data seed apart."""
        if mixture.unit == "items":  # however it was written: a dose of 0, or shares of a budget
            drawn = [[corpus, tag, amount] for (corpus, tag), amount in mixture.amounts().items() if amount]
            return {"amounts": drawn, "pairing": mixture.pairing, "order": mixture.order, "repeat": mixture.repeat}
        identity = asdict(mixture)
        for key in ("name", "family", "dose", "factors"):
            del identity[key]
        if mixture.budget is not None and mixture.budget.tokenizer is not None:
            identity["budget"]["tokenizer"] = self._model(self.tokenizers[mixture.budget.tokenizer])
        return identity

    def identity_of_evaluation(self, evaluation: Evaluation) -> dict[str, Any]:
        """What decides the predictions and scores of an evaluation, the checkpoint apart. `generator` is in it."""
        identity = asdict(evaluation)
        del identity["name"], identity["shots"]
        if evaluation.shots is not None:
            shown = self.identity_of_corpus(evaluation.shots.corpus)
            identity["shots"] = {"number": evaluation.shots.number, "corpus": shown}
        return identity | {"corpus": self.identity_of_corpus(evaluation.corpus)}

    def _model(self, model: Model) -> dict[str, Any]:
        template = model.template
        if template not in (None, "plain"):
            template = fingerprint_file(self.folder / Path(template).expanduser())
        return {"path": model.path, "revision": model.revision, "template": template}
