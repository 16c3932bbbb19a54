"""Proof of purchase: claim tokens, hidden inner codes; tickets and their query codes. Derived, never stored.

A claim token is an HMAC over unit and sale under a key of its own; it goes to the key of a platform
or carrier that is unrelated to the seller, never to the seller. Its first letter says to whom it
went. A return ends the sale, and with it the token. An inner code is derived from the unit alone, so
that labels can be printed again; the database keeps only its SHA-256.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from app.kit.errors import Denied
from app.kit.tokens import SYMBOLS
from app.trace.code import normalise_inner
from app.trace.requests import ProofKind
from app.trace.sides import is_witness, is_witnessed, may_speak_again

_TOKEN_SYMBOLS = 26  # 130 bits
_INNER_SYMBOLS = 13
_TICKET_SYMBOLS = 10
_QUERY_SYMBOLS = 13
_LETTER: dict[str, ProofKind] = {"P": "platform", "C": "carrier"}


class ProofInvalid(Denied):
    """The token or code does not belong to this sale of this unit."""

    slug = "proof-invalid"


class Proofs:
    """Makes and checks proofs under the deployment's keys of 32 bytes each."""

    def __init__(self, *, claim_key: bytes, inner_key: bytes) -> None:
        self._claim_key = claim_key
        self._inner_key = inner_key

    def claim_token(self, kind: ProofKind, *, subject: str, record_id: str) -> str:
        """Returns the token for one sale.

        subject: the unit's stream, with its consignment if any. record_id: the sale's, where the
        token goes to a platform; the signature's, where it goes to a carrier.
        """
        letter = next(letter for letter, known in _LETTER.items() if known == kind)
        return letter + self._symbols(
            self._claim_key, f"{letter}\x00{subject}\x00{record_id}", _TOKEN_SYMBOLS
        )

    def check_token(self, token: str, *, subject: str, record_id: str | None) -> None:
        """Raises ProofInvalid unless this is the token of that record of the present sale, as typed."""
        kind = token_kind(token)
        if record_id is None:
            raise ProofInvalid("claim_token")
        expected = self.claim_token(kind, subject=subject, record_id=record_id)
        told = normalise_inner(token).encode("utf-8", "replace")
        if not hmac.compare_digest(expected.encode(), told):
            raise ProofInvalid("claim_token")

    def check_purchase(self, token: str, *, subject: str, state: Mapping[str, Any]) -> None:
        """Raises ProofInvalid unless this is the token of the sale, or of the signature, in this life."""
        step = "sale" if token_kind(token) == "platform" else "signature"
        self.check_token(token, subject=subject, record_id=state.get(step, {}).get("id"))

    def inner_code(self, stream: str) -> str:
        """Returns the hidden code of a unit."""
        return self._symbols(self._inner_key, f"inner\x00{stream}", _INNER_SYMBOLS)

    def ticket(self, stream: str, record_id: str) -> str:
        """Returns the number of a complaint, for others to quote; it cannot be guessed from the record."""
        return self._symbols(self._claim_key, f"ticket\x00{stream}\x00{record_id}", _TICKET_SYMBOLS)

    def query_code(self, stream: str, record_id: str) -> str:
        """Returns the code with which a complaint is followed, by nobody but who made it."""
        return self._symbols(self._claim_key, f"query\x00{stream}\x00{record_id}", _QUERY_SYMBOLS)

    def check_query(self, code: str, *, stream: str, record_id: str) -> None:
        """Raises ProofInvalid unless this is the query code of that complaint, however it is typed."""
        expected = self.query_code(stream, record_id)
        told = normalise_inner(code).encode("utf-8", "replace")
        if not hmac.compare_digest(expected.encode(), told):
            raise ProofInvalid("query_code")

    @staticmethod
    def _symbols(key: bytes, message: str, count: int) -> str:
        raw = hmac.new(key, message.encode("utf-8"), sha256).digest()
        return "".join(SYMBOLS[byte & 31] for byte in raw[:count])


def may_have_token(state: Mapping[str, Any], *, carrier_signs: bool = True) -> bool:
    """Returns whether a claim token of the present sale went to anybody, or may yet.

    None ever does where a shop sold without a platform and sent by a carrier that is a mere name, or by
    itself. Its software, which sells under a mandate, is no platform. That the shop signed first stops
    nothing: the named carrier's word may still come. carrier_signs: whether the party that the dispatch
    names is a carrier whose identity was verified, so that it could.
    """
    if state.get("steps", {}).get("sale"):
        return True
    if not state.get("dispatch"):
        return "signature" not in state
    carrier = str(state["dispatch"].get("carrier", ""))
    may_speak = may_speak_again if "signature" in state else is_witness
    return is_witnessed(state) or (
        carrier_signs and may_speak(state, actor=carrier, sender=carrier)
    )


def token_kind(token: str) -> ProofKind:
    """Returns to whom a token went, as its first letter says. Raises ProofInvalid for no token."""
    told = normalise_inner(token)
    kind = _LETTER.get(told[:1])
    if kind is None or len(told) != _TOKEN_SYMBOLS + 1:
        raise ProofInvalid("claim_token")
    return kind


def check_inner(kept: bytes | None, inner: str | None) -> None:
    """Raises ProofInvalid unless this is the hidden code whose digest is kept of a unit."""
    if kept is None or not hmac.compare_digest(kept, inner_digest(inner or "")):
        raise ProofInvalid("inner_code")


def inner_digest(inner: str) -> bytes:
    """Returns SHA-256 of an inner code as people type it: case, spaces and hyphens do not matter."""
    return sha256(normalise_inner(inner).encode("utf-8")).digest()
