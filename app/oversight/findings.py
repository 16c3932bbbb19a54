"""Findings: what audits and deadlines found, once each, and what follows for credit.

Integrity: a provisional hold on the party whose goods they are, until a regulator says whose fault it
is. Continuity: notice at once, an entry that takes effect after the notice; healed in time it
becomes the smaller entry for being late. Attributed to the other side of the sale, the charge moves
there, with notice of its own. Findings on the log itself charge nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal

import structlog
from sqlalchemy import Connection

from app import outbox
from app.credit.service import Credit
from app.db.engine import Database
from app.kit.clock import Clock, to_ms
from app.kit.errors import Conflict, Fault, FieldFault, Invalid, NotFound, invalid, read_all
from app.ledger.places import tell_places
from app.ledger.verifier import Problem
from app.oversight import movestore, store
from app.oversight.answering import find_answering, is_carrier
from app.oversight.charging import Charges
from app.oversight.decisions import Decisions, check_undecided
from app.oversight.finding_rows import (
    CLOSED,
    DISMISSED,
    LIFE_CHECK,
    LOG,
    OPEN,
    answers_for,
    dump,
    finding_id,
    key_of,
    missing_id,
    missing_row,
    owner_of,
    side_of,
    with_evidence,
)
from app.oversight.lifelook import read_life
from app.parties.store import find_party
from app.trace import store as trace_store
from app.trace.custody import Holding, tell_custody

log = structlog.get_logger(__name__)

AttributedTo = Literal["merchant", "carrier", "operator", "none"]
MAX_REASON = 500
ATTRIBUTIONS: tuple[AttributedTo, ...] = ("merchant", "carrier", "operator", "none")

# Only the whole tree can say that a stream re-hashed together with its leaves is sound again.
_TREE_KINDS = ("integrity.leaf_mismatch",)


class FindingUnknown(NotFound):
    """No such finding, or not yours to see."""


class NobodyNamed(Conflict):
    """No party of that kind is known of these goods, so nobody could be charged."""

    slug = "nobody-named"


class NotDismissable(Conflict):
    """What the stored bytes contradict is no matter of opinion."""

    slug = "not-dismissable"


def leaf_findings(connection: Connection) -> list[Any]:
    """Returns the open findings that only a check of the whole tree may close. Read-only."""
    rows = store.all_open_integrity(connection)
    return [r for r in rows if r.stream_name == LOG or r.kind in _TREE_KINDS]


class Findings:
    """Keeps findings. Calls credit; whoever calls this owns no transaction."""

    def __init__(
        self, database: Database, credit: Credit, decisions: Decisions, *, clock: Clock
    ) -> None:
        self._database = database
        self._credit = credit
        self._decisions = decisions
        self._clock = clock
        self._charges = Charges(credit, clock=clock)

    def report(self, problems: Iterable[Problem]) -> Sequence[str]:
        """Returns the ids of the findings for these problems; each is written and held once."""
        return [self._report(problem) for problem in problems]

    def close_restored(
        self, streams: Iterable[str], *, before: Collection[str], still: Iterable[str]
    ) -> None:
        """Closes findings of the audit on streams that were re-read and are sound, but `still` open ones.

        before: those that were open in the snapshot that was read; of what was found since it says nothing.
        """
        kept = set(still)
        with self._database.read() as connection:
            rows = [row for row in store.open_findings(connection, streams) if row.id in before]
        for row in rows:
            reread = row.kind.startswith(("integrity.", "index."))
            if reread and row.id not in kept and row.kind not in _TREE_KINDS:
                # In this order: a hold of a closed finding would be met by nobody again.
                self._credit.lift(row.id, reason="restored")
                self._close(row, reason="restored")

    def close_log_restored(self, before: Iterable[Any], *, still: Iterable[str]) -> None:
        """Closes the `leaf_findings` that a whole check of tree and streams did not meet again.

        before: those of the snapshot that was checked; of what was found since it says nothing.
        """
        kept = set(still)
        for row in before:
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
        finding = missing_id(stream, due.subject, due.step, due.since_at)
        with self._database.write() as connection:
            # Asked again where nothing can come between: a finding opened after its step arrived
            # would be closed by nobody.
            if not store.is_due(connection, due):
                return True
            state = trace_store.load_life(connection, stream, due.subject)
            answering = find_answering(connection, stream, state, due.step, subject=due.subject)
            known = store.find_finding(connection, finding)
            # Decided once, what is told later moves the blame to nobody; unless it was on a stranger.
            if known is None or find_party(connection, known.party) is None:
                known = None
                row = missing_row(finding, due, stream, answering, now)
                movestore.save(connection, row, at=to_ms(now), why="due")
            known = store.find_finding(connection, finding)
            store.give_due(connection, due, known.party if known else answering.party)
        if (
            known is not None and known.status == OPEN
        ):  # what a regulator dismissed is charged to nobody
            self._charges.announce(known, answers_for(known))
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
            # In this order: a charge for a closed finding would be met by nobody again.
            self._charges.forgive(row, answers_for(row), late=late, reason=reason)
            self._close(row, reason=reason)

    def attribute(
        self,
        finding: str,
        to: str,
        reason: str,
        *,
        by: str,
        named: str | None = None,
        seen: int | None = None,
    ) -> Any:
        """Returns the finding, attributed by the regulator `by`.

        named: the carrier, where the records name none that is registered. seen: how many of its moves
        were known to who decides. Raises FindingUnknown, what `check_undecided` does, NobodyNamed where
        nobody could be charged, Invalid with all that is wrong at once.
        """
        row = self.get(finding)
        self._check_asked(row, to, reason, named)
        same = row.attributed_to == to and row.status != DISMISSED
        check_undecided("attribution", row, self.history(finding), reason, same=same, seen=seen)
        row = self._with_carrier(row, to, named)
        party = side_of(row, to)
        if row.attributed_to is None:
            self._decisions.record(
                "attribution",
                row,
                data={"to": to},
                values={"attributed_to": to, "reason": reason, "evidence": row.evidence},
                reason=reason,
                by=by,
                concerns=(row.party, party),
            )
        why = f"attributed to {to}"
        if row.kind.startswith("integrity."):
            if to == "merchant":
                self._charges.confirm(row, row.party, by=by)
            elif row.party is not None:
                self._credit.lift(finding, reason=why)
        elif to == "merchant":
            self._charges.confirm(row, party, by=by)
        if row.party is not None and party != row.party and not row.kind.startswith("integrity."):
            self._charges.move(row, from_party=row.party, to_party=party, reason=why)
            if party is not None:
                with self._database.write() as connection:
                    store.update_finding(connection, row.id, party=party)
        return self.get(finding)

    def dismiss(self, finding: str, reason: str, *, by: str, seen: int | None = None) -> Any:
        """Returns the finding, dismissed by the regulator `by`: no fault, and nothing charged remains.

        Raises FindingUnknown, NotDismissable for what the bytes themselves contradict, and what
        `check_undecided` does. seen: as in `attribute`.
        """
        check_reason(reason)
        row = self.get(finding)
        if row.kind.startswith(("integrity.", "log.", "index.")):
            raise NotDismissable("not_dismissable")
        same = row.status == DISMISSED
        check_undecided("dismissal", row, self.history(finding), reason, same=same, seen=seen)
        if row.status != DISMISSED:
            at = to_ms(self._clock.now())
            self._decisions.record(
                "dismissal",
                row,
                data={},
                values={"status": DISMISSED, "closed_at": at, "reason": reason},
                reason=reason,
                by=by,
                concerns=(row.party, side_of(row, "merchant"), answers_for(row)),
            )
        for party in {row.party, answers_for(row), side_of(row, "merchant")}:
            self._charges.annul(row, party, reason=DISMISSED)
        return self.get(finding)

    def _check_asked(self, row: Any, to: str, reason: str, named: str | None) -> None:
        """Raises Invalid with all that is wrong, also that a carrier must be named and is not."""
        try:
            read_all(
                lambda: _check_to(to),
                lambda: check_reason(reason),
                lambda: None if named is None else self._check_named(to, named),
            )
        except Invalid as wrong:
            try:
                self._with_carrier(row, to, named)
            except NobodyNamed as more:
                raise invalid(*wrong.errors, *more.errors) from None
            raise

    def _check_named(self, to: str, named: str) -> None:
        if to in ATTRIBUTIONS and to != "carrier":
            raise invalid(FieldFault(("party",), "unknown_field", sentence="only_of_carrier"))
        with self._database.read() as connection:
            if not is_carrier(connection, named):
                raise invalid(FieldFault(("party",), "no_carrier", {"got": named[:64]}))

    def _with_carrier(self, row: Any, to: str, named: str | None) -> Any:
        """Returns the finding with the carrier that is to be charged. Raises NobodyNamed."""
        if to != "carrier" or row.attributed_to is not None or row.stream is None:
            return row
        with self._database.read() as connection:
            carrier = named or side_of(row, "carrier")
            if carrier is None and row.kind.startswith("continuity."):
                # Its dispatch may have been corrected, or the carrier registered, since it was raised.
                state = trace_store.load_life(connection, row.stream_name, row.subject)
                if state:
                    told = find_answering(connection, row.stream_name, state, "signature")
                    carrier = told.carrier
        if carrier is None and not row.kind.startswith("integrity."):
            # Else the merchant's charge would be cancelled and the carrier never hear of it.
            missing = FieldFault(("party",), "missing", sentence="carrier_unnamed")
            raise NobodyNamed("nobody_named", errors=(missing,), to=to)
        return row if carrier is None else with_evidence(row, carrier=carrier)

    def history(self, finding: str) -> Sequence[Any]:
        """Returns the moves of a finding in order. Read-only."""
        with self._database.read() as connection:
            return movestore.history(connection, finding)

    def custody(self, row: Any) -> Sequence[Holding]:
        """Returns who held the goods of a finding one after the other, by the records. Read-only."""
        if row.stream is None or (
            "/21/" not in row.stream_name and not row.subject.startswith("c")
        ):
            return ()
        with self._database.read() as connection:
            return tell_custody(read_life(connection, row.stream_name, row.subject).records)

    def get(self, finding: str) -> Any:
        """Returns a finding. Raises FindingUnknown. Read-only."""
        with self._database.read() as connection:
            row = store.find_finding(connection, finding)
        if row is None:
            raise FindingUnknown("finding_unknown", id=finding[:80])
        return row

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
            party, gtin = (None, None) if problem.stream is None else owner_of(
                connection, problem.stream
            )  # fmt: skip
        if known is None or known.status != OPEN:
            log.error(
                "finding.opened", kind=problem.kind, stream=problem.stream or LOG, seq=problem.seq
            )
            evidence: dict[str, Any] = dict(problem.evidence)
            if problem.leaf_index is not None:
                evidence["leaf_index"] = problem.leaf_index
            row = {
                "id": finding,
                "kind": problem.kind,
                "stream": None if problem.stream is None else key_of(problem.stream),
                "stream_name": problem.stream or LOG,
                "subject": "",
                "seq": problem.seq,
                "party": party,
                "gtin": gtin,
                "status": OPEN,
                "evidence": dump(evidence),
                "opened_at": now_ms if known is None else known.opened_at,
                "closed_at": None,
                "attributed_to": None if known is None else known.attributed_to,
                "reason": None,
            }
            with self._database.write() as connection:
                movestore.save(connection, row, at=now_ms, why="found")
        if party is not None and problem.kind.startswith("integrity."):
            acquitted = known is not None and known.attributed_to not in (None, "merchant")
            again = known is not None and known.status != OPEN and not acquitted
            try:
                self._credit.hold(party, finding, again=again)
            except Fault as fault:
                # The finding stands without its hold; the next audit tries again.
                log.warning("finding.hold_failed", finding=finding, fault=str(fault))
        return finding

    def _close(self, row: Any, *, reason: str) -> None:
        now_ms = to_ms(self._clock.now())
        with self._database.write() as connection:
            movestore.change(
                connection,
                row.id,
                at=now_ms,
                why=reason,
                status=CLOSED,
                closed_at=now_ms,
                reason=reason,
            )
            if row.kind.startswith("integrity.") and row.stream_name != LOG:
                # What was not said of a broken stream is asked again now that it is sound.
                outbox.ask(
                    connection,
                    stream=row.stream,
                    topic=LIFE_CHECK,
                    at_ms=now_ms,
                    payload={"code": row.stream_name},
                )


def _check_to(to: str) -> None:
    if to not in ATTRIBUTIONS:
        params = {"expected": ", ".join(ATTRIBUTIONS), "got": to[:40]}
        raise invalid(FieldFault(("to",), "enum", params))


def check_reason(reason: str) -> None:
    """Raises Invalid for the reason of a decision that is missing or too long."""
    if not reason.strip():
        raise invalid(FieldFault(("reason",), "missing", {"name": "reason"}))
    if len(reason) > MAX_REASON:
        params = {"expected": f"1..{MAX_REASON}", "got": len(reason)}
        raise invalid(FieldFault(("reason",), "length", params))
