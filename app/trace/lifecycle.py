"""The life of a unit, or of one consignment of goods without serials, as a fold over its records.

`check` refuses what cannot be true, `fold` takes a record in. What may follow what stands in
`life_table`, what is missing and when that counts in `gaps`; who may send an event is decided
before, bytes and links elsewhere. A state is a small JSON object, times in ms UTC. Pure.

A refusal, a return or `void` ends the cycle with all it still owed: nothing is left to dispatch or
to sign, so its gaps are dropped and not carried into the next sale. What an audit found before is
its own: a gap that ended with its cycle was not filled, and only the story tells the two apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from app.kit.clock import from_ms
from app.parties.roles import REGULATOR
from app.trace.gaps import (
    Graces,
    Pending,
    open_coming,
    open_late,
    pending,
    responsible_for,
    verdict_of,
    vouched_steps,
)
from app.trace.life_case import take_pack, take_unpack
from app.trace.life_facts import fact_of, is_independent, is_short
from app.trace.life_table import (
    LIFE,
    STATES,
    STEPS,
    Cell,
    Happening,
    LifecycleConflict,
    State,
    Step,
    find_cell,
    latest_moment,
    resolve,
)
from app.trace.sides import seller_of

__all__ = [
    "LIFE", "STATES", "STEPS", "Around", "Graces", "Happening", "LifecycleConflict", "Pending",
    "State", "Step", "advance", "begin", "check", "check_around", "fold", "fold_into", "heal",
    "pending", "recall_windows", "recalled_since", "responsible_for", "seller_of", "verdict_of",
    "vouched_steps",
]  # fmt: skip

VERSION = 1

_BARRED_TYPES = frozenset({"listing", "sale", "dispatch"})
# A state must stay small whatever is sent: further recallers share one entry.
_MAX_RECALLERS = 4
_OTHER_RECALLERS = "*"
_CORRECTABLE = {
    "sale": {"platform": "platform", "region": "region"},
    "dispatch": {"carrier": "carrier", "from": "from", "to": "to", "waybill_tail": "tail"},
}

Window = tuple[datetime, datetime | None]


class Around(NamedTuple):
    """What holds for the goods without standing in their own stream; None: it does not hold."""

    recalls: tuple[Window, ...] = ()
    suspended_since: datetime | None = None


_NOTHING_AROUND = Around()


def begin(issuer: str, *, lot: str | None = None, brand_owner: bool = False) -> dict[str, Any]:
    """Returns the state of goods just registered; a lot's consignments start from it too."""
    state: dict[str, Any] = {
        "v": VERSION,
        "state": "registered",
        "issuer": issuer,
        "holder": issuer,
        "brand_owner": brand_owner,
        "cycle": 0,
        "complaints": 0,
        "steps": {},
        "gaps": {},
        "recalls": {},
    }
    if lot is not None:
        state["lot"] = lot
    return state


def check(state: State, event: Happening, *, around: Around) -> None:
    """Raises LifecycleConflict if the event cannot follow `state`.

    The table speaks first, then recalls (of this stream and `around`), then the suspension.
    """
    if not state and event.type == "registration":
        return
    resolve(state, event)
    check_around(event.type, event.occurred_at, around, recalls=recall_windows(state))


def advance(state: State, event: Happening, graces: Graces, *, around: Around) -> dict[str, Any]:
    """Returns what `fold` does after `check`, and asks the table once. Raises LifecycleConflict."""
    if not state and event.type == "registration":
        return _register(event)
    cell = resolve(state, event)
    # Most goods were never recalled, and most sellers never suspended: their time need not be read.
    if around != _NOTHING_AROUND or state.get("recalls"):
        check_around(event.type, event.occurred_at, around, recalls=recall_windows(state))
    return _take(_copy(state), event, cell, graces)


def check_around(
    event_type: str, occurred_at: datetime, around: Around, *, recalls: Iterable[Window] = ()
) -> None:
    """Raises LifecycleConflict if a recall or suspension forbids a listing, sale or dispatch.

    Products and lots, which have no life, ask it for their listings. recalls: from, until
    (exclusive; None: still open). An event of the very moment at which one began is refused.
    """
    if event_type not in _BARRED_TYPES:
        return
    windows = (*recalls, *around.recalls)
    if any(start <= occurred_at and (end is None or occurred_at < end) for start, end in windows):
        raise LifecycleConflict("recalled")
    if around.suspended_since is not None and occurred_at >= around.suspended_since:
        raise LifecycleConflict("suspended")


def recalled_since(state: State) -> datetime | None:
    """Returns since when the goods themselves are recalled, None if they are not (any more)."""
    return min((start for start, end in recall_windows(state) if end is None), default=None)


def fold(state: State, event: Happening, graces: Graces) -> dict[str, Any]:
    """Returns the state after the record; `{}` stands for goods that have none yet.

    Never raises for a record: one that `check` would have refused leaves the life as it was, so
    that an auditor can replay a stream in which somebody tampered.
    """
    return fold_into(_copy(state) if state else {}, event, graces)


def fold_into(state: dict[str, Any], event: Happening, graces: Graces) -> dict[str, Any]:
    """Returns what `fold` does, and may change `state` for it: for who replays a life into its own."""
    if not state:
        return _register(event)
    cell = find_cell(state, event)
    return state if isinstance(cell, str) else _take(state, event, cell, graces)


def heal(state: State, listing: Happening) -> dict[str, Any]:
    """Returns the state as it is once a listing of another stream is taken into account.

    A listing gap closes if the listing is the seller's and occurred not after the sale. The unit's
    own chain does not record this, so apply it where a state is judged and never store the result:
    the stored state stays the fold of the stream's own records and can be replayed from them alone.
    """
    new = _copy(state)
    _fill_listing_gap(new, listing)
    _note_completion(new)
    return new


def _copy(state: State) -> dict[str, Any]:
    return {
        **state,
        "steps": dict(state["steps"]),
        "gaps": dict(state["gaps"]),
        "recalls": dict(state["recalls"]),
    }


def recall_windows(state: State) -> list[Window]:
    """Returns when the goods, the lot or the product were recalled, lifted recalls too."""
    recalls = state.get("recalls")
    if not recalls:
        return []
    return [
        (from_ms(entry["since"]), from_ms(entry["until"]) if "until" in entry else None)
        for entry in recalls.values()
    ]


def _register(event: Happening) -> dict[str, Any]:
    lot = event.data.get("lot")
    return begin(
        str(event.data.get("issuer", event.actor)),
        lot=lot if isinstance(lot, str) else None,
        brand_owner=event.data.get("brand_owner") is True,
    )


def _take(
    new: dict[str, Any], event: Happening, cell: Cell | None, graces: Graces
) -> dict[str, Any]:
    if cell is None:
        _fill_gap(new, event, graces)
    else:
        _follow(new, event, cell, graces)
    _note_completion(new)
    return new


def _follow(new: dict[str, Any], event: Happening, cell: Cell, graces: Graces) -> None:
    """Does what the cell says: begins or ends a cycle, takes the facts in, opens gaps."""
    if new["state"] in ("registered", "returned") and cell.to not in (None, "void"):
        new["cycle"] += 1
        new.pop("closed", None)
        new.pop("transfer", None)
    _TAKE_IN.get(event.type, _take_nothing)(new, event, graces)
    for step in cell.needs:
        if step == "dispatch" and event.type == "signature" and event.data.get("kind") == "pickup":
            # Fetched by the buyer: no dispatch is waited for, unless a transit has shown one.
            if new["gaps"].get(step, {}).get("kind") == "overdue":
                del new["gaps"][step]
        elif step not in new["steps"]:
            open_late(new["gaps"], step, event, graces)
    if cell.to == "returned":
        _close(new, event)
    elif cell.to == "void":
        new["gaps"] = {}
        new.pop("case", None)
    new["state"] = cell.to or new["state"]


def _close(new: dict[str, Any], event: Happening) -> None:
    """Ends the cycle; of what it was known to lack, the latest possible moments are kept."""
    at = event.occurred_ms
    missing = {
        step: min(at, latest_moment(new, step) or at)
        for step in STEPS
        if step in ("sale", "dispatch") and new["gaps"].get(step, {}).get("kind") == "late"
    }
    closed = {"seq": event.seq, "at": at, "seller": seller_of(new), "missing": missing}
    for name in ("sale", "dispatch", "signature", "review", "advanced", "completed"):
        new.pop(name, None)
    new.update(closed=closed, steps={}, gaps={})


def _fill_gap(new: dict[str, Any], event: Happening, graces: Graces) -> None:
    """Takes a sale or dispatch for the missing step, without moving."""
    if new["state"] == "returned":
        missing = {step: at for step, at in new["closed"]["missing"].items() if step != event.type}
        new["closed"] = {**new["closed"], "missing": missing}
        return
    _TAKE_IN[event.type](new, event, graces)
    if event.type == "sale" and "listing" not in new["steps"]:
        open_late(new["gaps"], "listing", event, graces)


def _take_sale(new: dict[str, Any], event: Happening, graces: Graces) -> None:
    new["sale"] = fact_of(event, "platform", "region")
    _note_step(new, "sale", event)
    own = new.get("listing", {})
    if event.listed:
        new["steps"]["listing"] = int(event.listing_independent)
    elif own.get("actor") == event.actor:
        new["steps"]["listing"] = own["independent"]
    if "dispatch" not in new["steps"] and "signature" not in new["steps"]:
        open_coming(new["gaps"], "dispatch", event, graces.dispatch_ms, graces)


def _take_dispatch(new: dict[str, Any], event: Happening, graces: Graces) -> None:
    new["dispatch"] = fact_of(event, "carrier", "from", "to", "waybill_tail")
    _note_step(new, "dispatch", event)
    if "signature" not in new["steps"]:
        open_coming(new["gaps"], "signature", event, graces.signature_ms, graces)


def _take_signature(new: dict[str, Any], event: Happening, _graces: Graces) -> None:
    is_first = "signature" not in new
    new["signature"] = fact_of(event, "kind")
    if is_first:
        _note_step(new, "signature", event)
    else:
        # The carrier's own, after the seller's: the step was there, and a chain that was whole stays so
        # from then on. Clocks and proofs go by this one; what the seller said stands in the chain.
        new["steps"]["signature"] = int(is_independent(event, seller_of(new)))
    new.pop("case", None)  # the case has done its work: what comes back comes back alone


def _take_review(new: dict[str, Any], event: Happening, _graces: Graces) -> None:
    new["review"] = fact_of(event, "proof")


def _take_complaint(new: dict[str, Any], _event: Happening, _graces: Graces) -> None:
    new["complaints"] += 1


def _take_transfer(new: dict[str, Any], event: Happening, _graces: Graces) -> None:
    new["transfer"] = fact_of(event, "to")


def _take_acceptance(new: dict[str, Any], event: Happening, _graces: Graces) -> None:
    new["holder"] = event.actor
    new.pop("transfer", None)


def _take_listing(new: dict[str, Any], event: Happening, _graces: Graces) -> None:
    if event.data.get("ended") is True:
        if new.get("listing", {}).get("actor") == event.actor:
            del new["listing"]
        return
    new["listing"] = {**fact_of(event), "independent": int(is_independent(event, event.actor))}
    _fill_listing_gap(new, event)


def _take_recall(new: dict[str, Any], event: Happening, _graces: Graces) -> None:
    recalls = new["recalls"]
    known = event.actor in recalls or len(recalls) < _MAX_RECALLERS
    recaller = event.actor if known else _OTHER_RECALLERS
    at = event.occurred_ms
    entry = recalls.get(recaller, {"until": at})
    # Recalled again before it was lifted: the first moment counts.
    recalls[recaller] = {"since": at if "until" in entry else min(at, entry["since"])}


def _take_recall_lifted(new: dict[str, Any], event: Happening, _graces: Graces) -> None:
    """A regulator lifts every recall of the goods, others only their own."""
    until = event.occurred_ms
    for recaller, entry in new["recalls"].items():
        if (event.source == REGULATOR or recaller == event.actor) and "until" not in entry:
            new["recalls"][recaller] = {**entry, "until": until}


def _take_correction(new: dict[str, Any], event: Happening, _graces: Graces) -> None:
    """Shows the corrected facts; times and kinds stay, since the life was judged by them."""
    changes = event.data.get("changes")
    given = {**(changes if isinstance(changes, Mapping) else {})}
    if "waybill_tail" in event.data:
        given["waybill_tail"] = event.data["waybill_tail"]
    for step, names in _CORRECTABLE.items():
        fact = new.get(step)
        if fact and fact["id"] == event.data.get("of") and fact["actor"] == event.actor:
            corrected = {names[n]: v for n, v in given.items() if n in names and is_short(v)}
            new[step] = {**fact, **corrected}


def _take_nothing(_new: dict[str, Any], _event: Happening, _graces: Graces) -> None:
    """A record that stands in the story and changes no life."""


_TAKE_IN: Mapping[str, Callable[[dict[str, Any], Happening, Graces], None]] = {
    "sale": _take_sale,
    "dispatch": _take_dispatch,
    "signature": _take_signature,
    "review": _take_review,
    "complaint": _take_complaint,
    "transfer": _take_transfer,
    "acceptance": _take_acceptance,
    "listing": _take_listing,
    "recall": _take_recall,
    "recall_lifted": _take_recall_lifted,
    "correction": _take_correction,
    "pack": take_pack,
    "unpack": take_unpack,
}


def _fill_listing_gap(new: dict[str, Any], listing: Happening) -> None:
    """Closes a listing gap by a listing of the seller that occurred not after the sale."""
    sale = new.get("sale", {})
    if (
        "listing" in new["gaps"]
        and listing.type == "listing"
        and listing.data.get("ended") is not True
        and listing.actor == sale.get("actor")
        and listing.occurred_ms <= sale["at"]
    ):
        _note_step(new, "listing", listing)


def _note_step(new: dict[str, Any], step: Step, event: Happening) -> None:
    """The step is there: its gap closes; kept is whether somebody else than the seller said so."""
    new["steps"][step] = int(is_independent(event, seller_of(new)))
    new["gaps"].pop(step, None)
    if event.recorded_ms > new.get("advanced", -1):
        new["advanced"] = event.recorded_ms


def _note_completion(new: dict[str, Any]) -> None:
    """Sets `completed` (ms) when a cycle first is whole: signed, the four steps there, no gap."""
    if new["state"] == "signed" and not new["gaps"] and len(new["steps"]) == len(STEPS):
        new.setdefault("completed", new["advanced"])
