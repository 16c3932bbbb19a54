"""What consumers said to a seller and what became of it: the rows by which it is found and answered. Pure.

A review, a follow-up or a complaint is a voice. Each has a row, which later records of the same chain
move on: a reply answers it (and, with an outcome, proposes something), a message goes on with a complaint
or settles it, a referral hands it on, a return ends every complaint of that sale. Everything follows from
the records in their order, so the writer, an audit and a rebuilding read the same function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from app.kit.clock import parse_ms
from app.kit.errors import FieldFault, invalid
from app.ledger.record import stream_key
from app.ledger.submission import Effect
from app.parties.identity import CONSUMER, is_party_id
from app.trace import lifecycle
from app.trace.gaps import Graces
from app.trace.replay import happening_of
from app.trace.sides import seller_of

Fields = Mapping[str, Any]
KIND = "voice"
"""Of the effects."""

COMPLAINT = "complaint"
SAYING = frozenset({"review", "follow_up", COMPLAINT})
"""Types of records that are voices."""
ANSWERING = frozenset({"reply", "message", "referral", "return"})
"""Types of records that move voices on."""
TYPES = SAYING | ANSWERING

ENDED_BY_RETURN = ("answered_at", "proposed_at", "ended_at")
_MOVES = (*ENDED_BY_RETURN, "settled_at", "referred_at")
# Who sold what to whom follows from the records; when a step was due does not matter here.
_ANY_GRACES = Graces(timedelta(), timedelta(), timedelta())


class Said(NamedTuple):
    """What a record says, as a claim has it and as a stored record has."""

    stream: str
    id: str
    type: str
    actor: str
    data: Fields


def voice_effects(
    claim: Said,
    gtin: str,
    *,
    seq: int,
    at_ms: int,
    state: Fields,
    of: str | None,
) -> tuple[Effect, ...]:
    """Returns what a record of TYPES does to voices: all of one kind, so that a batch keeps their order.

    state: of the goods' life before it. of: id of the voice that it answers, where it names one.
    """
    type_, data = claim.type, claim.data
    place = {"stream": stream_key(claim.stream), "at": at_ms}
    if type_ in SAYING:
        platform = _platform_of(state)
        row = {
            **place,
            "seq": seq,
            "id": claim.id,
            "kind": type_,
            "seller": seller_of(state),
            "platform": platform if is_party_id(platform) else None,
            "gtin": gtin,
            "subject": _subject(data),
            "rating": data.get("rating"),
            "category": data.get("category"),
            **dict.fromkeys(_MOVES),
            "referred_to": None,
        }
        return (Effect(KIND, {"op": "new", **row}),)
    if type_ == "return":
        return (Effect(KIND, {"op": "ended", **place, "subject": _subject(data)}),)
    if of is None:
        return ()
    if type_ == "referral":
        return (Effect(KIND, {"op": "referred", **place, "id": of, "to": data["to"]}),)
    if type_ == "message" and claim.actor == CONSUMER:
        settled = data.get("settled") is True
        return (Effect(KIND, {"op": "settled", **place, "id": of, "settled": settled}),)
    proposes = type_ == "reply" and "outcome" in data
    return (Effect(KIND, {"op": "answered", **place, "id": of, "proposes": proposes}),)


def check_referral(actor: str, data: Fields, state: Fields) -> None:
    """Raises Invalid for a complaint that is handed to a platform which sold nothing, or to itself."""
    platform = _platform_of(state)
    if data["to"] == "platform" and (not is_party_id(platform) or platform == actor):
        params = {"expected": "regulator", "got": "platform"}
        raise invalid(FieldFault(("data", "to"), "value", params))


def root_of(named: Fields) -> str:
    """Returns the id of the voice that a named record belongs to: a message's is its complaint."""
    return str(named["data"]["of"] if named["type"] == "message" else named["id"])


def told_rows(stream: str, gtin: str, records: Sequence[Fields]) -> list[dict[str, Any]]:
    """Returns the rows that a stream's records, all of them, give: for audits and rebuilding."""
    if not any(fields["type"] in SAYING for fields in records):
        return []
    rows: dict[str, dict[str, Any]] = {}
    told: dict[str, Fields] = {}
    lives: dict[str, dict[str, Any]] = {}
    holder, is_unit = "", "/21/" in stream
    for fields in records:
        data, subject = fields["data"], _subject(fields["data"])
        told[fields["id"]] = fields
        if fields["type"] == "registration":
            holder = str(data.get("issuer", fields["actor"]))
        elif fields["type"] == "acceptance":
            holder = fields["actor"]
        state = lives.get(subject, {} if is_unit else lifecycle.begin(holder))
        if fields["type"] in TYPES:
            named = told.get(str(data.get("of", "")))
            effects = voice_effects(
                Said(stream, fields["id"], fields["type"], fields["actor"], data), gtin,
                seq=fields["seq"], at_ms=parse_ms(fields["recorded_at"]), state=state,
                of=None if named is None else root_of(named),
            )  # fmt: skip
            for effect in effects:
                move(rows, effect.row)
        if is_unit or subject:
            happening = happening_of(fields, lambda *_: None)
            lives[subject] = lifecycle.fold_into(state, happening, _ANY_GRACES)
    return list(rows.values())


def move(rows: dict[str, dict[str, Any]], told: Fields) -> None:
    """Does to the rows of one stream, by id, what the writer does to the table."""
    op, at = told["op"], told.get("at")
    if op == "new":
        rows[told["id"]] = {name: value for name, value in told.items() if name != "op"}
        return
    if op == "ended":
        for row in rows.values():
            if row["kind"] == COMPLAINT and row["subject"] == told["subject"]:
                for name in ENDED_BY_RETURN:
                    row[name] = at if row[name] is None else row[name]
        return
    if told["id"] not in rows:
        return  # what is answered is neither a review nor a complaint
    row = rows[told["id"]]
    if op == "settled":
        row["settled_at"] = at if told["settled"] else None
    elif op == "referred":
        row |= {"referred_to": told["to"], "referred_at": at}
    else:
        row["answered_at"] = at if row["answered_at"] is None else row["answered_at"]
        if told["proposes"] and row["proposed_at"] is None:
            row["proposed_at"] = at


def _platform_of(state: Fields) -> str:
    """Returns the platform of the sale as it is named there, which may be no party; "" for none."""
    return str(state.get("sale", {}).get("platform") or "")


def _subject(data: Fields) -> str:
    return str(data.get("consignment") or "")
