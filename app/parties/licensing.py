"""Licences after a registration: told by the party, looked at by whoever verifies it, given up.

What was registered counts because the party was verified with it. What is told later waits until somebody
who may verify the party has seen the licence: the seller's own sentence opens no category that the law
closes (E-commerce Law art. 27 has the platform check, and check again).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from app.db.engine import Database
from app.kit.canonical import check_canonical
from app.kit.clock import Clock, china_day, from_ms, to_ms
from app.kit.errors import Fault, FieldFault, invalid
from app.ledger import store as ledger
from app.ledger.submission import Read
from app.parties import licence_book, licencestore, store
from app.parties.chain import PartyChain
from app.parties.identity import SYSTEM, is_party_id
from app.parties.licence_book import ENDING_DAYS, REFUSALS, State, licence_id
from app.parties.licence_rules import (
    LicenceDecided,
    LicenceUnknown,
    decide_licence,
    decide_licence_ended,
    decide_licence_verification,
)
from app.parties.principal import Principal
from app.parties.registration import LicenceGiven, read_licence
from app.parties.roles import reach
from app.parties.rules import PartyUnknown, party_stream
from app.parties.service import MAX_EVIDENCE, SelfVerification, may_see

_ACTION = "licence.tell"
_VERIFIES = "party.verify"
_LAST_DAY = "9999-12-31"


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceView:
    """A licence on a day. id: of kind and number. valid_from, valid_until: days of China, None: open.

    told: record in which it was told, where it waits or was refused; told_at: when. reason: why refused.
    """

    id: str
    kind: str
    number: str
    state: State
    valid_from: str | None = None
    valid_until: str | None = None
    url: str | None = None
    told: str | None = None
    told_at: datetime | None = None
    reason: str | None = None

    @property
    def first(self) -> date | None:
        """Its first day, None where it has always counted or it is not told."""
        return None if self.valid_from is None else date.fromisoformat(self.valid_from)

    @property
    def last(self) -> date | None:
        """Its last day, None for ever."""
        return None if self.valid_until is None else date.fromisoformat(self.valid_until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A licence that somebody should look at. told_at: since when it waits, None: it does not.

    ends_on: the last day of what counts, None: for ever, or nothing does.
    """

    party: str
    party_name: str
    region: str | None
    id: str
    kind: str
    number: str
    told_at: datetime | None
    ends_on: str | None
    place: licencestore.Place


class Licensing:
    """Licences of all parties."""

    def __init__(self, database: Database, chain: PartyChain, *, clock: Clock) -> None:
        self._database = database
        self._chain = chain
        self._clock = clock

    def of(self, party: str, viewer: Principal | None = None) -> list[LicenceView]:
        """Returns a party's licences: what counts or did to anybody, what was told to those concerned.

        What waits comes first, then what ends first. Read-only. Raises PartyUnknown.
        """
        row, held, told = self._book(party)
        today = china_day(self._clock.now())
        views = [_held(one, today) for one in held]
        if viewer is not None and (may_see(viewer, row) or self._judges(viewer, row)):
            views += [_told(one) for one in told.values()]
        return sorted(views, key=_order)

    def tell(
        self,
        principal: Principal,
        party: str,
        given: LicenceGiven,
        *,
        valid_from: str | None = None,
    ) -> tuple[LicenceView, bool]:
        """Returns a licence that waits now, and whether that was told before (a repeat).

        Again under the same number: a renewal. valid_from: its first day; None: from today on. Raises
        Invalid, PartyUnknown, LicencesFull, or what `check_may` raises.
        """
        principal.check_may(_ACTION, owner=party)
        data = read_licence(given, valid_from=valid_from, today=china_day(self._clock.now()))
        _, _, told = self._book(party)
        place = licence_id(data["kind"], data["number"])
        waiting = told.get(place)
        if waiting and "refused" not in waiting and licence_book.facts_of(waiting) == data:
            return _told(waiting), True
        recorded = self._chain.append(
            principal, party, "licence", data, decide_licence, action=_ACTION
        )
        told_at = {"record": recorded.id, "at_ms": to_ms(recorded.recorded_at)}
        return _told({**data, **told_at}), False

    def judge(
        self,
        principal: Principal,
        party: str,
        licence: str,
        *,
        status: Literal["verified", "rejected"],
        evidence: str,
        told: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Records that a licence was found true, so that it counts, or not.

        told: the record that was looked at; None: what counts already is looked at again, and rejected ends
        today. evidence: what was seen; the record commits to it. reason: of REFUSALS, where rejected. Raises
        Invalid, PartyUnknown, LicenceUnknown, LicenceDecided, OutsideRegion, SelfVerification,
        PartyUnverified, or what `check_may` raises.
        """
        principal.check_may(_VERIFIES)
        if party == principal.party:
            raise SelfVerification("self_verification")
        evidence = evidence.strip()
        if not 1 <= len(evidence) <= MAX_EVIDENCE:
            params = {"expected": f"1..{MAX_EVIDENCE}", "got": len(evidence)}
            raise invalid(FieldFault(("evidence",), "length", params))
        check_canonical(evidence, ("evidence",))
        if status == "rejected" and reason not in REFUSALS:
            params = {"expected": ", ".join(REFUSALS), "got": (reason or "")[:40]}
            raise invalid(FieldFault(("reason",), "enum", params))
        row, held, waiting = self._book(party)
        principal.check_may(_VERIFIES, owner=row.created_by or SYSTEM)
        principal.check_office(row.region)
        data = {**_named(held, waiting, licence), "status": status}
        if told is not None:
            data["told"] = told
        if status == "rejected":
            data["reason"] = reason
        self._chain.append(
            principal,
            party,
            "licence_verification",
            data,
            decide_licence_verification,
            action=_VERIFIES,
            reads=(Read(party_stream(principal.party)),) if principal.party else (),
            sealed={"evidence": {"evidence": evidence}},
        )

    def end(
        self, principal: Principal, party: str, licence: str, *, told: str | None = None
    ) -> None:
        """Gives a licence up: today is its last day, and nothing is listed on it any more. Again is no harm.

        told: the record of a telling that alone is taken back; what counts under the number goes on. Raises
        PartyUnknown, LicenceUnknown, or what `check_may` raises.
        """
        principal.check_may(_ACTION, owner=party)
        _, held, waiting = self._book(party)
        named = _named(held, waiting, licence)
        if told is not None:
            if waiting.get(licence, {}).get("record") != told:
                return
            named["told"] = told
        elif licence not in waiting and not licence_book.can_end(
            held, **named, day=china_day(self._clock.now())
        ):
            return
        try:
            self._chain.append(
                principal, party, "licence_ended", named, decide_licence_ended, action=_ACTION
            )
        except (LicenceUnknown, LicenceDecided):  # somebody ended it meanwhile, or decided
            return

    def waiting(
        self, principal: Principal, *, after: licencestore.Place | None = None, limit: int
    ) -> list[Waiting]:
        """Returns what waits for who verifies parties, the longest waiting first. Read-only.

        Raises what `check_may` raises.
        """
        return self._page(principal, "told_at", None, after, limit)

    def ending(
        self, principal: Principal, *, after: licencestore.Place | None = None, limit: int
    ) -> list[Waiting]:
        """Returns what ends within ENDING_DAYS, the soonest first; to who verifies parties. Read-only.

        Raises what `check_may` raises.
        """
        today = china_day(self._clock.now())
        until = date.fromisoformat(today) + timedelta(days=ENDING_DAYS)
        return self._page(principal, "ends_on", (today, until.isoformat()), after, limit)

    def _page(
        self,
        principal: Principal,
        by: str,
        between: tuple[str, str] | None,
        after: licencestore.Place | None,
        limit: int,
    ) -> list[Waiting]:
        principal.check_may(_VERIFIES)
        own = reach(principal.roles, _VERIFIES) == "own"
        with self._database.read() as connection:
            rows = licencestore.page(
                connection,
                by=by,
                region=principal.region,
                created_by=principal.own_party() if own else None,
                but=principal.party,
                between=between,
                after=after,
                limit=limit,
            )
        return [_waiting(row, by) for row in rows]

    def _book(
        self, party: str
    ) -> tuple[store.PartyRow, Sequence[Mapping[str, Any]], Mapping[str, Mapping[str, Any]]]:
        """Returns a party, what it holds with `url`, and what it told."""
        with self._database.read() as connection:
            row = store.find_party(connection, party) if is_party_id(party) else None
            if row is None:
                raise PartyUnknown("party_unknown", party=party[:40])
            stream = party_stream(party)
            state = ledger.load_heads(connection, [stream])[stream].state
        return row, row.licences, state.get("licences_told", {})

    @staticmethod
    def _judges(viewer: Principal, row: store.PartyRow) -> bool:
        try:
            viewer.check_may(_VERIFIES, owner=row.created_by or SYSTEM)
            viewer.check_office(row.region)
        except Fault:
            return False
        return True


def _named(
    held: Sequence[Mapping[str, Any]], told: Mapping[str, Mapping[str, Any]], licence: str
) -> dict[str, Any]:
    """Returns kind and number of a licence by its id. Raises LicenceUnknown."""
    for one in (*held, *told.values()):
        if licence_id(one["kind"], one["number"]) == licence:
            return {"kind": one["kind"], "number": one["number"]}
    raise LicenceUnknown("licence_unknown", licence=licence[:40])


def _held(one: Mapping[str, Any], today: str) -> LicenceView:
    facts = licence_book.facts_of(one)
    place = licence_id(one["kind"], one["number"])
    return LicenceView(id=place, state=licence_book.state_of(one, today), **facts)


def _told(one: Mapping[str, Any]) -> LicenceView:
    return LicenceView(
        id=licence_id(one["kind"], one["number"]),
        state="refused" if "refused" in one else "waiting",
        told=one["record"],
        told_at=from_ms(one["at_ms"]),
        reason=one.get("refused"),
        **licence_book.facts_of(one),
    )


def _order(one: LicenceView) -> tuple[bool, bool, str, str, str]:
    """What waits or was refused first, what is past last."""
    past = one.state in ("over", "ended")
    return one.told is None, past, one.valid_until or _LAST_DAY, one.kind, one.number


def _waiting(row: Any, by: str) -> Waiting:
    return Waiting(
        party=row.party,
        party_name=store.mask_name(row.name) if row.exempt else row.name,
        region=row.region,
        id=row.licence,
        kind=row.kind,
        number=row.number,
        told_at=None if row.told_at is None else from_ms(row.told_at),
        ends_on=row.ends_on,
        place=(getattr(row, by), row.party, row.licence),
    )
