"""The licences of a party through time: which count on which day, which wait for a look. Pure.

A registration's licences count from the beginning: whoever verifies the party has seen them. One that is
told later (record `licence`) counts once somebody who may verify the party has seen it
(`licence_verification`), or a sentence typed by the seller alone would open a category that the law closes.

Three forms, all kept in the party's state and made again from its records:
held: `[{kind, number, valid_from?, valid_until?, ended?}]`, periods that count, days of China, both ends
    included; no `valid_from`: always, no `valid_until`: for ever. `ended`: given up or struck out on its
    last day.
told: `{licence id: {record, at_ms, kind, number, valid_from?, valid_until?, url?, refused?}}`, what was
    told last under a number and has not been found true; `refused`: why not.
change: `{hold: licence}` or `{end: {kind, number, day}}`, by which held moves on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any, Literal

from app.kit.clock import china_day, from_ms, parse_time, to_ms

Held = tuple[Mapping[str, Any], ...]
Told = Mapping[str, Mapping[str, Any]]
Change = Mapping[str, Mapping[str, Any]]
State = Literal["in_force", "not_yet", "over", "ended", "waiting", "refused"]

TYPES = frozenset({"licence", "licence_verification", "licence_ended"})
"""Record types on a party's stream that speak of its licences, beside `registration`."""
REFUSALS = ("not_found", "other_holder", "other_facts", "not_in_force")
"""Why a licence was not found true. Words, since what a record says of somebody stands for ever."""
ENDING_DAYS = 30
"""So many days before its last a licence is said to be ending."""
MAX_TOLD, MAX_HELD = 32, 100
"""So many wait at most; so many periods count at most: every listing reads them."""
ID_CHARACTERS = 16

_FACTS = ("kind", "number", "valid_from", "valid_until", "url")


def licence_id(kind: str, number: str) -> str:
    """Returns the id of a licence, the same for every period of one number: 16 hex digits."""
    return sha256(f"{kind}\n{number}".encode()).hexdigest()[:ID_CHARACTERS]


def facts_of(licence: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a licence says of itself, without what we keep beside it."""
    return {name: licence[name] for name in _FACTS if name in licence}


def covers(licence: Mapping[str, Any], day: str) -> bool:
    """Whether a period that counts covers a day of China."""
    return bool(licence.get("valid_from", day) <= day <= licence.get("valid_until", day))


def may_list(licence: Mapping[str, Any], day: str) -> bool:
    """Whether goods may be listed on it: it covers the day and was not given up or struck out.

    On the day on which a licence ends, what was sold under it before was sold under a licence.
    """
    return covers(licence, day) and not licence.get("ended")


def state_of(licence: Mapping[str, Any], day: str) -> State:
    """Returns how a held licence stands on a day of China."""
    if licence.get("ended"):
        return "ended"
    if licence.get("valid_from", day) > day:
        return "not_yet"
    return "over" if licence.get("valid_until", day) < day else "in_force"


def newest_of_each(held: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Returns of each number the last period, in the order of the first: what a page shows."""
    newest: dict[str, Mapping[str, Any]] = {}
    for licence in held:
        place = licence_id(licence["kind"], licence["number"])
        known = newest.get(place)
        if known is None or known.get("valid_from", "") <= licence.get("valid_from", ""):
            newest[place] = licence
    return list(newest.values())


# --- what a record changes -----------------------------------------------------------------------


def change(held: Sequence[Mapping[str, Any]], change: Change) -> Held:
    """Returns the periods that count after a change. Asked with or without `url`, which it keeps."""
    if "hold" in change:
        return _hold(held, change["hold"])
    end = change["end"]
    begun = [one for one in held if not _same(one, end) or one.get("valid_from", "") <= end["day"]]
    return tuple(_ended(one, end) for one in begun)


def telling(
    data: Mapping[str, Any], *, record: str, at: datetime, told: Told
) -> dict[str, Mapping[str, Any]] | None:
    """Returns what is told once a `licence` is recorded at `at`; None where too many wait already.

    What was told of the same number before gives way. What was refused goes when there is no more room.
    """
    place = licence_id(data["kind"], data["number"])
    kept = {key: one for key, one in told.items() if key != place}
    if len(kept) >= MAX_TOLD:
        kept = {key: one for key, one in kept.items() if "refused" not in one}
    if len(kept) >= MAX_TOLD:
        return None
    return {**kept, place: {**facts_of(data), "record": record, "at_ms": to_ms(at)}}


def counting(told: Mapping[str, Any]) -> Change:
    """Returns the change by which something told counts: from the day on which it was told, or its own.

    A renewal that names no first day says nothing of the days before, so it heals no gap.
    """
    first = china_day(from_ms(told["at_ms"]))
    return {"hold": {"valid_from": first, **facts_of(told)}}


def ending(kind: str, number: str, *, at: datetime) -> Change:
    """Returns the change by which a licence ends at `at`: the day is its last."""
    return {"end": {"kind": kind, "number": number, "day": china_day(at)}}


def can_end(held: Iterable[Mapping[str, Any]], kind: str, number: str, *, day: str) -> bool:
    """Whether anything is held under this number that is not over or ended by `day`."""
    one = {"kind": kind, "number": number}
    return any(
        _same(licence, one) and state_of(licence, day) in ("in_force", "not_yet")
        for licence in held
    )


def replay(records: Iterable[Mapping[str, Any]]) -> tuple[Held, dict[str, Mapping[str, Any]]]:
    """Returns what is held, with `url`, and what is told, from a party's records alone, in order."""
    held: Held = ()
    told: dict[str, Mapping[str, Any]] = {}
    for fields in records:
        data, at = fields["data"], parse_time(fields["recorded_at"])
        match fields["type"]:
            case "registration":
                held = tuple(facts_of(one) for one in data.get("licences", ()))
            case "licence":
                told = telling(data, record=fields["id"], at=at, told=told) or told
            case "licence_verification" if "told" in data:
                place = licence_id(data["kind"], data["number"])
                # Where the record that told it was damaged, what it said counts for nobody.
                waiting = told.pop(place, None)
                if waiting is not None and data["status"] == "verified":
                    held = change(held, counting(waiting))
                elif waiting is not None:
                    told = {**told, place: {**waiting, "refused": data["reason"]}}
            case "licence_verification" if data["status"] == "rejected":
                held = change(held, ending(data["kind"], data["number"], at=at))
            case "licence_ended" if "told" in data:
                told.pop(licence_id(data["kind"], data["number"]), None)
            case "licence_ended":
                told.pop(licence_id(data["kind"], data["number"]), None)
                held = change(held, ending(data["kind"], data["number"], at=at))
            case _:
                continue
    return held, told


def without_url(held: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the periods as the state of a party keeps them: every listing reads it."""
    return [{name: value for name, value in one.items() if name != "url"} for one in held]


def index_rows(party: str, held: Iterable[Mapping[str, Any]], told: Told) -> list[dict[str, Any]]:
    """Returns the rows by which a party's licences are found, one a number, sorted."""
    rows: dict[str, dict[str, Any]] = {}
    for one in newest_of_each(held):
        ends = None if one.get("ended") else one.get("valid_until")
        rows[licence_id(one["kind"], one["number"])] = _row(party, one, ends_on=ends)
    for place, one in told.items():
        if "refused" not in one:
            rows.setdefault(place, _row(party, one))["told_at"] = one["at_ms"]
    return [rows[place] for place in sorted(rows)]


def _row(party: str, licence: Mapping[str, Any], *, ends_on: str | None = None) -> dict[str, Any]:
    kind, number = licence["kind"], licence["number"]
    return {
        "party": party,
        "licence": licence_id(kind, number),
        "kind": kind,
        "number": number,
        "ends_on": ends_on,
        "told_at": None,
    }


def _hold(held: Sequence[Mapping[str, Any]], new: Mapping[str, Any]) -> Held:
    """Adds a period. From its first day on it takes the place of what was said of the same number."""
    first = new["valid_from"]
    before_it = (date.fromisoformat(first) - timedelta(days=1)).isoformat()
    others = [one for one in held if not _same(one, new)]
    kept, joined = [], dict(new)
    for one in held:
        if not _same(one, new) or one.get("valid_from", "") > first:
            continue
        if one.get("valid_until", first) < before_it:
            kept.append(one)  # with days between that no licence covers
            continue
        joined = {**_without(one, "valid_until", "ended"), **_without(new, "valid_from")}
    return (*others, *kept, joined)


def _ended(licence: Mapping[str, Any], end: Mapping[str, Any]) -> Mapping[str, Any]:
    day = end["day"]
    if not _same(licence, end) or licence.get("valid_until", day) < day:
        return licence
    return {**licence, "valid_until": day, "ended": True}


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return bool((one["kind"], one["number"]) == (other["kind"], other["number"]))


def _without(licence: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in licence.items() if name not in names}
