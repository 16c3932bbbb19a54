"""Messages: what is said on in the matter of a complaint, by who made it and by who answers for the goods."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.errors import FieldFault, invalid
from app.ledger import sealstore, store
from app.ledger.record import Claim
from app.trace.life_table import LifecycleConflict
from app.trace.naming import OfUnknown, find_fields
from app.trace.proof import ProofInvalid, Proofs
from app.trace.requests import ConsumerProof

IN_MATTER = frozenset({"message", "referral"})
"""Types of records that go on with a complaint, which they name."""


def check_message(
    database: Database, proofs: Proofs, claim: Claim, proof: ConsumerProof | None
) -> None:
    """Raises ProofInvalid, OfUnknown or Invalid unless this goes on with a complaint of the sender's.

    Asked ahead of the transaction: a record never changes. Read-only.
    """
    of = str(claim.data["of"])
    if proof is None or proof.query is None:
        raise ProofInvalid("query_code")
    proofs.check_query(proof.query, stream=claim.stream, record_id=of)
    check_matter(database, claim)
    if not (claim.sealed or {"rating", "settled"} & claim.data.keys()):
        raise invalid(FieldFault(("sealed", "detail"), "missing", sentence="message_empty"))


def guard_message(database: Database, claim: Claim) -> Callable[[Connection], None] | None:
    """Returns what refuses a consumer's message whose complaint is erased meanwhile; None for a repeat.

    What was erased takes no more of its author, who wished it gone; seller and platform still answer.
    Raises LifecycleConflict where it is erased already. Read-only.
    """

    def check_kept(connection: Connection) -> None:
        sections = sealstore.sealed_sections(connection, claim.stream, str(claim.data["of"]))
        if any(section.erased_at is not None for section in sections.values()):
            raise LifecycleConflict("complaint_erased")

    with database.read() as connection:
        if store.find_by_id(connection, [(claim.stream, claim.id)]):
            return None  # the recorder would ask the guard of a repeat too
        check_kept(connection)
    return check_kept


def check_own_message(database: Database, claim: Claim) -> None:
    """Raises OfUnknown or Invalid unless a seller or platform goes on with a complaint in words.

    What it was worth, and whether it is settled, says who complained alone. Read-only.
    """
    check_matter(database, claim)
    for name in ("rating", "settled"):
        if name in claim.data:
            raise invalid(FieldFault(("data", name), "unknown_field", {"name": name}))
    if not claim.sealed:
        raise invalid(FieldFault(("sealed", "detail"), "missing", {"name": "detail"}))


def check_matter(database: Database, claim: Claim) -> None:
    """Raises OfUnknown unless a record names a complaint about the same goods. Read-only."""
    of = str(claim.data["of"])
    with database.read() as connection:
        about = find_fields(connection, claim.stream, of)
    if about is None or about["type"] != "complaint":
        raise OfUnknown("of_unknown", of=of)
    if about["data"].get("consignment") != claim.data.get("consignment"):
        raise OfUnknown("of_unknown", of=of)
