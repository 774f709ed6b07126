"""Planted faults are found where they are and sound rows are left alone."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from crosslift.corpora.corpus import CorpusError, ParallelCorpus, Source
from crosslift.corpora.quality import find, run_checks, summarise, summary_lines
from crosslift.corpora.readers.general import pocket
from crosslift.discover import members

Rows = list[dict]


def corpus_of(
    task: str = "math", languages: tuple[str, ...] = ("en", "de", "sw", "zh"), items: int = 60
) -> ParallelCorpus:
    return pocket.read(Source(name="toy", reader="pocket", task=task, languages=languages, max_items=items))


def spoilt(
    corpus: ParallelCorpus, item: int, tag: str, change: Callable[[str], str], *, answer: bool = False
) -> ParallelCorpus:
    """The corpus with one prompt (or gold answer) changed."""
    rows = corpus.rows.to_dicts()
    row = rows[corpus.row(item, tag)]
    if answer:
        row["answer"] = change(row["answer"])
    else:
        row["messages"][0]["content"] = change(row["messages"][0]["content"])
    return ParallelCorpus(
        name=corpus.name,
        task=corpus.task,
        licence="",
        revision="",
        languages=corpus.languages,
        rows=pl.DataFrame(rows, schema=corpus.rows.schema),
    )


def found_by(name: str, corpus: ParallelCorpus) -> list[tuple[str, str]]:
    findings = find(corpus, [name])
    return list(zip(findings["item_id"], findings["language"], strict=True))


def item(number: int, task: str = "math") -> str:
    return f"{task}-train-{number:05}"


@pytest.mark.parametrize("task", ["math", "api_calling", "summarization", "instruction_following"])
def test_an_exactly_parallel_corpus_has_no_errors(task: str):
    findings = find(
        corpus_of(task, ("en", "ar", "bn", "de", "es", "ja", "ko", "sw", "te", "th", "zh")), members("check")
    )
    assert findings.filter(severity="error").is_empty(), summary_lines(findings)
    assert findings.filter(pl.col("check").is_in(["numbers", "lengths"])).is_empty(), summary_lines(findings)


def test_a_missing_number_is_found_and_another_notation_is_not():
    corpus = corpus_of()
    english = corpus.rows["messages"][corpus.row(4, "en")][0]["content"]
    number = next(word for word in english.replace(".", " ").split() if word.isdigit() and len(word) > 1)
    assert found_by("numbers", spoilt(corpus, 4, "sw", lambda text: text.replace(number, "mengi"))) == [(item(4), "sw")]
    swapped = spoilt(corpus, 4, "en", lambda text: text + " It costs 1,234.50 or 20,000.")
    for tag, own in (("de", "1.234,50 20.000"), ("sw", "1,234.50 elfu 20"), ("zh", "1234.5 两万")):
        swapped = spoilt(swapped, 4, tag, lambda text, own=own: f"{text} {own}")
    assert found_by("numbers", swapped) == []


@pytest.mark.parametrize("case", [str, str.upper, lambda text: text.replace(" ", "  ")])
def test_an_untranslated_row_is_found_however_it_is_written(case):
    corpus = corpus_of()
    english = corpus.rows["messages"][corpus.row(7, "en")][0]["content"]
    assert found_by("untranslated", spoilt(corpus, 7, "de", lambda _: case(english))) == [(item(7), "de")]


def test_solutions_that_nobody_translated_are_told_once():
    corpus = corpus_of()
    rows = corpus.rows.to_dicts()
    for number in range(60):
        rows[corpus.row(number, "de")]["messages"][1] = rows[corpus.row(number, "en")]["messages"][1]
    spoilt_corpus = ParallelCorpus(name="toy", task="math", licence="", revision="", languages=corpus.languages,
                                   rows=pl.DataFrame(rows, schema=corpus.rows.schema))  # fmt: skip
    findings = find(spoilt_corpus, ["untranslated"])
    assert findings.select("item_id", "language").rows() == [("", "de")]


def test_a_row_in_another_language_is_found_by_script_and_by_words():
    corpus = corpus_of()
    english = "How many apples does she have now, after she gave ten of them to the boys in the garden?"
    assert found_by("language", spoilt(corpus, 3, "zh", lambda _: english)) == [(item(3), "zh")]
    assert found_by("language", spoilt(corpus, 3, "sw", lambda _: english)) == [(item(3), "sw")]


def test_a_text_under_two_ids_is_found_and_other_numbers_make_another_problem():
    corpus = corpus_of()
    other = corpus.rows["messages"][corpus.row(9, "zh")][0]["content"]
    assert found_by("duplicates", spoilt(corpus, 20, "zh", lambda _: other)) == [(item(20), "zh")]
    english = corpus.rows["messages"][corpus.row(9, "en")][0]["content"]
    turned = " ".join(reversed(english.split()))
    assert found_by("duplicates", spoilt(corpus, 20, "en", lambda _: turned)) == [(item(20), "en")]
    numbered = "".join("7" if character.isdigit() else character for character in turned)
    assert found_by("duplicates", spoilt(corpus, 20, "en", lambda _: numbered)) == []


def test_a_text_that_was_cut_off_or_doubled_is_found():
    corpus = corpus_of()
    assert found_by("lengths", spoilt(corpus, 5, "de", lambda text: text * 5)) == [(item(5), "de")]
    assert found_by("lengths", spoilt(corpus, 5, "de", lambda text: text[:8])) == [(item(5), "de")]


def test_another_answer_is_found_and_another_way_to_write_it_is_not():
    corpus = corpus_of()
    assert found_by("answers", spoilt(corpus, 6, "sw", lambda _: "1000", answer=True)) == [(item(6), "sw")]
    assert found_by("answers", spoilt(corpus, 6, "sw", lambda text: f"{text}.0", answer=True)) == []
    calls = corpus_of("api_calling")
    name = item(6, "api_calling")
    assert found_by("answers", spoilt(calls, 6, "sw", lambda text: text.replace("(", "X(", 1), answer=True)) == [
        (name, "sw")
    ]
    assert found_by("answers", spoilt(calls, 6, "sw", lambda text: text.replace("=", "x=", 1), answer=True)) == [
        (name, "sw")
    ]


def test_lost_code_and_placeholders_are_found():
    corpus = corpus_of()
    for tag in corpus.languages:
        corpus = spoilt(corpus, 8, tag, lambda text: f"{text} `ls -l` {{{{path}}}} https://a.org/b")
    assert found_by("protected", corpus) == []
    assert found_by("protected", spoilt(corpus, 8, "de", lambda text: text.replace("ls -l", "ls"))) == [(item(8), "de")]
    assert found_by("protected", spoilt(corpus, 8, "zh", lambda text: text.replace("{{", "{"))) == [(item(8), "zh")]
    translated = spoilt(corpus, 8, "de", lambda text: text.replace("{{path}}", "{{pfad}}"))
    assert found_by("protected", translated) == []


def test_policies_report_drop_and_stop():
    corpus = spoilt(corpus_of(), 6, "sw", lambda _: "1000", answer=True)
    reported = run_checks(corpus, {})
    assert reported.corpus is corpus and reported.findings.height >= 1
    dropped = run_checks(corpus, {"answers": "drop"}).corpus
    assert dropped.num_items == 59
    assert item(6) not in set(dropped.item_ids)
    assert "1 by 'answers'" in dropped.notes[-1]
    with pytest.raises(CorpusError, match="another answer than in en"):
        run_checks(corpus, {"answers": "stop"})
    off = run_checks(corpus, {"answers": "off"}).findings
    assert "answers" not in set(off["check"])


def test_findings_do_not_depend_on_where_slices_end(monkeypatch):
    from crosslift.corpora import findings
    from crosslift.corpora import quality as checking

    corpus = spoilt(corpus_of(), 6, "sw", lambda _: "1000", answer=True)
    whole = find(corpus, members("check"))
    parts = findings.slices
    monkeypatch.setattr(checking, "slices", lambda corpus, frame: parts(corpus, frame, items=7))
    order = ["check", "item_id", "language", "reason"]
    assert find(corpus, members("check")).sort(order).equals(whole.sort(order))


def test_the_summary_counts_rows_by_check_and_language():
    corpus = spoilt(corpus_of(), 6, "sw", lambda _: "1000", answer=True)
    (row,) = summarise(find(corpus, ["answers"])).to_dicts()
    assert (row["check"], row["language"], row["rows"]) == ("answers", "sw", 1)
