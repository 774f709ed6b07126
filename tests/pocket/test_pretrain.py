"""The recipe of the pocket models, on a few thousand tokens."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from crosslift.errors import UnknownName
from crosslift.pocket import checkpoints, pretrain

TOKENS = 40_000


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretraining") / "text"
    folder.mkdir()
    pretrain.train_tokenizer(2000).save(str(folder / "tokenizer.json"))
    pretrain.write_text(folder, TOKENS, num_workers=1, part_tokens=TOKENS // 2)
    return folder


def test_windows_go_through_the_text_once_per_pass(text_folder: Path):
    parts = sorted(text_folder.glob("part-*.npy"))
    num_windows = TOKENS // pretrain.WINDOW
    windows = pretrain.windows(parts, seed=0)
    first = sorted(next(windows).tobytes() for _ in range(num_windows))
    second = sorted(next(windows).tobytes() for _ in range(num_windows))
    assert first == second and len(set(first)) == num_windows


def test_text_that_is_there_is_not_written_again(text_folder: Path):
    before = {path: path.stat().st_mtime_ns for path in text_folder.iterdir()}
    pretrain.write_text(text_folder, TOKENS, num_workers=1, part_tokens=TOKENS // 2)
    assert {path: path.stat().st_mtime_ns for path in text_folder.iterdir()} == before


def test_an_unknown_recipe_is_named(tmp_path: Path):
    with pytest.raises(UnknownName, match="qwen3-m"):
        pretrain.pretrain("qwen3-xxl", tmp_path)


@pytest.mark.parametrize("name", checkpoints.names())
def test_shipped_models_load_like_any_other_and_speak_all_languages(name: str):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = checkpoints.folder(name)
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert sum(weight.numel() for weight in model.parameters()) < 2.5e6
    assert len(tokenizer) == model.config.vocab_size
    for sentence in ("Anna has 37 apples.", "桜は石を37個持っています。", "ชูใจมีก้อนหิน 37 ก้อน", "లత దగ్గర 7 పెట్టెలు ఉన్నాయి"):
        ids = tokenizer(sentence).input_ids
        assert tokenizer.decode(ids) == sentence
        assert tokenizer.convert_tokens_to_ids("3") in ids or "3" not in sentence


def test_all_shipped_weights_are_small_and_safe():
    files = [path for name in checkpoints.names() for path in checkpoints.folder(name).iterdir()]
    assert sum(path.stat().st_size for path in files) < 40e6
    assert {path.suffix for path in files} <= {".json", ".jinja", ".safetensors"}


@pytest.mark.slow
def test_pretraining_goes_on_where_it_was_killed(text_folder: Path, tmp_path: Path):
    """The state is saved by time; a kill between saves repeats the steps since, and the log says where it went on."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "text").symlink_to(text_folder)
    code = (
        "import pathlib, torch; torch.set_num_threads(1)\n"
        "from crosslift.pocket import pretrain\n"
        "pretrain.WINDOW, pretrain.SAVE_SECONDS = 64, 0\n"
        f"pretrain.pretrain('qwen3-s', pathlib.Path({str(folder)!r}), num_tokens={TOKENS}, num_workers=1)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 120
    while not (folder / "qwen3-s.state.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not (folder / "qwen3-s").exists()
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (folder / "qwen3-s" / "model.safetensors").exists()
    assert not (folder / "qwen3-s.state.pt").exists()
