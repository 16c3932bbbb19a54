from __future__ import annotations

import random

from app.kit.tokens import SYMBOLS, random_symbols


def test_every_symbol_is_equally_likely_for_a_random_byte():
    each_byte = random_symbols(lambda _: bytes(range(256)), 256)
    assert {each_byte.count(symbol) for symbol in SYMBOLS} == {8}


def test_symbols_hold_nothing_that_is_mistaken_for_another():
    assert len(set(SYMBOLS)) == 32
    assert not set(SYMBOLS) & set("01IO")


def test_one_seed_gives_one_text():
    first, second = (random_symbols(random.Random(7).randbytes, 16) for _ in range(2))
    assert first == second
    assert len(first) == 16
