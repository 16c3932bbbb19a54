"""What kuaidi100 (快递100) pushes of a waybill, in its own form: the signature, and which states it tells.

The form is the aggregator's (快递信息推送服务, 推送接口): `param`, a JSON text, and `sign`, hex of MD5 over
param and the salt that was given with the subscription. Each push has the whole way of a parcel, newest
first, so a lost one is made up for by the next. A step has a code of its own only where the subscription
asks for it (`resultv2`); else its Chinese name, or nothing, and the parcel's state is that of its newest
step.

The text of a step (`context`) names couriers and their telephones: it is never read. `com`, the carrier in
their spelling, is passed on as told: the goods are found by the waybill, and whose parcel it is their
dispatch says.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import md5
from typing import Any, NamedTuple

from app.kit.canonical import parse_json
from app.kit.clock import SHANGHAI, truncate_ms
from app.kit.errors import Denied, FieldFault, Invalid, invalid, not_of_type
from app.parties.identity import parse_region, parse_waybill
from app.trace.events import EARLIEST
from app.trace.pushes import MAX_ITEMS, Push, event_of, feeds, names_of

FEED = "kuaidi100"
ENDED = "abort"
_STATUSES = ("polling", "shutdown", ENDED, "updateall")
Loc = tuple[str | int, ...]

_AREA = re.compile(r"(?:CN)?([1-8][0-9]{5})[0-9]{0,6}", re.ASCII)
# A day alone would be taken for its midnight.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d", re.ASCII)
WORD = 64
"""Characters that are kept of a state or a time; what is longer ends with "…", which is one more."""
_MOST_UNREAD = 5


class SignWrong(Denied):
    """The form is not signed with the salt of this address."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a push says of one waybill.

    carrier: in the aggregator's spelling. items: what becomes events, oldest first. ended: it follows the
    parcel no more. bare: it has no step at all, so nothing has a time. unread: states and times that no
    table of ours tells, as they came up to WORD, the first few. untimed: the parcel's state, where the
    time of the step that it came with cannot be read.
    """

    waybill: str
    carrier: str
    items: tuple[Push, ...]
    ended: bool
    bare: bool
    unread: tuple[str, ...]
    untimed: str | None


class _Step(NamedTuple):
    """A step with a time, and its place in the list, where the newest stands first."""

    at: datetime
    n: int
    told: Mapping[str, Any]


def shorten(word: str) -> str:
    """Returns a word as it is kept, up to WORD."""
    return word if len(word) <= WORD else f"{word[:WORD]}…"


def sign_of(param: str, salt: str) -> str:
    """Returns the signature of a form, as the aggregator writes it: 32 upper-case hex digits."""
    # Theirs to choose. It keeps out who does not know the salt, and proves no more than that.
    return md5((param + salt).encode(), usedforsecurity=False).hexdigest().upper()


def check_sign(param: str, sign: str, *, salt: str) -> None:
    """Raises SignWrong unless the form was signed with this salt."""
    given = sign.strip().upper().encode()
    if not hmac.compare_digest(sign_of(param, salt).encode(), given):
        raise SignWrong("push_sign_wrong" if given else "push_sign_missing")


def read_push(param: str) -> Told:
    """Returns what a push says. Raises Malformed, Invalid with the place below `param`."""
    value = _dict(parse_json(param.encode()), ("param",))
    status = value.get("status")
    if status not in _STATUSES:
        params = {"expected": ", ".join(_STATUSES), "got": shorten(str(status))}
        raise invalid(FieldFault(("param", "status"), "enum", params))
    last = _dict(value.get("lastResult"), ("param", "lastResult"))
    number = last.get("nu")
    if not isinstance(number, str):
        raise invalid(FieldFault(("param", "lastResult", "nu"), "missing"))
    waybill = parse_waybill(number, loc=("param", "lastResult", "nu"))
    carrier = shorten(str(last.get("com") or ""))
    if status == ENDED:
        return Told(waybill, carrier, items=(), ended=True, bare=False, unread=(), untimed=None)
    steps, unread, is_newest_timed = _timed(last.get("data"))
    is_bare = not steps and not unread  # before `_news` adds states to the times
    now = _word(last.get("state"))
    items = _news(waybill, steps, unread, now=now if is_newest_timed else None)
    return Told(
        waybill,
        carrier,
        items=items,
        ended=False,
        bare=is_bare,
        unread=tuple(dict.fromkeys(unread))[:_MOST_UNREAD],
        untimed=None if is_newest_timed else now,
    )


def _timed(told: object) -> tuple[list[_Step], list[str], bool]:
    """Returns the steps with a time, oldest first, and the times of the others, as they came.

    And whether the newest step is among them: the parcel's state is the newest's alone, and at the time
    of an older one it would be false for ever.
    """
    told = told or []
    if not isinstance(told, list):
        raise invalid(not_of_type(("param", "lastResult", "data"), "list"))
    steps: list[_Step] = []
    unread: list[str] = []
    first_unread = len(told)
    for n, one in enumerate(told):
        step = _dict(one, ("param", "lastResult", "data", n))
        at = _time_of(step)
        if at is not None:
            steps.append(_Step(at, n, step))
        else:
            unread.append(shorten(str(step.get("ftime") or step.get("time") or "?")))
            first_unread = min(first_unread, n)
    # The newest stands first, of the same second too.
    steps.sort(key=lambda one: (one.at, -one.n))
    return steps, unread, not unread or first_unread > (steps[-1].n if steps else 0)


def _news(
    waybill: str, steps: Sequence[_Step], unread: list[str], *, now: str | None
) -> tuple[Push, ...]:
    """Returns the news among the steps, the newest MAX_ITEMS of it. Adds to `unread`.

    now: the parcel's state, where it is that of the last of these.
    """
    found: list[Push] = []
    before: tuple[str, str | None] | None = None
    for n, step in enumerate(steps, start=1):
        own = _code_of(step.told)
        state = _current(own, now) if n == len(steps) else own
        if state is None:
            continue
        if state not in feeds()[FEED]:
            unread.append(state)
            continue
        news = feeds()[FEED][state], _region_of(step.told)
        if news != before:  # a parcel that is on its way still is no news
            found.append(Push(waybill, state, step.at, news[1]))
        before = news
    return tuple(found[-MAX_ITEMS:])


def _current(own: str | None, now: str | None) -> str | None:
    """Returns the newest step's state: the parcel's, or its own where that tells the same more closely."""
    if own is None or now is None:
        return own or now
    if own not in feeds()[FEED]:
        return now
    is_same = event_of(FEED, own) == event_of(FEED, now)
    return own if is_same and len(own) >= len(now) else now


def _code_of(step: Mapping[str, Any]) -> str | None:
    """Returns the state of a step by its code, else by its name; None where it has none."""
    name = _word(step.get("status"))
    return _word(step.get("statusCode")) or (names_of(FEED).get(name, name) if name else None)


def _word(value: object) -> str | None:
    """Returns a state as a text; the aggregator writes numbers too."""
    is_state = isinstance(value, str | int) and not isinstance(value, bool)
    return (shorten(str(value).strip()) or None) if is_state else None


def _time_of(step: Mapping[str, Any]) -> datetime | None:
    """Returns when a step was, by China's clocks; None where it cannot be read or has no time of day."""
    for name in ("ftime", "time"):
        told = step.get(name)
        if not isinstance(told, str) or not _MOMENT.match(told.strip()):
            continue
        try:
            moment = datetime.fromisoformat(told.strip())
            local = moment if moment.tzinfo is not None else moment.replace(tzinfo=SHANGHAI)
            at = truncate_ms(local.astimezone(UTC))
        except (ValueError, OverflowError):
            continue  # no such day, or a null date, which in UTC is before all days
        if at >= EARLIEST:  # else the null date of a database, at which nothing can have happened
            return at
    return None


def _region_of(step: Mapping[str, Any]) -> str | None:
    """Returns the city of a step: where exactly a parcel was is nobody's business."""
    found = _AREA.fullmatch(str(step.get("areaCode") or ""))
    if found is None:
        return None
    try:
        return parse_region(found[1][:4] + "00")
    except Invalid:
        return None


def _dict(value: object, loc: Loc) -> Mapping[str, Any]:
    if value is None:
        raise invalid(FieldFault(loc, "missing"))
    if not isinstance(value, dict):
        raise invalid(not_of_type(loc, "object"))
    return value
