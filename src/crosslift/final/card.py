"""README.md of the model folder: a model card in the format of the Hugging Face hub.

The card names what the model was trained on, how, and what to expect of it. It contains no path and no name of the
machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from crosslift import __version__
from crosslift.errors import visible
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.exporting.yaml_text import yaml_text
from crosslift.final.licences import OTHER, identifier, strictest
from crosslift.final.plan import FinalPlan
from crosslift.languages.language import language
from crosslift.scores import RANGES

POINTS = 100.0
"""Points per unit of a score."""
_PAIRINGS = {
    "shared": "all languages contain the same items",
    "disjoint": "each item is in one language only",
    "independent": "items are drawn separately for each language",
}


def card(graph: StepGraph, plan: FinalPlan, training: Mapping[str, Any]) -> str:
    """Write the model card.

    Args:
        graph: the steps of the study.
        plan: what was trained.
        training: the result of the training, as in the manifest: "num_steps", "selected_step", "precision", "device",
            "seconds", as far as the trainer reports them.

    Returns:
        Markdown with a YAML head.
    """
    return "\n".join(
        [
            "---",
            _head(graph, plan).rstrip(),
            "---",
            "",
            *_about(graph, plan),
            *_data(graph, plan),
            *_training(graph, plan, training),
            *_expected(plan),
            *_limits(plan),
            *_provenance(graph, plan),
        ]
    )


def base_label(graph: StepGraph, model: str) -> str:
    """Return the name of a base model for readers: the hub's or the pocket name, or the last part of a local path."""
    path = graph.models[model].path
    is_local = graph.models[model].commit is None and not path.startswith("pocket:")
    return (PurePath(path).name or model) if is_local else path


def _head(graph: StepGraph, plan: FinalPlan) -> str:
    corpora, base = plan.manifest["corpora"], graph.models[plan.run.model.name]
    strict = strictest(corpus["licence"] for corpus in corpora.values())
    hub = sorted({name for corpus in corpora.values() if (name := _hub_name(corpus["revision"]))})
    is_adapter = graph.study.training.method == "lora" and not plan.merge
    values: dict[str, Any] = {
        "language": list(dict.fromkeys(tag.split("-")[0] for tag in plan.manifest["languages"])),
        "license": identifier(strict),
        "license_name": visible(strict, 100) if identifier(strict) == OTHER else None,
        "base_model": base_label(graph, plan.run.model.name).removeprefix("pocket:"),
        "base_model_relation": ("adapter" if is_adapter else "finetune") if base.commit else None,
        "datasets": hub or None,
        "library_name": "peft" if is_adapter else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["crosslift", "multilingual", "sft", *(["lora"] if graph.study.training.method == "lora" else [])],
    }
    return yaml_text([], values)


def _about(graph: StepGraph, plan: FinalPlan) -> list[str]:
    model = plan.run.model.name
    counts = ", ".join(f"{_name(tag)} {count:,}" for tag, count in plan.items_by_language.items())
    merged = graph.study.training.method == "lora" and plan.merge
    lines = [
        f"# {_cell(graph.study.name)}: {_cell(plan.choice.mixture.name)}",
        "",
        f"`{_cell(base_label(graph, model))}`"
        + (f" (commit `{graph.models[model].commit}`)" if graph.models[model].commit else "")
        + f", fine-tuned on {plan.examples.height:,} examples: {counts}.",
        "",
        "## How the mixture was chosen",
        "",
        _cell(plan.choice.reason),
    ]
    if graph.study.question:
        lines += ["", f"Question of the study: {_cell(graph.study.question)}"]
    if merged:
        lines += ["", "The LoRA adapter is merged into the weights; `adapter/` holds it on its own."]
    return [*lines, ""]


def _data(graph: StepGraph, plan: FinalPlan) -> list[str]:
    found, tokens = plan.manifest, plan.manifest["tokens"][plan.run.model.name]
    rows = []
    for corpus, counts in found["counts"].items():
        for tag, count in counts.items():
            if count:
                unique = found["unique_items"][corpus][tag]
                rows.append([corpus, _name(tag), f"`{tag}`", f"{count:,}", f"{unique:,}", f"{tokens[corpus][tag]:,}"])
    sources = [
        [
            name,
            graph.study.corpora[name].reader,
            graph.study.corpora[name].task,
            _hub_name(corpus["revision"]) or "files",
            f"`{corpus['revision']}`",
            corpus["licence"] or "not stated",
        ]
        for name, corpus in found["corpora"].items()
    ]
    strict = strictest(corpus["licence"] for corpus in found["corpora"].values())
    return [
        "## Data",
        "",
        *_table(["corpus", "language", "tag", "examples", "different items", "tokens of one epoch"], rows),
        "",
        f"Pairing `{found['pairing']}`: {_PAIRINGS[found['pairing']]}. {found['num_items']:,} different items in "
        f"total; data seed {found['data_seed']}.",
        "",
        *_table(["corpus", "reader", "task", "source", "revision", "licence"], sources),
        "",
        f"The licence in the head is the strictest of the data: {_cell(strict) or 'not stated'}. It is no legal "
        "advice. The licence of the base model applies as well.",
        "",
    ]


def _training(graph: StepGraph, plan: FinalPlan, training: Mapping[str, Any]) -> list[str]:
    config = graph.study.training
    settings: dict[str, Any] = {
        "method": config.method,
        "trainer": config.trainer,
        "learning rate": config.learning_rate,
        "schedule": f"{config.schedule}, warm-up {config.warmup_share:g} of the steps",
        "epochs": config.epochs,
        "batch": f"{config.batch_examples} examples" if config.batch_examples else f"{config.batch_tokens} tokens",
        "steps": f"{plan.num_steps:,}",
        "seed": plan.run.seed,
        "loss on": config.loss_on,
        "maximum length": f"{config.max_length} tokens",
        "weight decay": config.weight_decay,
        "gradient norm": config.max_grad_norm,
        "checkpoint": config.select_by if config.select_by == "last" else f"best validation {config.select_by}",
        "kept step": training.get("selected_step"),
        "precision": training.get("precision"),
        "reduced precision": config.reductions or None,
    }
    if config.lora is not None:
        targets = config.lora.target_modules
        settings["LoRA"] = (
            f"rank {config.lora.rank}, alpha {config.lora.alpha}, dropout {config.lora.dropout:g}, on "
            + (targets if isinstance(targets, str) else ", ".join(targets))
        )
    rows = [[name, str(value)] for name, value in settings.items() if value is not None]
    validation = graph.study.validation_of(plan.run)
    if validation:
        rows.append(["validation", "; ".join(f"{name} in {', '.join(tags)}" for name, tags in validation.items())])
    return ["## Training", "", *_table(["setting", "value"], rows), ""]


def _expected(plan: FinalPlan) -> list[str]:
    found = plan.choice.expectation
    if found is None:
        return [
            "## Expected scores",
            "",
            "Unknown: no run of this mixture has been evaluated, and there is no recommendation.",
            "",
        ]
    trained = set(plan.manifest["languages"])
    rows = []
    for one in found.scores:
        known = one.low is not None and one.high is not None and math.isfinite(one.low) and math.isfinite(one.high)
        by, digits = (1.0, 2) if one.metric in RANGES else (POINTS, 1)  # ratings keep their own unit
        interval = f"{by * (one.low or 0):.{digits}f} to {by * (one.high or 0):.{digits}f}" if known else "unknown"
        seen = "trained" if one.language in trained else "not trained"
        rows.append(
            [
                one.evaluation,
                one.metric,
                _name(one.language),
                f"`{one.language}`",
                seen,
                f"{by * one.value:.{digits}f}",
                interval,
            ]
        )
    return [
        "## Expected scores",
        "",
        f"{_cell(found.basis)} This model is trained on {plan.examples.height:,} examples and has not been evaluated "
        "itself. Points out of 100; intervals at 95 %.",
        "",
        *_table(["evaluation", "metric", "language", "tag", "in training", "expected", "interval"], rows),
        "",
    ]


def _limits(plan: FinalPlan) -> list[str]:
    lines = [
        "One model, trained with one seed: another seed gives other answers.",
        "Expected scores hold for the evaluations of the study, not for other tasks or languages without a row.",
        "The effect of more data than in the study is not part of the expected scores.",
        *plan.notes,
    ]
    return ["## Limits", "", *(f"- {_cell(line)}" for line in lines), ""]


def _provenance(graph: StepGraph, plan: FinalPlan) -> list[str]:
    return [
        "## Provenance",
        "",
        f"Trained by crosslift {__version__} from the study `{_cell(graph.study.name)}`. `manifest.json` contains "
        "counts, revisions, settings, the versions of the packages, and the SHA-256 of every file.",
        "",
        f"- examples: SHA-256 `{plan.manifest['examples_sha256']}`",
        f"- base model: `{graph.models[plan.run.model.name].content}`",
        f"- request: `{plan.fingerprint}`",
        "",
    ]


def _hub_name(revision: str) -> str | None:
    """Return the data set of the hub in a revision `owner/name@commit`; None for files."""
    name, _, commit = revision.partition("@")
    return name if commit and name.count("/") == 1 and not name.startswith(("/", ".")) else None


def _name(tag: str) -> str:
    return language(tag).name


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(_cell(one) for one in line) + " |" for line in lines]


def _cell(text: str) -> str:
    """Escape a text of the study for Markdown, which may contain HTML."""
    flat = " ".join(visible(text).split())
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
