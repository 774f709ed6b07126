"""Collection of validation errors, each with its location in the file and a remedy.

pydantic's own messages name Python types and give no remedy. This module translates each kind of validation error into
the terms of TOML and of the study file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError

from crosslift.errors import MAX_SHOWN, UnknownName, did_you_mean, visible
from crosslift.languages.cldr import locales
from crosslift.languages.language import is_known, language, tags
from crosslift.languages.tags import resolve

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
    """List of messages of the form `study.toml, <place>: <problem>. <Remedy>.`"""

    def __init__(self, file: str) -> None:
        super().__init__()
        self.file = file
        self.absent: list[str] = []
        """Messages about missing files of corpora and folders of models. They are kept apart because a study can be
        planned, and its results can be read, without them."""

    def add_absent(self, place: str, message: str) -> None:
        """Record a missing file of a corpus or folder of a model."""
        text = f"{self.file}, {place}: {message}"
        if text not in self.absent:
            self.absent.append(text)

    def add(self, place: str, message: str) -> None:
        """Record a problem. A repeated message is recorded once.

        Args:
            place: Location in the file, such as `corpora.train.path`; empty for the file as a whole.
            message: Problem and remedy.
        """
        where = f"{self.file}, {place}" if place else self.file
        text = f"{where}: {message}"
        if text not in self:
            self.append(text)

    def read(self, kind: Any, value: Any, place: str, adapter: TypeAdapter[Any]) -> Any | None:
        """Validate a table.

        Args:
            kind: The pydantic model, or a union of models.
            value: The parsed TOML value.
            place: Location of the table in the file.
            adapter: Type adapter of `kind`.

        Returns:
            The validated table, or None if it is invalid; its problems have then been recorded.
        """
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            seen: set[str] = set()
            for mistake in error.errors(include_url=False):
                path, fields = _walk(kind, mistake["loc"])
                where = _join(place, path)
                if where not in seen:  # pydantic reports a value that matches no branch of a union once per branch
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
            known = context.get("expected_tags") or ", ".join(f"'{name}'" for name in _family_kinds())
            problem = f"'{context['tag']}' is not a kind of family" if "tag" in context else "'kind' is missing"
            self.add(where, f"{problem}. Known: {known}.{_near(context.get('tag'), known)}")
        elif what in BOUNDS:
            words, key = BOUNDS[what]
            self.add(where, f"is {_show(given)} and must be {words} {context[key]:g}. Change it.")
        elif what in ("too_short", "string_too_short"):
            least = context["min_length"]
            expected = "must not be empty" if least == 1 else f"must have at least {least} entries"
            self.add(where, f"is {_show(given)} and {expected}. Add a value or remove the key.")
        elif what in KINDS:
            quotes = " Remove the quotes." if isinstance(given, str) and KINDS[what].endswith("number") else ""
            self.add(where, f"must be {KINDS[what]}, not {_show(given)}.{quotes or ' Change it.'}")
        else:
            self.add(where, f"{mistake['msg']} (given: {_show(given)}). Change it.")

    def reference(self, place: str, kind: str, name: str, known: Iterable[str]) -> bool:
        """Record a reference to an undefined name.

        Args:
            place: Location of the reference in the file.
            kind: What the name refers to, such as "corpus".
            name: The referenced name.
            known: All defined names.

        Returns:
            True if the name is defined.
        """
        known = list(known)
        if name in known:
            return True
        defined = f"Known: {some(known, 8)}." if known else "None is defined."
        shown = visible(name, MAX_SHOWN)
        self.add(place, f"there is no {kind} '{shown}'.{did_you_mean(name, known)} {defined}")
        return False

    def options(self, place: str, given: Mapping[str, Any], options: Mapping[str, Any], fields: Iterable[str]) -> None:
        """Record options that a reader, executor or generator does not declare, and values of the wrong type.

        Args:
            place: Location of the table in the file.
            given: Option -> value in the file.
            options: Option -> type, as declared in OPTIONS.
            fields: The other keys of the table, for suggestions.
        """
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
        """Record language tags that are unknown, duplicated or not in `among`.

        Args:
            place: Location of the tags in the file.
            given: One tag, a list of tags, or a table whose keys are tags.
            among: Permitted tags; None permits every known tag.
            owner: What provides the permitted tags, such as "corpus 'train'".

        Returns:
            True if all tags are valid.
        """
        before = len(self)
        if isinstance(given, str):
            places = [(place, given)]
        elif isinstance(given, Mapping):
            places = [(f"{place}.{tag}", tag) for tag in given]
        else:
            places = [(f"{place}[{i}]", tag) for i, tag in enumerate(given)]
        seen: set[str] = set()
        for where, tag in places:
            if len(tag) > MAX_SHOWN or not is_known(tag):
                shown = visible(tag, 60)
                self.add(
                    where,
                    f"'{shown}' is not a language tag that Crosslift knows.{_near_language(tag)} "
                    "See: crosslift list languages",
                )
            elif tag in seen:
                self.add(where, f"'{tag}' is listed twice. Remove one.")
            elif among is not None and tag not in among:
                self.add(where, f"{owner} has no '{tag}'. It has: {', '.join(among)}. Add it there or remove it here.")
            seen.add(tag)
        return len(self) == before


def _fits(value: Any, kind: type) -> bool:
    if isinstance(value, bool):  # bool is a subclass of int
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def some(names: Sequence[str], count: int = 3) -> str:
    """Join the first `count` names and state how many follow: `a, b, c and 4 more`."""
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return the message for an unknown key, with a similar key or else all known keys."""
    near = did_you_mean(key, known)
    return f"unknown key '{visible(key, 60)}'.{near or ' Known: ' + ', '.join(known) + '.'}"


def _walk(kind: Any, loc: Sequence[str | int]) -> tuple[list[str | int], dict[str, Any]]:
    """Remove the tags that pydantic inserts for unions; also return the fields of the innermost table."""
    path: list[str | int] = []
    fields: dict[str, Any] = kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else {}
    for i, step in enumerate(loc):
        if i == 0 and not fields and isinstance(step, str):  # the discriminator of a family
            fields = next((table.model_fields for table in _tables(kind) if _kind_of(table) == step), {})
            continue
        if isinstance(step, str) and step not in fields and any(mark in step for mark in "[("):
            continue  # pydantic's name for a branch of a union: "literal['all-linear']"
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


def _family_kinds() -> list[str]:
    """Return the kinds of families."""
    from crosslift.studies.parsing.schema.families import FamilyTable

    return [_kind_of(table) for table in _tables(get_args(FamilyTable)[0])]


def _kind_of(table: type[BaseModel]) -> str:
    """Return the value that the table's `kind` must have."""
    kind: str = get_args(table.model_fields["kind"].annotation)[0]
    return kind


def _join(place: str, path: Sequence[str | int]) -> str:
    text = place
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _near(given: Any, expected: str) -> str:
    """Suggest a similar value; `expected` is pydantic's list, such as `'a', 'b' or 'c'`."""
    return did_you_mean(given, re.findall(r"'([^']*)'", expected)) if isinstance(given, str) else ""


def _near_language(tag: str) -> str:
    """Suggest a language tag, also for codes and names: 'sw' for 'swa-x', 'swh' or 'Swahili', 'kk' for 'Kazakh'."""
    if len(tag) > MAX_SHOWN:
        return ""
    words = {one.name.lower(): known for known, one in locales().items()} | {known: known for known in tags()}
    for known in tags():
        words |= {language(known).iso639_3: known, language(known).name.lower(): known}
    for length in range(len(tag), 1, -1):
        near = words.get(tag[:length].lower()) or _resolved(tag[:length])
        if near:
            return f" Did you mean '{near}'?"
    return did_you_mean(tag, words)


def _resolved(code: str) -> str | None:
    try:
        return resolve(code)
    except UnknownName:
        return None


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
