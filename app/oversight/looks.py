"""Looking at a code: its story, verified now, and what was found about it before.

What a look finds broken becomes a finding at once: nobody has to wait for the audit to come round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import Connection

from app.db.engine import Database
from app.db.hot import ask_ahead
from app.kit.clock import Clock
from app.ledger.store import StoredRecord, load_heads
from app.oversight.answering import ask_settling, settle
from app.oversight.findings import Findings
from app.oversight.reporting import Reporting
from app.oversight.store import open_findings
from app.parties.rules import measures_at
from app.trace.code import Code
from app.trace.gaps import Pending
from app.trace.sides import seller_of
from app.trace.story import Stories, Story, Verdict, Verification
from app.trace.story_part import NEWEST, Part

_DECISIONS = frozenset({"customs_release", "customs_hold"})
_BARRING = frozenset({"suspend", "delist"})
_HIDING = ("integrity.record_missing", "integrity.index_mismatch")


@dataclass(frozen=True, slots=True)
class Look:
    """A code as it stands now. findings: open ones on its own stream and those above it.

    owed: what is missing or still to come, with the party that answers for it.
    reported: the report of what is broken, None where nothing is. customs: what customs decided last of the
    goods, None before the first.
    """

    story: Story
    verification: Verification
    owed: tuple[Pending, ...]
    warnings: tuple[str, ...]
    findings: tuple[Any, ...]
    reported: Future[None] | None
    customs: StoredRecord | None

    def readable(self) -> Iterator[StoredRecord]:
        """Yields the records of the story whose bytes are what they were."""
        return _readable(self.story, self.verification)

    @property
    def is_by_log(self) -> bool:
        """Whether it is broken only because the log is not the one that was signed."""
        own = self.verification.problems
        return bool(own) and all(p.stream is None for p in own) and not self._is_told_elsewhere

    @property
    def _is_told_elsewhere(self) -> bool:
        return self._is_hiding_above or self._is_broken_beyond

    @property
    def _is_broken_beyond(self) -> bool:
        own = self.story.code.stream
        return self.story.part is not None and any(
            f.stream_name == own and f.kind.startswith("integrity.") for f in self.findings
        )

    @property
    def _is_hiding_above(self) -> bool:
        own = self.story.code.stream
        return any(f.stream_name != own and f.kind in _HIDING for f in self.findings)

    @property
    def verdict(self) -> Verdict:
        """The verification's; broken too while something above may hide a record of the story.

        The own stream was checked whole just now. Of a product or lot above only the records that the
        story needs were: one that was lost, or hidden by a changed column, only the audit sees. Where
        a story is a part of a long chain, what the audit met in the rest of it breaks it too.
        """
        return "broken" if self._is_told_elsewhere else self.verification.verdict


class Looks:
    """Looks at codes; writes a finding where one is due."""

    def __init__(
        self, database: Database, stories: Stories, findings: Findings, *, clock: Clock
    ) -> None:
        self._database = database
        self._stories = stories
        self._findings = findings
        self._clock = clock
        self._reporting = Reporting(findings)

    def look(self, code: Code, part: Part = NEWEST) -> Look:
        """Returns the code's story and verification, and reports what is broken. Raises CodeUnknown.

        Waits for the report a moment only: nobody's look depends on who is writing. part: of a product
        or lot.
        """
        look = self.glance(code, part)
        if look.reported is None:
            return look
        self._reporting.wait(look.reported)
        streams = {code.stream, *look.story.shelves}
        return replace(look, findings=tuple(self._findings.on_streams(streams)))

    def glance(self, code: Code, part: Part = NEWEST) -> Look:
        """Returns what `look` does, waiting for nothing: `reported` is the report on its way."""
        now = self._clock.now()
        with self._database.read() as connection:
            if code.level == "unit":
                ask_ahead(connection, partial(self._ask, connection, code))
            story = self._stories.read(connection, code, part)
            verification = self._stories.verify(connection, story, now)
            told = verification.state, verification.pending
            ask_ahead(connection, lambda: ask_settling(connection, *told))
            measured = self._measured(connection, verification)
            owed = settle(
                connection,
                code.stream,
                verification.state,
                verification.pending,
                read=story.own,  # a life is a unit's, of which all records are read
            )
            streams = {code.stream, *story.shelves}
            findings: Sequence[Any] = open_findings(connection, streams)
        reported = None
        if verification.problems:
            reported = self._reporting.report(code.stream, verification.problems)
        warnings = list(verification.warnings)
        decided = _decided(_readable(story, verification))
        if decided is not None and decided.fields["type"] == "customs_hold":
            warnings.append("customs_hold")
        if measured & _BARRING:
            warnings.append("under_measure")
        if "warn" in measured:
            warnings.append("seller_warned")
        if any(f.kind.startswith("identity.") and f.stream_name == code.stream for f in findings):
            warnings.append("clone_suspected")
        shown = tuple(dict.fromkeys(warnings))
        return Look(story, verification, owed, shown, tuple(findings), reported, decided)

    def _ask(self, connection: Connection, code: Code) -> None:
        """Asks what a look at a unit asks whatever it finds: for `ask_ahead`."""
        self._stories.ask(connection, code)
        open_findings(connection, {code.stream, Code(code.gtin).stream})

    def close(self) -> None:
        """Ends the reporting, after what was found is written."""
        self._reporting.close()

    def _measured(self, connection: Connection, verification: Verification) -> frozenset[str]:
        """Returns the kinds of measure in force on who sells the goods."""
        state = verification.state
        if not state:
            return frozenset()
        stream = f"party/{seller_of(state)}"
        head = load_heads(connection, [stream])[stream]
        return measures_at(head.state, self._clock.now())


def _readable(story: Story, verification: Verification) -> Iterator[StoredRecord]:
    broken = {(p.stream, p.seq) for p in verification.problems}
    return (one for one in story.records if (one.stream, one.seq) not in broken)


def _decided(records: Iterator[StoredRecord]) -> StoredRecord | None:
    decided = None
    for record in records:
        if record.fields["type"] in _DECISIONS:
            decided = record
    return decided
