"""A finding's evidence as people read it: steps, kinds, places, parties and times by their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from app.i18n import Lang, format_moment, has, region_name, text
from app.kit.clock import from_ms, read_ms
from app.parties.identity import is_party_id
from app.web.pages.signed.values import as_text, in_words

_FAMILIES: Final = {
    "step": "step",
    "first": "step",
    "then": "step",
    "kind": "gap",
    "expected": "licence",
}
"""Names whose values are words of ours, and the families in which these stand."""
_PLACES: Final = ("cities", "first_region", "then_region")


class Clue(NamedTuple):
    """One thing that the evidence says. is_code: it is a number or a hash, and is set as such."""

    label: str
    said: str
    is_code: bool


def clues_of(lang: Lang, evidence: Mapping[str, Any], names: Mapping[str, str]) -> list[Clue]:
    """Returns what the evidence says, in its order. names: of parties, by id."""
    return [_clue(lang, name, value, names) for name, value in evidence.items()]


def parties_named(evidence: Mapping[str, Any]) -> Iterator[str]:
    """Yields the parties that evidence names."""
    return (one for one in evidence.values() if isinstance(one, str) and is_party_id(one))


def _clue(lang: Lang, name: str, value: Any, names: Mapping[str, str]) -> Clue:
    key = f"chain.evidence.{name}"
    label = text(lang, key) if has(key) else name
    said = _said(lang, name, value, names)
    return Clue(label, as_text(value) if said is None else said, said is None)


def _said(lang: Lang, name: str, value: Any, names: Mapping[str, str]) -> str | None:
    """Returns a value in words, None for what has none."""
    if isinstance(value, list):
        parts = [_said(lang, name, one, names) for one in value]
        told = [part for part in parts if part is not None]
        return text(lang, "page.list.join").join(told) if len(told) == len(parts) else None
    if isinstance(value, Mapping) and {"stream", "seq"} <= value.keys():
        return f"{value['stream']} · {text(lang, 'chain.record', seq=value['seq'])}"
    if type(value) is int:
        return str(value)
    if not isinstance(value, str):
        return None
    if value in names:
        return f"{names[value]} {value}"
    if name in _PLACES:
        return region_name(lang, value)
    if name in _FAMILIES and has(key := f"{_FAMILIES[name]}.{value}"):
        return text(lang, key)
    moment = _moment(lang, value)
    if moment is not None:
        return moment
    said = in_words(lang, name, value)
    return said if said != value else None


def _moment(lang: Lang, value: str) -> str | None:
    try:
        return format_moment(lang, from_ms(read_ms(value)))
    except ValueError:
        return None
