"""An exported mixture holds exactly what the study trains on, and each tool's own parser reads its configuration."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml
from fake_study import open_graph
from tiny_study import STUDY, write_study
from typer.testing import CliRunner

from crosslift.cli import app
from crosslift.discover import members
from crosslift.errors import StoreError, UnknownName
from crosslift.execution.phases.examples import examples_of
from crosslift.execution.phases.prepare import prepare
from crosslift.exporting.mixture import COLUMNS, export_mixture
from crosslift.exporting.yaml_text import yaml_text

TEXT = STUDY.replace(
    "epochs = 1.0", 'epochs = 2.0\nvalidation = { corpora = ["test"], max_items = 3 }\nselect_by = "loss"'
)
TEXT = TEXT.replace("learning_rate = 1e-3", 'learning_rate = 1e-5\nmicro_batch_tokens = 512\nprecision = "float32"')
LORA = TEXT.replace(
    "[training]", '[training]\nmethod = "lora"\nlora = { rank = 4, alpha = 8, target_modules = ["q_proj"] }'
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_study(tmp_path_factory.mktemp("export") / "study", seeds=(3, 4), text=TEXT)
    prepare(open_graph(folder), say=lambda line: None)
    return folder


@pytest.fixture(scope="module")
def exported(study: Path) -> Path:
    found = export_mixture(open_graph(study), "en-sw", study.parent / "en-sw")
    assert found.num_examples == 32 and found.num_validation == 6 and len(found.commands) == 3
    return study.parent / "en-sw"


def read_yaml(file: Path) -> dict:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def test_the_rows_are_the_examples_of_the_mixture_in_its_order(study: Path, exported: Path):
    rows = pl.read_ndjson(exported / "data" / "train.jsonl")
    drawn = pl.read_parquet(study / "mixtures" / "en-sw" / "examples.parquet")
    assert rows.columns == list(COLUMNS)
    assert rows.select("item_id", "language", "corpus").equals(drawn.select("item_id", "language", "corpus"))
    first = rows.row(0, named=True)
    assert first["messages"] == [*first["prompt"], *first["completion"]]
    assert [message["role"] for message in first["messages"]] == ["user", "assistant"]
    assert pl.read_ndjson(exported / "data" / "validation.jsonl")["language"].to_list() == ["en", "sw"] * 3


@pytest.mark.parametrize("form", ["parquet", "datasets"])
def test_the_other_formats_hold_the_same_rows(study: Path, exported: Path, tmp_path: Path, form: str):
    datasets = pytest.importorskip("datasets")
    for name in ("a", "b"):
        export_mixture(open_graph(study), "en-sw", tmp_path / name, form=form)
    rows = pl.read_ndjson(exported / "data" / "train.jsonl")
    if form == "parquet":
        assert pl.read_parquet(tmp_path / "a" / "data" / "train.parquet").equals(rows)
        assert read_yaml(tmp_path / "a" / "axolotl.yaml")["datasets"][0]["ds_type"] == "parquet"
    else:
        loaded = datasets.load_from_disk(tmp_path / "a" / "dataset")
        assert set(loaded) == {"train", "validation"} and loaded["train"].to_list() == rows.to_dicts()
    files = [one.relative_to(tmp_path / "a") for one in sorted((tmp_path / "a").rglob("*")) if one.is_file()]
    assert all((tmp_path / "a" / one).read_bytes() == (tmp_path / "b" / one).read_bytes() for one in files)


def test_load_dataset_reads_the_folder(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(str(exported / "data"), cache_dir=str(tmp_path))
    assert {split: one.num_rows for split, one in loaded.items()} == {"train": 32, "validation": 6}


def test_no_file_contains_a_path_of_the_machine(study: Path, exported: Path):
    for file in exported.rglob("*"):
        assert not file.is_file() or str(study.parent).encode() not in file.read_bytes(), file
    assert not any(path.startswith("/") for path in read_yaml(exported / "trl.yaml").values() if isinstance(path, str))


@pytest.mark.parametrize("tool", members("training tool"))
def test_the_configurations_describe_the_training_of_the_study(exported: Path, tool: str):
    found = read_yaml(exported / f"{tool}.yaml")
    batch = (
        found.get("per_device_train_batch_size", found.get("micro_batch_size")) * found["gradient_accumulation_steps"]
    )
    assert batch == 8 and found["seed"] == 3
    assert found["learning_rate"] == 1e-5 and isinstance(found["learning_rate"], float)
    assert found.get("num_train_epochs", found.get("num_epochs")) == 2.0
    assert found.get("max_length", found.get("cutoff_len", found.get("sequence_len"))) == 1024
    assert found.get("lr_scheduler_type", found.get("lr_scheduler")) == "cosine"
    assert found["warmup_steps"] == 1  # 3 % of 8 steps
    assert found["bf16"] is False and found["eval_steps"] == 4 and found["load_best_model_at_end"] is True
    assert (exported / found.get("model_name_or_path", found.get("base_model")) / "model.safetensors").is_file()


def test_small_numbers_stay_numbers_in_yaml():
    values = {"a": 1e-05, "b": 1.5e-07, "c": 1e22, "d": 2.0, "e": True, "f": None, "g": [{"h": "no: # x"}], "i": "auto"}
    assert yaml.safe_load(yaml_text(["x"], values)) == {key: one for key, one in values.items() if one is not None}


def test_the_command_lists_files_and_commands_and_unknown_names_are_errors(study: Path, tmp_path: Path):
    said = CliRunner().invoke(app, ["export", "mixture", str(study), "en", str(tmp_path / "out")])
    assert said.exit_code == 0, said.output
    assert "32 examples, 3 for validation" in said.output and "trl.yaml: trl sft --config trl.yaml" in said.output
    graph = open_graph(study)
    for changes, name in (({}, "em"), ({"model": "tinny"}, "en"), ({"form": "csv"}, "en")):
        with pytest.raises(UnknownName, match="Known: "):
            export_mixture(graph, name, tmp_path / "none", **changes)
    with pytest.raises(StoreError, match="not an empty folder"):
        export_mixture(graph, "en", tmp_path / "out")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["out"]


def test_only_the_last_of_several_answers_is_marked_for_training(tmp_path: Path):
    folder = write_study(tmp_path / "study")
    lines = []
    for line in (folder / "train.jsonl").read_text().splitlines():
        row = json.loads(line)
        question, answer = (
            {"role": "user", "content": row.pop("prompt")},
            {"role": "assistant", "content": row.pop("completion")},
        )
        lines.append(json.dumps(row | {"messages": [question, answer] * 2}))
    (folder / "train.jsonl").write_text("\n".join(lines) + "\n")
    graph = open_graph(folder)
    prepare(graph, say=lambda line: None)
    export_mixture(graph, "en", tmp_path / "out")
    row = pl.read_ndjson(tmp_path / "out" / "data" / "train.jsonl").row(0, named=True)
    assert [message["train"] for message in row["messages"]] == [False, False, False, True]
    assert len(row["prompt"]) == 3 and set(row["prompt"][0]) == {"role", "content"}
    found = read_yaml(tmp_path / "out" / "axolotl.yaml")["datasets"][0]
    assert found["message_field_training"] == "train" and found["roles_to_train"] == []


# ---------------------------------------------------------------------------------- the parsers of the tools themselves


def test_trl_reads_its_configuration_and_makes_the_same_tokens_and_labels(
    study: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    trl = pytest.importorskip("trl", reason="the extra trl is not installed")
    from datasets import load_dataset
    from trl.scripts.sft import make_parser

    folder = shutil.copytree(exported, tmp_path / "exported")
    monkeypatch.chdir(folder)
    arguments = make_parser().parse_args_and_config(args=["--config", "trl.yaml", "--use_cpu"])
    script, training, model = arguments[:3]
    assert (training.learning_rate, training.seed, training.warmup_steps, model.dtype) == (1e-5, 3, 1, "float32")
    rows = load_dataset(script.dataset_name, cache_dir=str(tmp_path / "cache"))
    training.model_init_kwargs = {"dtype": model.dtype}
    made = trl.SFTTrainer(
        model=model.model_name_or_path, args=training, train_dataset=rows["train"], eval_dataset=rows["validation"]
    )
    graph = open_graph(study)
    run = graph.runs["tiny.en-sw.s3"]
    ours = examples_of(graph, run)
    for number, row in enumerate(made.train_dataset):
        ids = ours.ids[ours.offsets[number] : ours.offsets[number + 1]].tolist()
        prompt = int(ours.prompt_lengths[number])
        assert row["input_ids"][: len(ids)] == ids
        assert row["labels"][: len(ids)] == [-100] * prompt + ids[prompt:]
        assert len(row["input_ids"]) - len(ids) in (0, 1)  # the template's last newline, which crosslift leaves out


def test_llama_factory_reads_its_configuration(exported: Path, monkeypatch: pytest.MonkeyPatch):
    parser = pytest.importorskip(
        "llamafactory.data.parser", reason="LLaMA-Factory is not installed", exc_type=ImportError
    )
    arguments = pytest.importorskip(
        "llamafactory.hparams", reason="LLaMA-Factory is not installed", exc_type=ImportError
    )
    from transformers import HfArgumentParser

    monkeypatch.chdir(exported)
    (train,) = parser.get_dataset_list(["train"], ".")
    assert (train.dataset_name, train.messages, train.user_tag) == ("data/train.jsonl", "messages", "user")
    kinds = (arguments.ModelArguments, arguments.DataArguments, arguments.FinetuningArguments)
    values = read_yaml(exported / "llama_factory.yaml")
    known = {name for kind in (*kinds, arguments.TrainingArguments) for name in kind.__dataclass_fields__}
    assert values.keys() <= known
    model, data, tuning, *_ = HfArgumentParser(kinds).parse_dict(values, allow_extra_keys=True)
    assert (data.cutoff_len, data.mask_history, tuning.finetuning_type, model.model_name_or_path) == (
        1024, True, "full", "model",
    )  # fmt: skip


def test_axolotl_reads_its_configuration(exported: Path, monkeypatch: pytest.MonkeyPatch):
    schema = pytest.importorskip(
        "axolotl.utils.schemas.config", reason="Axolotl is not installed", exc_type=ImportError
    )
    monkeypatch.chdir(exported)
    values = read_yaml(exported / "axolotl.yaml")
    assert values.keys() <= schema.AxolotlInputConfig.model_fields.keys()
    found = schema.AxolotlInputConfig(**values)
    assert (found.micro_batch_size, found.sequence_len, found.seed) == (8, 1024, 3)
    assert found.datasets[0].field_messages == "messages"
