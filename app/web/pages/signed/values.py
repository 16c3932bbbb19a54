"""Values of records as people read them."""

from __future__ import annotations

from typing import Any

import orjson

from app.i18n import Lang, has, region_name, text

_FAMILIES = {
    "category": ("page.category", "page.complaint"),
    "kind": ("page.signature", "measure"),
    "mode": ("page.mode",),
    "proof": ("proof",),
    "wish": ("complaints.wish",),
    "outcome": ("complaints.outcome",),
    "exception": ("own.exception",),
    "documents": ("page.customs.documents",),
    "to": ("role",),  # of a referral
}
"""Names of record fields whose values are words of ours, and the families in which these stand."""
_REGIONS = frozenset({"from", "to", "region"})


def in_words(lang: Lang, name: str, value: Any) -> str:
    """Returns a field's value: by its sentence, where it is a word of ours, else as it is."""
    if isinstance(value, str):
        for family in _FAMILIES.get(name, ()):
            if has(f"{family}.{value}"):
                return text(lang, f"{family}.{value}")
    if isinstance(value, bool):
        return text(lang, "page.yes" if value else "page.no")
    if name in _REGIONS and isinstance(value, str) and (place := region_name(lang, value)):
        return place if value in place else f"{place} · {value}"
    if isinstance(value, dict):
        colon = text(lang, "desk.colon")
        return " · ".join(
            f"{_name(lang, name, part)}{colon}{in_words(lang, part, told)}"
            for part, told in value.items()
        )
    return as_text(value)


def _name(lang: Lang, name: str, part: str) -> str:
    """Returns what a part of a field is called: of a section (`import`), else of a record's data."""
    for key in (f"page.{name}.{part}", f"chain.data.{part}"):
        if has(key):
            return text(lang, key)
    return part


def as_text(value: Any) -> str:
    """Returns a text as it is, an object as its parts, anything else as JSON; Chinese stays Chinese."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return " · ".join(f"{name}: {as_text(part)}" for name, part in value.items())
    return orjson.dumps(value).decode()
