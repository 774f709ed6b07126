"""Greedy decoding with any Hugging Face causal language model."""

from crosslift.evaluation.generators.hf.generator import Generator

__all__ = ["Generator"]
