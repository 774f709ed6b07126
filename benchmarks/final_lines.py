"""What other tools make of the same last lines of answers.

    pip install lm_eval==0.4.13 inspect-ai
    python benchmarks/final_lines.py > docs/final-lines.md

lm-evaluation-harness: the filters of `mgsm_native_cot_<language>` as installed, strict and flexible; where it has no
task in the language, those of English. inspect-ai: `match(numeric=True)`. simple-evals: the rule of its `mgsm_eval.py`,
told in a few lines below, with our word for "answer" where it has none. Each tool compares with the gold in its own
way.
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from crosslift.evaluation.tasks import math
from crosslift.languages.language import language

LINES = Path(__file__).parents[1] / "tests" / "evaluation" / "final_lines.toml"


def ours(line: str, gold: str, tag: str) -> bool:
    return math.score(line, gold, language(tag)).values["accuracy"] == 1


def lm_eval(name: str):
    """One named filter of the installed task, and the task's exact match."""
    import yaml
    from lm_eval.api.metrics import exact_match_hf_evaluate
    from lm_eval.filters.extraction import RegexFilter
    from lm_eval.filters.selection import TakeFirstFilter

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: None)
    folder = files("lm_eval") / "tasks" / "mgsm" / "native_cot"

    def config(file: str) -> dict[str, Any]:
        found = yaml.load((folder / file).read_text(encoding="utf-8"), Loader)
        return (config(found["include"]) if "include" in found else {}) | found

    steps = {"regex": RegexFilter, "take_first": TakeFirstFilter}

    def judge(line: str, gold: str, tag: str) -> bool:
        file = f"mgsm_native_cot_{tag}.yaml"
        task = config(file if (folder / file).is_file() else "mgsm_native_cot_en.yaml")
        chosen = next(one for one in task["filter_list"] if one["name"] == name)
        responses: Any = [[line]]
        for step in chosen["filter"]:
            kind = steps[step["function"]]
            options = {key: value for key, value in step.items() if key != "function"}
            responses = [
                list(found) if not isinstance(found, str) else found for found in kind(**options).apply(responses, [{}])
            ]
        answer = responses[0] if isinstance(responses[0], str) else responses[0][0]
        options = {key: value for key, value in task["metric_list"][0].items() if key.startswith("ignore")}
        return bool(exact_match_hf_evaluate(predictions=[answer], references=[gold], **options)["exact_match"])

    return judge


def inspect(line: str, gold: str, tag: str) -> bool:
    from inspect_ai.scorer._common import match_str

    return bool(match_str(line, gold, location="end", numeric=True)[1])


def simple_evals(line: str, gold: str, tag: str) -> bool:
    """The last number behind the language's word for "answer", commas taken out; equal as text."""
    word = language(tag).answer_words[0]
    if word not in line:
        return False
    found = re.findall(r"\d+\.?\d*", line.split(word)[-1].replace(",", ""))
    answer = found[-1].rstrip(".") if found else ""
    if "." in answer:
        answer = answer.rstrip("0").rstrip(".")
    return answer == gold.replace(",", "")


def main() -> None:
    lines = tomllib.loads(LINES.read_text(encoding="utf-8"))["lines"]
    judges = {
        "crosslift": ours,
        "lm-eval strict": lm_eval("strict-match"),
        "lm-eval flexible": lm_eval("flexible-extract"),
        "inspect-ai": inspect,
        "simple-evals": simple_evals,
    }
    verdicts = [[judge(line, gold, tag) for judge in judges.values()] for tag, line, gold in lines]
    out = sys.stdout.write
    num_languages = len({tag for tag, _, _ in lines})
    out("# Last lines of answers, read by several tools\n\n")
    out(f"`python benchmarks/final_lines.py`: {len(lines)} lines in {num_languages} languages. lm-evaluation-harness ")
    out("0.4.13, inspect-ai as installed, the rule of simple-evals.\n\n")
    out("| | " + " | ".join(judges) + " |\n|---|" + "---|" * len(judges) + "\n")
    out("| **right** | " + " | ".join(f"**{sum(column)}**" for column in zip(*verdicts, strict=True)) + " |\n\n")
    out("| language | line | gold | " + " | ".join(judges) + " |\n|---|---|---|" + "---|" * len(judges) + "\n")
    for (tag, line, gold), row in zip(lines, verdicts, strict=True):
        shown = line.replace("|", "\\|")
        out(f"| {tag} | {shown} | {gold} | " + " | ".join("✓" if right else "·" for right in row) + " |\n")


if __name__ == "__main__":
    main()
