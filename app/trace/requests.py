"""What is asked of the recording: an event before it is checked, and who sends it. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from app.ledger.record import Signed

ProofKind = Literal["platform", "carrier", "inner", "ticket"]


@dataclass(frozen=True, slots=True)
class SealedInput:
    """A section as sent. salt: 32 bytes, only from a client that signs."""

    content: Mapping[str, Any]
    salt: bytes | None = None


@dataclass(frozen=True, slots=True)
class EventRequest:
    """An event as asked for. id, occurred_at, actor: None where the sender left them to us.

    compared: what we found when three documents were compared, for `documents` of a customs decision.
    """

    code: str
    type: str
    data: Mapping[str, Any]
    id: str | None = None
    occurred_at: datetime | None = None
    actor: str | None = None
    sealed: Mapping[str, SealedInput] = field(default_factory=dict)
    signed: Signed | None = None
    compared: str | None = None


@dataclass(frozen=True, slots=True)
class ConsumerProof:
    """How a consumer proves the purchase: a claim token, or the code hidden inside the pack.

    query: the query code of a complaint's ticket, which proves the complaint and not the purchase.
    """

    token: str | None = None
    inner: str | None = None
    query: str | None = None
