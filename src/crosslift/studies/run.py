"""Runs: base model x mixture x seed, with a readable name. Factors are fields and are never parsed from the name."""

from __future__ import annotations

from dataclasses import dataclass

from crosslift.mixtures.mixture import Mixture


@dataclass(frozen=True, kw_only=True)
class Model:
    """A base model of the study's grid."""

    name: str
    path: str
    """Hub name, local folder, or "pocket:<name>" for a model of the pocket laboratory."""
    revision: str | None = None
    template: str | None = None
    """Chat template: None = that of the tokenizer; "plain" = text without markup; else the path of a Jinja file."""


@dataclass(frozen=True, kw_only=True)
class Run:
    model: Model
    mixture: Mixture | None
    """Training mixture; None for the base model, which is evaluated without fine-tuning."""
    seed: int

    @property
    def name(self) -> str:
        """Name of the run, such as `pocket-m.en50-sw5.s3` or `pocket-m.base`."""
        if self.mixture is None:
            return f"{self.model.name}.base"
        return f"{self.model.name}.{self.mixture.name}.s{self.seed}"
