"""What a party still has to record: steps that are missing, in their grace or beyond it, with the dates.

From `due`, which the recorder keeps with every record of the goods: a step told late (`late`), or one
whose term is over (`overdue`). Once it was raised it stands with who answers for it, and here with its
finding and what that will cost from when. Read-only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection

from app.credit import store as credit_store
from app.credit.records import entry_id
from app.db.engine import Database
from app.kit.clock import Clock, from_ms, to_ms
from app.oversight import owedstore, store
from app.oversight.charging import charge_key
from app.oversight.finding_rows import OPEN, answers_for, missing_id
from app.oversight.kinds import consequence_of
from app.oversight.owedstore import Place, place_of
from app.parties.principal import Principal
from app.trace.identifiers import parse_code
from app.trace.life_table import Step

MOST_COUNTED = 10_000
Status = Literal["grace", "open", "charged", "settled"]


@dataclass(frozen=True, slots=True)
class Gap:
    """A step that is missing. due_at: from when its absence counts.

    status: `grace`, it does not count yet; `open`, it counts, and costs points from `costs_from` on
    (None: nobody has said so yet); `charged`, it does; `settled`, somebody decided that it is not this
    party's fault. finding: of one that counts.
    """

    stream: str
    consignment: str | None
    step: Step
    since: datetime
    due_at: datetime
    status: Status
    finding: str | None
    costs_from: datetime | None
    place: Place


def closed_on(gap: Gap) -> str:
    """Returns the code on which the event that closes a gap is told: a listing stands with the product."""
    return parse_code(gap.stream).product_stream if gap.step == "listing" else gap.stream


class Owed:
    """Lists and counts what a party still has to record."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def gaps(self, principal: Principal, *, after: Place | None, limit: int) -> list[Gap]:
        """Returns the party's missing steps, the oldest date first, behind `after`."""
        principal.check_may("event.send")
        party, now_ms = principal.own_party(), to_ms(self._clock.now())
        with self._database.read() as connection:
            rows = owedstore.missing_steps(
                connection, party, now_ms=now_ms, after=after, limit=limit
            )
            names = store.names_of(connection, [row.stream for row in rows])
            ids = [_finding_of(row, names[row.stream]) for row in rows if row.stream in names]
            findings = {row.id: row for row in store.find_findings(connection, ids)}
            costs = _costs(connection, party, findings.values())
        return [
            _gap(row, names[row.stream], findings, costs, party, now_ms)
            for row in rows
            if row.stream in names
        ]

    def count(self, principal: Principal) -> int:
        """Returns how many steps the party still has to record, at most MOST_COUNTED."""
        principal.check_may("event.send")
        party, now_ms = principal.own_party(), to_ms(self._clock.now())
        with self._database.read() as connection:
            return owedstore.count_missing(connection, party, now_ms=now_ms, most=MOST_COUNTED)


def _finding_of(row: Any, stream: str) -> str:
    return missing_id(stream, row.subject, row.step, row.since_at)


def _costs(connection: Connection, party: str, findings: Iterable[Any]) -> dict[str, Any]:
    """Returns the entries that the findings announce, by finding."""
    ids: dict[str, str] = {}
    for row in findings:
        rule = consequence_of(row.kind).rule
        if rule is not None:
            ids[entry_id(party=party, rule=rule, key=charge_key(row))] = row.id
    return {ids[row.id]: row for row in credit_store.find_entries(connection, list(ids))}


def _gap(
    row: Any,
    stream: str,
    findings: Mapping[str, Any],
    costs: Mapping[str, Any],
    party: str,
    now_ms: int,
) -> Gap:
    finding = findings.get(_finding_of(row, stream))
    entry = None if finding is None else costs.get(finding.id)
    status: Status = "open" if row.due_at <= now_ms else "grace"
    if finding is not None and (finding.status != OPEN or answers_for(finding) != party):
        status = "settled"
    elif entry is not None and entry.effective_at <= now_ms:
        status = "charged"
    return Gap(
        stream=stream,
        consignment=row.subject.removeprefix("consignment/") or None,
        step=row.step,
        since=from_ms(row.since_at),
        due_at=from_ms(row.due_at),
        status=status,
        finding=None if finding is None else finding.id,
        costs_from=None if entry is None else from_ms(entry.effective_at),
        place=place_of(row),
    )
