"""Masking of text that must not be translated.

Code, JSON, template variables, addresses, LaTeX commands, calls and names of tools are replaced by placeholders, `<1>`,
`<2>`. After translation each placeholder must occur exactly once and is replaced by the original. Glossary terms are
masked likewise, but replaced by their translation: a value of a gold call thus has the same translation in the dialogue
and in the call, so that the gold answer stays valid.

Numbers are not masked, because the surrounding words agree with them in many languages; they are verified by value.
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
    | \bAPI-Request:                        # prefix that the parser of calls requires
    | \b[a-z]+(?:_[a-z0-9]+)+\b              # snake_case
    """,
    regex.VERBOSE | regex.DOTALL,
)
PLACEHOLDER = regex.compile(r"<\s*(\d{1,4})\s*>")


@dataclass(frozen=True, kw_only=True)
class MaskedText:
    """A text with placeholders, ready for translation."""

    text: str
    originals: tuple[str, ...]
    """Replacements of `<1>`, `<2>`, ... in the translation."""

    @property
    def is_empty(self) -> bool:
        """Whether the text has no letters outside placeholders, so that there is nothing to translate."""
        return not regex.search(r"\p{L}", PLACEHOLDER.sub("", self.text))


def mask(text: str, *, glossary: Mapping[str, str] | None = None, names: Collection[str] = ()) -> MaskedText:
    """Replace all protected parts of a text by placeholders.

    Args:
        text: the text.
        glossary: term -> its replacement in the translation.
        names: further words to keep, for example names of tools.
    """
    fixed = dict(glossary or {}) | {name: name for name in names}
    words = sorted((word for word in fixed if word.strip()), key=len, reverse=True)
    known = regex.compile("|".join(rf"(?<!\w){regex.escape(word)}(?!\w)" for word in words)) if words else None
    originals: list[str] = []

    def take(original: str) -> str:
        originals.append(original)
        return f"<{len(originals)}>"

    parts: list[str] = []
    place = 0
    for match in _PROTECTED.finditer(text):
        parts.append(_replace(known, text[place : match.start()], fixed, take))
        parts.append(take(match.group()))
        place = match.end()
    parts.append(_replace(known, text[place:], fixed, take))
    return MaskedText(text="".join(parts), originals=tuple(originals))


def _replace(known: regex.Pattern[str] | None, text: str, fixed: Mapping[str, str], take: object) -> str:
    text = PLACEHOLDER.sub(lambda match: take(match.group()), text)  # type: ignore[operator]
    return known.sub(lambda match: take(fixed[match.group()]), text) if known else text  # type: ignore[operator]


def unmask(translation: str, masked: MaskedText) -> tuple[str, str]:
    """Replace the placeholders of a translation.

    Args:
        translation: the translation, with placeholders.
        masked: the text that was translated.

    Returns:
        The translation without placeholders, and the reason why it is invalid ("" if it is valid).
    """
    found = [int(number) for number in PLACEHOLDER.findall(translation)]
    wanted = range(1, len(masked.originals) + 1)
    lost = [f"<{number}>" for number in wanted if number not in found]
    added = sorted({f"<{number}>" for number in found if number not in wanted or found.count(number) > 1})
    if lost:
        return translation, f"the marks {', '.join(lost)} are missing"
    if added:
        return translation, f"the marks {', '.join(added)} are too many"
    return PLACEHOLDER.sub(lambda match: masked.originals[int(match[1]) - 1], translation), ""
