"""Encoder-decoders in the two forms of the hub translate, each told its target language in its own way."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from crosslift.discover import member  # noqa: E402
from crosslift.errors import StudyError  # noqa: E402
from crosslift.languages.language import language  # noqa: E402
from crosslift.translation.translator import Request, Translation  # noqa: E402

PAIRS = {
    "the dog eats": {"de": "der Hund frisst", "sw": "mbwa anakula"},
    "two cats": {"de": "zwei Katzen", "sw": "paka wawili"},
    "good morning": {"de": "guten Morgen", "sw": "habari za asubuhi"},
}
WORDS = sorted({word for text, others in PAIRS.items() for line in (text, *others.values()) for word in line.split()})


def base_tokenizer(extra: list[str]):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = {word: number for number, word in enumerate(["<s>", "<pad>", "</s>", "<unk>", *extra, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    return tokenizer


def fit(model, inputs, labels) -> None:
    """Until the pairs are known by heart."""
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    model.train()
    for _ in range(300):
        loss = model(**inputs, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.005:
            return


def save_madlad(folder: Path) -> Path:
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=base_tokenizer(["<2de>", "<2sw>"]), pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    size = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 1, "num_heads": 4, "dropout_rate": 0.0}
    config = T5Config(vocab_size=len(tokenizer), pad_token_id=1, eos_token_id=2, decoder_start_token_id=1, **size)
    model = T5ForConditionalGeneration(config)
    texts = [(f"<2{tag}> {text}", other) for text, others in PAIRS.items() for tag, other in others.items()]
    inputs = tokenizer([text for text, _ in texts], return_tensors="pt", padding=True, return_token_type_ids=False)
    labels = tokenizer([other for _, other in texts], return_tensors="pt", padding=True)["input_ids"]
    fit(model, inputs, labels.masked_fill(labels == 1, -100))
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def save_nllb(folder: Path) -> Path:
    from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer

    torch.manual_seed(0)
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *(f"\u2581{word}" for word in WORDS)]
    merges: list[tuple[str, str]] = []
    letters = sorted({letter for piece in pieces[4:] for letter in piece})
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys([*pieces[:4], *letters]))}
    tokenizer = NllbTokenizer(vocab=vocabulary, merges=merges, src_lang="eng_Latn", tgt_lang="deu_Latn")
    per_side = {"layers": 1, "attention_heads": 4, "ffn_dim": 64, "layerdrop": 0.0}
    size = {f"{side}_{key}": value for side in ("encoder", "decoder") for key, value in per_side.items()}
    config = M2M100Config(
        vocab_size=len(tokenizer),
        d_model=32,
        dropout=0.0,
        attention_dropout=0.0,
        max_position_embeddings=300,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        decoder_start_token_id=2,
        **size,
    )
    model = M2M100ForConditionalGeneration(config)
    codes = {"de": "deu_Latn", "sw": "swh_Latn"}
    texts = [(text, tag, other) for text, others in PAIRS.items() for tag, other in others.items()]
    inputs = tokenizer([text for text, _, _ in texts], return_tensors="pt", padding=True)
    rows = []
    for _, tag, other in texts:
        tokenizer.tgt_lang = codes[tag]
        rows.append(tokenizer(text_target=other)["input_ids"])
    longest = max(map(len, rows))
    labels = torch.tensor([[*row, *[-100] * (longest - len(row))] for row in rows])
    fit(model, inputs, labels)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


pytestmark = pytest.mark.xdist_group("seq2seq")  # its models are trained once


@pytest.fixture(scope="module", params=[save_madlad, save_nllb], ids=["madlad", "nllb"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return request.param(tmp_path_factory.mktemp("seq2seq"))


def translated(model: Path, requests: list[tuple[str, str]], **options: object) -> dict[int, Translation | str]:
    translator = member("translator", "seq2seq").Translator({"model": str(model), **options}, place="site.toml")
    found: dict[int, Translation | str] = {}
    translator.translate(
        [Request(text=text, source=language("en"), target=language(tag), prompt="") for text, tag in requests],
        found.__setitem__,
    )
    return found


def test_lines_are_translated_one_by_one_into_the_language_that_is_asked(model: Path):
    asked = [("the dog eats", "de"), ("two cats\n\ngood morning", "sw"), ("two cats", "de"), ("", "de")]
    found = translated(model, asked, batch_size=2)
    assert [found[place].text for place in range(4)] == [
        "der Hund frisst",
        "paka wawili\n\nhabari za asubuhi",
        "zwei Katzen",
        "",
    ]
    assert all(found[place].is_complete for place in range(4))


def test_what_the_limit_cut_off_is_not_whole(model: Path):
    found = translated(model, [("good morning", "sw"), ("two cats", "de")], max_tokens=2, num_beams=1)
    assert [found[place].is_complete for place in range(2)] == [False, False]


def test_a_language_that_the_model_does_not_know_is_an_error(model: Path):
    with pytest.raises(StudyError, match="does not know Bavarian"):
        translated(model, [("two cats", "bar")])


def test_every_language_of_ours_that_nllb_knows_is_named_as_it_names_it():
    from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES

    from crosslift.languages.language import tags
    from crosslift.translation.translators.seq2seq import _flores

    unknown = {tag for tag in tags() if _flores(language(tag)) not in FAIRSEQ_LANGUAGE_CODES}
    assert unknown == {"bar", "gsw"}
