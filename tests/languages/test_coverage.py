from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from crosslift.languages.coverage import coverage, describe, problems_of_file
from crosslift.languages.language import tags

DATA = Path(str(resources.files("crosslift.languages"))) / "data"


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("de", ("file", "file", "ICU", "classifier")),
        ("de-CH", ("file of de", "CLDR", "ICU", "classifier")),
        ("zh-Hant", ("file", "file", "characters and ICU", "script")),
        ("kk", ("", "CLDR", "ICU", "classifier")),
        ("nap", ("", "ASCII", "", "script and English")),
    ],
)
def test_coverage_says_where_each_thing_is_from(tag: str, expected: tuple[str, ...]) -> None:
    found = coverage(tag)
    assert (found.words, found.marks, found.number_words, found.identified) == expected
    assert describe(found)["tag"] == tag


@pytest.mark.parametrize("tag", tags())
def test_every_file_of_the_installation_passes_its_check(tag: str) -> None:
    assert problems_of_file(DATA / f"{tag}.toml") == []


def test_a_wrong_file_has_all_its_problems_told(tmp_path: Path) -> None:
    file = tmp_path / "kk.toml"
    file.write_text('answer_cue = "Жауап"\nanswer_words = "Жауап"\nscales = { "мың" = "1000" }\nname_ = ""\n', "utf-8")
    problems = problems_of_file(file)
    assert len(problems) == 3 and "answer_words" in problems[0]
    file.write_text(
        'answer_cue = "The answer is this, my dear friend"\nanswer_words = []\nsummarize = "Say it."\n'
        'decimal_mark = "."\ngroup_mark = ","\n',
        "utf-8",
    )
    found = problems_of_file(file)
    assert [word in " ".join(found) for word in ("decimal_mark", "group_mark", "answer_cue")] == [True] * 3
