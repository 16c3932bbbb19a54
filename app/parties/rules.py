"""What the stream `party/{id}` may say next, and what others may conclude from it. Pure.

State of a party's stream, kept beside what other rooms put there:
`status` (pending, verified, rejected), `roles`, `exempt`, `region`?, `next_check`?,
`licences` and `licences_told` (`licence_book`: held, without `url`, and told),
`measures` {record id: {kind, since_ms, until_ms?}} in force or to come, `measures_lifted` the same with
`lifted_ms`.
Facts: `key/<key id>` {public_key, since_ms, seq, revoked_ms?} and
`mandate/<agent>` {mandate id: {types, until_ms|null, revoked_ms|null}}.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from app.kit.clock import format_time, parse_time, to_ms
from app.kit.errors import Conflict, FieldFault, NotFound, invalid
from app.ledger.record import Claim
from app.ledger.signatures import SignatureInvalid
from app.ledger.submission import Draft, Effect, Read, View
from app.parties.identity import SYSTEM
from app.parties.licence_book import index_rows, without_url
from app.parties.roles import (
    ACTIONS,
    AGGREGATOR,
    CARRIER,
    CUSTOMS,
    EVENTS,
    MERCHANT,
    PLATFORM,
    RECALL_AGENT,
    REGULATOR,
    SUPPLIER,
    grantable_types,
)
from app.parties.standing import VERIFIED, PartyUnverified

Decide = Callable[[Claim, View], Draft]

PENDING, REJECTED = "pending", "rejected"


class PartyUnknown(NotFound):
    """No party of this id is registered."""


class AlreadyRegistered(Conflict):
    """The party is registered, with other facts."""

    slug = "id-conflict"


class SigningKeyKnown(Conflict):
    """The party has, or had, this signing key."""


class SigningKeyUnknown(SignatureInvalid):
    """The actor has no such signing key, or it was revoked before."""


class MandateEnded(Conflict):
    """The mandate has ended already."""

    slug = "lifecycle-conflict"


class NothingToLift(Conflict):
    """No measure of this kind is in force."""

    slug = "lifecycle-conflict"
    words: Mapping[str, str] = {"kind": "measure"}


def party_stream(party: str) -> str:
    """Returns the name of a party's stream; `party` is an id as identity.is_party_id knows it."""
    return f"party/{party}"


def key_fact(key_id: str) -> str:
    """Returns the key of a signing key's fact."""
    return f"key/{key_id}"


def mandate_fact(agent: str) -> str:
    """Returns the key of the fact that holds an agent's mandates."""
    return f"mandate/{agent}"


def party_reads(actor: str, agent: str, *, signing_key: str | None = None) -> tuple[Read, ...]:
    """Returns what the checks of this module want to see when `agent` speaks for `actor`."""
    reads = [Read(party_stream(actor))]
    if agent != actor:
        reads += [Read(party_stream(agent)), Read(party_stream(actor), mandate_fact(agent))]
    if signing_key is not None:
        reads.append(Read(party_stream(actor), key_fact(signing_key)))
    return tuple(reads)


def voice(roles: Iterable[str], action: str) -> str:
    """Returns the `source` of a record about a party: the role in which its sender acts.

    action: of roles.ACTIONS, the call that makes the record. Of the roles that may make it the
    first in a fixed order speaks, so that one party's records never differ by chance; sellers of
    every kind are `merchant`, and whoever has none of these roles is the operator.
    """
    acting = ACTIONS[action].reach.keys() & frozenset(roles)
    for role in (REGULATOR, CUSTOMS, PLATFORM, CARRIER, AGGREGATOR):
        if role in acting:
            return role
    return MERCHANT if acting & {MERCHANT, SUPPLIER, RECALL_AGENT} else SYSTEM


# --- what others ask -----------------------------------------------------------------------------


def find_signing_key(view: View, *, actor: str, key_id: str) -> bytes:
    """Returns the 32-byte public key under which `actor` may sign what is recorded now.

    Once its revocation is there a key signs nothing more, whatever the clock says: that may have been
    set back since, and in one commit all have one time. Wants `party_reads(actor, …,
    signing_key=key_id)`. Raises SigningKeyUnknown.
    """
    fact = view.facts.get((party_stream(actor), key_fact(key_id)))
    if fact is None or fact.get("revoked_ms") is not None:
        raise SigningKeyUnknown("signing_key_unknown", signing_key=key_id, actor=actor)
    return base64.b64decode(fact["public_key"])


_MEASURES = ("delist", "suspend", "warn")
# The last millisecond of the year 9999, after which there is no time to be shown.
_LAST_MS = 253_402_300_799_999


def measures_of(state: Mapping[str, Any], name: str = "measures") -> dict[str, Mapping[str, Any]]:
    """Returns the measures that a party's state names, by record id.

    name: `measures` or `measures_lifted`. What is none is left out: a state that somebody altered is
    the audit's to report, and nobody else's page may fail for it.
    """
    told = state.get(name)
    if not told or not isinstance(told, dict):
        return {}
    return {i: measure for i, measure in told.items() if _is_measure(measure)}


def _is_measure(measure: Any) -> bool:
    if not isinstance(measure, dict) or measure.get("kind") not in _MEASURES:
        return False
    moments = [measure.get("since_ms")]
    moments += [measure[end] for end in ("until_ms", "lifted_ms") if end in measure]
    return all(type(ms) is int and 0 <= ms <= _LAST_MS for ms in moments)


def measures_at(state: Mapping[str, Any], at: datetime) -> frozenset[str]:
    """Returns the kinds of measure (delist, suspend, warn) in force on the party at `at`."""
    lifted = measures_of(state, "measures_lifted")
    measures = measures_of(state)
    if not lifted and not measures:
        return frozenset()
    moment = to_ms(at)
    return frozenset(
        measure["kind"]
        for measure in (*measures.values(), *lifted.values())
        if measure["since_ms"] <= moment
        and all(moment < measure.get(end, moment + 1) for end in ("until_ms", "lifted_ms"))
    )


def is_suspended(state: Mapping[str, Any], at: datetime) -> bool:
    """Returns whether the party may not list, sell or dispatch at `at`."""
    return "suspend" in measures_at(state, at)


# --- decisions -----------------------------------------------------------------------------------


def decide_registration(claim: Claim, view: View, *, row: Mapping[str, Any]) -> Draft:
    """Begins a party's stream. Raises AlreadyRegistered.

    row: what the index knows beyond the record.
    """
    if view.heads[claim.stream].exists:
        raise AlreadyRegistered("party_exists", party=row["id"])
    data = claim.data
    state: dict[str, Any] = {
        "status": PENDING,
        "roles": data["roles"],
        "exempt": data.get("exempt", False),
        "licences": without_url(data.get("licences", ())),
        "measures": {},
    }
    if "region" in data:
        state["region"] = data["region"]
    row = {**row, "status": PENDING, "next_check": None, "created_at": to_ms(view.now)}
    found = index_rows(row["id"], state["licences"], {})
    licences = (Effect("licences", {"party": row["id"], "rows": found}),) if found else ()
    return Draft(state, effects=(Effect("party", row), *licences))


def decide_verification(claim: Claim, view: View) -> Draft:
    """Sets the status. Wants the verifier's own head where it is a party.

    Raises PartyUnknown, and PartyUnverified where the verifier itself was rejected, or is no
    authority and was not verified.
    """
    state = own_state(claim, view)
    check_judge(claim, view)
    state["status"] = claim.data["status"]
    state.pop("next_check", None)
    if "next_check" in claim.data:
        state["next_check"] = claim.data["next_check"]
    row = {
        "id": claim.stream.removeprefix("party/"),
        "status": state["status"],
        "next_check": state.get("next_check"),
    }
    return Draft(state, effects=(Effect("party_status", row),))


def check_judge(claim: Claim, view: View) -> None:
    """Raises PartyUnverified where who judges was rejected, or is no authority and was not verified.

    Wants the judge's own head where it is a party.
    """
    judge = view.heads.get(party_stream(claim.actor))
    if judge is not None:
        # Somebody must be the first to verify: the operator or an authority that it registered.
        office = REGULATOR in judge.state.get("roles", ())
        status = judge.state.get("status")
        if status == REJECTED or (status != VERIFIED and not office):
            raise PartyUnverified("party_unverified", party=claim.actor)


def decide_signing_key(claim: Claim, view: View) -> Draft:
    """Adds a signing key. Wants its fact. Raises PartyUnknown, SigningKeyKnown."""
    state = own_state(claim, view)
    fact = key_fact(claim.data["key_id"])
    if (claim.stream, fact) in view.facts:
        raise SigningKeyKnown("signing_key_known", signing_key=claim.data["key_id"])
    key = {
        "public_key": claim.data["public_key"],
        "since_ms": to_ms(view.now),
        "seq": view.heads[claim.stream].seq + 1,
    }
    return Draft(state, facts={fact: key})


def decide_signing_key_revoked(claim: Claim, view: View) -> Draft:
    """Ends a signing key for all that is recorded from now on. Wants its fact.

    Raises PartyUnknown, SigningKeyKnown where it has ended before.
    """
    state = own_state(claim, view)
    fact = key_fact(claim.data["key_id"])
    key = view.facts.get((claim.stream, fact))
    if key is None or key.get("revoked_ms") is not None:
        raise SigningKeyKnown("signing_key_revoked", signing_key=claim.data["key_id"])
    return Draft(state, facts={fact: {**key, "revoked_ms": to_ms(view.now)}})


def decide_mandate(claim: Claim, view: View) -> Draft:
    """Lets an agent send some types for this party. Wants the agent's head and its mandates' fact.

    Raises PartyUnknown; Invalid, kinds `unknown_party`, `unknown_type`, `not_grantable`, `range`.
    """
    state = own_state(claim, view)
    agent = claim.data["agent"]
    if not view.heads[party_stream(agent)].exists:
        raise invalid(FieldFault(("agent",), "unknown_party", {"got": agent}))
    grantable = grantable_types(state["roles"])
    for index, event_type in enumerate(claim.data["types"]):
        if event_type not in EVENTS:
            raise invalid(FieldFault(("types", index), "unknown_type", {"got": event_type[:40]}))
        if event_type not in grantable:
            raise invalid(FieldFault(("types", index), "not_grantable", {"got": event_type[:40]}))
    until_ms = None
    if "until" in claim.data:
        until = parse_time(claim.data["until"])
        until_ms = to_ms(until)
        if until_ms <= to_ms(view.now):
            params = {"expected": f"> {format_time(view.now)}", "got": until}
            raise invalid(FieldFault(("until",), "range", params))
    fact = mandate_fact(agent)
    # Ended ones stay in the records; kept here they would only make the fact grow for ever.
    kept = {
        mandate: terms
        for mandate, terms in view.facts.get((claim.stream, fact), {}).items()
        if not _has_ended(terms, to_ms(view.now))
    }
    terms = {"types": list(claim.data["types"]), "until_ms": until_ms, "revoked_ms": None}
    return Draft(state, facts={fact: {**kept, claim.id: terms}})


def decide_mandate_revoked(claim: Claim, view: View) -> Draft:
    """Takes a mandate back. Wants the agent's mandates' fact. Raises PartyUnknown, MandateEnded."""
    state = own_state(claim, view)
    fact = mandate_fact(claim.data["agent"])
    mandate = claim.data["mandate"]
    given = view.facts.get((claim.stream, fact), {})
    if mandate not in given or _has_ended(given[mandate], to_ms(view.now)):
        raise MandateEnded("mandate_ended", mandate=mandate)
    ended = {**given[mandate], "revoked_ms": to_ms(view.now)}
    return Draft(state, facts={fact: {**given, mandate: ended}})


def decide_measure(claim: Claim, view: View) -> Draft:
    """Puts a measure on the party from `occurred_at` on. Raises PartyUnknown."""
    state = own_state(claim, view)
    measure = {"kind": claim.data["kind"], "since_ms": to_ms(claim.occurred_at)}
    if "until" in claim.data:
        measure["until_ms"] = to_ms(parse_time(claim.data["until"]))
    state["measures"] = {**state.get("measures", {}), claim.id: measure}
    return Draft(state)


def decide_measure_lifted(claim: Claim, view: View) -> Draft:
    """Lifts every measure of the kind from `occurred_at` on. Raises PartyUnknown, NothingToLift."""
    state = own_state(claim, view)
    measures = state.get("measures", {})
    ended = {i: m for i, m in measures.items() if m["kind"] == claim.data["kind"]}
    if not ended:
        raise NothingToLift("nothing_to_lift", kind=claim.data["kind"], reason="not_in_force")
    at_ms = to_ms(claim.occurred_at)
    state["measures"] = {i: m for i, m in measures.items() if i not in ended}
    state["measures_lifted"] = {
        **state.get("measures_lifted", {}),
        **{i: {**m, "lifted_ms": at_ms} for i, m in ended.items()},
    }
    return Draft(state)


def decide_remark(claim: Claim, view: View) -> Draft:
    """Adds a record that changes nothing about the party (a correction). Raises PartyUnknown."""
    return Draft(own_state(claim, view))


def own_state(claim: Claim, view: View) -> dict[str, Any]:
    """Returns the state of the party that a claim is about. Raises PartyUnknown."""
    head = view.heads[claim.stream]
    if not head.exists:
        raise PartyUnknown("party_unknown", party=claim.stream.removeprefix("party/"))
    return dict(head.state)  # with whatever other rooms keep in it


def _has_ended(terms: Mapping[str, Any], now_ms: int) -> bool:
    ended = terms["revoked_ms"] is not None
    return ended or (terms["until_ms"] is not None and terms["until_ms"] <= now_ms)
