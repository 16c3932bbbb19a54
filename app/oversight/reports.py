"""Reports by anyone: text and contact sealed for a person to read. They weigh nothing until upheld.

Whoever works on a report knows its number; its author alone is told a query code, derived and stored nowhere,
with which it is erased.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from app.db.engine import Database
from app.kit.canonical import canonical_bytes
from app.kit.clock import Clock, from_ms, to_ms
from app.kit.tokens import RandomBytes, random_symbols
from app.ledger.vault import SALT_BYTES, Vault
from app.oversight import reportstore
from app.oversight.reportstore import WAITING
from app.trace.code import normalise_inner
from app.trace.identifiers import parse_code
from app.trace.proof import ProofInvalid

_TICKET_SYMBOLS = 11
_CODELESS_SYMBOLS = 10
"""Of the numbers given before there were query codes: their authors have nothing else to erase them by."""
_QUERY_SYMBOLS = 13
_MOST_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class FiledReport:
    """A report as who filed it may see it. status: `received`, or `erased`."""

    ticket: str
    status: str
    at: datetime


class Reports:
    """Takes reports.

    ticket_key: 32 bytes, from which a report has its query code, and one that may be sent again its ticket.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        vault: Vault,
        ticket_key: bytes,
        random: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._ticket_key = ticket_key
        self._random = random

    def file(self, code: str | None, text: str, contact: str | None) -> str:
        """Returns the ticket of a report. Raises Invalid for text that is no code. Writes `report`."""
        return self.file_once(code, text, contact, id=None)[0]

    def file_once(
        self, code: str | None, text: str, contact: str | None, *, id: str | None
    ) -> tuple[str, bool]:
        """Returns the ticket, and whether the report is new; the same under the same id is kept once.

        Without an id each report is new. Raises Invalid for text that is no code. Writes `report`.
        """
        stream = None if code is None else parse_code(code).stream
        content = canonical_bytes(
            {"text": text} | ({} if contact is None else {"contact": contact})
        )
        ticket = random_symbols(self._random, _TICKET_SYMBOLS)
        if id is not None:
            # Of other content another ticket, so that nothing said is ever taken for a repeat.
            told = b"\x00".join((id.encode(), (stream or "").encode(), content))
            digest = hmac.new(self._ticket_key, told, sha256).digest()
            ticket = random_symbols(lambda count: digest[:count], _TICKET_SYMBOLS)
        sealed = self._vault.seal(
            place=seal_place(ticket), salt=self._random(SALT_BYTES), content=content
        )
        row = {
            "ticket": ticket,
            "code": stream,
            "sealed": sealed.sealed,
            "wrapped_key": sealed.wrapped_key,
            "status": WAITING,
            "created_at": to_ms(self._clock.now()),
        }
        with self._database.write() as connection:
            return ticket, reportstore.insert_report(connection, row)

    def find(self, ticket: str) -> FiledReport | None:
        """Returns what became of a report, None for no such ticket. Read-only."""
        with self._database.read() as connection:
            row = reportstore.find_report(connection, as_ticket(ticket))
        return None if row is None else FiledReport(row.ticket, row.status, from_ms(row.created_at))

    def query_code(self, ticket: str) -> str:
        """Returns the code that only who filed this report is told."""
        told = f"query\x00{as_ticket(ticket)}".encode()
        digest = hmac.new(self._ticket_key, told, sha256).digest()
        return random_symbols(lambda count: digest[:count], _QUERY_SYMBOLS)

    def check_query(self, ticket: str, query: str) -> None:
        """Raises ProofInvalid unless this is the query code of that report, however both are typed."""
        told = normalise_inner(query[:_MOST_CHARACTERS]).encode("utf-8", "replace")
        if not hmac.compare_digest(self.query_code(ticket).encode(), told):
            raise ProofInvalid("query_code")

    def erase(self, ticket: str, query: str) -> None:
        """Destroys text and contact of a report. query: "" where its author was never told one.

        Raises ProofInvalid for another code, and where there is no such report. Writes `report`.
        """
        if query or len(as_ticket(ticket)) > _CODELESS_SYMBOLS:
            self.check_query(ticket, query)
        with self._database.write() as connection:
            found = reportstore.erase_report(connection, as_ticket(ticket))
        if not found:  # a stranger's guess must not make everybody wait for the log
            raise ProofInvalid("query_code")
        self._database.truncate_log()


def as_ticket(typed: str) -> str:
    """Returns a ticket as it is kept, however somebody typed it."""
    return normalise_inner(typed[:_MOST_CHARACTERS])


def seal_place(ticket: str) -> tuple[str, str, str]:
    """Returns where the vault holds a report's words."""
    return "report", ticket, "text"
