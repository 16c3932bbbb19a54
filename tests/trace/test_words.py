"""Words by which products are found, and codes as people mistype them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.trace.gtin import gtin_check_digit
from app.trace.typos import MOST_SPELLINGS, Typed, meant_gtins, read_typed, spellings
from app.trace.words import (
    MOST_QUERY_WORDS,
    alike,
    category_word,
    product_words,
    query_words,
    relevance,
)

names = st.text(st.sampled_from("端砚茶红苹果Apple 12é-（）·"), min_size=1, max_size=12)


def words(name: str, **facts: str) -> dict[str, int]:
    return product_words(name, "food", facts)


def test_each_character_and_each_pair_is_a_word():
    assert words("红茶") == {category_word("food"): 0, "红": 0, "红茶": 0, "茶": 1}


def test_other_scripts_give_words_and_their_beginnings():
    assert {"tea", "te"} <= words("Tea").keys()
    assert "ea" not in words("Tea")
    assert words("Tea")["tea"] == 0
    assert words("Green Tea")["tea"] == 1
    assert "é" in "".join(words("Café"))


def test_a_whole_brand_is_as_good_as_the_beginning_of_a_name():
    assert words("礼盒", brand="端砚")["端砚"] == 0
    assert words("礼盒", brand="端砚坊")["端砚"] == 1
    assert words("礼盒", origin="端砚坊")["端砚"] == 2


@given(st.text(st.sampled_from("端砚茶红苹果礼盒"), min_size=1, max_size=12), st.data())
def test_every_part_of_a_name_finds_it(name, data):
    start = data.draw(st.integers(0, len(name) - 1))
    end = data.draw(st.integers(start + 1, len(name)))
    part = name[start:end]
    asked = query_words(part)
    assert 0 < len(asked) <= MOST_QUERY_WORDS
    assert set(asked) <= words(name).keys()


def test_nothing_typed_is_a_word_of_ours():
    assert query_words("#chain %_ ()") == ["chain"]


@given(st.text(max_size=20), names, names)
def test_relevance_is_above_0_and_at_most_1(query, name, brand):
    found = relevance(query, name, brand)
    assert 0 < found <= 1
    assert found == round(found, 6)


def test_the_better_a_name_fits_the_more_relevant():
    order = [relevance("红茶", name, brand) for name, brand in
             (("红茶", ""), ("红茶礼盒", ""), ("鼎湖红茶", ""), ("红袍茶", ""))]  # fmt: skip
    assert order == sorted(order, reverse=True)
    assert order[0] == 1
    assert relevance("华源", "蜂蜜", "华源") >= Decimal("0.8")


# --- codes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("6901234567892", Typed("6901234567892")),
        ("690-1234 567892", Typed("6901234567892")),
        ("https://a.example/01/06901234567892/21/8F3K", Typed("06901234567892", "21", "8F3K")),
        ("(01)06901234567892(10)L01", Typed("06901234567892", "10", "L01")),
        ("01/06901234567892", Typed("06901234567892")),
        ("茶", None),
        ("12345", None),
        ("６９０１２３４５６７８９２", None),
    ],
)
def test_a_code_is_read_in_any_of_its_forms(query, expected):
    assert read_typed(query) == expected


@given(st.integers(60 * 10**10, 70 * 10**10 - 1), st.data())
def test_one_wrong_or_swapped_digit_is_found_again(number, data):
    body = str(number)
    right = body + gtin_check_digit(body)
    place = data.draw(st.integers(0, 11))
    if data.draw(st.booleans()):
        typed = right[:place] + data.draw(st.sampled_from("0123456789")) + right[place + 1 :]
    else:
        typed = right[:place] + right[place + 1] + right[place] + right[place + 2 :]
    assert right.zfill(14) in meant_gtins(typed)
    assert len(meant_gtins(typed)) < 30


def test_what_is_right_stands_first():
    assert meant_gtins("6901234567892")[0] == "06901234567892"


@given(st.text(st.sampled_from("O0I1LA9-/"), min_size=1, max_size=20))
def test_spellings_are_few_and_begin_with_what_was_typed(value):
    found = spellings(value)
    assert found[0] == value
    assert len(found) == len(set(found)) <= MOST_SPELLINGS
    assert {alike(one) for one in found} == {alike(value)}
