"""The files of a base model, which somebody else wrote: read with care, refused by name.

Headers and settings are looked at before a library is given them. A damaged file otherwise ends in whatever the library
happens to trip over (struct.error, MemoryError, KeyError, a panic in Rust), and a setting that asks for 10^9 layers in
a machine that is out of memory. Weights are read from safetensors only: a pickle may run any program when it is read,
and so may Python code that a model brings with it.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crosslift.errors import CrossliftError, ModelError, visible

MAX_HEADER = 100_000_000
"""Bytes of a safetensors header; the format's own limit."""
MAX_SETTINGS = 256 * 2**20
"""Bytes of a JSON file of a model. The largest tokenizers take 35 MB."""
MAX_LAYERS = 10_000
_LENGTH = 8
_BITS = 8
"""Most values of a tensor in a byte: some types take one bit of it."""

_LAYERS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "num_decoder_layers", "num_encoder_layers")
_SIZES = ("vocab_size", "hidden_size", "intermediate_size", "num_attention_heads", "head_dim")
MAX_SIZE = 10**8
"""Of what a configuration says of one dimension. The largest vocabularies have 10^6 entries."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack")
AGAIN = "Download or save the model again."


def tensor_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Tensor -> shape, from the header of a safetensors file; no weight is read.

    Raises:
        ModelError: the file is cut off, or its header is not as the format says.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            start = stream.read(_LENGTH)
            length = int.from_bytes(start, "little")
            if len(start) < _LENGTH:
                raise ModelError(f"{file.name} has {size} bytes and is no safetensors file. {AGAIN}")
            if length > MAX_HEADER or length > size - _LENGTH:
                raise ModelError(
                    f"{file.name} is damaged or cut off: it announces a header of {length:,} bytes and has {size:,} "
                    f"in all. {AGAIN}"
                )
            header = _parsed(stream.read(length), f"the header of {file.name}")
    except OSError as error:
        raise ModelError(f"{file.name} cannot be read: {error.strerror}. Give read permission.") from error
    if not isinstance(header, dict):
        raise ModelError(f"the header of {file.name} is not an object of tensors. {AGAIN}")
    data = size - _LENGTH - length
    return {name: _shape(file, name, tensor, data) for name, tensor in header.items() if name != "__metadata__"}


def _shape(file: Path, name: str, tensor: Any, data: int) -> tuple[int, ...]:
    shape = tensor.get("shape") if isinstance(tensor, dict) else None
    if not isinstance(shape, list) or not all(type(one) is int and one >= 0 for one in shape):
        raise ModelError(f"{file.name}: tensor '{visible(name, 80)}' has no shape. {AGAIN}")
    offsets = tensor.get("data_offsets")
    pair = isinstance(offsets, list) and len(offsets) == 2 and all(type(one) is int for one in offsets)
    if not pair or not 0 <= offsets[0] <= offsets[1] <= data or math.prod(shape) > _BITS * (offsets[1] - offsets[0]):
        raise ModelError(
            f"{file.name} is damaged or cut off: the values of tensor '{visible(name, 80)}' are not all in it. {AGAIN}"
        )
    return tuple(shape)


def read_settings(file: Path) -> dict[str, Any] | None:
    """The object in a JSON file of a model; None where there is no such file.

    Raises:
        ModelError: it is something else, too large, or nested too deep.
    """
    if not file.is_file():
        return None
    try:
        if file.stat().st_size > MAX_SETTINGS:
            raise ModelError(f"{file.name} has more than {MAX_SETTINGS // 2**20} MB. {AGAIN}")
        value = _parsed(file.read_bytes(), file.name)
    except OSError as error:
        raise ModelError(f"{file.name} cannot be read: {error.strerror}. Give read permission.") from error
    if not isinstance(value, dict):
        raise ModelError(f"{file.name} is not an object in {{ }}. {AGAIN}")
    return value


def check_settings(folder: Path) -> None:
    """Look at config.json and tokenizer_config.json before a library reads them.

    Raises:
        ModelError: one is no object, or asks for sizes that no model has.
    """
    config = read_settings(folder / "config.json")
    if config is not None:
        for part in (config, *(value for value in config.values() if isinstance(value, dict))):
            _check_sizes(part)
    tokenizer = read_settings(folder / "tokenizer_config.json") or {}
    longest = tokenizer.get("model_max_length")
    if longest is not None and (isinstance(longest, bool) or not isinstance(longest, (int, float))):
        raise ModelError(
            f"tokenizer_config.json: model_max_length is {visible(repr(longest), 40)} and must be a number. {AGAIN}"
        )


def _check_sizes(part: dict[str, Any]) -> None:
    for keys, largest in ((_LAYERS, MAX_LAYERS), (_SIZES, MAX_SIZE)):
        for key in keys:
            value = part.get(key)
            values = value if isinstance(value, list) else [value]  # some architectures differ from layer to layer
            for one in values:
                if one is not None and (type(one) is not int or not 0 <= one <= largest):
                    raise ModelError(
                        f"config.json: {key} is {visible(repr(one), 40)} and must be a whole number of at most "
                        f"{largest:,}. {AGAIN}"
                    )


def refuse_custom_code(folder: Path) -> None:
    """Refuse a model whose configuration is read by Python code of its own.

    Raises:
        ModelError: config.json names such code, and transformers does not know the architecture without it.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    config = read_settings(folder / "config.json") or {}
    kind = config.get("model_type")
    if "auto_map" in config and kind not in CONFIG_MAPPING_NAMES:
        raise ModelError(
            f"config.json: the architecture {visible(repr(kind), 40)} needs Python code that the model brings with it "
            "(auto_map), and crosslift runs no code of a model. Choose a model that transformers knows."
        )


def pickled_weights(folder: Path) -> list[str]:
    """Names of weight files in formats that are not read."""
    return sorted(file.name for file in folder.iterdir() if file.suffix in PICKLES and file.is_file())


@contextlib.contextmanager
def reading(what: str, error: type[CrossliftError] = ModelError) -> Iterator[None]:
    """The guard around a library that reads files of a model: whatever it trips over becomes one message.

    Args:
        what: what is read, as in "the tokenizer of ./model".

    Raises:
        CrossliftError: of the given type, in place of any exception but those of crosslift and of memory on a GPU.
    """
    try:
        yield
    except CrossliftError:
        raise
    except Exception as caught:
        if type(caught).__name__ == "OutOfMemoryError":  # torch's: the model is right and the GPU too small
            raise
        raise error(f"{what} cannot be read: {_said(caught)} {AGAIN}") from caught
    except BaseException as caught:
        if type(caught).__name__ != "PanicException":  # what libraries in Rust raise; no Exception
            raise
        raise error(f"{what} cannot be read: {_said(caught)} {AGAIN}") from caught


def _said(caught: BaseException) -> str:
    """What a library said, as the first sentence of a message."""
    lines = [line.strip() for line in str(caught).splitlines() if line.strip()]
    text = visible(lines[0], 300) if lines else ""
    return f"{type(caught).__name__}: {text}".rstrip(": .") + "."


def _parsed(data: bytes, what: str) -> Any:
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ModelError(f"{what} is nested too deep. {AGAIN}") from error
    except ValueError as error:  # not UTF-8, not JSON, or a number of more than 4,300 digits
        raise ModelError(f"{what} is not JSON ({visible(str(error), 120)}). {AGAIN}") from error
