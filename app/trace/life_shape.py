"""Whether a stored state is a life at all: a head's state is no record, and a hand may write anything there.

Only its shape is asked, so that who shows a damaged code may read what is left. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app.trace.life_table import STATES, STEPS

_FACTS = ("sale", "dispatch", "signature", "listing", "closed", "review", "transfer")
# The last millisecond of the year 9999, after which there is no time to be shown.
_LAST_MS = 253_402_300_799_999


def is_life(state: Mapping[str, Any]) -> bool:
    """Returns whether a unit's state is built as `lifecycle` builds one."""
    return (
        state.get("state") in STATES
        and isinstance(state.get("issuer"), str)
        and isinstance(state.get("holder"), str)
        and isinstance(state.get("lot", ""), str)
        and _is_count(state.get("cycle"))
        and _has(state.get("steps"), lambda told: type(told) is int, names=STEPS)
        and _has(state.get("gaps"), _is_gap, names=STEPS)
        and is_recalls(state.get("recalls"))
        and all(_is_fact(state.get(name, {})) for name in _FACTS)
    )


def is_recalls(told: object) -> bool:
    """Returns whether it is what a state of a unit, lot or product keeps of recalls, by recaller."""
    return _has(told, _is_recall)


def _has(value: object, test: Callable[[Any], bool], *, names: tuple[str, ...] = ()) -> bool:
    return (
        isinstance(value, dict)
        and all(map(test, value.values()))
        and (not names or all(name in names for name in value))
    )


def _is_gap(gap: Any) -> bool:
    return (
        isinstance(gap, dict)
        and gap.get("kind") in ("late", "overdue")
        and _is_time(gap.get("since"))
        and _is_time(gap.get("due"))
        and _is_count(gap.get("by"))
    )


def _is_recall(entry: Any) -> bool:
    return (
        isinstance(entry, dict) and _is_time(entry.get("since")) and _is_time(entry.get("until", 0))
    )


def _is_fact(fact: Any) -> bool:
    """Whether it is what a state keeps of a record; {} for one that it has not."""
    if not isinstance(fact, dict):
        return False
    return not fact or (_is_time(fact.get("at")) and _is_count(fact.get("seq")))


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**31


def _is_time(value: object) -> bool:
    return type(value) is int and -_LAST_MS // 10 <= value <= _LAST_MS
