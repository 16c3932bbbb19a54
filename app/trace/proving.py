"""Proofs outside of a record's own transaction: who is handed one, and whether a consumer's holds.

There it is asked once more (app.trace.decide): a return may come between. Read-only.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from app.db.engine import Database
from app.ledger import store
from app.ledger.submission import Answer, Recorded
from app.parties.roles import PLATFORM
from app.trace.code import Code
from app.trace.decide import CodeUnknown
from app.trace.lives import Lives
from app.trace.proof import ProofInvalid, Proofs, check_inner, token_kind
from app.trace.requests import ConsumerProof, ProofKind
from app.trace.store import find_inner


class Proving:
    """Gives proofs by what the database says of the goods, and holds them against it."""

    def __init__(self, database: Database, proofs: Proofs, lives: Lives) -> None:
        self._database = database
        self._proofs = proofs
        self._lives = lives

    def kind(self, code: Code, proof: ConsumerProof | None, type_: str) -> str:
        """Returns the kind of proof that a record will name; of a token only its form is looked at.

        Raises ProofInvalid, and of a code inside the pack CodeUnknown.
        """
        if proof is None or (proof.query is not None and type_ != "message"):
            raise ProofInvalid("proof_missing")
        if proof.query is not None:
            return "ticket"
        if proof.token is not None:
            return token_kind(proof.token)
        with self._database.read() as connection:
            kept = find_inner(connection, code.stream)
            if kept is None and not store.load_heads(connection, [code.stream])[code.stream].exists:
                raise CodeUnknown("code_unknown", code=code.stream)
        check_inner(kept, proof.inner)
        return "inner"

    def check(self, code: Code, proof: ConsumerProof) -> None:
        """Raises ProofInvalid unless this proves the present purchase of a unit, and CodeUnknown.

        For who is refused for something else, and is to hear of both.
        """
        self.kind(code, proof, "")
        if proof.token is None:
            return
        with self._database.read() as connection:
            state = store.load_heads(connection, [code.stream])[code.stream].state
        self._proofs.check_purchase(proof.token, subject=code.stream, state=state)

    def promises(self, records: Sequence[Recorded]) -> list[dict[str, str]]:
        """Returns what the answers hand over beside the records: a claim token, a ticket. Read-only.

        A token goes only to a platform or carrier that speaks of another's goods, so that proof of
        purchase never passes through the seller. Both follow from the record and the chain before
        it, whatever came after: a repeat gives them again.
        """
        signatures = [one for one in records if one.type == "signature"]
        witnessed = iter(self._lives.are_witnessed(signatures))
        return [
            self._promised(one, is_witnessed=one.type == "signature" and next(witnessed))
            for one in records
        ]

    def _promised(self, recorded: Recorded, *, is_witnessed: bool) -> dict[str, str]:
        if recorded.type == "complaint":
            proofs, place = self._proofs, (recorded.stream, recorded.id)
            return {"ticket": proofs.ticket(*place), "query_code": proofs.query_code(*place)}
        if recorded.type == "sale" and b'"via":' not in recorded.body:
            return {}  # nothing but the field itself is spelled so: quotes in texts are escaped
        if recorded.type != "sale" and not is_witnessed:
            return {}
        fields = orjson.loads(recorded.body)
        kind: ProofKind = "carrier" if is_witnessed else "platform"
        if not is_witnessed and (fields["source"] != PLATFORM or "via" not in fields):
            return {}
        consignment = fields["data"].get("consignment")
        subject = recorded.stream + ("" if consignment is None else f"#consignment/{consignment}")
        token = self._proofs.claim_token(kind, subject=subject, record_id=recorded.id)
        return {"claim_token": token}

    def guard_repeats(self, answers: Sequence[Answer], proof: ConsumerProof | None) -> list[Answer]:
        """Returns the answers, a consumer's repeat only to who proves the same purchase again.

        A repeat is answered before anything is decided, and its id stands in the public chain: without
        this a stranger could ask for another's ticket.
        """
        return [
            self._proven(one, proof) if isinstance(one, Recorded) and one.replayed else one
            for one in answers
        ]

    def _proven(self, recorded: Recorded, proof: ConsumerProof | None) -> Answer:
        if proof is None or proof.token is None:
            return recorded  # an inner code was checked before
        state, subject = self._lives.now(recorded)
        try:
            self._proofs.check_purchase(proof.token, subject=subject, state=state)
        except ProofInvalid as refused:
            return refused
        return recorded
