"""A run: base model x mixture x seed, with a readable name. Factors are fields, never parsed from the name."""

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
    """Chat template: None = the tokenizer's own; "plain" = the bare text; else the path of a Jinja file."""


@dataclass(frozen=True, kw_only=True)
class Run:
    model: Model
    mixture: Mixture | None
    """None: the base model, evaluated untouched."""
    seed: int

    @property
    def name(self) -> str:
        """`pocket-m.en50-sw5.s3`; `pocket-m.base`."""
        if self.mixture is None:
            return f"{self.model.name}.base"
        return f"{self.model.name}.{self.mixture.name}.s{self.seed}"
