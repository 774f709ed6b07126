"""The full presets with local models and sources in place of those of the hub, and a few of their runs."""

from __future__ import annotations

import re
from pathlib import Path

P1, P2 = "english-is-not-all-you-need", "post-trainers-guide"
MODELS = {
    "Qwen/Qwen3-0.6B-Base": "qwen3",
    "Qwen/Qwen3-1.7B-Base": "qwen3",
    "Qwen/Qwen3-8B-Base": "qwen3",
    "google/gemma-3-1b-pt": "gemma3",
    "google/gemma-3-4b-pt": "gemma3-vision",
    "CohereLabs/aya-23-8B": "cohere2",
    "CohereLabs/aya-23-35B": "cohere2",
    "meta-llama/Llama-3.1-8B": "llama",
}
PATHS = {"mcot_math": "data/mcot", "mgsm": "data/mgsm", "xlsum": "data/xlsum", "aya_dolly": "data/dolly"}
SOURCES = {
    "api-bank-test": "data/api_bank",
    "api-bank-train": "data/api_bank",
    "mgsm-test": "data/mgsm",
    "mgsm-examples": "data/mgsm",
    "sharegpt-prompts": "data/sharegpt.json",
}
"""Recipe of a translation -> its source on this machine."""
FEW = {
    P1: (
        'mixtures = ["coverage-math", "coverage-calls"]',
        'mixtures = ["coverage-math-en", "coverage-math-en-sw", "coverage-calls-es-ja-bn-sw-fr-th"]',
    ),
    P2: ('mixtures = ["dose"]', 'mixtures = ["dose-math-0", "dose-summaries-100", "dose-instructions-5000"]'),
}
CONTRAST = """[[contrasts]]
name = "what is left"
control = "{}"
treatments = ["{}"]
primary = true
"""
CONTRASTS = {P1: ("coverage-math-en", "coverage-math-en-sw"), P2: ("base", "dose-math-0")}


def edit(file: Path, *changes: tuple[str, str]) -> None:
    """Replace texts that must be there."""
    text = file.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


def take_local_places(study: Path, *, model: str = "") -> None:
    """Name the local models and sources in the files that `crosslift new` wrote; nothing else is changed.

    `model`: one model in place of all.
    """
    text = (study / "study.toml").read_text(encoding="utf-8")
    for hub, local in MODELS.items():
        text = text.replace(f'path = "{hub}"', f'path = "{model or f"./models/{local}"}"')
    for reader, path in PATHS.items():
        text = text.replace(f'reader = "{reader}"\n', f'reader = "{reader}"\npath = "{path}"\n')
    (study / "study.toml").write_text(text, encoding="utf-8")
    text = (study / "data.toml").read_text(encoding="utf-8")
    for recipe, path in SOURCES.items():
        text = text.replace(f'recipe = "{recipe}"\n', f'recipe = "{recipe}"\npath = "{path}"\n')
    (study / "data.toml").write_text(text, encoding="utf-8")


def keep_few(study: Path, name: str) -> None:
    """Keep a few mixtures of each family."""
    text = (study / "study.toml").read_text(encoding="utf-8")
    assert FEW[name][0] in text
    few = re.sub(r'mixtures = \["together"\]', 'mixtures = ["together-500"]', text.replace(*FEW[name]))
    few = few.replace('mixtures = ["latin", "non-latin"]', 'mixtures = ["non-latin-summaries-200"]')
    few = few[: few.index("[[contrasts]]")] + CONTRAST.format(*CONTRASTS[name])  # of mixtures that are left
    (study / "study.toml").write_text(few, encoding="utf-8")


def write_site(study: Path, base_url: str, *, steps: int = 2, items: int = 4, tokens: int = 4) -> None:
    """A site whose translator, model for answers and judge are one endpoint, and which rehearses."""
    endpoint = f'base_url = "{base_url}"\nmodel = "stand-in"\n'
    (study / "site.toml").write_text(
        f"rehearsal = {{ steps = {steps}, items = {items}, tokens = {tokens} }}\n\n"
        f"[translation]\n{endpoint}prices = [0.15, 0.60]\n\n"
        f"[completion]\n{endpoint}prices = [2.50, 10.00]\n\n"
        f"[judge]\n{endpoint}",
        encoding="utf-8",
    )
