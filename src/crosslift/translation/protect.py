"""What a translator must not touch, taken out of a text and put back after.

Code, JSON, placeholders, addresses, commands of LaTeX, calls and names of tools become marks, `<1>`, `<2>`; whether
each mark came back exactly once is verified, and the original stands in its place again. A glossary does the same with
another word at the end: a value of a gold call that is translated is given to the dialogue as it was translated for the
call, or the two would drift apart and the gold with them.

Numbers stay in the text, since words around them agree with them in many languages; they are verified by value.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import regex

_PROTECTED = regex.compile(
    r"""
      ```.*?(?:```|\Z)                      # code
    | `[^`\n]+`
    | (?P<json>\{(?:[^{}]|(?&json))*\})      # objects and {placeholders}, nested
    | \[\s*\{(?:[^\[\]]|\[[^\[\]]*\])*\]     # lists of objects
    | https?://[^\s<>"')\]]+ | [\w.+-]+@[\w-]+\.[\w.]+
    | <<[^<>]*>>
    | \\(?:\(|\[).*?\\(?:\)|\]) | \$[^$\n]*[\\^_=][^$\n]*\$ | \\[a-zA-Z]+(?:\{[^{}]*\})*
    | \[?\b[A-Za-z_][\w.]*\((?:[^()\n]*=[^()\n]*)\)\]?   # calls with keys
    | \b[A-Za-z_]\w*\(\s*[A-Za-z_]\w*(?:\s*,\s*[A-Za-z_]\w*)+\s*\)   # signatures of tools
    | \b[A-Za-z]\w*_\w*\([^()\n]*\)
    | \bAPI-Request:                        # what a parser looks for
    | \b[a-z]+(?:_[a-z0-9]+)+\b              # snake_case
    """,
    regex.VERBOSE | regex.DOTALL,
)
MARK = regex.compile(r"<\s*(\d{1,4})\s*>")


@dataclass(frozen=True, kw_only=True)
class Masked:
    """A text to be translated."""

    text: str
    restored: tuple[str, ...]
    """What stands for `<1>`, `<2>`, ... in the translation."""

    @property
    def is_empty(self) -> bool:
        """Nothing is left to translate."""
        return not regex.search(r"\p{L}", MARK.sub("", self.text))


def mask(text: str, *, glossary: Mapping[str, str] | None = None, names: Collection[str] = ()) -> Masked:
    """Replace everything protected by marks.

    Args:
        glossary: words of the text -> what stands in their place after translation.
        names: further words to protect, of tools say.
    """
    fixed = dict(glossary or {}) | {name: name for name in names}
    words = sorted((word for word in fixed if word.strip()), key=len, reverse=True)
    known = regex.compile("|".join(rf"(?<!\w){regex.escape(word)}(?!\w)" for word in words)) if words else None
    restored: list[str] = []

    def take(original: str) -> str:
        restored.append(original)
        return f"<{len(restored)}>"

    parts: list[str] = []
    place = 0
    for match in _PROTECTED.finditer(text):
        parts.append(_replace(known, text[place : match.start()], fixed, take))
        parts.append(take(match.group()))
        place = match.end()
    parts.append(_replace(known, text[place:], fixed, take))
    return Masked(text="".join(parts), restored=tuple(restored))


def _replace(known: regex.Pattern[str] | None, text: str, fixed: Mapping[str, str], take: object) -> str:
    text = MARK.sub(lambda match: take(match.group()), text)  # type: ignore[operator]
    return known.sub(lambda match: take(fixed[match.group()]), text) if known else text  # type: ignore[operator]


def unmask(translation: str, masked: Masked) -> tuple[str, str]:
    """The translation with everything in its place, and why it cannot be used ("" where it can)."""
    found = [int(number) for number in MARK.findall(translation)]
    wanted = range(1, len(masked.restored) + 1)
    lost = [f"<{number}>" for number in wanted if number not in found]
    added = sorted({f"<{number}>" for number in found if number not in wanted or found.count(number) > 1})
    if lost:
        return translation, f"the marks {', '.join(lost)} are missing"
    if added:
        return translation, f"the marks {', '.join(added)} are too many"
    return MARK.sub(lambda match: masked.restored[int(match[1]) - 1], translation), ""
