"""Verifiable instructions: our checkers beside the published ones, and beside published outcomes.

    pip install lm_eval==0.4.13 langdetect immutabledict spacy iso639-lang
    python -m nltk.downloader punkt_tab
    python -m spacy download es_core_news_sm
    python -m spacy download xx_sent_ud_sm
    python benchmarks/instructions.py ../shared/data
    python benchmarks/instructions.py ../shared/data --outcomes evaluations

The first form asks both about the same answers: for every instruction of M-IFEval's prompts, texts in its language as
they are and made to oblige (with the words that it wants, in capitals, between quotation marks ...). The published
checkers: IFEval's for English and M-IFEval's for Spanish as lm-evaluation-harness installs them; M-IFEval's for French
is no part of any package and is put together from IFEval's with the relations, options, sentences and checks that are
its own. Where spaCy's models are not installed, spaCy's rules tell the words and Spanish sentences are left out. The
second form reads folders of published outcomes (`eval_results_strict.jsonl` with responses, from M-IFEval's repository)
and says how often we agree.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from crosslift.evaluation.constraints import is_followed

TAGS = ("en", "es", "fr")
TEXTS = 6
"""Texts that each instruction is tried on, each as it is and in every guise."""


def prompts(data: Path, tag: str) -> list[dict[str, Any]]:
    lines = (data / "m_ifeval" / f"{tag}_input_data.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def texts(data: Path, tag: str) -> list[str]:
    """Prose of one to eight sentences and pages of commands with lists, as models answer."""
    rows = [row["prompt"] for row in prompts(data, tag)]
    longer = ["\n\n".join(rows[start : start + 4]) for start in range(0, len(rows) - 4, 4)]
    pages = sorted((data / "tldr_pages").rglob("*.md")) if tag == "en" else []
    return rows + longer + [page.read_text(encoding="utf-8") for page in pages[:200]]


def guises(text: str, given: dict[str, Any], everyone: list[str]) -> Iterator[str]:
    """A text as it is, and made to look like what some instruction asks for."""
    yield text
    yield text.upper()
    yield text.lower()
    yield f'"{text}"'
    yield f"« {text} »"
    yield "<<A title>>\n\n" + text
    yield json.dumps({"answer": text}, ensure_ascii=False)
    yield "```json\n" + json.dumps([text]) + "\n```"
    yield text.replace(",", "").replace("¿", "")
    yield re.sub(r"\d", "", text)
    yield f"{text}\n******\n{text[: len(text) // 2]}"
    parts = text.split(". ")
    yield "\n".join(f"* {part}" for part in parts)
    yield "\n".join(f"- {part}" for part in parts)
    yield "\n".join(f"{number}. **{part}**" for number, part in enumerate(parts, 1))
    yield "\n***\n".join(parts)
    yield "\n\n".join(parts)
    yield random.Random(len(text)).choice(["Oui.", "Non.", "Sí.", "Quizás.", "My answer is no.", "Peut-être."])
    yield "¡Bueno! ¿Qué más? El niño y el pingüino, p. ej., están aquí. Tu as ton thé? L'été est déjà là."
    for name, value in given.items():
        if name == "first_word":
            starts = [*parts[: int(given["num_paragraphs"])]]
            yield "\n\n".join(f"{str(value).capitalize()}, {part}" for part in starts)
        elif name == "section_spliter":
            yield "\n".join(f"{value} {number}\n{text}" for number in range(1, int(given["num_sections"]) + 1))
        elif name == "postscript_marker":
            yield f"{text}\n\n{value} {parts[0]}"
            yield f"{text} {str(value).rstrip('.')} : {parts[0]}"
        elif name == "end_phrase":
            yield f"{text} {value}"
            yield f'"{text} {value}."'
        elif name == "word_to_accentuate":
            yield " ".join([text, *value])
            yield " ".join([text, *value.values()])
        elif isinstance(value, str):
            yield f"{value}\n\n{text}"
        elif isinstance(value, list):
            yield f"{', '.join(map(str, value))}. {text}"
        elif isinstance(value, int):
            yield " [a] *b* J'AI ÇÀ ñandú ".join(everyone[: min(value, 40)])
            yield " ".join(everyone[: max(1, value // 12)])


def lm_eval() -> dict[str, Callable[[str, dict[str, Any], str], bool]]:
    """The published checkers by language; an instruction of theirs is made anew for each question."""
    import langdetect

    langdetect.DetectorFactory.seed = 0
    from lm_eval.tasks.ifeval import instructions as english
    from lm_eval.tasks.ifeval import instructions_registry

    spanish = _spanish()

    def ask(registry: dict[str, Any]) -> Callable[[str, dict[str, Any], str], bool]:
        def judge(name: str, given: dict[str, Any], response: str) -> bool:
            instruction = registry[name.split(":", 1)[1]](name)
            instruction.build_description(**{key: value for key, value in given.items() if value})
            return bool(response.strip() and instruction.check_following(response))

        return judge

    def in_french(name: str, given: dict[str, Any], response: str) -> bool:
        french = {
            "_COMPARISON_RELATION": ("moins de", "au moins"),
            "_CONSTRAINED_RESPONSE_OPTIONS": ("Oui.", "Non.", "Peut-être."),
        }
        with (
            mock.patch.multiple(english, **french),
            mock.patch.object(english.instructions_util, "count_sentences", _french_sentences),
        ):
            return _french(name, given, response, ask(instructions_registry.INSTRUCTION_DICT))

    return {"en": ask(instructions_registry.INSTRUCTION_DICT), "es": ask(spanish), "fr": in_french}


def _spanish() -> dict[str, Any]:
    import spacy

    def load(name: str, original: Any = spacy.load) -> Any:
        try:
            return original(name)
        except OSError:
            WITHOUT_MODELS.append(name)
            rules = spacy.blank("es")
            rules.add_pipe("sentencizer")
            return rules

    spacy.load = load
    from lm_eval.tasks.ifeval.multilingual.instructions import es_instructions
    from lm_eval.tasks.ifeval.multilingual.instructions_registry import ES_INSTRUCTION_DICT

    es_instructions._COMPARISON_RELATION = ("al menos", "como máximo")  # as M-IFEval has them
    return ES_INSTRUCTION_DICT


WITHOUT_MODELS: list[str] = []
_FRENCH_ABBREVIATIONS = (
    "m mr mme mlle dir. dr dre drs dres prof pr cap lt adm. assoc. min. etc cf vs rép i.e c.-à-d ex e.g apr av j.c. "
    "j.-c. j.c j.-c a.d env janv fév mar avr juil sept oct nov déc p.-ê. svp p.-v. p.v tél adj q.v p resp tel v vol nb "
    "n.b p.s ps p.p.s p.-s p-s"
)


def _french_sentences(text: str) -> int:
    import nltk

    punkt = nltk.data.load("nltk:tokenizers/punkt/french.pickle")
    punkt._params.abbrev_types.update(_FRENCH_ABBREVIATIONS.split())
    return len(punkt.tokenize(text))


def _french(name: str, given: dict[str, Any], response: str, english: Callable[..., bool]) -> bool:
    """M-IFEval's French checker where it differs from IFEval's."""
    import unicodedata

    import langdetect

    def bare(word: str) -> str:
        return "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))

    def spoken(tag: str) -> bool:
        try:
            return bool(langdetect.detect(response) == tag)
        except langdetect.LangDetectException:
            return True

    def addressed() -> bool:
        return bool(re.search(r"\btu\b|\bte\b|\bt'\b|\btoi\b|\bton\b|\bta\b|\btes\b", response, re.IGNORECASE))

    def postscript() -> bool:
        return bool(re.search(given["postscript_marker"].strip().lower(), response.lower()))

    def quoted() -> bool:
        text = response.strip()
        return len(text) > 1 and any(text[0] == a and text[-1] == b for a, b in ('""', "''", "«»"))

    def accents() -> bool:
        wanted = given["word_to_accentuate"]
        found = re.findall(r"\b\w+\b", response.lower())
        return all(bare(word) not in wanted or wanted[bare(word)] == word for word in found)

    own: dict[str, Callable[[], bool]] = {
        "response_language": lambda: spoken(given["language"]),
        "french_capital": lambda: response.isupper() and spoken("fr"),
        "french_lowercase": lambda: response.islower() and spoken("fr"),
        "informal_address": addressed,
        "no_digits": lambda: not re.search(r"\d", response),
        "quotation": quoted,
        "accents": accents,
        "no_accents": lambda: not re.search("[àáâãäåçèéêëìíîïñòóôõöùúûüýÿÀÁÂÃÄÅÇÈÉÊËÌÍÎÏÑÒÓÔÕÖÙÚÛÜÝ]", response),
        "ethel_or_cedilla": lambda: given["forbidden_char"].lower() not in response.lower(),
    }
    kind = name.rsplit(":", 1)[1]
    if kind == "postscript" and given["postscript_marker"] not in ("P.S.", "P.P.S"):
        return bool(response.strip()) and postscript()
    return bool(response.strip()) and own[kind]() if kind in own else english(name, given, response)


class TotalProgress:
    """How often two checkers agree, by instruction, with the last answer that they did not agree on."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.alike: Counter[str] = Counter()
        self.followed: Counter[str] = Counter()
        self.apart: dict[str, str] = {}

    def add(self, name: str, given: dict[str, Any], response: str, *, theirs: bool, ours: bool) -> None:
        self.asked[name] += 1
        self.followed[name] += theirs
        self.alike[name] += theirs == ours
        if theirs != ours:
            self.apart[name] = f"they {theirs}, we {ours}: {response[:300]!r} {given}"

    def report(self, title: str) -> None:
        if not (total := self.asked.total()):
            return
        print(f"{title}: {self.alike.total():,} of {total:,} alike ({self.alike.total() / total:.2%})")
        for name, asked in sorted(self.asked.items()):
            print(f"  {name:50} {self.alike[name]:>7,} of {asked:>7,}  followed {self.followed[name] / asked:.0%}")
            if name in self.apart:
                print(f"    {self.apart[name]}", file=sys.stderr)


def side_by_side(data: Path, seed: int = 0) -> None:
    judges = lm_eval()
    for tag in TAGS:
        tally = TotalProgress()
        everyone = texts(data, tag)
        draw = random.Random(seed)
        for row in prompts(data, tag):
            for name, arguments in zip(row["instruction_id_list"], row["kwargs"], strict=True):
                given = {key: value for key, value in arguments.items() if value is not None}
                if WITHOUT_MODELS and name == "es:length_constraints:number_sentences":
                    continue
                if not str(given.get("letter", "a")).isalpha():
                    continue  # the published checker looks for another letter instead, drawn at random
                for text in draw.sample(everyone, TEXTS):
                    for response in guises(text, given, everyone):
                        theirs, ours = judges[tag](name, given, response), is_followed(name, given, response)
                        tally.add(name, given, response, theirs=theirs, ours=ours)
        tally.report(f"{tag}: published checker")
    if WITHOUT_MODELS:
        print(f"not installed: {', '.join(sorted(set(WITHOUT_MODELS)))}; Spanish sentences were left out")


def with_outcomes(data: Path, folder: Path) -> None:
    """Published outcomes of responses beside ours; strict and loose."""
    for tag in TAGS:
        arguments = {row["prompt"]: row["kwargs"] for row in prompts(data, tag)}
        tally = TotalProgress()
        for file in sorted(folder.glob(f"{tag}_*/eval_results_*.jsonl")):
            loose = file.stem.endswith("loose")
            for line in file.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                names, outcomes = row["instruction_id_list"], row["follow_instruction_list"]
                for name, given, theirs in zip(names, arguments[row["prompt"]], outcomes, strict=True):
                    ours = is_followed(name, given, row["response"], loose=loose)
                    tally.add(name, given, row["response"], theirs=theirs, ours=ours)
        tally.report(f"{tag}: published outcomes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--outcomes", type=Path, help="folder of M-IFEval's published outcomes")
    asked = parser.parse_args()
    if asked.outcomes:
        with_outcomes(asked.data, asked.outcomes)
    else:
        side_by_side(asked.data)


if __name__ == "__main__":
    main()
