"""Tokenizers of four families, built here: their kind (byte-level or with visible spaces) and their control tokens."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

TEXT = (
    "How many apples does Anna have now? Since 3 + 4 = 7, now Anna has 7 apples. The answer is 7. "
    "¿Cuántas manzanas tiene Ana ahora? アンナは今りんごを何個持っていますか？ আনার কাছে এখন কতটি আপেল আছে? "
    "system user assistant model Be brief."
)


@dataclass(frozen=True, kw_only=True)
class Family:
    bos: str | None
    eos: str
    control: tuple[str, ...]
    end: str
    """What the template writes behind an answer, as far as it is learnt."""
    published: str
    """Name of the published template in TRL's collection."""
    visible_spaces: bool = False
    trims: bool = False


FAMILIES = {
    "qwen3": Family(
        bos=None,
        eos="<|im_end|>",
        control=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        end="<|im_end|>",
        published="qwen3",
    ),
    "gemma3": Family(
        bos="<bos>",
        eos="<eos>",
        control=("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"),
        end="<end_of_turn>",
        published="gemma3",
        visible_spaces=True,
        trims=True,
    ),
    "llama3": Family(
        bos="<|begin_of_text|>",
        eos="<|end_of_text|>",
        control=("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        end="<|eot_id|>",
        published="llama3_2",
        trims=True,
    ),
    "cohere": Family(
        bos="<BOS_TOKEN>",
        eos="<|END_OF_TURN_TOKEN|>",
        control=(
            "<BOS_TOKEN>",
            "<|START_OF_TURN_TOKEN|>",
            "<|END_OF_TURN_TOKEN|>",
            "<|USER_TOKEN|>",
            "<|CHATBOT_TOKEN|>",
            "<|SYSTEM_TOKEN|>",
        ),
        end="<|END_OF_TURN_TOKEN|>",
        published="cohere",
        trims=True,
    ),
    "cohere2": Family(
        bos="<BOS_TOKEN>",
        eos="<|END_OF_TURN_TOKEN|>",
        control=(
            "<BOS_TOKEN>",
            "<|START_OF_TURN_TOKEN|>",
            "<|END_OF_TURN_TOKEN|>",
            "<|USER_TOKEN|>",
            "<|CHATBOT_TOKEN|>",
            "<|SYSTEM_TOKEN|>",
            "<|START_RESPONSE|>",
            "<|END_RESPONSE|>",
        ),
        end="<|END_RESPONSE|><|END_OF_TURN_TOKEN|>",
        published="cohere2",
    ),
}


@cache
def tokenizer(name: str) -> PreTrainedTokenizerFast:
    family = FAMILIES[name]
    if family.visible_spaces:  # as SentencePiece writes them, bytes for what was not seen
        core = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
        core.normalizer = normalizers.Replace(" ", "▁")
        core.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
        special = [*family.control, "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
        alphabet: list[str] = []
    else:
        core = Tokenizer(models.BPE())
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        core.decoder = decoders.ByteLevel()
        special, alphabet = list(family.control), pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(
        [TEXT],
        trainers.BpeTrainer(vocab_size=700, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    # Only bos and eos get a name. The others are control tokens because they are marked so, as in the real files.
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token=family.bos, eos_token=family.eos)


def template(name: str) -> str:
    """The layout of the family's published template, text only."""
    return (Path(__file__).parent / "templates" / f"{name}.jinja").read_text(encoding="utf-8")
