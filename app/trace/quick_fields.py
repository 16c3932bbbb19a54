"""The check of an event's fields that can only say yes: for nearly every event, at a third of the cost.

`fields.FieldReader` gathers what is wrong and names it; that asks each value many questions. Here the
rules of an event type are compiled once into one function a field, which takes what is plainly right.
Whatever is not, wrong or merely unusual, is left to the reader, from the beginning, as if nobody had
looked: so nothing passes here that does not pass there, and every message is the reader's. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any
from unicodedata import is_normalized

from app.kit.errors import Invalid
from app.parties.identity import LEAST_NEAR, is_party_id
from app.trace.fields import Rule, WrongValue, read_value

Accept = Callable[[Any], Any]
"""Returns the value as it will stand, or DOUBT."""

DOUBT = object()


class QuickReader:
    """Reads the data of one event type on one level, from senders that do not sign."""

    def __init__(
        self,
        rules: Mapping[str, Rule],
        *,
        any_of: tuple[tuple[str, ...], ...],
        sealed: tuple[str, ...],
    ) -> None:
        self._accept = {name: _accept(rule) for name, rule in rules.items() if rule.by == "sender"}
        self._required = frozenset(name for name, rule in rules.items() if rule.required)
        self._any_of = any_of
        self._sealed = frozenset(sealed)

    def read(self, data: Mapping[str, Any], sealed_names: Collection[str]) -> dict[str, Any] | None:
        """Returns the data as it will stand in the record, None where the long way has to be gone."""
        kept: dict[str, Any] = {}
        for name, given in data.items():
            accept = self._accept.get(name)
            if accept is None:
                return None
            value = accept(given)
            if value is DOUBT:
                return None
            kept[name] = value
        if not self._required <= kept.keys() or not self._sealed.issuperset(sealed_names):
            return None
        for group in self._any_of:
            if kept.keys().isdisjoint(group):
                return None
        return kept


def _accept(rule: Rule) -> Accept:
    match rule.shape:
        case "text":
            return _accept_text(rule.max_length)
        case "named":
            return _accept_named(_accept_text(rule.max_length))
        case "choice":
            return _accept_choice(rule.choices)
        case "flag":
            return lambda given: given if type(given) is bool else DOUBT
        case "object":  # taken apart by the reader
            return lambda _given: DOUBT
        case _:
            return _accept_as_read(rule)


def _accept_text(max_length: int) -> Accept:
    def accept(given: Any) -> Any:
        # Printable: no control, surrogate or unassigned character. What is printable and no space
        # is something; and of ASCII there is one form.
        if (
            type(given) is str
            and len(given) <= max_length
            and given.isprintable()
            and given.strip()
            and (given.isascii() or is_normalized("NFC", given))
        ):
            return given
        return DOUBT

    return accept


def _accept_named(accept_text: Accept) -> Accept:
    def accept(given: Any) -> Any:
        # What is shorter than anything near to a code is a name, whatever it says.
        is_plain = type(given) is str and (len(given) < LEAST_NEAR or is_party_id(given))
        return accept_text(given) if is_plain else DOUBT

    return accept


def _accept_choice(choices: tuple[str, ...]) -> Accept:
    known = {choice: choice for choice in choices}
    return lambda given: known.get(given, DOUBT) if type(given) is str else DOUBT


def _accept_as_read(rule: Rule) -> Accept:
    def accept(given: Any) -> Any:
        try:
            return read_value(rule, given, ())
        except (WrongValue, Invalid):
            return DOUBT

    return accept
