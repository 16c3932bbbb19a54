"""Reports by anyone: text and contact sealed for a person to read. They weigh nothing until upheld."""

from __future__ import annotations

import secrets

from app.db.engine import Database
from app.kit.canonical import canonical_bytes
from app.kit.clock import Clock, to_ms
from app.kit.tokens import RandomBytes, random_symbols
from app.ledger.vault import SALT_BYTES, Vault
from app.oversight import store
from app.trace.identifiers import parse_code

_TICKET_SYMBOLS = 10


class Reports:
    """Takes reports."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        vault: Vault,
        random: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._random = random

    def file(self, code: str | None, text: str, contact: str | None) -> str:
        """Returns the ticket of a report. Raises Invalid for text that is no code. Writes `report`."""
        stream = None if code is None else parse_code(code).stream
        content = {"text": text} | ({} if contact is None else {"contact": contact})
        ticket = random_symbols(self._random, _TICKET_SYMBOLS)
        sealed = self._vault.seal(
            place=("report", ticket, "text"),
            salt=self._random(SALT_BYTES),
            content=canonical_bytes(content),
        )
        row = {
            "ticket": ticket,
            "code": stream,
            "sealed": sealed.sealed,
            "wrapped_key": sealed.wrapped_key,
            "status": "received",
            "created_at": to_ms(self._clock.now()),
        }
        with self._database.write() as connection:
            store.insert_report(connection, row)
        return ticket
