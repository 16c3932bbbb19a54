"""The life of goods from their records alone: the same fold that decided them, run again. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from app.kit.clock import parse_ms
from app.parties.identity import is_party_id
from app.parties.roles import MERCHANT, REGULATOR
from app.trace import lifecycle
from app.trace.gaps import Graces
from app.trace.life_table import Happening
from app.trace.listings import Told

Fields = Mapping[str, Any]
FindRecord = Callable[[str, int], Fields | None]
"""Returns the fields of a record by stream name and seq, None where it is not to be had."""


def happening_of(fields: Fields, find: FindRecord) -> Happening:
    """Returns a stored record as the life of the goods saw it when it was decided."""
    listing = None
    event_type, actor = fields["type"], fields["actor"]
    if event_type == "sale":
        for ref in fields.get("refs", ()):
            told = find(ref["stream"], ref["seq"])
            if told is not None and told["type"] == "listing":
                listing = told
    return Happening(
        fields["seq"],
        fields["id"],
        event_type,
        actor,
        fields.get("via", actor),
        fields["source"],
        parse_ms(fields["occurred_at"]),
        parse_ms(fields["recorded_at"]),
        fields["data"],
        listing is not None,
        listing is not None and is_independent_listing(listing),
    )


def is_independent_listing(fields: Fields) -> bool:
    """Whether somebody else than the seller sent this listing."""
    sender = fields.get("via", fields["actor"])
    return bool(fields["source"] != MERCHANT and sender != fields["actor"])


def told_by(fields: Fields) -> Told:
    """Returns what a stored listing tells the fact about its seller's listings."""
    return Told(
        place=str(fields["data"].get("platform") or fields["data"].get("url")),
        seq=fields["seq"],
        at=parse_ms(fields["occurred_at"]),
        recorded=parse_ms(fields["recorded_at"]),
        ended=fields["data"].get("ended") is True,
        independent=is_independent_listing(fields),
    )


def replay(records: Iterable[Fields], find: FindRecord, graces: Graces) -> dict[str, Any]:
    """Returns the state that a unit's records give, in order of seq."""
    state: dict[str, Any] = {}
    for fields in records:
        state = lifecycle.fold_into(state, happening_of(fields, find), graces)
    return state


def replay_consignment(
    records: Iterable[Fields], find: FindRecord, graces: Graces, *, consignment: str, holder: str
) -> dict[str, Any]:
    """Returns the state of one consignment of a lot from the lot's records."""
    state = lifecycle.begin(holder)
    for fields in records:
        if fields["data"].get("consignment") == consignment:
            state = lifecycle.fold_into(state, happening_of(fields, find), graces)
    return state


def replay_recalls(records: Iterable[Fields]) -> dict[str, dict[str, int]]:
    """Returns the recalls of a product or lot that its records give, by recaller."""
    recalls: dict[str, dict[str, int]] = {}
    for fields in records:
        if fields["type"] in ("recall", "recall_lifted"):
            recalls = fold_recall(
                recalls,
                lifted=fields["type"] == "recall_lifted",
                actor=fields["actor"],
                source=fields["source"],
                at=parse_ms(fields["occurred_at"]),
            )
    return recalls


def fold_recall(
    recalls: Mapping[str, Mapping[str, int]], *, lifted: bool, actor: str, source: str, at: int
) -> dict[str, dict[str, int]]:
    """Returns the recalls after one more record; a regulator lifts everybody's, others their own."""
    new = {recaller: dict(entry) for recaller, entry in recalls.items()}
    if not lifted:
        recaller = actor if is_party_id(actor) else source
        told = new.get(recaller, {})
        # Said again, a recall still holds from its first moment.
        new[recaller] = {"since": min(at, told["since"]) if told and "until" not in told else at}
        return new
    for recaller, entry in new.items():
        if (source == REGULATOR or recaller == actor) and "until" not in entry:
            entry["until"] = at
    return new
