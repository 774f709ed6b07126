"""The numbers of a dense decoder that determine its memory, as its configuration gives them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FLOAT = 4
"""Bytes of float32, the type of weights, gradients and moments."""
ROUNDED = 2
"""Bytes of bfloat16."""

_TIED = ("gemma", "cohere")
"""Beginnings of the model types whose configurations tie the embedding to the head unless they say otherwise."""


_LOGIT_SCALES = ("logit_scale", "logits_scaling", "lm_head_multiplier")
"""Names of a factor of the logits in configurations."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The numbers of a dense decoder that determine its memory."""

    model_type: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    key_heads: int
    head_size: int
    vocabulary: int
    tied: bool
    """Whether the language-model head is the embedding."""
    stored_bytes: int = ROUNDED
    """Bytes per parameter in the model's files."""
    other_parameters: int = 0
    """Parameters outside the decoder, such as an image encoder, which are loaded but not passed through."""
    soft_cap: bool = False
    """Whether logits pass through a tanh, whose result is saved."""
    scales_logits: bool = False
    """Whether logits are multiplied by a number."""

    @property
    def changes_logits(self) -> bool:
        """Whether the model returns other logits than its head computes."""
        return self.soft_cap or self.scales_logits

    @property
    def query_size(self) -> int:
        """Width of the queries of a layer."""
        return self.heads * self.head_size

    @property
    def key_size(self) -> int:
        """Width of the keys of a layer, and of its values."""
        return self.key_heads * self.head_size

    @property
    def matrices(self) -> dict[str, tuple[int, int]]:
        """Linear layers of one decoder layer: name -> (outputs, inputs)."""
        return {
            "q": (self.query_size, self.hidden),
            "k": (self.key_size, self.hidden),
            "v": (self.key_size, self.hidden),
            "o": (self.hidden, self.query_size),
            "gate": (self.intermediate, self.hidden),
            "up": (self.intermediate, self.hidden),
            "down": (self.hidden, self.intermediate),
        }

    @property
    def layer_parameters(self) -> int:
        """Parameters of one decoder layer; norm weights are negligible."""
        return sum(math.prod(shape) for shape in self.matrices.values()) + self.norms * self.hidden

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the embedding and of the head."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def parameters(self) -> int:
        """Parameters of the model."""
        return self.layers * self.layer_parameters + self.embedding_parameters + self.hidden + self.other_parameters

    @property
    def norms(self) -> int:
        """Norms over the hidden state in one decoder layer."""
        if self.model_type.startswith("cohere"):
            return 1
        return 4 if self.model_type.startswith(("gemma2", "gemma3")) else 2

    @property
    def norms_of_heads(self) -> bool:
        """Whether queries and keys are normalised."""
        return self.model_type.startswith(("qwen3", "gemma3"))

    def adapter_parameters(self, rank: int, targets: tuple[str, ...] | str = "all-linear") -> int:
        """Parameters of a LoRA adapter.

        Args:
            rank: its rank.
            targets: names of the modules as in `LoRAConfig.target_modules`.
        """
        chosen = [
            shape
            for name, shape in self.matrices.items()
            if isinstance(targets, str) or any(one.removesuffix("_proj") == name for one in targets)
        ]
        return self.layers * rank * sum(sum(shape) for shape in chosen)


def read_architecture(config: Mapping[str, Any]) -> Architecture | None:
    """Read the numbers from the content of a config.json.

    Args:
        config: the JSON object; the text part of a model with images is found in it.

    Returns:
        The architecture, or None if it is not a dense decoder with the usual names.
    """
    text = config.get("text_config") or config
    if not isinstance(text, Mapping):
        return None
    names = ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "vocab_size")
    sizes = [text.get(name) for name in names]
    if not all(type(size) is int and size > 0 for size in sizes) or any("expert" in str(key) for key in text):
        return None
    layers, hidden, intermediate, heads, vocabulary = (int(size) for size in sizes if size is not None)
    kind = str(text.get("model_type") or config.get("model_type") or "")
    tied = text.get("tie_word_embeddings", config.get("tie_word_embeddings"))
    dtype = str(config.get("dtype") or config.get("torch_dtype") or text.get("dtype") or text.get("torch_dtype") or "")
    return Architecture(
        model_type=kind,
        layers=layers,
        hidden=hidden,
        intermediate=intermediate,
        heads=heads,
        key_heads=int(text.get("num_key_value_heads") or heads),
        head_size=int(text.get("head_dim") or hidden // heads),
        vocabulary=vocabulary,
        tied=kind.startswith(_TIED) if tied is None else bool(tied),
        stored_bytes=FLOAT if dtype in ("float32", "") else ROUNDED,
        soft_cap=text.get("final_logit_softcapping") is not None,
        scales_logits=kind.startswith("cohere") or any(text.get(name) is not None for name in _LOGIT_SCALES),
    )
