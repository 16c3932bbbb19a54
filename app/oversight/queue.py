"""What waits for somebody: open findings as a queue, of a region or a party, with their dates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.credit.ledger import CreditLedger
from app.credit.policy import Entry, Status
from app.credit.steps import ENDED
from app.db.engine import Database
from app.kit.clock import from_ms
from app.oversight import store
from app.oversight.casestore import WAITING, Wanted, count_findings, list_findings
from app.oversight.finding_rows import GRACE
from app.parties.principal import Principal


@dataclass(frozen=True, slots=True)
class Waiting:
    """A finding that waits. until: when it begins to cost something, None where nobody has said so.

    in_grace: it costs nothing if it is put right by then. entry: of the ledger of credit, that charges it.
    attributed_to: whom a regulator attributed it to, None while nobody has.
    """

    id: str
    kind: str
    stream: str
    party: str | None
    opened_at: datetime
    until: datetime | None = None
    in_grace: bool = False
    entry: str = ""
    attributed_to: str | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """count: all that wait. first: some of them."""

    count: int
    first: tuple[Waiting, ...]


def queue_in(database: Database, region: str | None, *, limit: int) -> Queue:
    """Returns the open findings about parties of a region (GB/T 2260); None: all.

    The gravest stand first, of each severity the newest. A finding about nobody, on the log itself, is in
    the queue of who sees all. Read-only.
    """
    with database.read() as connection:
        wanted = Wanted(status=WAITING, within=region)
        count = count_findings(connection, wanted)
        rows = list_findings(connection, wanted, after=None, limit=limit, order="gravest")
    return Queue(count, tuple(_waiting(row) for row in rows))


def queue_of(
    database: Database, ledger: CreditLedger, principal: Principal, *, limit: int
) -> Queue:
    """Returns the open findings that the principal's party answers for, the most urgent first. Read-only."""
    party = principal.party or ""
    with database.read() as connection:
        count, rows = store.queue(connection, party, limit=limit)
    filed, _ = ledger.file_of(party, principal)
    charges = {
        str(one.entry.evidence["finding"]): one.entry
        for one in filed
        if "finding" in one.entry.evidence and one.entry.status not in ENDED
    }
    found = [_waiting(row, charges.get(row.id)) for row in rows]
    return Queue(count, tuple(sorted(found, key=_urgency)))


def _urgency(waiting: Waiting) -> tuple[bool, datetime]:
    return waiting.until is None, waiting.until or waiting.opened_at


def _waiting(row: Any, charge: Entry | None = None) -> Waiting:
    until = None
    if charge is not None and charge.status is Status.NOTICE:
        until = charge.effective_at
    elif row.due_at is not None:
        until = from_ms(row.due_at)
    return Waiting(
        id=row.id,
        kind=row.kind,
        stream=row.stream_name,
        party=row.party,
        opened_at=from_ms(row.opened_at),
        until=until,
        in_grace=row.status == GRACE,
        entry="" if charge is None else charge.id,
        attributed_to=row.attributed_to,
    )
