"""Matters of a party that begin, have a term and end: commitments 信用承诺, red and black list.

One table for each kind says who may take which step from which state. A listing goes the way of a
credit entry (app.credit.steps: notice, 5 working days, objection, removal in place of repair), so its
clocks are the same. Also here: from records to rows, for the writer, the audit and a replay alike.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import SimpleNamespace as _Row
from typing import Any

import orjson

from app.credit.policy import Status
from app.credit.rows import step_row_of
from app.credit.steps import ENDED, Standing, Step, StepRefused, after
from app.kit.clock import parse_time, to_ms

Fields = Mapping[str, Any]


class Kind(StrEnum):
    """What a matter is."""

    COMMITMENT = "commitment"
    RED = "red_list"
    BLACK = "black_list"


TYPES: Mapping[Kind, tuple[str, str]] = {
    Kind.COMMITMENT: ("commitment", "commitment_status"),
    Kind.RED: ("list_entry", "list_status"),
    Kind.BLACK: ("list_entry", "list_status"),
}
"""Record types: how a matter begins, and each step after it."""

ACTIVE, QUESTIONED = "active", "questioned"
WITHDRAWN, KEPT, BROKEN = "withdrawn", "kept", "broken"


class PromiseRefused(StepRefused):
    """A commitment does not take this step."""

    words: Mapping[str, str] = {"status": "own.promise_status"}


class ListingRefused(StepRefused):
    """A listing does not take this step."""

    words: Mapping[str, str] = {"status": "own.list_status"}


PROMISE_STEPS: Mapping[str, tuple[str, frozenset[str], str]] = {
    "withdraw": ("party", frozenset({ACTIVE}), WITHDRAWN),
    "question": ("system", frozenset({ACTIVE, QUESTIONED}), QUESTIONED),
    "clear": ("regulator", frozenset({QUESTIONED}), ACTIVE),
    "break": ("regulator", frozenset({ACTIVE, QUESTIONED}), BROKEN),
    "keep": ("system", frozenset({ACTIVE}), KEPT),
}
"""Of a commitment: who takes a step, from which states, to which. One in question waits for a person
however long that takes: its term over, it is neither kept nor broken before."""

LIST_STEPS: Mapping[str, Step] = {
    "take_effect": Step.TAKE_EFFECT,
    "object": Step.OBJECT,
    "uphold": Step.UPHOLD,
    "dismiss": Step.DISMISS,
    "ask_removal": Step.ASK_REPAIR,
    "grant_removal": Step.GRANT_REPAIR,
    "refuse_removal": Step.REFUSE_REPAIR,
    "withdraw": Step.WITHDRAW,
    "end": Step.LAPSE,
}
"""Of a listing: its words for the steps of app.credit.steps. `remove` is the service's own: the
criterion of the red list is met no more."""

SHOWN: Mapping[Status, str] = {
    Status.NOTICE: "notice",
    Status.EFFECTIVE: "listed",
    Status.OBJECTED: "objected",
    Status.REPAIR_ASKED: "removal_asked",
    Status.REPAIRED: "removed",
    Status.LAPSED: "ended",
    Status.CANCELLED: "cancelled",
}
"""States of a listing as records and the API call them."""
_OF_SHOWN = {word: status for status, word in SHOWN.items()}
_OVER = frozenset({WITHDRAWN, KEPT, BROKEN, *(SHOWN[status] for status in ENDED)})


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a matter stands; times in ms. The fact of `fact_key(kind, name)` in the party's stream."""

    id: str
    kind: Kind
    status: str
    effective_ms: int
    expires_ms: int
    repair_ms: int | None = None
    object_until_ms: int | None = None

    @property
    def over(self) -> bool:
        """Whether it has ended by a record."""
        return self.status in _OVER

    def stands(self, now: datetime) -> bool:
        """Whether another one of its kind and name would be one too many."""
        return not self.over and (self.status == QUESTIONED or to_ms(now) < self.expires_ms)

    def at(self, now: datetime) -> str:
        """Returns the state as time has it, whether or not a record says so yet."""
        if self.kind is Kind.COMMITMENT:
            due = self.status == ACTIVE and to_ms(now) >= self.expires_ms
            return KEPT if due else self.status
        return SHOWN[self._listing().at(now)]

    @property
    def next_ms(self) -> int | None:
        """When time moves it next; None where it never will."""
        if self.kind is Kind.COMMITMENT:
            return self.expires_ms if self.status == ACTIVE else None
        return self._listing().next_ms

    def after(self, step: str, *, now: datetime) -> Stand:
        """Returns where it stands after a step taken now. Raises StepRefused."""
        if self.kind is Kind.COMMITMENT:
            return replace(self, status=self._kept_after(step, now))
        if step == "remove":
            if self.kind is not Kind.RED or self.at(now) in _OVER:
                raise _refused(ListingRefused, step, self.at(now))
            return replace(self, status=SHOWN[Status.REPAIRED])
        try:
            moved = after(self._listing(), LIST_STEPS[step], now=now)
        except StepRefused as refused:
            if refused.reason != "wrong_state":
                raise
            # In a listing's own words of its state, which are not those of an entry.
            raise _refused(ListingRefused, step, self.at(now)) from refused
        return replace(self, status=SHOWN[moved.status])

    def takes(self, step: str, *, now: datetime) -> bool:
        """Whether a step may be taken now."""
        try:
            self.after(step, now=now)
        except StepRefused:
            return False
        return True

    def _kept_after(self, step: str, now: datetime) -> str:
        _, origins, to = PROMISE_STEPS[step]
        # Time alone keeps a promise: a step that comes later than its term finds it kept.
        at = self.status if step == "keep" else self.at(now)
        if at not in origins or (step == "keep" and self.at(now) != KEPT):
            raise _refused(PromiseRefused, step, at)
        return to

    def _listing(self) -> Standing:
        # A black listing is a loss, which may be objected to; a red one takes nothing away.
        points = -1 if self.kind is Kind.BLACK else 1
        return Standing(
            _OF_SHOWN[self.status], points, self.effective_ms, self.repair_ms, self.expires_ms,
            self.object_until_ms,
        )  # fmt: skip

    def as_fact(self) -> dict[str, Any]:
        """Returns it as it is kept."""
        told = {
            "id": self.id, "kind": str(self.kind), "status": self.status,
            "effective_ms": self.effective_ms, "expires_ms": self.expires_ms,
            "repair_ms": self.repair_ms, "object_until_ms": self.object_until_ms,
        }  # fmt: skip
        return {name: value for name, value in told.items() if value is not None}

    @classmethod
    def of_fact(cls, fact: Fields) -> Stand:
        """Returns what `as_fact` kept."""
        return cls(**{**fact, "kind": Kind(fact["kind"])})

    @classmethod
    def of_data(cls, data: Fields) -> Stand:
        """Returns where a matter stands when the record that begins it is made."""
        return cls(
            data["matter"], Kind(data["kind"]), data["status"], _ms(data["effective_at"]),
            _ms(data["expires_at"]), _maybe(data.get("earliest_removal_at")),
            _maybe(data.get("object_until")),
        )  # fmt: skip

    @classmethod
    def of_row(cls, row: Any) -> Stand:
        """Returns where a matter stands as its row says."""
        return cls(
            row.id, Kind(row.kind), row.status, row.effective_at, row.expires_at, row.removal_at,
            row.object_until,
        )  # fmt: skip


def fact_key(kind: Kind, name: str) -> str:
    """Returns the key of the fact that tells the last matter of this kind and name."""
    return f"matter/{kind}/{name}"


def matter_row(data: Fields, *, party: str, actor: str, seq: int, at_ms: int) -> dict[str, Any]:
    """Returns the index row that the record of a new matter gives."""
    stand = Stand.of_data(data)
    return {
        "id": stand.id,
        "party": party,
        "kind": str(stand.kind),
        "name": data["name"],
        "version": data["version"],
        "status": stand.status,
        "effective_at": stand.effective_ms,
        "expires_at": stand.expires_ms,
        "removal_at": stand.repair_ms,
        "object_until": stand.object_until_ms,
        "ended_at": None,
        "next_at": stand.next_ms,
        "approximate": data.get("approximate"),
        "evidence": _json(data["evidence"]),
        "actor": actor,
        "seq": seq,
        "created_at": at_ms,
    }


def moved_row(stand: Stand, *, at_ms: int) -> dict[str, Any]:
    """Returns what a step changes of the row."""
    return {
        "id": stand.id,
        "status": stand.status,
        "ended_at": at_ms if stand.over else None,
        "next_at": stand.next_ms,
    }


@dataclass(slots=True)
class Matters:
    """What a party's records say of its matters: rows by id, steps in order."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)


def replay_matters(records: Iterable[Fields]) -> Matters:
    """Returns the rows that a party's records, all of them in order, give."""
    told = Matters()
    begins = {begin for begin, _ in TYPES.values()}
    moves = {move for _, move in TYPES.values()}
    for fields in records:
        if fields["type"] not in begins | moves:
            continue
        data, at_ms = fields["data"], to_ms(parse_time(fields["recorded_at"]))
        party, seq = fields["stream"].removeprefix("party/"), fields["seq"]
        by = {"party": party, "actor": fields["actor"], "seq": seq, "at_ms": at_ms}
        if fields["type"] in begins:
            told.rows[data["matter"]] = matter_row(data, **by)
        elif data["matter"] in told.rows:
            row = told.rows[data["matter"]]
            stand = replace(Stand.of_row(_Row(**row)), status=data["status"])
            row |= moved_row(stand, at_ms=at_ms)
            told.steps.append(step_row_of(data, of="matter", **by, record_id=fields["id"]))
    return told


def _refused(kind: type[StepRefused], step: str, status: str) -> StepRefused:
    return kind("credit_wrong_state", reason="wrong_state", step=step, status=status, until="")


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _ms(text: str) -> int:
    return to_ms(parse_time(text))


def _maybe(text: str | None) -> int | None:
    return None if text is None else _ms(text)
