"""The columns of each kind of spreadsheet: their fields, what they are called, which must be there. Data.

columns.json: the first name of a language is the template's. words.json: words for choices. Both are
matched without regard to case, width, spaces, and what stands in brackets (`商品名称（必填）`).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from app.i18n import Lang

Kind = Literal["products", "lots", "shipments", "events"]
KINDS: tuple[Kind, ...] = ("products", "lots", "shipments", "events")
Choice = Literal["category", "mode", "event", "signed_by"]

_HERE = Path(__file__).parent
_BRACKETED = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_FILLING = re.compile(r"[\s*:_\-]+")


@dataclass(frozen=True, slots=True)
class Column:
    """A field of a kind. names, example: by language. hidden: understood, but not in the template."""

    field: str
    required: bool
    hidden: bool
    names: Mapping[Lang, tuple[str, ...]]
    example: Mapping[Lang, str]


@cache
def columns_of(kind: Kind) -> tuple[Column, ...]:
    """Returns the columns of a kind in the template's order."""
    told = json.loads((_HERE / "columns.json").read_text("utf-8"))[kind]
    return tuple(
        Column(
            field=one["field"],
            required=one.get("required", False),
            hidden=one.get("hidden", False),
            names={"zh": tuple(one["zh"]), "en": tuple(one["en"])},
            example=one["example"],
        )
        for one in told
    )


@cache
def names_of(kind: Kind, lang: Lang) -> Mapping[str, str]:
    """Returns what each field of a kind is called in the template."""
    return {column.field: column.names[lang][0] for column in columns_of(kind)}


def fields_of(kind: Kind) -> tuple[str, ...]:
    """Returns the names of a kind's fields."""
    return tuple(column.field for column in columns_of(kind))


@cache
def known_names(kind: Kind) -> Mapping[str, str]:
    """Returns the field of every name that a column may have, in the form of `spelled`."""
    found: dict[str, str] = {}
    for column in columns_of(kind):
        for name in (column.field, *column.names["zh"], *column.names["en"]):
            found.setdefault(spelled(name), column.field)
    return found


@cache
def words() -> Mapping[str, Any]:
    """Returns the words for choices."""
    told: Mapping[str, Any] = json.loads((_HERE / "words.json").read_text("utf-8"))
    return told


def spelled(name: str) -> str:
    """Returns a header in the form in which headers are compared."""
    name = unicodedata.normalize("NFKC", name).strip().lower()
    bare = _FILLING.sub("", _BRACKETED.sub("", name))
    return bare or _FILLING.sub("", name)


def choice(kind: Choice, text: str) -> str | None:
    """Returns the value that a word stands for, None for an unknown word."""
    return _values(kind).get(spelled(text))


def has_word(kind: Literal["yes", "no", "ended"], text: str) -> bool:
    """Returns whether a text is one of these words."""
    return spelled(text) in _words(kind)


# Asked of every row: the words themselves are spelled once.
@cache
def _values(kind: Choice) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for value, names in words()[kind].items():
        for name in (value, *names):
            found.setdefault(spelled(name), value)
    return found


@cache
def _words(kind: Literal["yes", "no", "ended"]) -> frozenset[str]:
    return frozenset(map(spelled, words()[kind]))
