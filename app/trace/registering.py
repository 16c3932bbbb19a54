"""The submission by which a product or a lot is registered, one or many at a time."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from app.kit.canonical import canonical_bytes
from app.ledger.record import Claim, seal_commitment
from app.ledger.repeat import IdConflict
from app.ledger.submission import Draft, Read, Seal, Submission, View
from app.ledger.vault import SALT_BYTES
from app.parties.roles import MERCHANT
from app.trace.code import Code
from app.trace.requests import SealedInput

_NAMESPACE = UUID("6f1f2a7e-3c55-5b0e-9d0a-7f0c9b0f5a01")


class ProductDiffers(IdConflict):
    """The same party registered this product with other facts."""

    words: Mapping[str, str] = {"fields": "products.fact"}


def registration_id(stream: str) -> str:
    """Returns the record id of a product's or lot's registration."""
    return str(uuid5(_NAMESPACE, stream))


def registration(
    code: Code,
    data: Mapping[str, Any],
    decide: Callable[[Claim, View], Draft],
    party: str,
    sealed: Mapping[str, SealedInput],
    *,
    now: datetime,
    what: str = "registration",
    source: str = MERCHANT,
    actor: str | None = None,
) -> Submission:
    """Returns a registration, or what the brand owner asks for or is told, ready for the recorder."""
    seals = tuple(
        Seal(name, secrets.token_bytes(SALT_BYTES), canonical_bytes(given.content))
        for name, given in sealed.items()
    )
    record_id = registration_id(code.stream)
    if what != "registration":
        record_id = str(uuid5(_NAMESPACE, f"{code.stream} {what} {party}"))
    claim = Claim(
        stream=code.stream,
        id=record_id,
        type=what if what == "registration" else f"brand_{what}",
        actor=actor or party,
        occurred_at=now,
        data=data,
        sealed={s.name: seal_commitment(s.name, salt=s.salt, content=s.content) for s in seals},
    )
    reads = (Read(f"party/{party}"), Read(Code(code.gtin).stream))
    # What a seller says of its goods is the seller's word, and is shown as such.
    return Submission(claim, source, decide, seals=seals, reads=reads, time_given=False)
