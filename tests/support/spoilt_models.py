"""What is wrong with base models: name -> how the folder of a right one is spoilt, and what is said."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

Spoil = Callable[[Path], None]


def header(value: bytes | dict | list, *, length: int | None = None) -> Spoil:
    """Weights with this header and 64 bytes of values."""
    content = value if isinstance(value, bytes) else json.dumps(value).encode()

    def spoil(folder: Path) -> None:
        start = struct.pack("<Q", len(content) if length is None else length)
        (folder / "model.safetensors").write_bytes(start + content + bytes(64))

    return spoil


def content(name: str, data: bytes) -> Spoil:
    return lambda folder: (folder / name).write_bytes(data) and None


def change(name: str, **values: Any) -> Spoil:
    """Other values in a JSON file; None takes a key away."""

    def spoil(folder: Path) -> None:
        found = json.loads((folder / name).read_text(encoding="utf-8")) | values
        found = {key: value for key, value in found.items() if value is not None}
        (folder / name).write_text(json.dumps(found), encoding="utf-8")

    return spoil


def template(text: str) -> Spoil:
    return lambda folder: (folder / "chat_template.jinja").write_text(text, encoding="utf-8") and None


def no_vocabulary(folder: Path) -> None:
    file = folder / "tokenizer.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    del found["model"]["vocab"]
    file.write_text(json.dumps(found), encoding="utf-8")


def empty_vocabulary(folder: Path) -> None:
    file = folder / "tokenizer.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    found["model"]["vocab"], found["added_tokens"] = {}, []
    file.write_text(json.dumps(found), encoding="utf-8")


def pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def truncated(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


TENSOR = {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}
NESTED = b"[" * 100_000

WEIGHTS: dict[str, tuple[Spoil, str]] = {
    "weights_empty": (content("model.safetensors", b""), "model.safetensors has 0 bytes and is not a safetensors"),
    "weights_of_five_bytes": (content("model.safetensors", b"12345"), "model.safetensors has 5 bytes"),
    "header_of_2_to_the_60": (header(b"{}", length=2**60), "its header length is 1,152,921,504,606,846,976 bytes"),
    "header_longer_than_the_file": (header(b"{}", length=1000), "its header length is 1,000 bytes"),
    "header_a_list": (header([1]), "the header of model.safetensors is not an object of tensors."),
    "header_no_json": (header(b"{broken"), "the header of model.safetensors is not JSON"),
    "header_not_utf8": (header(b"\xff\xfe\xfa\xfb"), "the header of model.safetensors is not JSON"),
    "header_nested": (header(NESTED), "the header of model.safetensors is nested too deeply."),
    "header_without_shape": (header({"w": {"dtype": "F32"}}), "tensor 'w' has no shape."),
    "header_of_numbers": (header({"w": 7}), "tensor 'w' has no shape."),
    "header_of_negative_shape": (header({"w": TENSOR | {"shape": [-4]}}), "tensor 'w' has no shape."),
    "header_of_huge_shape": (header({"w": TENSOR | {"shape": [10**30]}}), "the data of tensor 'w' is incomplete."),
    "header_of_5000_digits": (header(b'{"w": {"shape": [' + b"9" * 5000 + b"]}}"), "is not JSON"),
    "weights_cut_off": (truncated, "is incomplete. Download or save the model again."),
    "pickle_only": (pickle_only, "pytorch_model.bin can execute arbitrary code when loaded"),
    "config_a_list": (content("config.json", b"[1]"), "config.json is not a JSON object."),
    "config_no_json": (content("config.json", b"{"), "config.json is not JSON"),
    "config_nested": (content("config.json", NESTED), "config.json is nested too deeply."),
    "config_of_a_billion_layers": (
        change("config.json", num_hidden_layers=10**9),
        "config.json: num_hidden_layers is 1000000000 and must be an integer from 0 to 10,000.",
    ),
    "config_of_a_large_vocabulary": (change("config.json", vocab_size=10**12), "vocab_size is 1000000000000 and must"),
    "config_with_text_for_layers": (change("config.json", num_hidden_layers="many"), "num_hidden_layers is 'many'"),
    "tokenizer_config_a_list": (content("tokenizer_config.json", b"[]"), "tokenizer_config.json is not a JSON object"),
    "model_max_length_a_text": (
        change("tokenizer_config.json", model_max_length="long"),
        "tokenizer_config.json: model_max_length is 'long' and must be a number.",
    ),
}
"""Seen without a library, at every start."""

TOKENIZERS: dict[str, tuple[Spoil, str]] = {
    "custom_code": (
        change("config.json", model_type="mine", auto_map={"AutoConfig": "modeling.C"}, architectures=None),
        "needs Python code from the model's repository (auto_map), which crosslift does not execute.",
    ),
    "tokenizer_without_vocabulary": (no_vocabulary, "cannot be read: "),
    "tokenizer_of_an_empty_vocabulary": (empty_vocabulary, " has no vocabulary."),
    "tokenizer_no_json": (content("tokenizer.json", b"{"), "cannot be read: "),
    "tokenizer_a_list": (content("tokenizer.json", b"[]"), "cannot be read: "),
    "tokenizer_nested": (content("tokenizer.json", NESTED), "cannot be read: "),
    "template_syntax": (template("{% if %}"), "line 1: Expected an expression"),
    "template_leaves_the_sandbox": (
        template("{{ messages.__class__.__mro__[1].__subclasses__() }}"),
        "tried to reach what templates may not touch, and was stopped",
    ),
    "template_of_a_long_range": (template("{% for i in range(10**9) %}a{% endfor %}"), "cannot write this"),
    "template_of_much_memory": (template("{{ 'a' * 10**11 }}"), "took more memory than a prompt can need."),
    "template_that_raises": (template("{{ raise_exception('roles') }}"), "cannot write this conversation"),
    "template_of_another_type": (template("{{ messages + 1 }}"), "cannot write this conversation (TypeError"),
    "template_that_recurs": (
        template("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"),
        "cannot write this conversation (RecursionError",
    ),
}
"""Seen when the tokenizer is loaded."""

MODELS = {**WEIGHTS, **TOKENIZERS}
