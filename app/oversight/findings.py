"""Findings: what audits and deadlines found, once each, and what follows for credit.

Integrity: a provisional hold on the party whose goods they are, until a regulator says whose fault it
is. Continuity: notice at once, an entry that takes effect after the notice; healed in time it
becomes the smaller entry for being late. Attributed to the other side of the sale, the charge moves
there, with notice of its own. Findings on the log itself charge nobody.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid5

import orjson
import structlog
from sqlalchemy import Connection

from app.credit.service import Credit, NewEntry
from app.db.engine import Database
from app.kit.clock import Clock, format_time, from_ms, to_ms
from app.kit.errors import Conflict, Fault, FieldFault, NotFound, invalid
from app.ledger import store as ledger_store
from app.ledger.places import tell_places
from app.ledger.record import record_hash, stream_key
from app.ledger.verifier import Problem
from app.oversight import store
from app.oversight.answering import Answering, find_answering
from app.parties.identity import is_party_id
from app.parties.store import find_party
from app.trace import store as trace_store

log = structlog.get_logger(__name__)

AttributedTo = Literal["merchant", "carrier", "operator", "none"]
ATTRIBUTIONS: tuple[AttributedTo, ...] = ("merchant", "carrier", "operator", "none")

_NAMESPACE = UUID("b7d5a0c4-54c2-5cf4-a0f3-6a5d3e2b7f03")
_OPEN, _CLOSED = "open", "closed"
# What tells findings on the log apart that have no leaf.
_PLACES_IN_LOG = ("tile", "stream", "key", "page")
_LOG = "log"
_INTEGRITY_RULE = "integrity_attributed_merchant"
_UNCURED_RULE = "continuity_uncured"
_LATE_RULE = "late_event"
_ANSWERING = frozenset({"registration", "sale"})
# Only the whole tree can say that a stream re-hashed together with its leaves is sound again.
_TREE_KINDS = ("integrity.leaf_mismatch",)


class FindingUnknown(NotFound):
    """No such finding, or not yours to see."""


class AlreadyAttributed(Conflict):
    """The finding was attributed before, to somebody else."""


class Findings:
    """Keeps findings. Calls credit; whoever calls this owns no transaction."""

    def __init__(self, database: Database, credit: Credit, *, clock: Clock) -> None:
        self._database = database
        self._credit = credit
        self._clock = clock

    def report(self, problems: Iterable[Problem]) -> Sequence[str]:
        """Returns the ids of the findings for these problems; each is written and held once."""
        return [self._report(problem) for problem in problems]

    def close_restored(self, streams: Iterable[str], *, still: Iterable[str]) -> None:
        """Closes findings of the audit on streams that were re-read and are sound, but `still` open ones."""
        kept = set(still)
        with self._database.read() as connection:
            rows = store.open_findings(connection, streams)
        for row in rows:
            reread = row.kind.startswith(("integrity.", "index."))
            if reread and row.id not in kept and row.kind not in _TREE_KINDS:
                # In this order: a hold of a closed finding would be met by nobody again.
                self._credit.lift(row.id, reason="restored")
                self._close(row, reason="restored")

    def leaf_findings(self) -> Sequence[Any]:
        """Returns the open findings that only a check of the whole tree may close. Read-only."""
        with self._database.read() as connection:
            rows = store.all_open_integrity(connection)
        return [r for r in rows if r.stream_name == _LOG or r.kind in _TREE_KINDS]

    def close_log_restored(self, *, still: Iterable[str]) -> None:
        """Closes the `leaf_findings` that a whole check of tree and streams did not meet again."""
        kept = set(still)
        for row in self.leaf_findings():
            if row.id not in kept:
                self._credit.lift(row.id, reason="restored")
                self._close(row, reason="restored")

    def raise_missing(self, due: Any, stream: str) -> bool:
        """Raises a step that is overdue; returns False where it must wait.

        No continuity finding is raised on a stream with an open integrity finding: what is missing
        there may be what was taken.
        """
        now = self._clock.now()
        with self._database.read() as connection:
            if store.open_findings(connection, [stream], kind="integrity."):
                return False
            if not store.is_due(connection, due):
                return True
        finding = _missing_id(stream, due.subject, due.step, due.since_at)
        with self._database.write() as connection:
            # Asked again where nothing can come between: a finding opened after its step arrived
            # would be closed by nobody.
            if not store.is_due(connection, due):
                return True
            state = trace_store.load_life(connection, stream, due.subject)
            answering = find_answering(connection, stream, state, due.step)
            known = store.find_finding(connection, finding)
            # Decided once, what is told later moves the blame to nobody; unless it was on a stranger.
            if known is None or find_party(connection, known.party) is None:
                known = None
                row = _missing_row(finding, due, stream, answering, now)
                store.save_finding(connection, row)
        party = answering.party if known is None else answers_for(known)
        if party is not None:
            evidence = {"finding": finding, "step": due.step}
            self._credit.post(NewEntry(party, _UNCURED_RULE, finding, evidence, now, notice=True))
        return True

    def heal(self, stream: str, subject: str, steps: Iterable[str], *, late: bool = True) -> None:
        """Closes the findings on steps that came after all; late is charged less than missing.

        late False: they are not owed any more, since a return ended the sale.
        """
        with self._database.read() as connection:
            rows = [
                row
                for row in store.open_findings(connection, [stream], kind="continuity.")
                if row.subject == subject and row.kind.removeprefix("continuity.missing_") in steps
            ]
        for row in rows:
            reason = "healed" if late else "ended"
            self._close(row, reason=reason)
            party = answers_for(row)
            if party is None:
                continue
            cancelled = self._credit.cancel(
                party=party, rule=_UNCURED_RULE, key=row.id, reason=reason
            )
            if cancelled and late:
                evidence = {"finding": row.id, "step": row.kind.split("_")[-1]}
                self._credit.post(NewEntry(party, _LATE_RULE, row.id, evidence, self._clock.now()))

    def attribute(self, finding: str, to: str, reason: str, *, by: str) -> Any:
        """Returns the finding, attributed by the regulator `by`. Raises FindingUnknown, AlreadyAttributed."""
        if to not in ATTRIBUTIONS:
            params = {"expected": ", ".join(ATTRIBUTIONS), "got": to[:40]}
            raise invalid(FieldFault(("to",), "enum", params))
        row = self.get(finding)
        if row.attributed_to not in (None, to):
            raise AlreadyAttributed("already_attributed", to=row.attributed_to)
        party = _side(row, to)
        for told in {row.party, party} - {None} if row.attributed_to is None else ():
            self._credit.record_attribution(told, finding=finding, to=to, reason=reason, by=by)
        with self._database.write() as connection:
            store.update_finding(connection, finding, attributed_to=to, reason=reason)
        if row.kind.startswith("continuity.") and row.party is not None:
            self._move_gap(row, party, reason=f"attributed to {to}")
        if row.kind.startswith("integrity.") and row.party is not None:
            if to == "merchant":
                evidence = {"finding": finding, "kind": row.kind}
                self._credit.post(
                    NewEntry(
                        row.party,
                        _INTEGRITY_RULE,
                        finding,
                        evidence,
                        self._clock.now(),
                        notice=True,
                    )
                )
            else:
                self._credit.lift(finding, reason=f"attributed to {to}")
        return self.get(finding)

    def _move_gap(self, row: Any, party: str | None, *, reason: str) -> None:
        """Charges `party` with what was charged for a gap, with notice, and nobody else."""
        if party == row.party:
            return
        evidence = {"finding": row.id, "step": row.kind.split("_")[-1]}
        for rule in (_UNCURED_RULE, _LATE_RULE):
            if not self._credit.stands(party=row.party, rule=rule, key=row.id):
                continue
            # In this order: asked again after a stop, what was annulled already would move nowhere.
            if party is not None:
                now = self._clock.now()
                self._credit.post(NewEntry(party, rule, row.id, evidence, now, notice=True))
            self._credit.annul(party=row.party, rule=rule, key=row.id, reason=reason)
        if party is not None:
            with self._database.write() as connection:
                store.update_finding(connection, row.id, party=party)

    def get(self, finding: str) -> Any:
        """Returns a finding. Raises FindingUnknown. Read-only."""
        with self._database.read() as connection:
            row = store.find_finding(connection, finding)
        if row is None:
            raise FindingUnknown("finding_unknown", id=finding[:80])
        return row

    def list(
        self,
        *,
        kind: str | None,
        party: str | None,
        status: str | None,
        after: tuple[int, str] | None,
        limit: int,
    ) -> Sequence[Any]:
        """Returns findings, newest first, behind `after` = (opened_at, id). Read-only."""
        with self._database.read() as connection:
            return store.list_findings(
                connection, kind=kind, party=party, status=status, after=after, limit=limit
            )

    def on_streams(self, streams: Iterable[str]) -> Sequence[Any]:
        """Returns the open findings on these streams. Read-only."""
        with self._database.read() as connection:
            return store.open_findings(connection, streams)

    def _report(self, problem: Problem) -> str:
        finding = finding_id(problem)
        now_ms = to_ms(self._clock.now())
        with self._database.read() as connection:
            (problem,) = tell_places(connection, [problem])  # its id is of the position
            known = store.find_finding(connection, finding)
            party, gtin = (None, None) if problem.stream is None else _answers(
                connection, problem.stream
            )  # fmt: skip
        if known is None or known.status != _OPEN:
            log.error(
                "finding.opened", kind=problem.kind, stream=problem.stream or _LOG, seq=problem.seq
            )
            evidence: dict[str, Any] = dict(problem.evidence)
            if problem.leaf_index is not None:
                evidence["leaf_index"] = problem.leaf_index
            row = {
                "id": finding,
                "kind": problem.kind,
                "stream": None if problem.stream is None else _key_of(problem.stream),
                "stream_name": problem.stream or _LOG,
                "subject": "",
                "seq": problem.seq,
                "party": party,
                "gtin": gtin,
                "status": _OPEN,
                "evidence": _dump(evidence),
                "opened_at": now_ms if known is None else known.opened_at,
                "closed_at": None,
                "attributed_to": None if known is None else known.attributed_to,
                "reason": None,
            }
            with self._database.write() as connection:
                store.save_finding(connection, row)
        if party is not None and problem.kind.startswith("integrity."):
            acquitted = known is not None and known.attributed_to not in (None, "merchant")
            again = known is not None and known.status != _OPEN and not acquitted
            try:
                self._credit.hold(party, finding, again=again)
            except Fault as fault:
                # The finding stands without its hold; the next audit tries again.
                log.warning("finding.hold_failed", finding=finding, fault=str(fault))
        return finding

    def _close(self, row: Any, *, reason: str) -> None:
        with self._database.write() as connection:
            store.update_finding(
                connection,
                row.id,
                status=_CLOSED,
                closed_at=to_ms(self._clock.now()),
                reason=reason,
            )


def finding_id(problem: Problem) -> str:
    """Returns the id of the finding for a problem: one a kind and place, however often it is met."""
    told = (problem.evidence[name] for name in _PLACES_IN_LOG if name in problem.evidence)
    place = problem.stream or " ".join(
        (_LOG, str(next(told, problem.leaf_index)), problem.evidence.get("log", ""))
    )
    return str(uuid5(_NAMESPACE, f"{problem.kind} {place} {problem.seq}"))


def _missing_id(stream: str, subject: str, step: str, since_ms: int) -> str:
    return str(uuid5(_NAMESPACE, f"missing {stream} {subject} {step} {since_ms}"))


def answers_for(row: Any) -> str | None:
    """Returns who answers for a finding, None where it was attributed to nobody that trades here."""
    party: str | None = row.party if row.attributed_to is None else _side(row, row.attributed_to)
    return party


def concerned_by(row: Any) -> frozenset[str]:
    """Returns the parties whose finding it is: who answers, and of a missing step both sides."""
    return frozenset(p for p in (row.party, _side(row, "merchant"), _side(row, "carrier")) if p)


def _side(row: Any, role: str) -> str | None:
    """Returns the party in this role (`merchant`, `carrier`) that a missing step's evidence names."""
    if not row.kind.startswith("continuity."):
        return None
    told = json.loads(row.evidence).get({"merchant": "seller"}.get(role, role))
    return told if isinstance(told, str) and is_party_id(told) else None


def _missing_row(
    finding: str, due: Any, stream: str, answering: Answering, now: datetime
) -> dict[str, Any]:
    evidence = {
        "step": due.step,
        "kind": due.kind,
        "since": format_time(from_ms(due.since_at)),
        "due_at": format_time(from_ms(due.due_at)),
        "seller": answering.seller,
    }
    if answering.carrier is not None:
        evidence["carrier"] = answering.carrier
    return {
        "id": finding,
        "kind": f"continuity.missing_{due.step}",
        "stream": due.stream,
        "stream_name": stream,
        "subject": due.subject,
        "seq": None,
        "party": answering.party,
        "gtin": _gtin_of(stream),
        "status": _OPEN,
        "evidence": _dump(evidence),
        "opened_at": to_ms(now),
        "closed_at": None,
        "attributed_to": None,
        "reason": None,
    }


def _answers(connection: Connection, stream: str) -> tuple[str | None, str | None]:
    """Returns (party, gtin) that a stream belongs to: the seller's goods, the registrant's product.

    Told by records that are what the log says, never by the state beside them: who can alter that
    could otherwise charge whom he likes.
    """
    if stream.startswith("#"):
        return None, None
    if stream.startswith("party/"):
        return stream.removeprefix("party/"), None
    party = None
    for record in ledger_store.load_some(connection, stream, types=_ANSWERING):
        if record_hash(record.body) != (record.entry or record.hash):
            continue
        fields = record.fields
        # The last seller; before any sale the one who issued or registered.
        told = fields["actor"] if fields["type"] == "sale" else fields["data"].get("issuer")
        party = told if isinstance(told, str) and is_party_id(told) else party
    return party, _gtin_of(stream)


def _gtin_of(stream: str) -> str | None:
    parts = stream.split("/")
    return parts[1] if parts[0] == "01" and len(parts) > 1 else None


def _key_of(stream: str) -> int:
    return int(stream[1:]) if stream.startswith("#") else stream_key(stream)


def _dump(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def as_json(row: Any) -> dict[str, Any]:
    """Returns a finding as the API shows it, times as datetimes."""
    shown: dict[str, Any] = {
        "id": row.id,
        "kind": row.kind,
        "stream": row.stream_name,
        "status": row.status,
        "evidence": json.loads(row.evidence),
        "opened_at": from_ms(row.opened_at),
    }
    for name in ("seq", "party", "gtin", "attributed_to", "reason"):
        if getattr(row, name) is not None:
            shown[name] = getattr(row, name)
    if row.closed_at is not None:
        shown["closed_at"] = from_ms(row.closed_at)
    return shown
