from __future__ import annotations

import pytest

from crosslift.errors import UnknownName
from crosslift.languages.tags import resolve, resolve_all

FLAVOURS = {
    "sw": ["sw", "swa", "swh", "swh_Latn", "sw_KE"],
    "zh": ["zh", "zho", "zh-CN", "zho-CN", "cmn", "zhs", "zho_Hans", "zh_cn"],
    "ja": ["ja", "jpn", "jp", "jpn_Jpan"],
    "ar": ["ar", "arb", "ara", "arb_Arab", "ar_EG"],
    "pt": ["pt", "por", "pt_BR", "por-BR", "pt-br"],
    "en": ["en", "eng", "eng_Latn", "en_US"],
    "ms": ["ms", "msa", "zsm"],
    "id": ["id", "ind"],
    "ne": ["ne", "nep", "npi"],
    "fa": ["fa", "fas", "pes"],
    "he": ["he", "iw", "heb"],
    "ko": ["ko", "kor", "kr"],
}


@pytest.mark.parametrize(("code", "tag"), [(code, tag) for tag, codes in FLAVOURS.items() for code in codes])
def test_codes_of_every_flavour_become_one_tag(code: str, tag: str):
    assert resolve(code) == tag


@pytest.mark.parametrize("code", ["enhi", "xx", "", "english", "zh hans", "qaa"])
def test_a_code_of_no_known_language_is_an_error(code: str):
    with pytest.raises(UnknownName, match="not a language that crosslift knows"):
        resolve(code)


def test_all_unknown_codes_are_told_at_once_with_what_is_near():
    with pytest.raises(UnknownName) as caught:
        resolve_all(["swa", "enhi", "xx"])
    assert str(caught.value).count("not a language") == 2
    assert "'hi'" in str(caught.value).splitlines()[0]
