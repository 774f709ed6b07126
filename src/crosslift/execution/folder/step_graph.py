"""Step graph of a study: the inputs of each step, and which steps are done.

This module alone decides whether a step is up to date, from the study, the content of its inputs and the done-markers.
A restart of a finished study reads only one small marker per step.

The inputs of a step contain only what determines its own result. A training step does not list the other languages of
its corpora, nor an evaluation step the other languages of the evaluation, so adding a language keeps finished work.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from crosslift.errors import NotPrepared, StoreError
from crosslift.execution.folder import earlier
from crosslift.execution.folder.base_models import BaseModel, identify, with_first_revision
from crosslift.execution.folder.content_hashes import ContentHashes
from crosslift.execution.folder.steps import EvaluationStep, RunState, RunSteps, SharedInputs, Step, StepState
from crosslift.execution.folder.store import Store
from crosslift.mixtures.mixture import Mixture
from crosslift.studies.evaluation import Evaluation
from crosslift.studies.run import Model, Run
from crosslift.studies.study import Study

_OF_CORPUS = ("revision", "licence", "fingerprint", "num_items", "languages")
_OF_EVALUATION = ("scores", "num_errors", "seconds")


class StepGraph:
    """The steps of one study in one folder."""

    def __init__(self, study: Study, store: Store) -> None:
        self.study = study
        self.store = store
        self.hashes = ContentHashes(store.hashes_file)
        self._corpora: dict[str, dict[str, Any]] = {}
        self._trainings: dict[tuple[str, str], dict[str, Any]] = {}
        self._evaluations: dict[tuple[str, str], SharedInputs] = {}
        self._drawings: dict[str, dict[str, Any]] = {}
        self._steps: dict[str, RunSteps] = {}
        self._archives: dict[str, Path] = {}

    @property
    def assumed(self) -> bool:
        """Whether contents are assumed that `prepare` has yet to read or draw."""
        return False

    @cached_property
    def runs(self) -> dict[str, Run]:
        """Name -> run, in the study's order."""
        return {run.name: run for run in self.study.runs()}

    @cached_property
    def corpora(self) -> tuple[str, ...]:
        """The corpora that the study uses, in its order."""
        used = {corpus for evaluation in self.study.evaluations.values() for corpus in _read_by(evaluation)}
        used |= set(self.trained_on())
        return tuple(name for name in self.study.corpora if name in used)

    def wanted_models(self) -> dict[str, Model]:
        """Return the models of the grid, and those whose tokenizer counts the tokens of a budget."""
        budgets = [mixture.budget for mixture in self.study.mixtures.values()]
        counting = [budget.tokenizer for budget in budgets if budget and budget.tokenizer]
        return dict(self.study.models) | {name: self.study.tokenizers[name] for name in counting}

    @cached_property
    def models(self) -> dict[str, BaseModel]:
        """The identified models of `wanted_models`.

        Raises:
            StudyError: a model cannot be found.
        """
        locked = (self.store.lock_if_intact() or {"models": {}})["models"]
        identified = (
            identify(model, study_folder=self.study.folder, hashes=self.hashes, locked=locked.get(name))
            for name, model in self.wanted_models().items()
        )
        found = {
            one.name: with_first_revision(one, chain(locked.values(), self.store.earlier_models()))
            for one in identified
        }
        if not self.store.read_only:
            self.hashes.save()
        return found

    # ------------------------------------------------------------------------------------------------ prepared steps

    def corpus_step(self, name: str) -> Step:
        """Return the step that reads a corpus."""
        source = self.study.corpora[name]
        inputs = self.study.identity_of_corpus(name)
        del inputs["prompt"]  # affects tokenisation and evaluation, not reading
        content = None if source.path is None else self.hashes.of_path(f"corpora/{name}", source.path)
        return self._step(self.store.corpus_folder(name), {**inputs, "content": content}, required_outputs=_OF_CORPUS)

    def corpus(self, name: str) -> dict[str, Any]:
        """Return the metadata of a prepared corpus from its done-marker, even if its files are damaged.

        Args:
            name: the corpus.

        Returns:
            revision, licence, fingerprint, num_items, languages {tag -> hash of its rows}, notes; read_as: the settings
            of the first reading that gave the same rows, if they differ from the present ones.

        Raises:
            NotPrepared: the corpus is not prepared, or was prepared from other inputs.
            StoreError: the marker is damaged.
        """
        if name not in self._corpora:
            state = self.corpus_step(name).state()
            if state.outputs is None and state.damage:
                raise StoreError(str(state.damage[0]))
            if state.outputs is None:
                raise NotPrepared(f"corpora/{name} is not prepared as study.toml says. Run: crosslift run")
            self._corpora[name] = state.outputs
        return self._corpora[name]

    def forget(self) -> None:
        """Clear the cache after a corpus or mixture has been prepared again."""
        self._corpora.clear()
        self._trainings.clear()
        self._evaluations.clear()
        self._drawings.clear()
        self._steps.clear()

    def tokens_step(self, corpus: str, model: str) -> Step:
        """Return the step that tokenises a corpus, shared by all models that tokenise identically."""
        tokenizer = self.models[model].tokenizer
        inputs = {
            "corpus": self.corpus(corpus)["fingerprint"],
            "task": self.study.corpora[corpus].task,
            "prompt": self.study.prompts[corpus],
            "tokenizer": tokenizer,
        }
        folder = self.store.tokens_folder(corpus, tokenizer)
        return self._step(folder, inputs)

    def mixture_step(self, name: str) -> Step:
        """Return the step that draws a mixture."""
        mixture = self.study.mixtures[name]
        inputs = {
            "data_seed": self.study.data_seed,
            "mixture": self.study.identity_of_mixture(mixture),
            "corpora": {corpus: self.corpus(corpus)["fingerprint"] for corpus in mixture.corpora},
        }
        if mixture.budget is not None and mixture.budget.tokenizer is not None:
            inputs["tokenizer"] = self.models[mixture.budget.tokenizer].tokenizer
        return self._step(self.store.mixture_folder(name), inputs)

    def prepared_steps(self) -> Iterator[Step]:
        """Yield all steps of `prepare` in the order of their dependencies."""
        for corpus in self.corpora:
            yield self.corpus_step(corpus)
        for corpus, model in self.tokenised():
            yield self.tokens_step(corpus, model)
        for mixture in self.study.mixtures:
            yield self.mixture_step(mixture)

    def tokenised(self) -> list[tuple[str, str]]:
        """Return the pairs (corpus, model) to tokenise, one per corpus and tokenizer."""
        pairs: dict[tuple[str, str], tuple[str, str]] = {}
        for corpus in self.trained_on():
            for name, model in self.models.items():
                pairs.setdefault((corpus, model.tokenizer), (corpus, name))
        return list(pairs.values())

    def trained_on(self) -> list[str]:
        """Return the corpora of mixtures and validation, which must be tokenised."""
        corpora = dict.fromkeys(corpus for mixture in self.study.mixtures.values() for corpus in mixture.corpora)
        if corpora and self.study.validation is not None:
            corpora |= dict.fromkeys(self.study.validation.corpora)
        return list(corpora)

    def evaluated_on(self) -> list[str]:
        """Return the corpora of evaluations."""
        return list(dict.fromkeys(name for one in self.study.evaluations.values() for name in one.corpora))

    # ---------------------------------------------------------------------------------------------------- steps of runs

    def steps(self, run: Run) -> RunSteps:
        """Return the steps of a run.

        Raises:
            NotPrepared: its corpora are not prepared.
        """
        if run.name not in self._steps:
            self._steps[run.name] = self._make_steps(run)
        return self._steps[run.name]

    def _make_steps(self, run: Run) -> RunSteps:
        train = None if run.mixture is None else self._train_step(run)
        checkpoint = {"model": self._model(run)} if train is None else {"train": train.fingerprint}
        evaluations = tuple(
            EvaluationStep(
                evaluation=evaluation,
                language=tag,
                step=self._evaluation_step(run, evaluation, tag, checkpoint),
            )
            for evaluation in self.study.evaluations_of(run)
            for tag in evaluation.languages
        )
        return RunSteps(run=run, train=train, evaluations=evaluations)

    def state(self, run: Run, *, thorough: bool = False) -> RunState:
        """Determine which steps of a run are done, and record damage in the store.

        Args:
            run: the run.
            thorough: hash the files of evaluations, which also detects damage under an unchanged size and mtime.

        Returns:
            The state of the run.

        Raises:
            NotPrepared: its corpora are not prepared.
        """
        steps = self.steps(run)
        state = RunState(steps=steps, trained=True)
        if steps.train is not None:
            state.trained = self._look(steps.train, state).intact
        for one in steps.evaluations:
            found = self._look(one.step, state, thorough=thorough)
            if found.intact and found.outputs is not None:
                state.results[one.evaluation.name, one.language] = found.outputs
        return state

    def _look(self, step: Step, state: RunState, *, thorough: bool = False) -> StepState:
        found = step.state(thorough=thorough)
        self.store.note_damage(step.name, found.damage)
        state.damage += found.damage
        state.kept_aside |= found.kept_aside
        return found

    def states(self, runs: Iterable[Run] | None = None, *, thorough: bool = False) -> dict[str, RunState]:
        """Determine the state of several runs.

        Args:
            runs: the runs; None for all runs of the study.
            thorough: as for `state`.

        Returns:
            Run -> state.

        Raises:
            NotPrepared: the corpora of a run are not prepared.
        """
        chosen = self.runs.values() if runs is None else runs
        return {run.name: self.state(run, thorough=thorough) for run in chosen}

    def is_recorded(self, run: Run, recorded: Mapping[str, Any]) -> bool:
        """Return whether lock.json lists the run with its present steps.

        Args:
            run: the run.
            recorded: "runs" of lock.json.

        Raises:
            NotPrepared: its corpora are not prepared.
        """
        if run.name not in recorded:
            return False
        steps, record = self.steps(run), recorded[run.name]
        return bool(record["fingerprint"] == steps.fingerprint and record["evaluations"] == steps.languages)

    def write_provenance(self, steps: RunSteps, environment: Mapping[str, Any]) -> None:
        """Write provenance.json of a run from its done-markers, so that it includes the times of all sessions.

        Args:
            steps: the steps of the run.
            environment: result of `system.environment` in the process that computed the last results.
        """
        trained = steps.train.state().outputs if steps.train is not None else None
        results = [result for one in steps.evaluations if (result := one.step.result()) is not None]
        record = {
            "fingerprint": steps.fingerprint,
            "seed": steps.run.seed,
            "train": trained,
            "evaluate": {"seconds": round(sum(result["seconds"] for result in results), 3)},
            "environment": dict(environment),
        }
        self.store.write_provenance(steps.run.name, record)

    def _train_step(self, run: Run) -> Step:
        assert run.mixture is not None
        key = (run.model.name, run.mixture.name)
        if key not in self._trainings:
            self._trainings[key] = self._inputs_of_training(run, run.mixture)
        return self._step(self.store.train_folder(run.name), self._trainings[key] | {"seed": run.seed})

    def _inputs_of_training(self, run: Run, mixture: Mixture) -> dict[str, Any]:
        """Return the inputs of a training, which runs that differ in their seed share."""
        identity = self.study.identity_of(run)
        identity["model"] = self._model(run)
        identity |= self._first_drawing(mixture.name)
        limit = identity["training"]["max_length"]
        if self._first_limit is not None and self._first_limit < limit and not identity["training"]["truncate"]:
            identity["training"]["max_length"] = self._first_limit
        counted_by = None if mixture.budget is None else mixture.budget.tokenizer
        if counted_by is not None and self.models[counted_by].tokenizer != self.models[run.model.name].tokenizer:
            identity["tokenizer"] = self.models[counted_by].tokenizer  # paths are not part of a fingerprint
        used = dict.fromkeys(mixture.corpora, mixture.languages) | self.study.validation_of(run)
        for name, read_now in identity["corpora"].items():
            hashes = self.corpus(name)["languages"]
            inputs = identity["corpora"][name] = earlier.as_first_read(read_now, self.corpus(name))
            inputs["content"] = {tag: hashes[tag] for tag in used[name] if tag in hashes}
            if identity["mixture"]["pairing"] != "disjoint":  # each language of a disjoint one owns a block of items
                del inputs["languages"]
        for settings in identity.get("selection", {}).values():
            shown = settings.get("shots", {}).get("corpora", {})
            for name, settings_now in shown.items():
                read = self.corpus(name)
                content = {tag: read["languages"][tag] for tag in mixture.languages if tag in read["languages"]}
                shown[name] = _without_languages(earlier.as_first_read(settings_now, read)) | {"content": content}
        return {key: SharedInputs(part) if isinstance(part, Mapping) else part for key, part in identity.items()}

    @cached_property
    def _first_limit(self) -> int | None:
        """The `max_length` that the recorded runs were trained with. Without `truncate`, it is a limit that no example
        reaches, so raising it changes no run."""
        lock = self.store.lock_if_intact()
        for name, record in ({} if lock is None else lock["runs"]).items():
            with contextlib.suppress(StoreError):
                trained = self.store.run_record(name, record)["identity"].get(f"runs/{name}/train")
                if trained is not None:
                    training = trained["training"]
                    return None if training["truncate"] else int(training["max_length"])
        return None

    def _first_drawing(self, mixture: str) -> dict[str, Any]:
        """Return the settings that gave the same examples first; empty if they are the present ones, or if the mixture
        is none of the study's, as the one of a final model."""
        if mixture not in self.study.mixtures:
            return {}
        if mixture not in self._drawings:
            drawn = self.mixture_step(mixture).state().outputs or {}
            self._drawings[mixture] = drawn.get("drawn_as", {})
        return self._drawings[mixture]

    def _evaluation_step(self, run: Run, evaluation: Evaluation, tag: str, checkpoint: dict[str, Any]) -> Step:
        shared = self._evaluations.get((evaluation.name, tag))
        if shared is None:
            identity = self.study.identity_of_evaluation(evaluation, tag)
            del identity["languages"]
            corpus = self.corpus(evaluation.corpus_in(tag))
            identity["corpus"] = _without_languages(earlier.as_first_read(identity["corpus"], corpus))
            identity |= {"language": tag, "content": corpus["languages"][tag]}
            if joined := self._joined(evaluation.corpora):
                identity["joined"] = joined
            if evaluation.shots is not None:
                if joined := self._joined(evaluation.shots.corpora):
                    identity["shots"]["joined"] = joined
                shown = self.corpus(evaluation.shots.corpus_in(tag))
                identity["shots"]["corpus"] = _without_languages(
                    earlier.as_first_read(identity["shots"]["corpus"], shown)
                )
                identity["shots"]["content"] = shown["languages"][tag]
            shared = self._evaluations[evaluation.name, tag] = SharedInputs(identity)
        folder = self.store.evaluation_folder(run.name, evaluation.name, tag)
        inputs = {**checkpoint, "evaluation": shared}
        return self._step(folder, inputs, required_outputs=_OF_EVALUATION)

    def _joined(self, corpora: tuple[str, ...]) -> list[str]:
        """Return the fingerprints of joined corpora that determine each other's items (`phases.joined`); else none."""
        if len(corpora) == 1 or all(self.study.corpora[name].incomplete == "error" for name in corpora):
            return []
        return [str(self.corpus(name)["fingerprint"]) for name in corpora]

    def _model(self, run: Run) -> dict[str, Any]:
        identity: dict[str, Any] = self.study.identity_of(run)["model"]
        model = self.models[run.model.name]
        identity |= {"revision": model.first_revision} | model.identity()
        return identity

    def _step(self, folder: Path, inputs: dict[str, Any], *, required_outputs: tuple[str, ...] = ()) -> Step:
        name = self.store.name_of(folder)
        kind = earlier.kind_of(name)
        return Step(
            name=name,
            folder=folder,
            inputs=inputs,
            required_outputs=required_outputs,
            archive=self._archives.get(kind) or self._archives.setdefault(kind, self.store.earlier_folder(kind)),
        )


def _without_languages(identity: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in identity.items() if key != "languages"}


def _read_by(evaluation: Evaluation) -> tuple[str, ...]:
    """Return the corpora that an evaluation needs."""
    return evaluation.corpora if evaluation.shots is None else (*evaluation.corpora, *evaluation.shots.corpora)
