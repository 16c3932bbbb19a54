"""Complaints as those meet them who must answer: the seller, the platform of the sale, the authority.

Found by their rows, told from the chain. The words of who complained are sealed: to read them takes a stated
purpose, and each look is logged before anything is shown, the seller's too. What the other side said is
open to whoever may see the matter at all; what of it is no public reply is a look as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.clock import Clock, from_ms, to_ms
from app.kit.errors import NotFound
from app.ledger.record import stream_key
from app.oversight.cases import Case, Cases, Located
from app.parties.account_rules import covers
from app.parties.identity import CONSUMER
from app.parties.looking import log_look, read_purpose
from app.parties.principal import Principal
from app.parties.roles import PLATFORM, REGULATOR, SELLER_ROLES, reach
from app.parties.store import find_party
from app.trace import voicestore
from app.trace.voicestore import Place

As = Literal["seller", "platform", "authority"]
"""In which part somebody meets a complaint."""

READ = "voice.read"
_DETAIL = "detail"


class TicketUnknown(NotFound):
    """There is no such complaint, or not for you."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A complaint in a list. due: what is owed next, None where nothing is; late: its time has passed."""

    ticket: str
    code: str
    seller: str
    platform: str | None
    category: str
    at: datetime
    state: Literal["waiting", "answered", "proposed", "returned", "settled"]
    due: Literal["reply", "proposal"] | None
    due_at: datetime | None
    late: bool
    referred_to: str | None
    place: Place


class Complaints:
    """Lists complaints, tells one, opens its words."""

    def __init__(self, database: Database, cases: Cases, *, clock: Clock) -> None:
        self._database = database
        self._cases = cases
        self._clock = clock

    def part_of(self, principal: Principal) -> As:
        """Returns in which part somebody lists complaints. Raises what `check_may` raises."""
        principal.check_may(READ)
        if REGULATOR in principal.roles:
            return "authority"
        return "platform" if PLATFORM in principal.roles else "seller"

    def page(
        self,
        principal: Principal,
        *,
        is_open: bool,
        after: Place | None = None,
        limit: int,
    ) -> list[Line]:
        """Returns complaints behind `after`: open ones by deadline, the others newest first.

        A seller's about its goods, a platform's about what it sold, an authority's that were handed to it
        and are of its region. Raises what `check_may` raises.
        """
        part = self.part_of(principal)
        reply_within, proposal_within = self._cases.clocks()
        mine: dict[str, Any] = {}
        if part == "authority":
            mine["referred_in"] = principal.region or ""
        else:
            # Who both sells and has a platform is told of either.
            if part == "platform":
                mine["platform"] = principal.own_party()
            if part == "seller" or principal.roles & SELLER_ROLES:
                mine["seller"] = principal.own_party()
        with self._database.read() as connection:
            rows = voicestore.list_complaints(
                connection,
                **mine,
                is_open=is_open,
                reply_ms=_ms(reply_within),
                proposal_ms=_ms(proposal_within),
                after=after,
                limit=limit,
            )
        return [self._line(row, is_open=is_open) for row in rows]

    def read(self, principal: Principal, ticket: str) -> tuple[Case, Any]:
        """Returns a matter without the words of who complained, and its row.

        What the other sides wrote in it is addressed to whoever works on it: that look is for just that.
        Raises TicketUnknown for none, or none of the caller's. Writes `access_log`.
        """
        with self._database.read() as connection:
            found, row = self._find(connection, principal, ticket)
            case = self._cases.tell(connection, found, opens=False)
        self._log(principal, found, _of_others(case, principal), f"work on complaint {case.ticket}")
        return case, row

    def open(
        self, principal: Principal, ticket: str, purpose: str | None, *, loc: tuple[str, ...]
    ) -> Case:
        """Returns a matter with the words of who complained, once it is written down who looks and why.

        loc: where the purpose was given. Raises TicketUnknown, Invalid. Writes `access_log`.
        """
        with self._database.read() as connection:
            found, _ = self._find(connection, principal, ticket)
            told = read_purpose(purpose, loc=loc)
            closed = self._cases.tell(connection, found, opens=False)
            opened = self._cases.tell(connection, found)
        # Of the same snapshot, so that nothing is handed over that was not written down.
        sections = [one.seq for one in closed.said if one.closed]
        self._log(principal, found, [*sections, *_of_others(opened, principal)], told)
        return opened

    def _log(self, principal: Principal, found: Located, seqs: Sequence[int], purpose: str) -> None:
        looked_at = [(seq, _DETAIL) for seq in seqs]
        log_look(self._database, principal, found.stream, looked_at, purpose, clock=self._clock)

    def _find(
        self, connection: Connection, principal: Principal, ticket: str
    ) -> tuple[Located, Any]:
        principal.check_may(READ)
        found = self._cases.locate(connection, ticket)
        row = None
        if found is not None:
            id_ = found.complaint["id"]
            row = voicestore.find_voice(connection, stream_key(found.stream), id_)
        if found is None or row is None or not _is_for(connection, principal, row):
            raise TicketUnknown("ticket_unknown", ticket=ticket[:40])
        return found, row

    def _line(self, row: Any, *, is_open: bool) -> Line:
        due: Literal["reply", "proposal"] | None = None
        if is_open and row.proposed_at is None:
            due = "reply" if row.answered_at is None else "proposal"
        return Line(
            ticket=self._cases.ticket_of(row.code, row.id),
            code=row.code,
            seller=row.seller,
            platform=row.platform,
            category=row.category or "other",
            at=from_ms(row.at),
            state=_state(row),
            due=due,
            due_at=None if due is None else from_ms(row.due),
            late=due is not None and row.due < to_ms(self._clock.now()),
            referred_to=row.referred_to,
            place=(row.number, row.stream, row.seq),
        )


def _of_others(case: Case, principal: Principal) -> list[int]:
    """Returns the seqs of what another side sealed, who did not complain, and this reader sees.

    Not of a reply: that is public.
    """
    return [
        one.seq
        for one in case.said
        if one.kind in ("message", "referral")
        and one.text
        and one.actor not in (principal.party, CONSUMER)
    ]


def _is_for(connection: Connection, principal: Principal, row: Any) -> bool:
    if reach(principal.roles, READ) == "any":
        if principal.region is None:
            return True
        seller = find_party(connection, row.seller)
        return seller is not None and covers(principal.region, seller.region)
    return principal.party is not None and principal.party in (row.seller, row.platform)


def _state(row: Any) -> Literal["waiting", "answered", "proposed", "returned", "settled"]:
    if row.settled_at is not None:
        return "settled"
    if row.ended_at is not None:
        return "returned"
    if row.proposed_at is not None:
        return "proposed"
    return "waiting" if row.answered_at is None else "answered"


def _ms(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)
