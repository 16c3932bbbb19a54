"""An actor's own signature over its claim: checked before queueing, its key again in the transaction.

The mathematics cost more than a queue can wait for; whether the key still stands must be asked where
a revocation cannot come between. A repeat of what is recorded is answered before that is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.db.engine import Database
from app.kit.errors import Invalid
from app.ledger import store
from app.ledger.note import decode_base64
from app.ledger.record import Claim, Signed, claim_message
from app.ledger.signatures import PublicKeyRefused, SignatureInvalid, verify_signature
from app.ledger.submission import Draft, Read, View
from app.parties.rules import find_signing_key, key_fact, party_stream


class SignatureRefused(Invalid):
    """The actor's signature does not hold over the claim as it would be recorded."""

    slug = "signature-invalid"


@dataclass(frozen=True, slots=True)
class SignedDecision:
    """Decides a signed event as `decide` does, once its key is seen to stand."""

    decide: Callable[[Claim, View], Draft]
    key: str

    def reads(self, actor: str) -> tuple[Read, ...]:
        """Returns what must be seen of the key."""
        return (Read(party_stream(actor), key_fact(self.key)),)

    def __call__(self, claim: Claim, view: View) -> Draft:
        find_signing_key(view, actor=claim.actor, key_id=self.key)
        return self.decide(claim, view)


def check_signature(database: Database, claim: Claim, signed: Signed) -> None:
    """Raises SignatureRefused unless a key that the actor has or had signed this very claim."""
    place = (party_stream(claim.actor), key_fact(signed.key))
    with database.read() as connection:
        key = store.load_facts(connection, [place]).get(place)
    if key is None:
        raise SignatureRefused(
            "signing_key_unknown", signing_key=signed.key[:64], actor=claim.actor
        )
    try:
        verify_signature(
            public_key=decode_base64(key["public_key"]),
            signature=decode_base64(signed.value),
            message=claim_message(claim.fields()),
        )
    except (SignatureInvalid, PublicKeyRefused, ValueError) as err:
        raise SignatureRefused("signature_wrong", signing_key=signed.key[:64]) from err
