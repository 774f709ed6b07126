from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosslift.languages.language import Language, language, tags
from crosslift.languages.numbers.numerals import fold, numbers, parse, parse_character_numeral, write

LANGUAGES = [language(tag) for tag in tags()]


def values(text: str, tag: str) -> list[str]:
    return [write(number.value) for number in numbers(text, language(tag))]


def in_notation(number: int, decimals: int, tongue: Language) -> str:
    """A number as the language writes it: groups of three, its own marks and digits."""
    text = f"{number:,}" + (f".{decimals:02d}" if decimals else "")
    marks = str.maketrans({",": tongue.group_mark, ".": tongue.decimal_mark})
    digits = str.maketrans("0123456789", tongue.digits)
    return text.translate(marks).translate(digits)


@given(st.integers(0, 10**9), st.integers(0, 99), st.sampled_from(LANGUAGES))
def test_a_number_in_the_languages_own_notation_reads_back(number: int, decimals: int, tongue: Language):
    text = f"({in_notation(number, decimals, tongue)})."
    assert [found.value for found in numbers(text, tongue)] == [number + Fraction(decimals, 100)]


@given(st.integers(-(10**9), 10**9), st.sampled_from(LANGUAGES))
def test_the_ascii_form_is_among_the_readings_in_every_language(number: int, tongue: Language):
    (found,) = numbers(f"= {number:,}", tongue)
    assert number in found.readings
    (found,) = numbers(f"= {number}", tongue)
    assert found.readings == (number,)


@given(st.text())
def test_any_text_is_read_without_error_and_folding_twice_changes_nothing(text: str):
    once = fold(text)
    assert fold(once) == once or "\\" in text
    for tongue in (language("de"), language("ar"), language("fr")):
        for number in numbers(text, tongue):
            assert once[number.start : number.end].strip()


@pytest.mark.parametrize(
    ("tag", "text", "expected"),
    [
        ("en", "1,234.50 and 2.5", ["1234.5", "2.5"]),
        ("de", "1.234 und 1.234.567,89", ["1234", "1234567.89"]),
        ("fr", "12 345,6 et 10\u202f000", ["12345.6", "10000"]),
        ("ru", "12 345,5 руб.", ["12345.5"]),
        ("bn", "১,২৩,৪৫৬ টাকা এবং ১৮টি।", ["123456", "18"]),
        ("ar", "٣٫٥ ثم ١٬٢٣٤", ["3.5", "1234"]),
        ("ar", "الإجابة هي \u200f-٥", ["-5"]),
        ("th", "๑๒๓ บาท", ["123"]),
        ("zh", "答案是－３２，０００元。", ["-32000"]),
        ("ja", "答えは42です。", ["42"]),
        ("en", "In 2023 100 people came", ["2023", "100"]),
        ("en", "1,2,3", ["1", "2", "3"]),
        ("de", "am 12.05.2023", ["12", "5", "2023"]),
        ("en", "10 -3, COVID-19, (2)-1, 5 - 4", ["10", "3", "19", "2", "1", "5", "4"]),
        ("en", "-$5, $-6, is -7", ["-5", "-6", "-7"]),
        ("en", "3/4 cup on 1/2/2023", ["0.75", "1", "2", "2023"]),
        ("en", r"\frac{1}{3}, 1{,}234 and 5\,000", ["1/3", "1234", "5000"]),
        ("en", "$.50 and so on...5", ["0.5", "5"]),
        ("en", "m² and ① hold no number", []),
        ("en", "18.00", ["18"]),
    ],
)
def test_notations(tag: str, text: str, expected: list[str]):
    assert values(text, tag) == expected


def test_a_mark_before_three_digits_keeps_both_readings():
    (german,) = numbers("1.234", language("de"))
    assert german.readings == (1234, Fraction(1234, 1000))
    (english,) = numbers("1.234", language("en"))
    assert english.readings == (Fraction(1234, 1000),)


@pytest.mark.parametrize("text", ["", "many", "4 2", "1,2,3", "x = 4", "4 apples"])
def test_a_gold_answer_that_is_not_one_number_is_refused(text: str):
    with pytest.raises(ValueError, match="is not a number"):
        parse(text)


@pytest.mark.parametrize(("text", "value"), [("2,125", 2125), (" -3.5", Fraction(-7, 2)), ("৪২", 42), ("18.0", 18)])
def test_gold_answers_are_read_by_value(text: str, value: Fraction):
    assert parse(text) == value


@given(st.fractions())
def test_writing_a_value_keeps_it(value: Fraction):
    assert Fraction(write(value)) == value


def test_a_model_that_repeats_a_digit_for_ever_wrote_no_number():
    assert values("7 and " + "1" * 5000, "en") == ["7"]


@pytest.mark.parametrize(
    ("tag", "text", "expected"),
    [
        ("zh", "一共3万5千元", ["35000"]),
        ("zh", "1.5亿", ["150000000"]),
        ("zh", "3千克苹果和5千米路", ["3", "5"]),
        ("ja", "1億2000万円", ["120000000"]),
        ("ja", "5千円札", ["5000"]),
        ("ko", "3만 5,000원", ["35000"]),
        ("ko", "피자 5조각", ["5"]),
        ("ko", "2만5천", ["25000"]),
        ("hi", "२.५ लाख रुपये", ["250000"]),
        ("en", "2 lakh 50 thousand rupees", ["250000"]),
        ("bn", "৫ কোটি", ["50000000"]),
        ("es", "3 mil millones", ["3000000000"]),
        ("es", "5 mil 200", ["5000", "200"]),
        ("de", "1,5 Mio. Euro", ["1500000"]),
        ("en", "a 5k run over 5km", ["5000", "5"]),
        ("en", "1.2 × 10^3, 3 \\times 10^{4}, 5×10⁶ and 1.5e3", ["1200", "30000", "5000000", "1500"]),
        ("en", "2 1/2 cups, 2½ cups, ½ cup", ["2.5", "2.5", "0.5"]),
        ("en", r"\frac12 and \$18 of 20\%", ["0.5", "18", "20"]),
        ("sw", "shilingi elfu 18", ["18000"]),
        ("he", "קיבל ב-18 שקלים", ["18"]),
        ("th", "3 แสนบาท", ["300000"]),
        ("en", "12 thousands of 3 hundredths", ["12", "3"]),
    ],
)
def test_words_and_units_of_scale_multiply(tag: str, text: str, expected: list[str]):
    assert values(text, tag) == expected


def test_a_percentage_may_be_meant_as_a_share():
    assert numbers("25 %", language("en"))[0].readings == (25, Fraction(1, 4))
    assert numbers("%25", language("tr"))[0].readings == (25, Fraction(1, 4))


@pytest.mark.parametrize(
    ("tag", "text", "value"),
    [
        ("zh", "三万五千元", 35000),
        ("zh", "二百五十个", 250),
        ("zh", "三百零五", 305),
        ("zh", "十八个", 18),
        ("zh", "两千", 2000),
        ("zh", "一八", 18),
        ("zh", "三分之一", Fraction(1, 3)),
        ("zh", "三点五", Fraction(7, 2)),
        ("ja", "四分の三", Fraction(3, 4)),
        ("ja", "一億二千万円", 120_000_000),
        ("ko", "삼십오 개", 35),
        ("ko", "이천", 2000),
        ("ko", "이 사과", None),
        ("zh", "三三十", None),
        ("en", "三十", None),
    ],
)
def test_numerals_in_characters(tag: str, text: str, value: Fraction | None):
    found = parse_character_numeral(text, language(tag))
    assert (found.value if found else None) == value
