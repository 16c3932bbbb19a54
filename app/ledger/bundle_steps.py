"""Which of the four steps a unit's evidence tells: whole records are not yet a whole chain.

Told from the records alone, as `app.trace.lifecycle` tells a life. Of a step that is not there they show
one thing only: whether what came later presupposes it. When a step is due is the policy's to say, and no
policy is in a bundle. Goods without a chain of their own (lots, products) have no such steps. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

Status = Literal["there", "pending", "missing", "unneeded", "none"]

STEPS: Final = ("listing", "sale", "dispatch", "signature")
_UNIT = re.compile("(01/[0-9]{14})/21/[!-~]{1,60}")
_SHELF = re.compile("(01/[0-9]{14})(?:/10/[!-~]{1,60})?")
# What moves a life, from where to where; anything else leaves it where it is. Goods signed for take the
# carrier's own word after the seller's, and the later signature stands: who may say so the service judged.
_MOVES: Mapping[str, Mapping[str, str]] = {
    "sale": {"registered": "sold", "returned": "sold"},
    "dispatch": dict.fromkeys(("registered", "sold", "returned"), "in_transit"),
    "signature": dict.fromkeys(("registered", "sold", "in_transit", "signed"), "signed"),
    "refusal": dict.fromkeys(("in_transit", "signed"), "returned"),
    "return": dict.fromkeys(("sold", "in_transit", "signed"), "returned"),
    "void": {"registered": "void", "returned": "void"},
}


class Found(Protocol):
    """A record of the bundle. proven: the signed log holds it."""

    @property
    def stream(self) -> str: ...
    @property
    def seq(self) -> int: ...
    @property
    def fields(self) -> dict[str, Any]: ...
    @property
    def proven(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class StepTold:
    """One step of the present life, since the unit was issued or last came back.

    status: `there`; `pending`, there but not proven yet; `missing`, what is recorded presupposes it;
    `unneeded`, a dispatch of goods that were fetched; `none`, and whether it is due cannot be told.
    record: None where there is none.
    """

    step: str
    status: Status
    record: Found | None = None

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {"step": self.step, "status": self.status}
        if self.record is not None:
            told |= {"stream": self.record.stream, "seq": self.record.seq}
            told["at"] = self.record.fields["recorded_at"]
        return told


def tell_steps(subject: str, records: Iterable[Found]) -> tuple[StepTold, ...] | None:
    """Returns the four steps of a unit, None of anything else. records: all of the bundle, by seq."""
    unit = _UNIT.fullmatch(subject)
    if unit is None:
        return None
    records = list(records)
    chain = [r for r in records if r.stream == subject]
    shelf = [r for r in records if _is_listing_of(r, unit[1])]
    proven = _live([r for r in chain if r.proven], [r for r in shelf if r.proven])
    whole = _live(chain, shelf)
    told = []
    for step in STEPS:
        known, seen = proven.there.get(step), whole.there.get(step)
        if known is None and seen is not None:
            told.append(StepTold(step, "pending", seen))
        else:
            told.append(StepTold(step, proven.status(step), known))
    return tuple(told)


def _is_listing_of(record: Found, product: str) -> bool:
    above = _SHELF.fullmatch(record.stream)
    return above is not None and above[1] == product and record.fields["type"] == "listing"


def _live(chain: Sequence[Found], shelf: Sequence[Found]) -> _Life:
    life = _Life(shelf)
    for record in chain:
        life.take(record)
    life.look_up()
    return life


@dataclass(slots=True)
class _Life:
    """The present life. shelf: listings of the product and the lot.

    closed: what the last life lacked, with the latest moment it can be of.
    """

    shelf: Sequence[Found]
    state: str = "registered"
    holder: str = ""
    listed: Found | None = None
    there: dict[str, Found] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    closed: dict[str, str] = field(default_factory=dict)

    def status(self, step: str) -> Status:
        if step in self.there:
            return "there"
        if step in self.missing:
            return "missing"
        signature = self.there.get("signature")
        fetched = signature is not None and signature.fields["data"].get("kind") == "pickup"
        return "unneeded" if step == "dispatch" and fetched else "none"

    def take(self, record: Found) -> None:
        """Takes the next record of the chain in."""
        kind, data = record.fields["type"], record.fields["data"]
        if self.state == "void":
            return
        if kind == "registration" and record.seq == 0:
            self.holder = data.get("issuer", record.fields["actor"])
        elif kind == "acceptance":
            self.holder = record.fields["actor"]
        elif kind == "listing":
            self._list(record)
        elif kind == "transit" and self.state in ("registered", "sold"):
            self._need("dispatch")
        elif kind in self.closed and _at(record) <= self.closed[kind]:
            del self.closed[kind]  # the last life's, told late
        elif kind in self.missing and self.state in ("in_transit", "signed"):
            if _at(record) <= self._latest(kind):
                self._note(kind, record)
        elif (to := _MOVES.get(kind, {}).get(self.state)) is not None:
            self._move(kind, record, to)

    def look_up(self) -> None:
        """Looks for a listing that was told late, or by which goods are offered that nobody bought yet."""
        sale = self.there.get("sale")
        if sale is not None and "listing" in self.missing:
            for record in self.shelf:
                late = record.fields["recorded_at"] >= sale.fields["recorded_at"]
                if late and _offers(record, sale):
                    self._note("listing", record)
        if self.state in ("registered", "returned"):
            own = [] if self.listed is None else [self.listed]
            live: dict[tuple[str, str], Found] = {}
            for record in [*self.shelf, *own]:
                if record.fields["actor"] != self.holder:
                    continue
                place = (record.stream, _place(record))
                live.pop(place, None)
                if not _is_ended(record):
                    live[place] = record
            newest = [*live.values()][-1:]
            self.there = {"listing": newest[0]} if newest else {}

    def _move(self, kind: str, record: Found, to: str) -> None:
        if kind in ("dispatch", "signature"):
            self._need("sale")
        if kind == "signature" and record.fields["data"].get("kind") != "pickup":
            self._need("dispatch")
        if kind in STEPS:
            self.closed = {}
            self._note(kind, record)
        else:
            at, lacked = _at(record), self.missing & {"sale", "dispatch"}
            bounds = {step: min(at, self._latest(step) or at) for step in lacked}
            self.closed = bounds if to == "returned" else {}
            self.there, self.missing = {}, set()
        self.state = to

    def _note(self, step: str, record: Found) -> None:
        self.there[step] = record
        self.missing.discard(step)
        if step != "sale":
            return
        listing = self._listing_of(record)
        if listing is not None:
            self.there["listing"] = listing
        else:
            self._need("listing")

    def _need(self, step: str) -> None:
        if step not in self.there:
            self.missing.add(step)

    def _list(self, record: Found) -> None:
        if _is_ended(record):
            if self.listed is not None and self.listed.fields["actor"] == record.fields["actor"]:
                self.listed = None
            return
        self.listed = record
        if "listing" in self.missing and _offers(record, self.there["sale"]):
            self._note("listing", record)

    def _listing_of(self, sale: Found) -> Found | None:
        """Returns the listing that a sale refers to, else the seller's in the unit's own chain."""
        refs = {(ref["stream"], ref["seq"]) for ref in sale.fields.get("refs", ())}
        referred = [one for one in self.shelf if (one.stream, one.seq) in refs]
        if referred:
            return referred[-1]
        own = self.listed
        return own if own is not None and own.fields["actor"] == sale.fields["actor"] else None

    def _latest(self, step: str) -> str:
        """Returns when a missing step must have occurred by, "" if nothing after it is known."""
        later = ("dispatch", "signature") if step == "sale" else ("signature",)
        return min((_at(self.there[name]) for name in later if name in self.there), default="")


def _offers(listing: Found, sale: Found) -> bool:
    """Whether a listing is the seller's and of a time not after the sale."""
    same = listing.fields["actor"] == sale.fields["actor"]
    return same and not _is_ended(listing) and _at(listing) <= _at(sale)


def _is_ended(listing: Found) -> bool:
    return listing.fields["data"].get("ended") is True


def _place(listing: Found) -> str:
    data = listing.fields["data"]
    return str(data.get("platform") or data.get("url"))


def _at(record: Found) -> str:
    """Returns what the sender said; canonical times are in order as texts are."""
    told = record.fields.get("occurred_at")
    return told if isinstance(told, str) else ""
