"""Facts about languages, and what is made of them."""

from __future__ import annotations

import numpy as np
import pytest

from crosslift.errors import UnknownName
from crosslift.languages.language import tags
from crosslift.languages.similarity import KINDS, facts, known, order_by_similarity, similarity
from crosslift.languages.tags import standardize


def test_every_language_of_ours_is_described():
    assert all(facts(tag).syntax.size for tag in tags()) and facts("zh-Hant").script == "Hant"
    assert all(one.syntax.shape == (103,) for one in known().values())
    assert facts("sw").resource_class == 2 and facts("en").resource_class == 5
    assert "Bantoid" in facts("sw").lineage and facts("pt-BR").tag == "pt"


@pytest.mark.parametrize("kind", KINDS)
def test_similarity_is_symmetric_between_0_and_1_and_1_to_itself(kind: str):
    languages = ["en", "de", "es", "ja", "zh", "sw", "th"]
    found = similarity(kind, languages, languages)
    assert np.allclose(found, found.T) and np.allclose(np.diag(found), 1)
    assert found.min() >= 0 and found.max() <= 1


def test_relatives_are_alike():
    assert (
        similarity("genetic", ["es"], ["fr"])
        > similarity("genetic", ["es"], ["ru"])
        > similarity("genetic", ["es"], ["sw"])
    )
    assert similarity("script", ["ja"], ["zh"]) == 0.5
    assert similarity("syntactic", ["de"], ["en"]) > similarity("syntactic", ["ja"], ["en"])
    order = order_by_similarity(["sw", "es", "de", "zh", "en", "fr", "ja"])
    assert abs(order.index("es") - order.index("fr")) == 1 and abs(order.index("de") - order.index("en")) == 1


def test_unknown_names_are_errors():
    with pytest.raises(UnknownName, match="no entry for"):
        facts("qaa")
    with pytest.raises(UnknownName, match="not a kind of similarity"):
        similarity("lexical", ["en"], ["de"])


@pytest.mark.parametrize(
    ("code", "tag"),
    [("swa", "sw"), ("jp", "ja"), ("ht", "ht"), ("qu", "qu"), ("zho-CN", "zh"), ("hr", "hr"), ("et", "et")],
)
def test_codes_of_all_languages_are_standardised(code: str, tag: str):
    assert standardize(code) == tag
