"""Facts of a story as the page needs them, taken from its records. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, cast

from app.kit.clock import from_ms, local_day, parse_time
from app.ledger.store import StoredRecord
from app.oversight.looks import Look
from app.parties.licence_book import newest_of_each
from app.parties.licences import LICENCE_KINDS
from app.parties.roles import REGULATOR
from app.trace.correcting import as_corrected
from app.trace.detectors import find_impossible_order
from app.trace.evidence import MOST_RECORDS
from app.trace.proof import may_have_token
from app.trace.sides import seller_of
from app.trace.story import Story
from app.web.links import code_path
from app.web.pages.views import (
    Actions,
    CustomsDecision,
    Import,
    Licence,
    Links,
    Obliged,
    Proof,
    Step,
)

_NAMING = ("issuer", "platform", "carrier")
_CHARGED = ("merchant", "carrier", "operator")
_LEVEL_OF = {"21": "unit", "10": "lot"}


def readable(look: Look) -> Iterator[tuple[StoredRecord, Mapping[str, Any]]]:
    """Yields records whose bytes are what they were, with their fields."""
    for record in look.readable():
        yield record, record.fields


def parties_in(look: Look) -> set[str]:
    """Returns whom the records of a story name, as far as they can be read, and who sells."""
    state = look.verification.state
    named = {state["issuer"], seller_of(state)} if state else set()
    for record in look.story.records:
        try:
            data = record.fields["data"]
            told = (record.fields["actor"], *(data.get(name) for name in _NAMING))
        except (ValueError, KeyError, AttributeError):
            continue
        named.update(name for name in told if isinstance(name, str))
    return named


def registration_of(look: Look, stream: str) -> Mapping[str, Any]:
    """Returns the data of a stream's registration, {} where it is not in the story."""
    for record, fields in readable(look):
        if record.stream == stream and fields["type"] == "registration":
            return cast("Mapping[str, Any]", fields["data"])
    return {}


def imported_of(lot: Mapping[str, Any]) -> Import | None:
    """Returns a lot's import section, None where it was not imported."""
    told = lot.get("import")
    if told is None:
        return None
    return Import(
        mode=told["mode"],
        port=told.get("port", ""),
        origin=told.get("origin", ""),
        certificate=told.get("certificate", ""),
        plant=told.get("plant", ""),
        recall_agent=told.get("recall_agent", ""),
        declared=True,
    )


def decided_of(look: Look) -> CustomsDecision | None:
    """Returns what customs decided last of the goods, as its corrections leave it; None before the first."""
    decided = look.customs
    if decided is None:
        return None
    last = decided.fields
    corrections = [fields for _, fields in readable(look) if fields["type"] == "correction"]
    told = as_corrected(last, corrections)
    return CustomsDecision(
        decision="release" if last["type"] == "customs_release" else "hold",
        at=parse_time(last["occurred_at"]),
        port=told.get("port", ""),
        certificate=told.get("certificate", ""),
        documents=told.get("documents", ""),
    )


def corrected_ids(records: Sequence[StoredRecord]) -> frozenset[str]:
    """Returns the ids of the records that a later one corrects."""
    found = set()
    for record in records:
        try:
            fields = record.fields
            if fields["type"] == "correction":
                found.add(str(fields["data"]["of"]))
        except (ValueError, KeyError, TypeError):
            continue
    return frozenset(found)


def as_told(fields: Mapping[str, Any], types: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Returns the type that a correction corrects, and what it says as that record would; else "", data.

    types: of the story's records, by id.
    """
    data = fields["data"]
    if fields["type"] != "correction":
        return "", data
    changes = data.get("changes")
    told = {"reason": changes} if isinstance(changes, str) else dict(changes or {})
    tail = {name: data[name] for name in ("waybill_tail",) if name in data}
    return types.get(str(data.get("of")), ""), told | tail


def notices_of(look: Look) -> Iterator[tuple[StoredRecord, Mapping[str, Any], Mapping[str, Any]]]:
    """Yields recalls that hold, and notices: record, fields, and data as its corrections leave it.

    A regulator lifts everybody's recall of the goods, others their own; recalled again, it holds again.
    """
    corrections: list[Mapping[str, Any]] = []
    found: dict[tuple[str, str], tuple[StoredRecord, Mapping[str, Any]]] = {}
    for record, fields in readable(look):
        place, by = record.stream, fields["actor"]
        match fields["type"]:
            case "correction":
                corrections.append(fields)
            case "recall":
                found.pop((place, by), None)
                found[place, by] = record, fields
            case "recall_lifted" if fields["source"] == REGULATOR:
                found = {
                    at: one for at, one in found.items()
                    if at[0] != place or one[1]["type"] == "notice"
                }  # fmt: skip
            case "recall_lifted":
                found.pop((place, by), None)
            case "notice":
                found[place, fields["id"]] = record, fields
            case _:
                pass
    for record, fields in found.values():
        yield record, fields, as_corrected(fields, corrections)


def last_ending(look: Look) -> int:
    """Returns the seq of the last record that ended a life of the unit, -1 where none did."""
    own = look.story.code.stream
    return max(
        (
            record.seq
            for record, fields in readable(look)
            if record.stream == own and fields["type"] in ("return", "refusal")
        ),
        default=-1,
    )


def sent_after_signature(look: Look) -> datetime | None:
    """Returns when the goods are said to have been sent, where that is after they were signed for.

    By the detector's own measure, so that the page says neither less nor more than it; and a fact of the
    chain, to be read by anybody, before anybody has judged it.
    """
    state = look.verification.state
    if not state or not find_impossible_order(state):
        return None
    return from_ms(state["dispatch"]["at"])


def is_signed(step: Step) -> bool:
    """Whether a step is the signature of the present life that stands, as it was told."""
    return (
        step.type == "signature"
        and not (step.earlier or step.outweighed)
        and step.status in ("ok", "corrected")
    )


def level_of(stream: str) -> Any:
    """Returns what a stream is about: unit, lot or product."""
    parts = stream.split("/")
    return _LEVEL_OF.get(parts[2], "product") if len(parts) > 2 else "product"


def attributed_of(look: Look) -> Obliged | None:
    """Returns to whose side a regulator attributed what is wrong with the records; None before it did."""
    for finding in look.findings:
        if finding.kind.startswith("integrity.") and finding.attributed_to in _CHARGED:
            return cast("Obliged", finding.attributed_to)
    return None


def actions_of(path: str, state: Mapping[str, Any], look: Look, *, carrier_signs: bool) -> Actions:
    """Returns what a reader may do about goods in this state; nothing that nobody could prove.

    carrier_signs: whether the party that the dispatch names is a carrier whose identity was verified.
    """
    life = state.get("state")
    sold = life in ("sold", "in_transit", "signed")
    reviewed = "review" in state
    proofs: list[Proof] = (
        ["claim"] if sold and may_have_token(state, carrier_signs=carrier_signs) else []
    )
    # By its own first record: whether a code lies in the pack is asked of no table.
    has_inner = "inner_digest" in registration_of(look, look.story.code.stream)
    if (sold or life == "returned") and has_inner:
        proofs.append("inner")
    rated = sold and bool(proofs)
    return Actions(
        review=f"{path}/review" if rated and not reviewed else "",
        follow_up=f"{path}/follow_up" if rated and reviewed else "",
        complaint=f"{path}/complaint" if proofs else "",
        report="/reports",
        proofs=tuple(proofs),
        unproven=sold and not proofs,
    )


def links_of(story: Story) -> Links:
    """Returns where the evidence of a code is, where all of a long chain is checked page by page."""
    api = code_path(story.code.stream)
    return Links(
        evidence=f"{api}/evidence" if story.own_count <= MOST_RECORDS else "",
        chain="" if story.part is None else f"{api}/chain",
        events=f"{api}/events",
        verification=f"{api}/verification",
        checkpoint="/log/checkpoint",
        key="/log/key",
        verify_page="/verify",
    )


def licences_of(held: Iterable[Mapping[str, Any]], now: datetime) -> tuple[Licence, ...]:
    """Returns a party's licences as the public sees them: of each number its last period."""
    today = local_day(now)
    return tuple(licence_of(one, today) for one in newest_of_each(held))


def licence_of(told: Mapping[str, Any], today: date) -> Licence:
    """Returns a licence that counts, or did, with the address where it can be looked up."""
    until = told.get("valid_until")
    known = LICENCE_KINDS.get(told["kind"])
    day = None if until is None else date.fromisoformat(until)
    first = told.get("valid_from", "")
    return Licence(
        kind=told["kind"],
        number=told["number"],
        valid_until=day,
        expired=day is not None and (day < today or bool(told.get("ended"))),
        begins=date.fromisoformat(first) if first > today.isoformat() else None,
        url=told.get("url") or (known.query_url if known is not None else None) or "",
    )
