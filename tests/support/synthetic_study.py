"""A finished study that never ran: 2 models, a coverage and a dose family, plausible effects, 14 languages."""

from pathlib import Path

import numpy as np
import polars as pl

from crosslift.corpora.corpus import Source
from crosslift.exploring.journal import BatchRun, Entry
from crosslift.languages.language import language
from crosslift.mixtures.mixture import Budget, Component, Mixture
from crosslift.reporting.data import SAMPLES, ReportData
from crosslift.scores import RUNS, SCORES
from crosslift.studies.evaluation import Evaluation
from crosslift.studies.run import Model
from crosslift.studies.study import Block, Contrast, Study
from crosslift.training.trainer import METRICS, SFTConfig
from crosslift.transfer.estimates.estimate import estimate

LANGUAGES = ("en", "de", "es", "fr", "ja", "zh", "ru", "pt", "ar", "ko", "bn", "sw", "te", "th")
COVERAGE = {
    "en": ["en"],
    "en-sw": ["en", "sw"],
    "cov-4": ["en", "es", "ja", "sw"],
    "cov-7": ["en", "es", "ja", "sw", "bn", "zh", "ar"],
}
DOSES = {"dose-0": 0, "dose-100": 100, "dose-400": 400}
DOSED = ("es", "ja", "sw")
FERTILITY = {"en": 1.0, "es": 1.24, "ja": 1.61, "sw": 1.73, "bn": 2.92, "zh": 1.12, "ar": 1.85}
HOSTILE = "<script>alert('x')</script> & <b>bold</b>"


def mixtures():
    found = {}
    for name, tags in COVERAGE.items():
        share = Component(corpus="math-train", shares={tag: 1 / len(tags) for tag in tags})
        budget = Budget(amount=500)
        found[name] = Mixture(name=name, components=(share,), pairing="shared", budget=budget, family="coverage")
    for name, dose in DOSES.items():
        counts = Component(corpus="math-train", counts={"en": 500} | dict.fromkeys(DOSED, dose))
        found[name] = Mixture(name=name, components=(counts,), pairing="shared", family="dose", dose=dose)
    return found


def study(models=("pocket-m", "pocket-l"), seeds=(0,)):
    corpora = {
        "math-train": Source(name="math-train", reader="pocket", task="math", languages=tuple(FERTILITY)),
        "math-test": Source(name="math-test", reader="pocket", task="math", languages=LANGUAGES, split="test"),
    }
    test = Evaluation(name="math", corpus="math-test", task="math", languages=LANGUAGES, max_tokens=96)
    return Study(
        name="coverage-demo",
        question="At a fixed number of training items, does covering more languages help the languages that are not "
        "covered, or does it only dilute the English data?",
        hypothesis="Mixing in further languages raises the mean over all fourteen languages at no cost to English.",
        data_seed=0,
        folder=Path(),
        models={name: Model(name=name, path=f"pocket:{name}") for name in models},
        corpora=corpora,
        prompts=dict.fromkeys(corpora, "bare"),
        mixtures=mixtures(),
        blocks=(Block(name="grid", models=tuple(models), mixtures=tuple(mixtures()), seeds=tuple(seeds), base=True),),
        training=SFTConfig(epochs=3, learning_rate=1e-3, batch_examples=16),
        validation=None,
        evaluations={"math": test},
        contrasts=(
            Contrast(
                name="More languages minus English only",
                control="en",
                treatments=("en-sw", "cov-4", "cov-7"),
                primary=True,
            ),
            Contrast(name="Swahili as the one donor", control="en", treatments=("en-sw",), primary=True),
            Contrast(name="Seven languages minus four", control="cov-4", treatments=("cov-7",), primary=True),
            Contrast(name="Fine-tuned minus base", control="base", treatments=("en", "cov-7")),
        ),
    )


def trained_on(mixture):
    if mixture.dose is not None:
        return {"en": 500} | (dict.fromkeys(DOSED, mixture.dose) if mixture.dose else {})
    tags = COVERAGE[mixture.name]
    return dict.fromkeys(tags, 500 // len(tags))


def skill(model, mixture, tag):
    """Probability to be right, before the item's difficulty."""
    if mixture is None:
        return 0.04 if tag == "en" else 0.01
    size = {"pocket-m": 0.0, "pocket-l": 0.13}.get(model, 0.05)
    counts = trained_on(mixture)
    high = language(tag).resource == "high"
    start = 0.44 if tag == "en" else 0.24 if high else 0.1
    seen = 0.0 if tag == "en" else 0.22 * min(1.0, (counts.get(tag, 0) / 125) ** 0.5)
    others = sum(counts.values()) - counts["en"]
    if mixture.name == "en-sw" and model == "pocket-m" and tag not in counts:
        return start - 0.12  # interference
    return start + size + seen + 0.07 * (others > 0) * (tag != "en") - 0.00035 * (500 - counts["en"]) * (tag == "en")


def synthetic(*, models=("pocket-m", "pocket-l"), seeds=(0,), num_items=100, errors=0, num_resamples=1000):
    generator = np.random.default_rng(7)
    asked = study(models, seeds)
    difficulty = generator.normal(0, 0.25, num_items)
    runs, scores, metrics, provenance = [], [], [], {}
    for run in asked.runs():
        counts = trained_on(run.mixture) if run.mixture else {}
        runs.append(
            {
                "run": run.name,
                "model": run.model.name,
                "mixture": run.mixture.name if run.mixture else "base",
                "family": run.mixture.family if run.mixture else "",
                "setting": "math" if run.mixture else "",
                "seed": run.seed,
                "num_parameters": 6_000_000,
                "languages": list(counts),
                "num_items": list(counts.values()),
                "num_tokens": [int(60 * count * FERTILITY[tag]) for tag, count in counts.items()],
                "dose": run.mixture.dose if run.mixture else None,
            }
        )
        noise = generator.normal(0, 0.015)
        for tag in LANGUAGES:
            chance = np.clip(skill(run.model.name, run.mixture, tag) + noise + difficulty, 0, 1)
            right = generator.random(num_items) < chance
            unclear = ~right & (generator.random(num_items) < (0.7 if run.mixture is None else 0.06))
            status = np.where(unclear, np.where(generator.random(num_items) < 0.8, "unparsed", "truncated"), "scored")
            items = [f"test-{index:04d}" for index in range(num_items)]
            for metric, value in (("accuracy", right), ("in_language", ~unclear)):
                columns = {"run": run.name, "evaluation": "math", "task": "math", "language": tag}
                columns |= {"sample_id": [f"{item}.{tag}" for item in items], "item_id": items, "cluster": items}
                frame = {"metric": metric, "value": value.astype(float), "status": status}
                scores.append(pl.DataFrame(columns | frame).select(SCORES.names()))
        provenance[run.name] = {"evaluate": {"seconds": 41.5}, "environment": {"processor": "a processor"}}
        if run.mixture:
            seconds = {"seconds": 12.0 + sum(counts.values()) / 20, "num_tokens": 120_000, "precision": "bfloat16"}
            provenance[run.name]["train"] = seconds
            metrics += losses(run.name, counts)
    runs, scores = pl.DataFrame(runs, schema=RUNS), pl.concat(scores)
    if errors:
        broken = (pl.col("run") == runs["run"][1]) & pl.col("item_id").is_in(
            scores["item_id"].unique().sort()[:errors].implode()
        )
        broken &= pl.col("language") == "sw"
        scores = scores.with_columns(
            value=pl.when(broken).then(None).otherwise("value"),
            status=pl.when(broken).then(pl.lit("error")).otherwise("status"),
        )
    return ReportData(
        study=asked,
        runs=runs,
        scores=scores,
        estimates=estimate(scores, runs, asked.contrasts, num_resamples=num_resamples),
        findings=pl.DataFrame(
            {
                "corpus": ["train", "train"],
                "check": ["numbers", "numbers"],
                "severity": ["warning", "warning"],
                "item_id": ["item-1", "item-7"],
                "language": ["sw", "sw"],
                "reason": ["of the text in en is missing: 12", "of the text in en is missing: 40"],
            }
        ),
        manifests={name: manifest(mixture) for name, mixture in asked.mixtures.items()},
        lock={
            "corpora": {
                name: {"revision": "grammar 1", "licence": "Apache-2.0", "fingerprint": "3f2a9c01d47be865"}
                for name in asked.corpora
            },
            "models": {name: {"num_parameters": 6_100_000, "content": "9b1d0c55e2a47f30"} for name in models},
        },
        training=pl.DataFrame(metrics, schema={"run": pl.String} | dict(METRICS), orient="row"),
        provenance=provenance,
        samples=samples(runs),
        primary_metrics={"math": "accuracy"},
        exploration=tuple(exploration()),
    )


def exploration():
    """Three decisions: none, one that is unsure, and one that is sure enough."""
    asked = {"asked": "pocket-m, math, mean over 14 languages, budget 500 items", "question": "q", "model": "pocket-m"}
    for number, (mixture, expected, probability) in enumerate((("", 0, 0), ("en", 0.31, 0.4), ("cov-4", 0.36, 0.93))):
        known = number > 0
        yield Entry(
            **asked,
            number=number + 1,
            num_finished=2 * number,
            num_explored=2 * number,
            hours=0.1 * number,
            amounts=dict.fromkeys(COVERAGE[mixture], 500.0 / len(COVERAGE[mixture])) if known else {},
            mixture=mixture,
            expected=expected if known else None,
            low=expected - 0.04 if known else None,
            high=expected + 0.04 if known else None,
            probability=probability if known else None,
            margin=0.01,
            wanted=0.9,
            undecided="" if known else "fewer than 2 mixtures are evaluated",
            stop="the mixture is within 1 point with probability 0.9, as was asked" if number == 2 else "",
            decided=number == 2,
            batch=(BatchRun(run="pocket-m.en.s0", amounts={"en": 500.0}, expected_gain=0.01),) if number < 2 else (),
        )


def losses(run, counts):
    rows = []
    for tag in counts:
        for step in range(0, 96, 8):
            bits = (0.55 + 0.3 * FERTILITY[tag] / 3) * (0.25 + 0.75 * np.exp(-step / 30)) / (1 + counts[tag] / 1000)
            row = (run, step, step / 32, "validation", tag, "math", step * 900, bits / 1.4, bits, None, 1e-3)
            rows.append(tuple(float(value) if isinstance(value, np.floating) else value for value in row))
    return rows


def manifest(mixture):
    counts = trained_on(mixture)
    tokens = {tag: int(60 * count * FERTILITY[tag]) for tag, count in counts.items()}
    return {
        "mixture": mixture.name,
        "languages": list(counts),
        "num_examples": sum(counts.values()),
        "num_items": max(counts.values()),
        "counts": {"math-train": counts},
        "unique_items": {"math-train": counts},
        "tokens": {"pocket-m": {"math-train": tokens}, "pocket-l": {"math-train": tokens}},
        "fertility": {model: {tag: FERTILITY[tag] for tag in counts} for model in ("pocket-m", "pocket-l")},
        "overlap": {},
        "examples_sha256": "0" * 64,
        "corpora": {
            "math-train": {"fingerprint": "3f2a9c01d47be865", "revision": "grammar 1", "licence": "Apache-2.0"}
        },
        "data_seed": 0,
        "pairing": "shared",
        "budget": None,
    }


TEXTS = {
    "en": (
        "Anna has 3 apples and buys 4 more. How many apples does she have?",
        "Since 3 + 4 = 7, now Anna has 7 apples.",
    ),
    "ar": ("لدى آنا 3 تفاحات واشترت 4 أخرى. كم تفاحة لديها الآن؟", "بما أن 3 + 4 = 7، لدى آنا الآن 7 تفاحات."),
    "ja": (
        "アンナはりんごを3個持っていて、さらに4個買いました。今いくつ持っていますか。",
        "3 + 4 = 7 なので、アンナは今7個です。",
    ),
    "bn": ("আন্নার ৩টি আপেল আছে এবং সে আরও ৪টি কেনে। তার কয়টি আপেল আছে?", "৩ + ৪ = ৭, তাই আন্নার ৭টি আপেল আছে।"),
    "sw": (
        "Anna ana matofaa 3 na ananunua 4 zaidi. Ana matofaa mangapi?",
        "Kwa kuwa 3 + 4 = 7, sasa Anna ana matofaa 7.",
    ),
}


def samples(runs):
    rows = []
    for run in runs["run"]:
        for tag, (question, answer) in TEXTS.items():
            kinds = {"correct": answer, "wrong": answer.replace("7", "8"), "unparsed": HOSTILE}
            for kind, text in kinds.items():
                rows.append(
                    (run, "math", tag, kind, f"test-0001.{tag}", f"<|im_start|>user\n{question}<|im_end|>\n", text, "7")
                )
    return pl.DataFrame(rows, schema=SAMPLES, orient="row")
