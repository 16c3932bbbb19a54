"""The fields of an event's data: what shapes there are, and the reader that checks values by them.

Knows no event type. Values come out as they will stand in a record: inside the canonical subset,
ids and digests in lower case, times in UTC. Nothing else is changed: what a sender wrote is what is
recorded, or it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal
from urllib.parse import urlsplit

from app.kit.canonical import check_clear
from app.kit.clock import format_time, parse_time
from app.kit.errors import FieldFault, Invalid, not_of_type
from app.parties.identity import check_named, parse_region
from app.trace.sscc import parse_sscc

Loc = tuple[str | int, ...]
TextShape = Literal[
    "text", "named", "choice", "url", "region", "digest", "record_id", "time", "date", "tail",
    "sscc",
]  # fmt: skip
Shape = TextShape | Literal["integer", "flag", "grade", "object", "changes"]

MAX_URL = 2048
MAX_CHANGES = 16


@dataclass(frozen=True, slots=True)
class Rule:
    """What one data field must be.

    low, high: bounds of an integer, both included. max_length: characters of a text.
    by: who may give it: any sender; `signer`, only a client that signs (for all others we fill it
    in, but a signature must cover it); `system`, nobody but ourselves.
    """

    shape: Shape
    required: bool = False
    max_length: int = 64
    low: int = 0
    high: int = 0
    choices: tuple[str, ...] = ()
    fields: Mapping[str, Rule] = field(default_factory=dict)
    by: Literal["sender", "signer", "system"] = "sender"


class WrongValue(Exception):
    """A value is not what its rule asks for."""

    def __init__(self, kind: str, **params: object) -> None:
        super().__init__(kind)
        self.kind = kind
        self.params = params

    def at(self, loc: Loc) -> FieldFault:
        """Returns what is said of it. Of a type, `expected` is a sentence `shape.<expected>`."""
        if self.kind == "type":
            return not_of_type(loc, str(self.params["expected"]))
        return FieldFault(loc, self.kind, self.params)


class FieldReader:
    """Reads values by their rules and gathers what is wrong instead of stopping at the first."""

    def __init__(self, faults: list[FieldFault], *, signed: bool, system: bool) -> None:
        self._faults = faults
        self._signed = signed
        self._system = system

    def read_object(
        self, rules: Mapping[str, Rule], value: object, loc: Loc, *, part: bool = False
    ) -> dict[str, Any]:
        """Returns the normalised fields; `part`: required ones may be absent."""
        if not isinstance(value, Mapping):
            self._faults.append(not_of_type(loc, "object"))
            return {}
        kept: dict[str, Any] = {}
        for name, given in value.items():
            rule = rules.get(name)
            if rule is None or (part and rule.by != "sender"):
                kind = "reserved" if _is_reserved(str(name)) else "unknown_field"
                self._fault((*loc, str(name)[:80]), kind, name=str(name)[:80])
            elif not self._may_give(rule):
                self._fault((*loc, name), "reserved", name=name)
            elif rule.shape == "object":
                kept[name] = self.read_object(rule.fields, given, (*loc, name))
            else:
                self._read_value(rule, given, (*loc, name), kept)
        for name, rule in rules.items():
            if rule.required and name not in value and not part:
                self._fault((*loc, name), "missing", name=name)
        return kept

    def _read_value(self, rule: Rule, given: object, loc: Loc, kept: dict[str, Any]) -> None:
        try:
            value = read_value(rule, given, loc)
        except WrongValue as wrong:
            self._faults.append(wrong.at(loc))
        except Invalid as refused:
            self._faults.extend(refused.errors)
        else:
            if self._signed and value != given:
                self._fault(loc, "signed_form", expected=str(value), got=str(given))
            kept[str(loc[-1])] = value

    def _may_give(self, rule: Rule) -> bool:
        match rule.by:
            case "sender":
                return True
            case "signer":
                return self._signed or self._system
            case "system":
                return self._system

    def _fault(self, loc: Loc, kind: str, **params: object) -> None:
        self._faults.append(FieldFault(loc, kind, params))


_SINGLE_FORM: Mapping[str, re.Pattern[str]] = {
    "digest": re.compile(r"[0-9a-fA-F]{64}"),
    "record_id": re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    "tail": re.compile(r"[0-9A-Za-z]{4}"),
    "date": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
}


def read_value(rule: Rule, given: object, loc: Loc) -> object:
    """Returns a single value as it will stand. Raises WrongValue, Invalid."""
    value = _normalise(rule, given, loc)
    check_clear(value, loc)
    return value


def _normalise(rule: Rule, given: object, loc: Loc) -> object:
    match rule.shape:
        case "integer":
            return _integer(rule, given)
        case "flag":
            if type(given) is not bool:
                raise WrongValue("type", expected="flag")
            return given
        case "grade":
            # Recall levels are numbers in one law and words in another (一级, Class I).
            return _sized(rule, given) if isinstance(given, str) else _integer(rule, given)
        case "changes":
            return _changes(rule, given) if isinstance(given, Mapping) else _sized(rule, given)
        case "object":  # read_object takes these apart before a single value is asked for
            raise WrongValue("type", expected="text")
        case _ as shape:
            return _normalise_text(shape, rule, _string(given), loc)


def _normalise_text(shape: TextShape, rule: Rule, given: str, loc: Loc) -> str:
    match shape:
        case "text":
            return _sized(rule, given)
        case "named":
            check_named(_sized(rule, given), loc=loc)
            return given
        case "choice":
            if given not in rule.choices:
                raise WrongValue("enum", expected=", ".join(rule.choices), got=given[:40])
            return given
        case "url":
            return _url(given)
        case "region":
            return parse_region(given, loc=loc)
        case "sscc":
            return parse_sscc(given, loc=loc)
        case "tail":
            return _matching(shape, given)
        case "digest" | "record_id":
            return _matching(shape, given).lower()
        case "date":
            return _date(_matching(shape, given))
        case "time":
            return _time(given)


def _string(given: object) -> str:
    if not isinstance(given, str):
        raise WrongValue("type", expected="text")
    return given


def _sized(rule: Rule, given: object) -> str:
    text = _string(given)
    if not text.strip() or len(text) > rule.max_length:
        raise WrongValue("length", expected=f"1..{rule.max_length}", got=len(text))
    return text


def _integer(rule: Rule, given: object) -> int:
    if type(given) is not int:  # True is an int to Python, not to a reader of JSON
        raise WrongValue("type", expected="whole")
    if not rule.low <= given <= rule.high:
        raise WrongValue("range", expected=f"{rule.low}..{rule.high}", got=str(given)[:40])
    return given


def _matching(shape: Shape, given: str) -> str:
    if not _SINGLE_FORM[shape].fullmatch(given):
        raise WrongValue(shape, got=given[:80])
    return given


def _url(text: str) -> str:
    """Pages show it as a link, so nothing but http and https, and no user name to mislead by."""
    if len(text) > MAX_URL:
        raise WrongValue("length", expected=f"1..{MAX_URL}", got=len(text))
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    except ValueError:
        sound = False
    if not sound or not text.isprintable() or " " in text:
        raise WrongValue("url", got=text[:80])
    return text


def _date(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError as err:
        raise WrongValue("date", got=text) from err
    return text


def _time(text: str) -> str:
    try:
        return format_time(parse_time(text))
    except (ValueError, OverflowError) as err:
        raise WrongValue("time", got=text[:80]) from err


def _changes(rule: Rule, given: Mapping[Any, Any]) -> dict[str, Any]:
    if not 1 <= len(given) <= MAX_CHANGES:
        raise WrongValue("length", expected=f"1..{MAX_CHANGES}", got=len(given))
    for value in given.values():
        if type(value) not in (bool, int):
            _sized(rule, value)
    return dict(given)


def _is_reserved(name: str) -> bool:
    """Fields of ours are named as such even where the type has none of them."""
    return name in ("proof", "waybill_tail") or name.startswith("inner_")
