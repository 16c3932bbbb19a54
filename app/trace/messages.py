"""Messages: what who complained says on in the matter, proven by the query code of the complaint's ticket."""

from __future__ import annotations

from app.db.engine import Database
from app.kit.errors import FieldFault, invalid
from app.ledger.record import Claim
from app.trace.naming import OfUnknown, find_fields
from app.trace.proof import ProofInvalid, Proofs
from app.trace.requests import ConsumerProof


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
    with database.read() as connection:
        about = find_fields(connection, claim.stream, of)
    if about is None or about["type"] != "complaint":
        raise OfUnknown("of_unknown", of=of)
    if about["data"].get("consignment") != claim.data.get("consignment"):
        raise OfUnknown("of_unknown", of=of)
    if not (claim.sealed or {"rating", "settled"} & claim.data.keys()):
        raise invalid(FieldFault(("sealed", "detail"), "missing", {"name": "detail"}))
