"""Whether a consumer's proof holds, asked outside of a record's own transaction.

There it is asked once more (app.trace.decide): a return may come between. Read-only.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.db.engine import Database
from app.ledger import store
from app.ledger.submission import Answer, Recorded
from app.trace.code import Code
from app.trace.decide import CodeUnknown
from app.trace.lives import Lives
from app.trace.proof import ProofInvalid, Proofs, check_inner, token_kind
from app.trace.requests import ConsumerProof
from app.trace.store import find_inner


class Proving:
    """Holds proofs against what the database says of the goods now."""

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
