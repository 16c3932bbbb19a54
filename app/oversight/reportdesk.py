"""Reports by anyone, for the people who read them: regulators, and the operator.

What somebody reports weighs nothing by itself. Whoever reads it says why, and that is in the log of
purposes before a word is shown; so is why it was closed. An authority in office somewhere sees reports on
goods whose holder is registered there, and what names no goods or a code that nobody registered: of these
nobody else would be in charge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from app.db.engine import Database
from app.kit.clock import Clock, from_ms
from app.kit.errors import Conflict, NotFound
from app.ledger.vault import SealBroken, Vault
from app.oversight import reportstore
from app.oversight.reports import as_ticket, seal_place
from app.oversight.reportstore import WAITING
from app.parties.account_rules import covers
from app.parties.looking import log_look, read_purpose
from app.parties.principal import Principal
from app.parties.store import find_parties
from app.trace.identifiers import parse_code
from app.trace.store import find_product, load_lives

READ = "report.read"
SECTION = "report"
"""What the log of purposes says was looked at."""
_PART = 200
_MOST_LOOKED_THROUGH = 5_000

Place = tuple[int, str]


class ReportUnknown(NotFound):
    """There is no such report, or it is on goods of another region."""


class ReportOver(Conflict):
    """Somebody closed it before, or its author erased it."""

    slug = "lifecycle-conflict"


@dataclass(frozen=True, slots=True)
class ReportLine:
    """A report without its words. code: of the goods, None where none was named. holder: who has them."""

    ticket: str
    code: str | None
    status: str
    at: datetime
    holder: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class ReportWords:
    """What somebody reported. text: None where it was erased, or cannot be opened."""

    text: str | None
    contact: str | None


class ReportDesk:
    """Lists, opens and closes reports."""

    def __init__(self, database: Database, *, clock: Clock, vault: Vault) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault

    def page(
        self, principal: Principal, *, is_open: bool, after: Place | None = None, limit: int
    ) -> list[ReportLine]:
        """Returns reports behind `after`: those that wait, oldest first, or those over, newest first.

        Raises what `check_may` raises.
        """
        principal.check_may(READ)
        found: list[ReportLine] = []
        looked = 0
        while len(found) < limit and looked < _MOST_LOOKED_THROUGH:
            part = limit if principal.region is None else _PART
            with self._database.read() as connection:
                rows = reportstore.list_reports(
                    connection, is_open=is_open, after=after, limit=part
                )
                found += self._lines(connection, principal, rows)
            looked += len(rows)
            if len(rows) < part:
                break
            after = (rows[-1].created_at, rows[-1].ticket)
        return found[:limit]

    def read(self, principal: Principal, ticket: str) -> ReportLine:
        """Returns one report without its words. Raises ReportUnknown, what `check_may` raises."""
        principal.check_may(READ)
        with self._database.read() as connection:
            row = reportstore.find_report(connection, as_ticket(ticket))
            lines = [] if row is None else self._lines(connection, principal, [row])
        if not lines:
            raise ReportUnknown("ticket_unknown", ticket=ticket[:40])
        return lines[0]

    def open(
        self, principal: Principal, ticket: str, purpose: str | None, *, loc: tuple[str, ...]
    ) -> ReportWords:
        """Returns the words of a report, once it is written down who looks and why.

        Raises ReportUnknown, Invalid. Writes `access_log`.
        """
        line = self.read(principal, ticket)
        told = read_purpose(purpose, loc=loc)
        with self._database.read() as connection:
            row = reportstore.find_report(connection, line.ticket)
        if row is None or not row.sealed:
            return ReportWords(None, None)
        self._log(principal, line, told)
        try:
            _, content = self._vault.open(
                place=seal_place(line.ticket),
                sealed=bytes(row.sealed),
                wrapped_key=bytes(row.wrapped_key),
            )
        except SealBroken:
            return ReportWords(None, None)
        said = orjson.loads(content)
        return ReportWords(said.get("text"), said.get("contact"))

    def close(
        self, principal: Principal, ticket: str, reason: str | None, *, loc: tuple[str, ...]
    ) -> ReportLine:
        """Returns a report that was dealt with; why, stands in the log of purposes.

        Raises ReportUnknown, ReportOver, Invalid. Writes `report`, `access_log`.
        """
        line = self.read(principal, ticket)
        told = read_purpose(reason, loc=loc)
        if line.status != WAITING:
            raise ReportOver("report_over", reason="report_over")
        self._log(principal, line, told)
        with self._database.write() as connection:
            if not reportstore.close_report(connection, line.ticket):
                raise ReportOver("report_over", reason="report_over")
        return self.read(principal, ticket)

    def count_waiting(self, principal: Principal, *, most: int) -> int:
        """Returns how many reports wait for this authority, at most `most`."""
        principal.check_may(READ)
        if principal.region is not None:
            return len(self.page(principal, is_open=True, limit=most))
        with self._database.read() as connection:
            return min(reportstore.count_waiting(connection), most)

    def _log(self, principal: Principal, line: ReportLine, purpose: str) -> None:
        # Of what names no goods there is no chain to name; the ticket stands for it.
        place = line.code or f"report/{line.ticket}"
        log_look(self._database, principal, place, [(0, SECTION)], purpose, clock=self._clock)

    def _lines(
        self, connection: Any, principal: Principal, rows: Sequence[Any]
    ) -> list[ReportLine]:
        """Returns those of the rows that this authority sees."""
        holders = {row.code: _holder(connection, row.code) for row in rows if row.code}
        named = sorted({holder for holder in holders.values() if holder})
        regions = {row.id: row.region for row in find_parties(connection, named)}

        def sees(holder: str | None) -> bool:
            if principal.region is None or holder is None:
                return True
            return holder in regions and covers(principal.region, regions[holder])

        return [
            ReportLine(
                ticket=row.ticket,
                code=row.code,
                status=row.status,
                at=from_ms(row.created_at),
                holder=holders.get(row.code),
                place=(row.created_at, row.ticket),
            )
            for row in rows
            if sees(holders.get(row.code))
        ]


def _holder(connection: Any, stream: str) -> str | None:
    """Returns who holds a unit or lot, or registered a product; None for what nobody registered."""
    code = parse_code(stream)
    if code.stream == code.product_stream:
        product = find_product(connection, code.gtin)
        return None if product is None else str(product.brand_owner or product.registrant)
    holder = load_lives(connection, [(stream, "")])[stream, ""].get("holder")
    return holder if isinstance(holder, str) else None
