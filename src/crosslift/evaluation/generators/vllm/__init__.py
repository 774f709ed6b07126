"""Generation by vLLM: one engine for many runs of a base model, adapters batched over runs."""

from __future__ import annotations

from crosslift.evaluation.generators.vllm.engine import close
from crosslift.evaluation.generators.vllm.generator import RUNS_PER_ENGINE, Generator

OPTIONS: dict[str, type] = {
    "runs_per_engine": int,
    "max_lora_rank": int,
    "max_loras": int,
    "dtype": str,
    "gpu_memory_utilization": float,
    "kv_cache_memory_bytes": int,
    "max_model_len": int,
    "tensor_parallel_size": int,
    "enforce_eager": bool,
    "canary": bool,
}
SEVERAL_DEVICES = True

__all__ = ["OPTIONS", "RUNS_PER_ENGINE", "SEVERAL_DEVICES", "Generator", "close"]
