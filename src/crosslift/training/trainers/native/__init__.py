"""The project's own trainer: one loop for every causal language model of Hugging Face, full or LoRA. See `loop`."""

from crosslift.training.trainers.native.loop import train

__all__ = ["train"]
