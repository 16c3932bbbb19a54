"""An event that was made ready in one process and is decided in another: as plain values, and back.

Only what `app.trace.recording` makes ready of goods. What else is recorded brings functions of its own,
which no other process has; it stays where it is.

A tuple and no pickled object: the classes' own pickling asks Python code for each field, and costs
several times as much as everything else about the way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.kit.clock import from_ms, to_ms
from app.ledger.record import Claim, Signed
from app.ledger.submission import Seal, Submission
from app.trace.code import Code
from app.trace.decide import Decision
from app.trace.gaps import Graces
from app.trace.leaving import Left
from app.trace.proof import Proofs
from app.trace.ratings import Named
from app.trace.requests import ConsumerProof
from app.trace.sending import Sending
from app.trace.shelf import ShelfDecision
from app.trace.signing import SignedDecision

Packed = tuple[Any, ...]


def pack_submission(submission: Submission) -> Packed | None:
    """Returns the submission as plain values, or None for one that another process cannot decide."""
    decide = submission.decide
    is_signed = isinstance(decide, SignedDecision)
    if isinstance(decide, SignedDecision):
        decide = decide.decide
    if submission.guard is not None:
        return None
    if type(decide) is Decision:
        proof = decide.proof
        life: Packed | None = (
            decide.subject,
            None if proof is None else (proof.token, proof.inner),
            None if decide.named is None else tuple(decide.named),
            None if decide.left is None else tuple(decide.left),
        )
    elif type(decide) is ShelfDecision:
        life = None
    else:
        return None
    claim, code, sending = submission.claim, decide.code, decide.sending
    signed = submission.signed
    return (
        claim.stream,
        claim.id,
        claim.type,
        claim.actor,
        to_ms(claim.occurred_at),
        claim.data,
        claim.sealed,
        (code.gtin, code.lot, code.serial),
        tuple(sending),
        life,
        decide.side,
        submission.source,
        submission.via,
        is_signed,
        None if signed is None else (signed.key, signed.value),
        [(seal.name, seal.salt, seal.content) for seal in submission.seals],
        submission.time_given,
    )


def unpacking(proofs: Proofs, graces: Graces) -> Callable[[Packed], Submission]:
    """Returns what makes a submission of plain values. proofs, graces: those of this deployment."""

    def unpack(packed: Packed) -> Submission:
        (
            stream,
            record_id,
            type_,
            actor,
            occurred_ms,
            data,
            sealed,
            code_values,
            sending_values,
            life,
            side,
            source,
            via,
            is_signed,
            signed_values,
            seals,
            time_given,
        ) = packed
        code, sending = Code(*code_values), Sending(*sending_values)
        decide: Decision | ShelfDecision
        if life is None:
            decide = ShelfDecision(code, sending, side)
        else:
            subject, proof, rated, out_of = life
            proof = None if proof is None else ConsumerProof(*proof)
            named = None if rated is None else Named(*rated)
            left = None if out_of is None else Left(*out_of)
            decide = Decision(code, sending, graces, subject, proof, proofs, side, named, left)
        signed = None if signed_values is None else Signed(*signed_values)
        own = SignedDecision(decide, signed.key) if is_signed and signed is not None else None
        return Submission(
            claim=Claim(stream, record_id, type_, actor, from_ms(occurred_ms), data, sealed),
            source=source,
            decide=own or decide,
            via=via,
            signed=signed,
            seals=tuple(Seal(*values) for values in seals),
            reads=(*decide.reads(actor), *(own.reads(actor) if own else ())),
            reads_after=decide.reads_after if isinstance(decide, Decision) else None,
            time_given=time_given,
        )

    return unpack
