"""Greedy decoding with any Hugging Face causal language model."""

from crosslift.evaluation.generators.hf.generator import Generator

SEVERAL_DEVICES = True

__all__ = ["SEVERAL_DEVICES", "Generator"]
