"""crosslift: which languages, how much of each, for post-training a language model."""

__version__ = "0.1.0"
