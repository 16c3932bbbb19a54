"""An event that is decided in another process is the same event there."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime

import pytest

from app.credit.graces import graces_in_force
from app.ledger.record import Claim, Signed
from app.ledger.submission import Seal, Submission
from app.trace.code import Code
from app.trace.crossing import pack_submission, unpacking
from app.trace.decide import Decision
from app.trace.leaving import Left
from app.trace.proof import Proofs
from app.trace.ratings import Named
from app.trace.requests import ConsumerProof
from app.trace.sending import Sending
from app.trace.shelf import ShelfDecision
from app.trace.signing import SignedDecision

PROOFS = Proofs(claim_key=bytes(32), inner_key=bytes(32))
GRACES = graces_in_force()
SHOP, CARRIER = "91441200MA4TE5T00Q", "91441200MA4TE5T01Q"
UNIT = Code("06901234567892", serial="8F3K2M9QZ7AB")
LOT = Code("06901234567892", lot="L/1")
SENDING = Sending(SHOP, frozenset({"merchant", "platform"}))
SIDE = (("order", b"\x01" * 32),)
SIGNED = Signed("k1", "c2lnbmVk")
DECISIONS = {
    "unit": Decision(UNIT, SENDING, GRACES, "", None, PROOFS, SIDE),
    "consignment": Decision(LOT, SENDING, GRACES, "consignment/7", None, PROOFS, ()),
    "consumer": Decision(
        UNIT, Sending(None, frozenset({"consumer"})), GRACES, "",
        ConsumerProof(token="P123"), PROOFS, (),
    ),
    "inner": Decision(
        UNIT, Sending(None, frozenset({"consumer"})), GRACES, "",
        ConsumerProof(inner="ABC"), PROOFS, (),
    ),
    "reply": Decision(
        UNIT, Sending(SHOP, SENDING.roles, named="platform"), GRACES, "", None, PROOFS, (),
    ),
    "rating": Decision(
        UNIT, SENDING, GRACES, "", None, PROOFS, (),
        Named("dispatch", "01935c5e-0000-7000-8000-000000000002", 3, SHOP, CARRIER, 2, b"p" * 32),
    ),
    "case": Decision(
        UNIT, SENDING, GRACES, "", None, PROOFS, (),
        left=Left("01935c5e-0000-7000-8000-000000000003", "106901234500000017"),
    ),
    "lot": ShelfDecision(LOT, SENDING, SIDE),
    "product": ShelfDecision(Code("06901234567892"), SENDING),
}  # fmt: skip


def submission_of(decide: Decision | ShelfDecision, *, signed: bool = False) -> Submission:
    """As `Recording.prepare` makes it."""
    claim = Claim(
        decide.code.stream, "01935c5e-0000-7000-8000-000000000001", "sale", SHOP,
        datetime(2026, 11, 23, 7, 0, 0, 123_000, tzinfo=UTC),
        {"platform": "商城", "n": [1, {"a": True}]}, {"order": "ab" * 32},
    )  # fmt: skip
    own = SignedDecision(decide, SIGNED.key) if signed else None
    return Submission(
        claim=claim,
        source=SHOP,
        via=CARRIER,
        decide=own or decide,
        signed=SIGNED if signed else None,
        seals=(Seal("order", b"s" * 32, b"{}"),),
        reads=(*decide.reads(SHOP), *(own.reads(SHOP) if own else ())),
        reads_after=decide.reads_after if isinstance(decide, Decision) else None,
        time_given=False,
    )


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", DECISIONS)
def test_a_submission_comes_out_as_it_went_in(name: str, signed: bool):
    made = submission_of(DECISIONS[name], signed=signed)
    came = unpacking(PROOFS, GRACES)(pickle.loads(pickle.dumps(pack_submission(made))))
    assert came._replace(reads_after=None) == made._replace(reads_after=None)
    assert (came.reads_after is None) == (made.reads_after is None)
    if made.reads_after is not None:
        assert came.reads_after.__func__ is Decision.reads_after
        assert came.reads_after.__self__ == DECISIONS[name]


def test_every_field_of_a_submission_is_told():
    """A field that somebody adds must cross too, or be named here as one that need not."""
    told = {"claim", "source", "decide", "via", "signed", "seals", "time_given"}
    derived = {"reads", "reads_after"}  # from the decision
    stays = {"guard"}  # a function of the asking process
    assert set(Submission._fields) == told | derived | stays
    assert set(Decision.__slots__) == {
        "code", "sending", "graces", "subject", "proof", "proofs", "side", "named",
        "left",
    }  # fmt: skip
    assert set(ShelfDecision.__slots__) == {"code", "sending", "side"}


def test_what_brings_a_function_of_its_own_stays():
    made = submission_of(DECISIONS["unit"])
    assert pack_submission(made._replace(guard=lambda connection: None)) is None
    assert pack_submission(made._replace(decide=lambda claim, view: None)) is None
