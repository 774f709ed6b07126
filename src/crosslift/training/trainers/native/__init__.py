"""The built-in trainer: one training loop for all Hugging Face causal language models, full or LoRA. See `loop`."""

from crosslift.training.trainers.native.loop import train

__all__ = ["train"]
