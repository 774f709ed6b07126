"""Reader of the Berkeley function-calling leaderboard (BFCL v4), English and Arabic: requests, functions and calls.

`path` is the folder of the release with `user_X.func_Y.param_Z/BFCL_v4_<category>.json` (X is the language of the
request, Y and Z those of the descriptions of functions and parameters) and `possible_answer/`. Request and functions
form one user message. `answer` contains the accepted values of each argument (`evaluation.expected_calls`); names and
values are English in every condition. For parameters of type float, accepted integers are converted to floats.
"""

from __future__ import annotations

import json
from typing import Any

from crosslift.corpora.corpus import CorpusError, ParallelCorpus, Source
from crosslift.corpora.published import Problems, build, choose_split, find_file, message, read_lines
from crosslift.errors import did_you_mean
from crosslift.untrusted.json_text import parse_json

OPTIONS: dict[str, type] = {"category": str, "functions": str, "parameters": str}
"""category: "simple_python" (default), "multiple", "parallel", "parallel_multiple", "live_simple" or "irrelevance".
functions, parameters: language of their descriptions; "user" (default) is the language of the request."""
NEEDS_PATH = True
LICENCE = "Apache-2.0"
NUM_ITEMS = {
    "simple_python": 400,
    "multiple": 200,
    "parallel": 200,
    "parallel_multiple": 200,
    "live_simple": 258,
    "irrelevance": 240,
}
INSTRUCTION = (
    "Answer the request with calls of these functions, written [name(key=value, ...)], and nothing else. Where none of "
    "them can help, say so."
)
NOTHING = "None of these functions can help."


def read(source: Source) -> ParallelCorpus:
    """Read one category in the requested languages.

    Raises:
        CorpusError: An unknown category or language, a missing condition, invalid lines or a wrong number of lines.
    """
    choose_split(source, "test")
    category = str(source.options.get("category", "simple_python"))
    if category not in NUM_ITEMS:
        raise CorpusError(
            f"{source.place}: there is no category '{category}'.{did_you_mean(category, NUM_ITEMS)} Known: "
            f"{', '.join(NUM_ITEMS)}."
        )
    name = f"BFCL_v4_{category}.json"
    answers, files = {}, []
    if category != "irrelevance":
        files = [find_file(source, f"possible_answer/{name}")]
        answers = {found["id"]: found["ground_truth"] for found in _objects(source, files[0], ("id", "ground_truth"))}
    rows: list[dict[str, Any]] = []
    for tag in source.languages:
        spoken = {"user": tag}
        function, parameter = (
            spoken.get(language, language)
            for language in (str(source.options.get(key, "user")) for key in ("functions", "parameters"))
        )
        file = find_file(source, f"user_{tag}.func_{function}.param_{parameter}/{name}")
        files.append(file)
        found = _objects(source, file, ("id", "question", "function"))
        problems = Problems(source, file)
        if len(found) != NUM_ITEMS[category]:
            problems.whole(f"has {len(found)} lines and must have {NUM_ITEMS[category]}. Download the file again.")
        for number, item in enumerate(found, start=1):
            if answers and item["id"] not in answers:
                problems.add(number, f"'{item['id']}' has no possible answer. Download both files again.")
            else:
                rows.append(_row(item, tag, answers.get(item["id"], [])))
        problems.stop()
    return build(source, rows, files, licence=LICENCE)


def _objects(source: Source, file: Any, keys: tuple[str, ...]) -> list[dict[str, Any]]:
    problems = Problems(source, file)
    found = []
    for number, line in enumerate(read_lines(source, file), start=1):
        try:
            item = parse_json(line)
            found.append({key: item[key] for key in keys})
        except (ValueError, KeyError, TypeError) as error:
            problems.add(number, f"is not an object with {', '.join(keys)} ({error}). Download the file again.")
    problems.stop()
    return found


def _row(item: dict[str, Any], tag: str, truth: list[dict[str, Any]]) -> dict[str, Any]:
    functions = item["function"] if isinstance(item["function"], list) else [item["function"]]
    kinds = {function["name"]: function["parameters"].get("properties", {}) for function in functions}
    calls = [
        {name: {key: _as_declared(kinds.get(name, {}).get(key, {}), values) for key, values in arguments.items()}}
        for call in truth
        for name, arguments in call.items()
    ]
    request = "\n".join(message["content"] for message in item["question"][0])
    listed = "\n".join(json.dumps(function, ensure_ascii=False) for function in functions)
    return {
        "item_id": f"bfcl-{item['id']}",
        "language": tag,
        "messages": message(f"{INSTRUCTION}\n\n{listed}\n\n{request.strip()}", written(calls) or NOTHING),
        "answer": json.dumps(calls, ensure_ascii=False),
        "cluster": None,
        "origin": "human" if tag == "en" else "unknown",
    }


def _as_declared(parameter: dict[str, Any], values: list[Any]) -> list[Any]:
    if parameter.get("type") != "float":
        return values
    return [float(value) if type(value) is int else value for value in values]


def written(calls: list[dict[str, Any]]) -> str:
    """Format calls with the first accepted value of each required argument; "" if no call is needed."""
    texts = []
    for call in calls:
        for name, arguments in call.items():
            given = {key: first for key, values in arguments.items() if (first := _first(values)) is not _LEFT_OUT}
            texts.append(f"{name}({', '.join(f'{key}={value!r}' for key, value in given.items())})")
    return f"[{', '.join(texts)}]" if texts else ""


_LEFT_OUT = object()


def _first(values: list[Any]) -> Any:
    """Return an accepted value. The keys of an object contain lists of accepted values in turn."""
    if not values or "" in values:
        return _LEFT_OUT
    return _plain(values[0])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: first for key, inner in value.items() if (first := _first(inner)) is not _LEFT_OUT}
    if isinstance(value, list):
        return [_plain(element) for element in value]
    return value
