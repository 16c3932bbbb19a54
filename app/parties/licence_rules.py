"""What the stream `party/{id}` may say next of its licences. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.kit.clock import china_day
from app.kit.errors import Conflict, NotFound
from app.ledger.record import Claim
from app.ledger.submission import Draft, Effect, View
from app.parties.licence_book import (
    MAX_HELD,
    Change,
    Held,
    can_end,
    change,
    counting,
    ending,
    index_rows,
    licence_id,
    telling,
    without_url,
)
from app.parties.rules import check_judge, own_state


class LicenceUnknown(NotFound):
    """The party has told, and holds, no licence of this id."""


class LicenceDecided(Conflict):
    """What was looked at waits no more: it was decided, given up, or told anew."""

    slug = "lifecycle-conflict"


class LicencesFull(Conflict):
    """The party has as many licences as there is room for."""

    slug = "lifecycle-conflict"


def decide_licence(claim: Claim, view: View) -> Draft:
    """Notes what a party tells of a licence; it waits. Raises PartyUnknown, LicencesFull."""
    state = own_state(claim, view)
    told = telling(claim.data, record=claim.id, at=view.now, told=state.get("licences_told", {}))
    if told is None or len(state.get("licences", ())) >= MAX_HELD:
        raise LicencesFull("licences_full")
    return _moved(claim, state, told=told)


def decide_licence_verification(claim: Claim, view: View) -> Draft:
    """Lets what was told count, or not; without `told` it is about what counts already.

    Wants the verifier's own head where it is a party. Raises PartyUnknown, PartyUnverified,
    LicenceDecided where that telling waits no more, LicenceUnknown where nothing is held.
    """
    state = own_state(claim, view)
    check_judge(claim, view)
    data = claim.data
    place = licence_id(data["kind"], data["number"])
    told = dict(state.get("licences_told", {}))
    if "told" in data:
        waiting = told.get(place)
        if waiting is None or waiting["record"] != data["told"] or "refused" in waiting:
            raise LicenceDecided("licence_decided")
        if data["status"] == "verified":
            return _moved(claim, state, told=_but(told, place), moved=counting(waiting))
        return _moved(claim, state, told={**told, place: {**waiting, "refused": data["reason"]}})
    held = state.get("licences", ())
    if not can_end(held, data["kind"], data["number"], day=china_day(view.now)):
        raise LicenceUnknown("licence_unknown", licence=place)
    if data["status"] == "verified":
        return Draft(state)
    return _moved(claim, state, moved=ending(data["kind"], data["number"], at=view.now))


def decide_licence_ended(claim: Claim, view: View) -> Draft:
    """Ends what is held and told under a number; with `told` that telling alone is taken back.

    Raises PartyUnknown, LicenceUnknown, LicenceDecided where that telling is not there any more.
    """
    state = own_state(claim, view)
    data = claim.data
    place = licence_id(data["kind"], data["number"])
    told = state.get("licences_told", {})
    if "told" in data:
        if place not in told or told[place]["record"] != data["told"]:
            raise LicenceDecided("licence_decided")
        return _moved(claim, state, told=_but(told, place))
    held = state.get("licences", ())
    if place not in told and not can_end(
        held, data["kind"], data["number"], day=china_day(view.now)
    ):
        raise LicenceUnknown("licence_unknown", licence=place)
    moved = ending(data["kind"], data["number"], at=view.now)
    return _moved(claim, state, told=_but(told, place), moved=moved)


def _moved(
    claim: Claim,
    state: dict[str, Any],
    *,
    told: Mapping[str, Mapping[str, Any]] | None = None,
    moved: Change | None = None,
) -> Draft:
    held: Held = tuple(state.get("licences", ()))
    if told is None:
        told = state.get("licences_told", {})
    if moved is not None:
        held = change(held, moved)
        state["licences"] = without_url(held)
    if told or "licences_told" in state:
        state["licences_told"] = dict(told)
    party = claim.stream.removeprefix("party/")
    row: dict[str, Any] = {"party": party, "rows": index_rows(party, held, told)}
    if moved is not None:
        row["change"] = moved
    return Draft(state, effects=(Effect("licences", row),))


def _but(told: Mapping[str, Any], place: str) -> dict[str, Any]:
    return {key: one for key, one in told.items() if key != place}
