"""What is wrong with corpora: name -> how it is spoilt, and what is said."""

from __future__ import annotations

from spoil import Spoil, both, conversation, data, remove, rows, text, truncate

SHORT = b'{"item_id": "i0", "language": "en", "prompt": "1 + 1?", "completion": "2.", "answer": "2"}\n'

CORPORA: dict[str, tuple[Spoil, str | tuple[str, ...]]] = {
    "empty_file": (data("train.jsonl", b""), "corpora.train (train.jsonl): is empty. Fill it, or correct the path."),
    "blank_lines_only": (data("train.jsonl", b"\n \n"), "corpora.train (train.jsonl): is empty"),
    "not_utf8_data": (
        data("train.jsonl", SHORT + '{"item_id": "ä"}'.encode("latin-1")),
        "corpora.train (train.jsonl, line 2): is not UTF-8. Save the file as UTF-8.",
    ),
    "not_json": (
        data("train.jsonl", SHORT + b"{broken\n"),
        "corpora.train (train.jsonl, line 2): is not a JSON object",
    ),
    "json_but_no_object": (data("train.jsonl", b"[1, 2]\n"), "line 1): is not a JSON object in { }"),
    "missing_column": (
        rows("train.jsonl", lambda found: [{"item_id": "i", "language": "en"}]),
        "line 1): 'answer' is missing",
    ),
    "misspelt_column": (
        rows("train.jsonl", lambda found: [*found[:4], {**found[4], "clusters": "d1"}]),
        "line 5): unknown column 'clusters'. Did you mean 'cluster'?",
    ),
    "answer_of_wrong_type": (
        rows("train.jsonl", lambda found: [{**found[0], "answer": 1.5}, *found[1:]]),
        "line 1): answer must be a text or a whole number, not 1.5",
    ),
    "message_of_wrong_type": (
        rows("train.jsonl", lambda found: [{"item_id": "i", "language": "en", "answer": "1", "messages": ["hello"]}]),
        "line 1): messages.0",
    ),
    "no_prompt": (
        rows("train.jsonl", lambda found: [{"item_id": "i", "language": "en", "answer": "1"}]),
        "needs messages, or prompt and completion, and not both",
    ),
    "no_language": (
        rows("train.jsonl", lambda found: [{key: value for key, value in found[0].items() if key != "language"}]),
        "line 1): 'language' is missing",
    ),
    "many_bad_lines": (data("train.jsonl", b"{}\n" * 50), "(train.jsonl): 40 more lines are invalid"),
    "wrong_role_order": (
        rows("train.jsonl", conversation("assistant", "user")),
        "corpora.train (train.jsonl): 1 row has roles out of order",
    ),
    "unknown_role": (rows("train.jsonl", conversation("human", "assistant")), "roles out of order"),
    "no_completion_to_train_on": (rows("train.jsonl", conversation("user")), "the last message is the assistant's"),
    "empty_message": (
        rows("train.jsonl", lambda found: [{**found[0], "prompt": "  "}, *found[1:]]),
        "has an empty message",
    ),
    "empty_answer": (
        rows("train.jsonl", lambda found: [{**found[0], "answer": " "}, *found[1:]]),
        "1 row has an empty answer: 'i0' in 'en'. Correct the data.",
    ),
    "duplicate_ids": (
        rows("train.jsonl", lambda found: [*found, found[0]]),
        "corpora.train (train.jsonl): 'i0' in 'en': more than one row",
    ),
    "item_lacks_a_language": (
        rows("train.jsonl", lambda found: found[:-1]),
        "1 of 6 items lack a language: 'i5' (sw). Complete them, request fewer languages, or set incomplete",
    ),
    "no_row_in_a_language": (
        rows("train.jsonl", lambda found: [row for row in found if row["language"] != "es"]),
        "has no row in 'es'. Remove it from languages, or add the rows.",
    ),
    "no_row_in_any_language": (
        rows("train.jsonl", lambda found: [{**row, "language": "te"} for row in found]),
        "has no item in en, es, sw",
    ),
    "several_in_one_corpus": (
        rows("train.jsonl", lambda found: [{**found[0], "answer": ""}, *found[1:-1], found[1]]),
        ("an empty answer", "more than one row", "lack a language"),
    ),
    "truncated_parquet": (truncate("test.parquet"), "corpora.test (test.parquet): is not a complete Parquet file"),
    "empty_parquet": (data("test.parquet", b""), "corpora.test (test.parquet): is not a complete Parquet file"),
    "text_instead_of_parquet": (data("test.parquet", SHORT), "is not a complete Parquet file"),
    "folder_without_a_language": (
        both(
            remove("train.jsonl"),
            lambda folder: (folder / "train.jsonl").mkdir(),
            data("train.jsonl/en.jsonl", SHORT),
        ),
        "corpora.train (train.jsonl): the folder lacks es.jsonl, sw.jsonl",
    ),
    "other_revision": (
        text('path = "train.jsonl"', 'path = "train.jsonl"\nrevision = "sha256:0000"'),
        "but the study file requires sha256:0000. Restore the old file, or change revision.",
    ),
}
