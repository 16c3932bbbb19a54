"""A consumer's complaint with what was said on in it, sealed in the vault, and its erasure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.kit.canonical import canonical_bytes
from app.ledger import sealstore, store
from app.ledger.submission import Recorded, Seal
from app.rooms import WRITERS
from app.trace.identifiers import parse_code
from app.trace.proof import Proofs
from app.trace.requests import ConsumerProof
from app.trace.texts import Texts
from tests.faults.life import Life
from tests.ledger.ledgers import UNIT, Ledger, new_id, submission

PROOFS = Proofs(claim_key=bytes(32), inner_key=bytes(32))
SECTIONS = ("contact", "detail")


def with_writers(ledger: Ledger) -> Ledger:
    """Returns the ledger, whose records write the rows of every room from now on."""
    ledger.writers = WRITERS
    ledger.reopen()
    return ledger


@dataclass(frozen=True)
class Matter:
    """A complaint of two sealed sections and a message of one. kept: what the vault stores of them."""

    complaint: str
    message: str
    kept: frozenset[bytes]

    @staticmethod
    def begin(life: Life) -> Matter:
        """Records one on UNIT."""
        complaint, message = new_id(), new_id()
        life.ask(
            submission(
                UNIT, id=complaint, type="complaint", source="consumer",
                seals=tuple(_words(name) for name in SECTIONS),
            ),
            submission(
                UNIT, id=message, type="message", source="consumer", data={"of": complaint},
                seals=(_words("text"),),
            ),
        )  # fmt: skip
        rows = _stored(life.ledger, complaint) | _stored(life.ledger, message)
        kept = {part for row in rows.values() for part in (row.sealed, row.wrapped_key)}
        assert len(kept) == 6
        return Matter(complaint, message, frozenset(part for part in kept if part))

    def erase(self, ledger: Ledger) -> list[Recorded]:
        """Erases it as its author does, with the query code of the ticket."""
        texts = Texts(
            ledger.database, ledger.recorder, clock=ledger.clock, proofs=PROOFS, vault=ledger.vault
        )
        proof = ConsumerProof(query=PROOFS.query_code(UNIT, self.complaint))
        return texts.erase(parse_code(UNIT), self.complaint, proof)

    def is_erased(self, ledger: Ledger) -> bool:
        """Whether it is gone, rows and record alike; fails for anything in between, and where it is there
        and does not open."""
        gone = set()
        for id_, names in ((self.complaint, SECTIONS), (self.message, ("text",))):
            rows = _stored(ledger, id_)
            assert rows.keys() == set(names)
            with ledger.database.read() as connection:
                told = store.load_some(connection, UNIT, types=["erasure"], limit=10_000)
                recorded = [one for one in told if one.fields["data"]["of"] == id_]
                for name, row in rows.items():
                    words = sealstore.open_words(connection, ledger.vault, (UNIT, id_, name))
                    parts = (row.sealed, row.wrapped_key, row.erased_at)
                    assert [part is None for part in parts] in (
                        [True, True, False],
                        [False, False, True],
                    )
                    assert words == (None if row.sealed is None else WORDS)
                    gone.add(row.sealed is None)
            assert len(recorded) <= 1, "erased twice"
            gone.add(bool(recorded))
        assert len(gone) == 1, "half of it is erased"
        return gone.pop()

    def is_on_disk(self, folder: Path) -> bool:
        """Whether SQLite's files still hold a byte string that the vault stored."""
        files = b"".join(path.read_bytes() for path in folder.glob("suxin.db*"))
        return any(part in files for part in self.kept)


WORDS = "the seal of the box was broken"


def _words(name: str) -> Seal:
    return Seal(name, b"s" * 32, canonical_bytes({"text": WORDS}))


def _stored(ledger: Ledger, id_: str) -> dict[str, sealstore.StoredSection]:
    with ledger.database.read() as connection:
        return sealstore.sealed_sections(connection, UNIT, id_)
