"""Opening what was said with the steps of entries and matters, for those whom it is addressed to.

A party reads its whole file: what it said, and what was answered. An authority reads what it said itself.
What others sealed it opens for a purpose, and each look is written down before a word is handed out. While
something waits for its decision, what the party said is addressed to it: then the decision is the purpose,
and nobody is asked for one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import Connection

from app.credit.matters import QUESTIONED
from app.credit.policy import Status
from app.db.engine import Database
from app.kit.clock import Clock
from app.ledger import sealstore
from app.ledger.record import stream_key
from app.ledger.vault import Vault
from app.parties.identity import SYSTEM
from app.parties.looking import read_purpose, write_looks
from app.parties.principal import Principal

Wish = Literal["objection", "repair", "removal", "question"]
"""What waits for a decision."""

WISH_OF: Final[Mapping[str, Wish]] = {
    str(Status.OBJECTED): "objection",
    str(Status.REPAIR_ASKED): "repair",
    "removal_asked": "removal",
    QUESTIONED: "question",
}
"""By the status in which it waits."""

TEXT: Final = "text"


class Said(NamedTuple):
    """text: None where nothing was said, or it is erased, altered, or not opened; closed: not opened."""

    text: str | None = None
    closed: bool = False


NOTHING: Final = Said()


@dataclass(frozen=True, slots=True)
class Reading:
    """One reader's way to the words of steps. viewer None: the public, to whom no step says anything.

    purpose: for which an authority opens what others sealed; None: it does not.
    """

    vault: Vault
    viewer: Principal | None
    purpose: str | None
    looked_at: list[tuple[int, int, str, str]] = field(default_factory=list)

    def of(
        self,
        connection: Connection,
        step: Any,
        *,
        section: str = TEXT,
        purpose: str | None = None,
    ) -> Said:
        """Returns what was said with a step, as its record holds it sealed; the service says nothing.

        purpose: of this step alone, where it is not the whole reading's.
        One that was erased, or was altered and the audit says so, is None: a dossier does not fail for it.
        """
        if self.viewer is None or step.actor == SYSTEM:
            return NOTHING
        stream = f"party/{step.party}"
        place = (stream, step.record_id, section)
        if self.viewer.party not in (step.party, step.actor):
            row = sealstore.sealed_sections(connection, stream, step.record_id).get(section)
            if row is None or row.sealed is None:
                return NOTHING
            why = purpose or self.purpose
            if why is None:
                return Said(closed=True)
            self.looked_at.append((stream_key(stream), step.seq, section, why))
        return Said(sealstore.open_words(connection, self.vault, place))


def closed_to(connection: Connection, viewer: Principal, steps: Sequence[Any]) -> list[bool]:
    """Returns of each step whether its words are kept, and are another's. Read-only: one query."""

    def place(step: Any) -> tuple[str, str]:
        return f"party/{step.party}", step.record_id

    anothers = {
        place(step) for step in steps
        if step.actor != SYSTEM and viewer.party not in (step.party, step.actor)
    }  # fmt: skip
    kept = sealstore.sections_of_each(connection, anothers) if anothers else {}

    def is_closed(step: Any) -> bool:
        section = kept.get(place(step), {}).get(TEXT) if place(step) in anothers else None
        return section is not None and section.sealed is not None

    return [is_closed(step) for step in steps]


class Words:
    """Opens the words of steps. Writes `access_log`."""

    def __init__(self, database: Database, *, clock: Clock, vault: Vault) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault

    @contextmanager
    def reading(self, viewer: Principal | None, purpose: str | None = None) -> Iterator[Reading]:
        """Yields a reading; what it looked at is written down as it ends, before it is handed out.

        purpose: as it was stated, None for none. Raises Invalid, kind `length`.
        """
        told = None if purpose is None else read_purpose(purpose, loc=("query", "purpose"))
        reading = Reading(self._vault, viewer, told)
        yield reading
        if viewer is not None:
            write_looks(self._database, viewer, reading.looked_at, clock=self._clock)


def purpose_of(status: str, id: str, *, stated: str | None = None) -> str | None:
    """Returns for what a decider opens the words of an entry or matter: as stated, else to decide it.

    None where nothing was stated and nothing waits: whoever reads on in what is over says why.
    """
    wish = WISH_OF.get(status)
    return stated if stated is not None or wish is None else deciding(wish, id)


def deciding(wish: Wish, id: str) -> str:
    """Returns how the log of purposes says that somebody has to decide this."""
    return f"decide {wish} {id}"
