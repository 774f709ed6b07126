"""Instructions that a program verifies: what follows them and what does not, by the published checkers' semantics."""

from __future__ import annotations

import json

import places
import pytest

from crosslift.corpora.corpus import Source
from crosslift.corpora.readers.instructions import m_ifeval
from crosslift.evaluation.constraints import CHECKERS, is_followed
from crosslift.evaluation.segments import num_sentences, num_words, words
from crosslift.evaluation.tasks import ifeval as task
from crosslift.languages.language import language

# name, arguments, a response that follows it, one that does not
CASES = [
    (
        "en:change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        "A BIG dog",
        "a BIG dog",
    ),
    ("en:change_case:english_capital", {}, "THIS IS A RATHER LONG ANSWER IN ENGLISH", "This is it"),
    ("fr:change_case:french_lowercase", {}, "ceci est une réponse assez longue en français", "Ceci est une réponse"),
    ("es:change_case:spanish_capital", {}, "ESTA ES UNA RESPUESTA BASTANTE LARGA EN ESPAÑOL", "Esta es"),
    ("en:combination:repeat_prompt", {"prompt_to_repeat": "Say why."}, "say why. Because.", "Because. Say why."),
    ("en:combination:two_responses", {}, "one ****** two", "one ****** one"),
    ("en:combination:two_responses", {}, "****** one ****** two ******", "one ****** ****** two"),
    ("fr:detectable_content:informal_address", {}, "Est-ce que tu viens ?", "Venez-vous ?"),
    ("fr:detectable_content:no_digits", {}, "trois pommes", "3 pommes"),
    ("en:detectable_content:number_placeholders", {"num_placeholders": 2}, "Dear [name], at [place]", "Dear [name]"),
    ("en:detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\nP.S. More.", "Bye."),
    ("en:detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye.\nP.P.S. More.", "Bye.\nP.S. More."),
    ("es:detectable_content:postscript", {"postscript_marker": "P.D."}, "Adiós.\nP. D. Más.", "Adiós."),
    ("fr:detectable_content:postscript", {"postscript_marker": "P.-S."}, "Adieu.\nP.-S. Encore.", "Adieu."),
    ("fr:detectable_content:postscript", {"postscript_marker": "P.-S."}, "Adieu.\np.-s : encore.", "Adieu. PS"),
    ("en:detectable_format:constrained_response", {}, "My answer is yes.", "Yes."),
    ("es:detectable_format:constrained_response", {}, "Quizás.", "Tal vez"),
    ("fr:detectable_format:constrained_response", {}, "Peut-être.", "Ma réponse est oui"),
    ("en:detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "{a: 1}"),
    (
        "en:detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        "SECTION 1\na\nSECTION 2\nb",
        "SECTION 1",
    ),
    ("en:detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n- b", "* a"),
    ("es:detectable_format:number_bullet_lists", {"num_bullets": 1}, "* a\n- b", "- b"),
    ("en:detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and **b**", "*a* and ** **"),
    ("en:detectable_format:title", {}, "<<my poem>>\ntext", "<< >>"),
    ("en:keywords:existence", {"keywords": ["tea", "cup"]}, "A Cup of teas", "A cup"),
    ("en:keywords:forbidden_words", {"forbidden_words": ["tea"]}, "steam", "Tea."),
    ("en:keywords:frequency", {"keyword": "tea", "frequency": 2, "relation": "at least"}, "tea, Tea", "tea"),
    ("es:keywords:frequency", {"keyword": "té", "frequency": 1, "relation": "como máximo"}, "té", "té té"),
    ("fr:keywords:frequency", {"keyword": "thé", "frequency": 1, "relation": "moins de"}, "café", "thé"),
    (
        "en:keywords:letter_frequency",
        {"letter": "q", "let_frequency": 2, "let_relation": "at least"},
        "Quick quiz",
        "quit",
    ),
    (
        "en:language:response_language",
        {"language": "de"},
        "Das ist eine ziemlich lange Antwort.",
        "This is a rather long answer.",
    ),
    ("en:language:response_language", {"language": "bn"}, "না।", '```json\n["No."]\n```'),
    ("en:language:response_language", {"language": "kn"}, "ಇದು ಕನ್ನಡದಲ್ಲಿ ಒಂದು ಉತ್ತರ.", "This is a rather long answer."),
    (
        "en:length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "but"},
        "a\n\nBut, b",
        "a\n\nb",
    ),
    (
        "es:length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Diría que"},
        "a\n\nDiría, que sí",
        "a\n\nDiría",
    ),
    ("en:length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb", "a\n***\nb\n***\nc"),
    (
        "en:length_constraints:number_sentences",
        {"num_sentences": 3, "relation": "less than"},
        "One. Two!",
        "One. Two! Three?",
    ),
    (
        "es:length_constraints:number_sentences",
        {"num_sentences": 2, "relation": "como máximo"},
        "Uno. ¿Dos?",
        "Uno. Dos. ¡Tres!",
    ),
    ("en:length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "one two three", "one two"),
    ("es:punctuation:exclamation_marks", {}, "¡Hola!", "Hola!"),
    ("en:punctuation:no_comma", {}, "a and b", "a, b"),
    ("es:punctuation:question_marks", {}, "¿Qué?", "Qué?"),
    ("fr:special_character:accents", {"word_to_accentuate": {"deja": "déjà"}}, "C'est déjà fait", "C'est deja fait"),
    ("es:special_character:dieresis", {"let_frequency": 1}, "Un pingüino", "pingüino y cigüeña"),
    ("es:special_character:enie", {"let_frequency": 1}, "El niño", "El gato"),
    ("fr:special_character:ethel_or_cedilla", {"forbidden_char": "ç"}, "merci", "Ça va"),
    ("fr:special_character:no_accents", {}, "merci", "été"),
    ("es:special_character:tildes", {"num_words": 1, "relation": "al menos"}, "canción", "cantar"),
    ("en:startend:end_checker", {"end_phrase": "The end."}, 'So. the end."', "The end. Yes."),
    ("es:startend:end_checker", {"end_phrase": "Un saludo"}, "Hola. Un saludo.", "Un saludo. Hola"),
    ("fr:startend:end_checker", {"end_phrase": "Voilà"}, "Bon. Voilà", "Bon. Voilà."),
    ("en:startend:quotation", {}, '"all of it"', "all of it"),
    ("fr:startend:quotation", {}, "« tout »", "tout"),
]


@pytest.mark.parametrize(("name", "arguments", "good", "bad"), CASES)
def test_what_follows_an_instruction_and_what_does_not(name: str, arguments: dict, good: str, bad: str):
    assert is_followed(name, arguments, good)
    assert not is_followed(name, arguments, bad)


def test_every_instruction_has_a_case():
    tested = set()
    for name, *_ in CASES:
        _, group, kind = name.split(":")
        for tongue in ("english", "spanish", "french"):
            kind = kind.replace(f"{tongue}_", "own_")
        tested.add((group, kind))
    assert tested == set(CHECKERS)


def test_loose_accuracy_forgives_an_opening_line():
    assert not is_followed("en:startend:quotation", {}, 'Sure, here it is:\n"all"')
    assert is_followed("en:startend:quotation", {}, 'Sure, here it is:\n"all"', loose=True)


@pytest.mark.parametrize(
    ("tag", "text", "number"),
    [
        ("en", "One.", 1),
        ("en", "Mr. Smith came. He left!", 2),
        ("en", "It costs 3.5 dollars. Yes?", 2),
        ("en", "no end", 1),
        ("en", "- a\n- b", 1),
        ("es", "- a\n- b", 2),
        ("es", "1. Uno.\n2. ¿Dos? Sí.", 3),
        ("es", "El Sr. Ruiz vino. Se fue.", 2),
        ("fr", "M. Dupont est venu, cf. p. 3. Il part.", 2),
    ],
)
def test_sentences(tag: str, text: str, number: int):
    assert num_sentences(text, tag) == number


def test_words():
    assert num_words("l'eau-de-vie, 3.5 %", "fr") == num_words("l'eau-de-vie, 3.5 %", "en") == 6
    assert num_words("* niño-pez\n2. 3.5 €", "es") == 3
    assert words("A U.S. WELL-known CASE.", "en") == ["A", "U.S.", "WELL-known", "CASE", "."]
    assert words("El niño-pez, 3.5 €", "es") == ["El", "niño-pez", "3.5", "€"]


def test_parts_of_a_prompt_are_counted():
    gold = json.dumps(
        {"instruction_id_list": ["en:punctuation:no_comma", "en:detectable_format:title"], "kwargs": [{}, {}]}
    )
    values = task.score("a, <<b>>", gold, language("en")).values
    assert (values["instruction_strict"], values["prompt_strict"]) == (0.5, 0)
    assert task.score("<<b>>", gold, language("en")).values["prompt_strict"] == 1
    assert task.score("  ", gold, language("en")).status == "unparsed"
    with pytest.raises(ValueError, match="is not an object"):
        task.score("a", "{}", language("en"))


DATA = places.DATA / "m_ifeval"


@pytest.mark.skipif(not DATA.exists(), reason="needs the real data")
@pytest.mark.parametrize("tag", ["en", "es", "fr"])
def test_every_instruction_of_m_ifeval_is_known(tag: str):
    corpus = m_ifeval.read(
        Source(name="m", reader="m_ifeval", task="ifeval", languages=(tag,), split="test", path=DATA)
    )
    for row in corpus.rows.iter_rows(named=True):
        outcome = task.score("Hello there, this is an answer.", row["answer"], language(tag))
        assert outcome.status == "scored"
