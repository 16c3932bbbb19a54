"""What consumers send in place of a key: the proof of a purchase, or of a complaint, as a header."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header

from app.kit.errors import Unauthenticated
from app.trace.requests import ConsumerProof

ClaimHeader = Annotated[str | None, Header(alias="Suxin-Claim", max_length=64)]
InnerHeader = Annotated[str | None, Header(alias="Suxin-Inner", max_length=64)]
QueryHeader = Annotated[str | None, Header(alias="Suxin-Ticket", max_length=64)]


def read_proof(claim: str | None, inner: str | None, query: str | None) -> ConsumerProof:
    """Returns the proof that the headers hold; of several the first. Raises Unauthenticated for none."""
    if claim is None and inner is None and query is None:
        raise Unauthenticated("key_or_proof_required")
    if claim is not None:
        return ConsumerProof(token=claim)
    return ConsumerProof(inner=inner) if inner is not None else ConsumerProof(query=query)
