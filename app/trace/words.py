"""What a product can be found by: words of names, in Chinese and in other scripts. Pure.

Chinese is written without spaces, and what people look for may be one character. So a run of Chinese
characters gives each character and each pair of neighbours; a query of several characters asks for
its pairs. Other runs give the word and its beginnings. Everything is NFKC and without case.

A word's tier is how well it speaks for the product: 0 the beginning of a name, or a whole brand;
1 elsewhere in name or brand; 2 elsewhere in its facts. Words that begin with `#` cannot be typed:
they stand for a category, a lot, or a chain.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from decimal import Decimal

TIERS = (0, 1, 2)
MOST_QUERY_WORDS = 12
_LONGEST_WORD = 24
_LONGEST_BEGINNING = 8
_HAN = "\u3400-\u9fff\uf900-\ufaff\u3040-\u30ff\uac00-\ud7af\U00020000-\U0003ffff"
_RUN = re.compile(rf"([{_HAN}]+)|([^\W_{_HAN}]+)")
_FACTS = ("spec", "origin", "standard", "licence")
_ALIKE = str.maketrans("OIL", "011")
CHAIN = "#chain"
"""Stands for a product of which units with chains were sold."""


def category_word(category: str) -> str:
    """Returns the word of a category."""
    return f"#category:{category}"


def lot_word(lot: str) -> str:
    """Returns the word of a lot: letters and digits that are mistaken for each other are one."""
    return f"#lot:{alike(lot)}"


def alike(code: str) -> str:
    """Returns a lot or serial without case, O as 0, I and L as 1, and no separators."""
    told = unicodedata.normalize("NFKC", code).upper().translate(_ALIKE)
    return re.sub(r"[\s\-]", "", told)


def product_words(name: str, category: str, facts: Mapping[str, object]) -> dict[str, int]:
    """Returns every word of a product's registered facts with its best tier."""
    found: dict[str, int] = {category_word(category): 0}

    def add(word: str, tier: int) -> None:
        found[word] = min(tier, found.get(word, tier))

    for text, is_brand in ((name, False), (str(facts.get("brand", "")), True)):
        first = True
        runs = list(_runs(text))
        for run, han in runs:
            for word, at_start, whole in _words(run, han=han):
                leads = at_start and first if not is_brand else whole and len(runs) == 1
                add(word, 0 if leads else 1)
            first = False
    for field in _FACTS:
        for run, han in _runs(str(facts.get(field, ""))):
            for word, _, _ in _words(run, han=han):
                add(word, 2)
    return found


def query_words(query: str) -> list[str]:
    """Returns the words that a product must all have, in the order of the query; none: no query."""
    found: dict[str, None] = {}
    for run, han in _runs(query):
        if not han:
            found[run[:_LONGEST_WORD]] = None
        elif len(run) == 1:
            found[run] = None
        else:
            found |= dict.fromkeys(run[n : n + 2] for n in range(len(run) - 1))
    return list(found)[:MOST_QUERY_WORDS]


def relevance(query: str, name: str, brand: str) -> Decimal:
    """Returns how well a product that has all words fits: above 0, at most 1, six decimals.

    The name itself 1; a name that begins with the query, or its brand, from 0.8; with the query in it
    from 0.6; else from 0.4. Within each a shorter name fits better, by at most a tenth.
    """
    asked, called = _plain(query), _plain(name)
    if asked == called:
        return Decimal(1)
    share = Decimal(min(len(asked), len(called))) / Decimal(max(len(called), 1)) / 10
    if called.startswith(asked) or asked == _plain(brand):
        base = Decimal("0.8")
    elif asked in called:
        base = Decimal("0.6")
    else:
        base = Decimal("0.4")
    return round(base + share, 6)


def _plain(text: str) -> str:
    return "".join(run for run, _ in _runs(text))


def _runs(text: str) -> Iterable[tuple[str, bool]]:
    for match in _RUN.finditer(unicodedata.normalize("NFKC", text).casefold()):
        yield match[0], match[1] is not None


def _words(run: str, *, han: bool) -> Iterable[tuple[str, bool, bool]]:
    """Yields the words of a run, whether each stands at its start, and whether it is all of it."""
    if han:
        for n, sign in enumerate(run):
            yield sign, n == 0, len(run) == 1
            if n + 1 < len(run):
                yield run[n : n + 2], n == 0, len(run) == 2
        return
    for length in range(2, min(len(run), _LONGEST_BEGINNING)):
        yield run[:length], True, False
    yield run[:_LONGEST_WORD], True, True
