"""Every mistake at once, each with its place and what to do.

A list that grows while the study file is read. pydantic's own messages name types of Python and one remedy for
nothing; here each kind of mistake is said in the words of the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError

from crosslift.errors import MAX_SHOWN, did_you_mean, visible
from crosslift.languages.language import language, tags

KINDS = {
    "string_type": "a text in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list in [ ]",
    "dict_type": "a table of key = value pairs",
    "model_type": "a table of key = value pairs",
    "model_attributes_type": "a table of key = value pairs",
    "finite_number": "a finite number",
}
BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


class Problems(list[str]):
    """Messages of the form `study.toml, <place>: <what is wrong>. <What to do>.`"""

    def __init__(self, file: str) -> None:
        super().__init__()
        self.file = file
        self.absent: list[str] = []
        """Data that are not here yet. A study may be planned before they are."""

    def add_absent(self, place: str, message: str) -> None:
        text = f"{self.file}, {place}: {message}"
        if text not in self.absent:
            self.absent.append(text)

    def add(self, place: str, message: str) -> None:
        where = f"{self.file}, {place}" if place else self.file
        text = f"{where}: {message}"
        if text not in self:
            self.append(text)

    def read(self, kind: Any, value: Any, place: str, adapter: TypeAdapter[Any]) -> Any | None:
        """The validated table, or None after noting all that is wrong with it."""
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            seen: set[str] = set()
            for mistake in error.errors(include_url=False):
                path, fields = _walk(kind, mistake["loc"])
                where = _join(place, path)
                if where not in seen:  # a value that fits no branch of a union is reported once per branch
                    self._note(mistake, path, fields, place)
                seen.add(where)
            return None

    def _note(self, mistake: Any, path: list[str | int], fields: dict[str, Any], place: str) -> None:
        where = _join(place, path)
        key = str(mistake["loc"][-1]) if mistake["loc"] else ""
        # A key with a bracket in it looks like a branch of a union and is not in the path.
        inside = _join(place, path[:-1] if path and str(path[-1]) == key else path)
        what, given, context = mistake["type"], mistake["input"], mistake.get("ctx", {})
        if what == "extra_forbidden":
            self.add(inside, unknown_key(key, fields))
        elif what == "missing":
            hint = getattr(fields.get(key), "description", None)
            self.add(inside, f"'{key}' is missing. Add it" + (f": {hint}." if hint else "."))
        elif what == "literal_error":
            self.add(where, f"{_show(given)} is not one of {context['expected']}.{_near(given, context['expected'])}")
        elif what in ("union_tag_invalid", "union_tag_not_found"):
            known = context.get("expected_tags", "'coverage', 'dose', 'donors', 'leave_one_out'")
            said = f"'{context['tag']}' is not a kind of family" if "tag" in context else "'kind' is missing"
            self.add(where, f"{said}. Known: {known}.{_near(context.get('tag'), known)}")
        elif what in BOUNDS:
            words, key = BOUNDS[what]
            self.add(where, f"is {_show(given)} and must be {words} {context[key]:g}. Change it.")
        elif what in ("too_short", "string_too_short"):
            least = context["min_length"]
            wanted = "must not be empty" if least == 1 else f"needs {least} entries at least"
            self.add(where, f"is {_show(given)} and {wanted}. Fill it or take the key out.")
        elif what in KINDS:
            quotes = " Remove the quotes." if isinstance(given, str) and KINDS[what].endswith("number") else ""
            self.add(where, f"must be {KINDS[what]}, not {_show(given)}.{quotes or ' Change it.'}")
        else:
            self.add(where, f"{mistake['msg']} (given: {_show(given)}). Change it.")

    def reference(self, place: str, kind: str, name: str, known: Iterable[str]) -> bool:
        """Note a name that nothing in the file has; True when it is there."""
        known = list(known)
        if name in known:
            return True
        there = f"There are: {some(known, 8)}." if known else "There is none."
        shown = visible(name, MAX_SHOWN)
        self.add(place, f"there is no {kind} '{shown}'.{did_you_mean(name, known)} {there}")
        return False

    def options(self, place: str, given: Mapping[str, Any], options: Mapping[str, Any], fields: Iterable[str]) -> None:
        """Note keys that a member of a kind does not document in its OPTIONS, and values of another type."""
        known = [*fields, *options]
        for key, value in given.items():
            if key not in options:
                self.add(place, unknown_key(key, known))
            elif not _fits(value, options[key]):
                words = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", list: "a list"}
                expected = words.get(options[key], options[key].__name__)
                self.add(f"{place}.{key}" if place else key, f"must be {expected}, not {_show(value)}. Change it.")

    def languages(
        self,
        place: str,
        given: Sequence[str] | Mapping[str, Any],
        *,
        among: Sequence[str] | None = None,
        owner: str = "",
    ) -> bool:
        """Note tags that do not exist, stand twice, or are not `among` those of the owner; True when all is well.

        `given`: one tag, a list, or a table whose keys are tags.
        """
        before = len(self)
        if isinstance(given, str):
            places = [(place, given)]
        elif isinstance(given, Mapping):
            places = [(f"{place}.{tag}", tag) for tag in given]
        else:
            places = [(f"{place}[{i}]", tag) for i, tag in enumerate(given)]
        said: set[str] = set()
        for where, tag in places:
            if tag not in tags():
                shown = visible(tag, 60)
                self.add(where, f"'{shown}' is not a language tag.{_near_language(tag)} See: crosslift list languages")
            elif tag in said:
                self.add(where, f"'{tag}' stands twice. Remove one.")
            elif among is not None and tag not in among:
                self.add(where, f"{owner} has no '{tag}'. It has: {', '.join(among)}. Add it there or remove it here.")
            said.add(tag)
        return len(self) == before


def _fits(value: Any, kind: type) -> bool:
    if isinstance(value, bool):  # which Python takes for a whole number
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def some(names: Sequence[str], count: int = 3) -> str:
    """`a, b, c and 4 more`."""
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")


def unknown_key(key: str, known: Iterable[str]) -> str:
    """The message for a key that nothing reads; the known ones are listed where none is near."""
    near = did_you_mean(key, known)
    return f"unknown key '{visible(key, 60)}'.{near or ' Known: ' + ', '.join(known) + '.'}"


def _walk(kind: Any, loc: Sequence[str | int]) -> tuple[list[str | int], dict[str, Any]]:
    """The location without the tags pydantic inserts for unions, and the fields of the table it ends in."""
    path: list[str | int] = []
    fields: dict[str, Any] = kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else {}
    for i, step in enumerate(loc):
        if i == 0 and not fields and isinstance(step, str):  # the kind of a family
            fields = next((table.model_fields for table in _tables(kind) if _kind_of(table) == step), {})
            continue
        if isinstance(step, str) and step not in fields and any(mark in step for mark in "[("):
            continue  # pydantic's name of a branch of a union: "literal['all-linear']"
        path.append(step)
        inner = fields.get(str(step)) if isinstance(step, str) else None
        tables = _tables(inner.annotation) if inner is not None else []
        if tables and i < len(loc) - 1:
            fields = tables[0].model_fields
    return path, fields


def _tables(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for part in getattr(annotation, "__args__", ()) for table in _tables(part)]


def _kind_of(table: type[BaseModel]) -> str:
    """The value that a table's `kind` must have."""
    kind: str = get_args(table.model_fields["kind"].annotation)[0]
    return kind


def _join(place: str, path: Sequence[str | int]) -> str:
    text = place
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _near(given: Any, expected: str) -> str:
    """`expected`: as pydantic lists it, `'a', 'b' or 'c'`."""
    return did_you_mean(given, re.findall(r"'([^']*)'", expected)) if isinstance(given, str) else ""


def _near_language(tag: str) -> str:
    """Also finds 'sw' for 'swa-x', 'swh' or 'Swahili'."""
    words = {known: known for known in tags()}
    for known in tags():
        words |= {language(known).iso639_3: known, language(known).name.lower(): known}
    if len(tag) > MAX_SHOWN:
        return ""
    for length in range(len(tag), 1, -1):
        if tag[:length].lower() in words:
            return f" Did you mean '{words[tag[:length].lower()]}'?"
    return did_you_mean(tag, words)


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
