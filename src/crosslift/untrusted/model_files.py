"""Validation of base-model files, which are untrusted input.

Headers and settings are validated before a library reads them. Otherwise a damaged file raises an arbitrary exception
of that library (struct.error, MemoryError, KeyError, a panic in Rust), and a configuration with 10^9 layers exhausts
the machine's memory. Weights are read from safetensors only, because a pickle can execute arbitrary code when it is
loaded; for the same reason, Python code shipped with a model is not executed.
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
"""Maximum size of a safetensors header in bytes; the limit set by the format."""
MAX_SETTINGS = 256 * 2**20
"""Maximum size of a model's JSON file in bytes. The largest tokenizers take 35 MB."""
MAX_LAYERS = 10_000
_LENGTH = 8
_BITS = 8
"""Maximum number of tensor values per byte: some data types use one bit per value."""

_LAYERS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "num_decoder_layers", "num_encoder_layers")
_SIZES = ("vocab_size", "hidden_size", "intermediate_size", "num_attention_heads", "head_dim")
MAX_SIZE = 10**8
"""Maximum value of one dimension in a configuration. The largest vocabularies have 10^6 entries."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack")
AGAIN = "Download or save the model again."


def tensor_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Read the tensor shapes from the header of a safetensors file, without reading the weights.

    Args:
        file: path of the safetensors file.

    Returns:
        Tensor name -> shape.

    Raises:
        ModelError: the file is truncated, or its header violates the format.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            start = stream.read(_LENGTH)
            length = int.from_bytes(start, "little")
            if len(start) < _LENGTH:
                raise ModelError(f"{file.name} has {size} bytes and is not a safetensors file. {AGAIN}")
            if length > MAX_HEADER or length > size - _LENGTH:
                raise ModelError(
                    f"{file.name} is damaged or truncated: its header length is {length:,} bytes and its size is "
                    f"{size:,} bytes. {AGAIN}"
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
            f"{file.name} is damaged or truncated: the data of tensor '{visible(name, 80)}' is incomplete. {AGAIN}"
        )
    return tuple(shape)


def read_settings(file: Path) -> dict[str, Any] | None:
    """Read a JSON object from a file of a model.

    Args:
        file: path of the JSON file.

    Returns:
        The object; None if the file does not exist.

    Raises:
        ModelError: the file does not hold a JSON object, is too large, or is nested too deeply.
    """
    if not file.is_file():
        return None
    try:
        if file.stat().st_size > MAX_SETTINGS:
            raise ModelError(f"{file.name} is larger than {MAX_SETTINGS // 2**20} MB. {AGAIN}")
        value = _parsed(file.read_bytes(), file.name)
    except OSError as error:
        raise ModelError(f"{file.name} cannot be read: {error.strerror}. Give read permission.") from error
    if not isinstance(value, dict):
        raise ModelError(f"{file.name} is not a JSON object. {AGAIN}")
    return value


def check_settings(folder: Path) -> None:
    """Validate config.json and tokenizer_config.json before a library reads them.

    Args:
        folder: the model's folder.

    Raises:
        ModelError: a file is not a JSON object, or specifies sizes beyond those of any model.
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
            values = value if isinstance(value, list) else [value]  # some architectures set one value per layer
            for one in values:
                if one is not None and (type(one) is not int or not 0 <= one <= largest):
                    raise ModelError(
                        f"config.json: {key} is {visible(repr(one), 40)} and must be an integer from 0 to "
                        f"{largest:,}. {AGAIN}"
                    )


def refuse_custom_code(folder: Path) -> None:
    """Reject a model that needs Python code from its own repository.

    Args:
        folder: the model's folder.

    Raises:
        ModelError: config.json refers to such code, and transformers does not support the architecture without it.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    config = read_settings(folder / "config.json") or {}
    kind = config.get("model_type")
    if "auto_map" in config and kind not in CONFIG_MAPPING_NAMES:
        raise ModelError(
            f"config.json: the architecture {visible(repr(kind), 40)} needs Python code from the model's repository "
            "(auto_map), which crosslift does not execute. Choose a model that transformers supports."
        )


def pickled_weights(folder: Path) -> list[str]:
    """Return the sorted names of weight files in unsupported (pickle-based) formats."""
    return sorted(file.name for file in folder.iterdir() if file.suffix in PICKLES and file.is_file())


@contextlib.contextmanager
def reading(what: str, error: type[CrossliftError] = ModelError) -> Iterator[None]:
    """Context manager that converts the exceptions of a library that reads model files into one error.

    Args:
        what: subject of the error message, such as "the tokenizer of ./model".
        error: type of the error to raise.

    Raises:
        CrossliftError: an error of the given type replaces any exception except those of crosslift and GPU
            out-of-memory errors.
    """
    try:
        yield
    except CrossliftError:
        raise
    except Exception as caught:
        if type(caught).__name__ == "OutOfMemoryError":  # raised by torch: the model is valid and the GPU too small
            raise
        raise error(f"{what} cannot be read: {_first_line(caught)} {AGAIN}") from caught
    except BaseException as caught:
        if type(caught).__name__ != "PanicException":  # Rust panics are not subclasses of Exception
            raise
        raise error(f"{what} cannot be read: {_first_line(caught)} {AGAIN}") from caught


def _first_line(caught: BaseException) -> str:
    """Format the type and first line of an exception as one sentence."""
    lines = [line.strip() for line in str(caught).splitlines() if line.strip()]
    text = visible(lines[0], 300) if lines else ""
    return f"{type(caught).__name__}: {text}".rstrip(": .") + "."


def _parsed(data: bytes, what: str) -> Any:
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ModelError(f"{what} is nested too deeply. {AGAIN}") from error
    except ValueError as error:  # not UTF-8, not JSON, or a number of more than 4,300 digits
        raise ModelError(f"{what} is not JSON ({visible(str(error), 120)}). {AGAIN}") from error
