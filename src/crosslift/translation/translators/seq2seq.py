"""Translation by a local encoder-decoder model of Hugging Face: NLLB-200, MADLAD-400 and models with their interface.

The vocabulary determines how the target language is specified: by a token `<2sw>` before the text (MADLAD), or by
`swh_Latn` as the first generated token (NLLB). Each line is translated separately, because such models are trained on
sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crosslift.errors import StudyError
from crosslift.languages.language import Language
from crosslift.translation.translator import Done, Request, Translation
from crosslift.untrusted.model_files import reading

OPTIONS: dict[str, type] = {"model": str, "revision": str, "batch_size": int, "num_beams": int, "max_tokens": int}


class Translator:
    """Translates with a local encoder-decoder model."""

    def __init__(self, options: dict[str, Any], *, place: str) -> None:
        unknown = sorted(options.keys() - OPTIONS.keys())
        if "model" not in options or unknown:
            raise StudyError(
                [f"{place}.{key}: is not known. Known: {', '.join(OPTIONS)}." for key in unknown]
                or [f"{place}.model: is missing. Name a model or a folder."]
            )
        import torch
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        self.name = str(options["model"])
        revision = options.get("revision")
        with reading(f"{place}.model: {self.name}", StudyError):
            self._tokenizer = AutoTokenizer.from_pretrained(self.name, revision=revision, trust_remote_code=False)
            model = AutoModelForSeq2SeqLM.from_pretrained(
                self.name, revision=revision, trust_remote_code=False, use_safetensors=True
            )
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = model.to(self._device).eval()
        self._vocabulary = self._tokenizer.get_vocab()
        self._batch = int(options.get("batch_size", 16))
        self._beams = int(options.get("num_beams", 4))
        self._max_tokens = int(options.get("max_tokens", 256))
        self._place = place

    def translate(self, requests: Sequence[Request], done: Done) -> None:
        """Translate each request; `done` is called with its index and its translation, in order.

        Raises:
            StudyError: the model does not support a target language.
        """
        lines = [(place, line) for place, request in enumerate(requests) for line in request.text.split("\n")]
        filled = [(place, line) for place, line in lines if line.strip()]
        texts: dict[int, str] = {}
        cut: set[int] = set()
        order = sorted(range(len(filled)), key=lambda index: (-len(filled[index][1]), index))
        for start in range(0, len(order), self._batch):
            batch = order[start : start + self._batch]
            by_target: dict[str, list[int]] = {}
            for index in batch:
                by_target.setdefault(requests[filled[index][0]].target.tag, []).append(index)
            for group in by_target.values():
                first = requests[filled[group[0]][0]]
                for index, (text, whole) in zip(
                    group, self._generate([filled[index][1] for index in group], first), strict=True
                ):
                    texts[index] = text
                    if not whole:
                        cut.add(filled[index][0])
        translated = iter(texts[index] for index in range(len(filled)))
        whole_texts: dict[int, list[str]] = {}
        for place, line in lines:
            whole_texts.setdefault(place, []).append(next(translated) if line.strip() else line)
        for place in range(len(requests)):
            done(place, Translation(text="\n".join(whole_texts[place]), is_complete=place not in cut))

    def _generate(self, lines: list[str], request: Request) -> list[tuple[str, bool]]:
        import torch

        extra: dict[str, Any] = {}
        if (prefix := f"<2{request.target.tag}>") in self._vocabulary:
            lines = [f"{prefix} {line}" for line in lines]
        elif (code := _flores(request.target)) in self._vocabulary:
            self._tokenizer.src_lang = _flores(request.source)
            extra["forced_bos_token_id"] = self._vocabulary[code]
        else:
            raise StudyError(f"{self._place}.model: {self.name} does not know {request.target.name}. Remove it.")
        inputs = self._tokenizer(lines, return_tensors="pt", padding=True).to(self._device)
        with torch.inference_mode():
            ids = self._model.generate(
                **inputs, **extra, num_beams=self._beams, do_sample=False, max_new_tokens=self._max_tokens
            )
        texts = self._tokenizer.batch_decode(ids, skip_special_tokens=True)
        end = self._model.config.eos_token_id
        return [(text, end in row[1:]) for text, row in zip(texts, ids.tolist(), strict=True)]


_FLORES = {"cmn_Hans": "zho_Hans", "cmn_Hant": "zho_Hant", "kor_Kore": "kor_Hang"}
"""Codes of FLORES-200 that differ from ISO 639-3 and ISO 15924."""


def _flores(language: Language) -> str:
    code = f"{language.iso639_3}_{language.script}"
    return _FLORES.get(code, code)
