"""Proofs of purchase as they are issued and as people type them."""

from __future__ import annotations

import pytest

from app.trace.proof import ProofInvalid, Proofs, token_kind

UNIT = "01/06901234567892/21/8F3K2M9QZ7AB"
SALE = "0192f3a0-0000-7000-8000-000000000001"


@pytest.mark.parametrize("kind", ["platform", "carrier"])
def test_a_claim_token_is_known_however_it_is_typed(kind):
    proofs = Proofs(claim_key=b"c" * 32, inner_key=b"i" * 32)
    token = proofs.claim_token(kind, subject=UNIT, record_id=SALE)
    for typed in (token, token.lower(), f" {token[:5]} {token[5:9].lower()}-{token[9:]}\n"):
        assert token_kind(typed) == kind
        proofs.check_token(typed, subject=UNIT, record_id=SALE)
    other = token[:-1] + ("A" if token[-1] != "A" else "B")
    with pytest.raises(ProofInvalid):
        proofs.check_token(other, subject=UNIT, record_id=SALE)
