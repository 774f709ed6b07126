"""The engine of vLLM that this process has open, and which weights and adapters it holds.

Starting an engine takes longer than evaluating a small run. The engine therefore stays open for the next run: adapters
of its base model are added to it, and the weights of a fully fine-tuned checkpoint of the same form (configuration,
tensors, tokenizer) are loaded in place. vLLM only warns where tensors keep their old values, so loading in place is
verified (see `canary`); where it fails, the checkpoint gets a new engine, and so does every later one of that form.

The implementation follows vLLM 0.12 to 0.32 (`LLM.generate`, `LLM.collective_rpc`, `LoRARequest`).
"""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from crosslift.errors import EvaluationError
from crosslift.fingerprint import fingerprint, fingerprint_file
from crosslift.system.guard import descendants, end_with_this_process, release
from crosslift.untrusted.model_files import read_settings, tensor_shapes

log = logging.getLogger(__name__)

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Values of `max_lora_rank` that vLLM accepts."""
WITHOUT_EFFECT = ("_name_or_path", "transformers_version", "torch_dtype", "dtype", "use_cache")
"""Fields of config.json that do not change how an engine computes; the engine has its own `dtype`."""

Files = tuple[tuple[str, int, int], ...]
"""Name, size and modification time of the files of weights: a folder may be written anew while an engine is open."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What an engine is started for."""

    source: str
    """Local folder or hub name of the model."""
    revision: str | None
    rank: int
    """Largest rank of adapters, one of RANKS; 0: no adapters."""
    max_loras: int
    """Number of adapters in one batch."""
    targets: tuple[str, ...]
    """Modules that adapters may have, by the last part of their names; empty: all that vLLM supports."""
    options: str
    """Further arguments of `vllm.LLM`, as JSON."""

    def without_source(self) -> Spec:
        """Return what two checkpoints must have in common to follow each other in one engine."""
        return replace(self, source="")


@dataclass(kw_only=True)
class Engine:
    """A running engine."""

    llm: Any
    spec: Spec
    form: str | None
    source: str
    """Model whose weights the engine holds now."""
    files: Files
    guard: subprocess.Popen[bytes] | None
    """Ends the engine's processes if this process is killed."""
    adapters: dict[tuple[str, Files], Any] = field(default_factory=dict)
    """Adapter -> `LoRARequest`, for those that the engine has loaded once."""
    baseline: dict[Any, Any] = field(default_factory=dict)
    """What the canary knows of the base model, by prompts."""

    @property
    def max_model_len(self) -> int:
        """Longest text of the engine in tokens, prompt and completion together."""
        return int(self.llm.llm_engine.model_config.max_model_len)

    @property
    def dtype(self) -> str:
        """Type of the weights in the engine, "float32" or another."""
        return str(getattr(self.llm.llm_engine.model_config, "dtype", "float32")).removeprefix("torch.")

    def ask(self, prompts: Sequence[Sequence[int]], params: Any, adapters: Sequence[Any]) -> list[Any]:
        """Ask the engine once.

        Args:
            prompts: token ids.
            params: `SamplingParams` of all prompts.
            adapters: `LoRARequest` of each prompt, or None.

        Raises:
            EvaluationError: the engine ended.
        """
        if not prompts:
            return []
        try:
            return list(
                self.llm.generate(
                    [{"prompt_token_ids": list(ids)} for ids in prompts],
                    sampling_params=params,
                    lora_request=list(adapters) if any(one is not None for one in adapters) else None,
                    use_tqdm=False,
                )
            )
        except Exception as error:
            close()  # requests of the failed call may still be queued
            if type(error).__name__ != "EngineDeadError":
                raise
            raise EvaluationError(
                "The engine of vLLM ended while it was asked. Its own messages are in log.txt of the run for which it "
                "was started; often its memory did not suffice: lower gpu_memory_utilization or max_model_len under "
                "[generators.vllm] in the site file. To go on, run: crosslift run"
            ) from error

    def adapter(self, name: str, folder: str) -> Any:
        """Load an adapter, unless the engine has it.

        Args:
            name: name of the run.
            folder: folder of the adapter.

        Returns:
            Its `LoRARequest`.

        Raises:
            EvaluationError: the engine rejects it.
        """
        from vllm.lora.request import LoRARequest  # type: ignore[import-not-found]

        key = (folder, files_of(folder))
        if key not in self.adapters:
            request = LoRARequest(name, len(self.adapters) + 1, folder)
            try:
                self.llm.llm_engine.add_lora(request)
            except Exception as error:  # vLLM passes the worker's exception on as a text
                raise EvaluationError(
                    f'vLLM cannot load the adapter {folder}: {error}. Set generator = "hf" for the evaluation if vLLM '
                    "does not support its modules."
                ) from error
            self.adapters[key] = request
        return self.adapters[key]


_open: list[Engine] = []
"""At most one, because two engines do not fit on one GPU."""
_never_in_place: set[str] = set()
"""Forms of models whose weights could not be replaced in place."""


def engine_for(spec: Spec, verified: Callable[[Engine, str], bool] | None = None) -> Engine:
    """Return an engine that holds the weights of a model: the open one if it can, else a new one.

    Args:
        spec: what the engine is for.
        verified: called with the engine before and after weights are replaced in place (the second argument is
            "before" or "after"); returns whether the engine holds the weights. None: what the engine holds does not
            matter yet, and an engine that could hold the weights is returned as it is.

    Raises:
        EvaluationError: vLLM is not installed, or cannot start.
    """
    for engine in _open:
        files = files_of(spec.source)
        if engine.spec.without_source() != spec.without_source():
            break
        if (engine.source, engine.files) == (spec.source, files):
            return engine
        form = _form_of(spec)
        if form is not None and form == engine.form and form not in _never_in_place:
            if verified is None or _replaced(engine, spec.source, files, verified):
                return engine
            _never_in_place.add(form)
    return _start(spec)


def close() -> None:
    """End the open engine, if there is one, and release its memory."""
    while _open:
        engine = _open.pop()
        engine.llm.llm_engine.engine_core.shutdown()
        release(engine.guard)
        engine.llm = None
        gc.collect()


def rank_for(rank: int) -> int:
    """Return the smallest `max_lora_rank` of vLLM that holds adapters of a rank; 0 for 0.

    Raises:
        EvaluationError: vLLM takes no adapter of this rank.
    """
    if rank > RANKS[-1]:
        raise EvaluationError(
            f'vLLM takes adapters of a rank up to {RANKS[-1]}, not {rank}. Set generator = "hf" for the evaluation.'
        )
    return next(allowed for allowed in RANKS if allowed >= rank) if rank else 0


def linear_modules(folder: str) -> tuple[str, ...]:
    """Return the last parts of the names of a model's linear layers, without its output layer.

    An engine that provides for adapters of the output layer cannot return log-probabilities of prompts (vLLM 0.32).

    Args:
        folder: folder of the model; the result is empty for a model of the hub.
    """
    found = set()
    for file in Path(folder).glob("*.safetensors") if Path(folder).is_dir() else ():
        for name, shape in tensor_shapes(file).items():
            module, _, kind = name.rpartition(".")
            if kind == "weight" and len(shape) == 2 and not module.endswith(("lm_head", "embed_tokens", "wte", "wpe")):
                found.add(module.rpartition(".")[2])
    return tuple(sorted(found))


def files_of(folder: str) -> Files:
    """Return what identifies the weights in a folder without reading them; empty for a model of the hub."""
    found = sorted(Path(folder).glob("*.safetensors")) if Path(folder).is_dir() else []
    return tuple((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in found)


def _form_of(spec: Spec) -> str | None:
    """Return a hash of what must be equal for weights to be replaced in place; None: they cannot be."""
    folder = Path(spec.source)
    if spec.rank or not folder.is_dir():
        return None
    config = read_settings(folder / "config.json") or {}
    dtype = None if "dtype" in json.loads(spec.options) else config.get("dtype", config.get("torch_dtype"))
    shapes = {name: shape for file in folder.glob("*.safetensors") for name, shape in tensor_shapes(file).items()}
    tokenizer = folder / "tokenizer.json"
    return fingerprint(
        [
            {key: value for key, value in config.items() if key not in WITHOUT_EFFECT},
            dtype,
            sorted([name, list(shape)] for name, shape in shapes.items()),
            fingerprint_file(tokenizer) if tokenizer.is_file() else None,
        ]
    )


def _start(spec: Spec) -> Engine:
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")  # read when it is imported; nothing is sent
    try:
        from vllm import LLM  # type: ignore[import-not-found]
    except ImportError as error:
        if error.name == "vllm":
            raise EvaluationError('generator "vllm" needs the package vllm. Install it, or use "hf".') from error
        raise EvaluationError(f'vLLM is installed and cannot be imported: {error}. Mend that, or use "hf".') from error
    close()
    lora: dict[str, Any] = {}
    if spec.rank:
        lora = {"enable_lora": True, "max_lora_rank": spec.rank, "max_loras": spec.max_loras}
        lora["lora_target_modules"] = list(spec.targets) or None
    log.info("starting an engine of vLLM for %s", Path(spec.source).name)
    before = descendants()
    try:
        llm = LLM(
            model=spec.source,
            revision=spec.revision,
            trust_remote_code=False,
            load_format="safetensors",  # other formats execute code
            generation_config="vllm",  # decoding is ours: greedy, without penalties of the model's folder
            **lora,
            **json.loads(spec.options),
        )
    except Exception as error:  # of many types: settings, memory, architectures that vLLM does not have
        raise EvaluationError(
            f"vLLM cannot start an engine for {Path(spec.source).name}: {error}. Change its settings under "
            '[generators.vllm] in the site file, or set generator = "hf" for the evaluation.'
        ) from error
    engine = Engine(
        llm=llm,
        spec=spec,
        form=_form_of(spec),
        source=spec.source,
        files=files_of(spec.source),
        guard=end_with_this_process(descendants() - before),
    )
    _open.append(engine)
    return engine


def _replaced(engine: Engine, source: str, files: Files, verified: Callable[[Engine, str], bool]) -> bool:
    """Load the weights of another checkpoint in place. Returns whether the engine holds them now."""
    verified(engine, "before")
    engine.source = ""  # from here on the weights are undefined
    engine.baseline.clear()
    try:
        engine.llm.collective_rpc("reload_weights", kwargs={"weights_path": source})
        emptied = engine.llm.reset_prefix_cache()  # it holds keys and values of the former weights
    except Exception as error:  # vLLM passes the worker's exception on as a text
        log.warning("weights cannot be replaced in place, a new engine is started: %s", error)
        return False
    if not emptied or not verified(engine, "after"):
        log.warning("the engine does not answer with the weights that were loaded in place; a new engine is started")
        return False
    engine.source, engine.files = source, files
    return True
