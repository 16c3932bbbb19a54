"""The record format: what is hashed and signed is, to the byte, what the contract says."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from app.ledger.record import (
    ZERO_HASH,
    Claim,
    Ref,
    Signed,
    claim_message,
    decode_segment,
    encode_segment,
    record_body,
    record_hash,
    seal_commitment,
    stream_key,
)
from app.ledger.signatures import verify_signature

# API.md, "Signing, with a vector"; made by another program.
SEED = "8tu73KS24UlRazPEHTIYDcpqYoAf4cmfbmpT0etzwl4="
PUBLIC_KEY = "FpUA7Zo+3FeLYJ8QAqursKish7Wcv6KGOdpsXA3KnQQ="
SALT = "MmG0qPvlS0fAEJscxxqctbqkx7xT5vhDanvXV6c6jVk="
CONTENT = b'{"number":"TEST0000000001"}'
COMMITMENT = "d0c6ac7a110c6aca9dab5234d4a13a37b14bb6c7e877a900e1187f383f2234a8"
CLAIM = (
    '{"actor":"91441200MA4TE5T00Q","data":{"carrier":"92441202MA4TE5T01M","from":"441200",'
    '"to":"440100","waybill_tail":"0001"},"id":"0192f3a0-0000-7000-8000-000000000001",'
    '"occurred_at":"2026-11-23T07:00:00.000Z","sealed":{"waybill":"d0c6ac7a110c6aca9dab5234d4a13a37'
    'b14bb6c7e877a900e1187f383f2234a8"},"stream":"01/06901234567892/21/8F3K2M9QZ7AB",'
    '"type":"dispatch","v":1}'
)
CLAIM_SHA256 = "1a9a0d4d9a8ebabce749ca5db3fe90b3d3eeed12c9a500b5f304d6a6c29ef8c5"
SIGNATURE = (
    "fKoy+L7GXcNzNZdd657WaPsW1b9fgi8W2rkG0faz1nQEnv3gSIeulQYGQPRiD69UUShyKhnv7tkjN+mq2GGTBg=="
)

DISPATCH = Claim(
    stream="01/06901234567892/21/8F3K2M9QZ7AB",
    id="0192f3a0-0000-7000-8000-000000000001",
    type="dispatch",
    actor="91441200MA4TE5T00Q",
    occurred_at=datetime(2026, 11, 23, 15, tzinfo=timezone(timedelta(hours=8))),
    data={
        "waybill_tail": "0001",
        "to": "440100",
        "from": "441200",
        "carrier": "92441202MA4TE5T01M",
    },
    sealed={"waybill": COMMITMENT},
)
NOW = datetime(2026, 11, 23, 7, 0, 1, 123_000, tzinfo=UTC)


def body(**changes) -> bytes:
    given_ = {"seq": 3, "prev": b"p" * 32, "recorded_at": NOW, "source": "merchant"}
    return record_body(DISPATCH, **{**given_, "via": None, "refs": (), "signed": None, **changes})


def test_the_claim_vector_is_met_to_the_byte():
    message = claim_message(DISPATCH.fields())
    assert message == b"suxin-claim/1\n" + CLAIM.encode()
    assert hashlib.sha256(CLAIM.encode()).hexdigest() == CLAIM_SHA256
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(SEED))
    assert base64.b64encode(key.public_key().public_bytes_raw()).decode() == PUBLIC_KEY
    assert base64.b64encode(key.sign(message)).decode() == SIGNATURE
    verify_signature(
        public_key=base64.b64decode(PUBLIC_KEY),
        signature=base64.b64decode(SIGNATURE),
        message=message,
    )


def test_the_sealed_vector_is_met():
    assert seal_commitment("waybill", salt=base64.b64decode(SALT), content=CONTENT) == COMMITMENT


def test_what_was_signed_is_found_again_in_the_record():
    signed = body(
        signed=Signed("k1", SIGNATURE), via="91441204MA4TE5T02Q", refs=(Ref("01/x", 4, b"r" * 32),)
    )
    assert claim_message(json.loads(signed)) == b"suxin-claim/1\n" + CLAIM.encode()


def test_a_record_holds_what_the_ledger_adds_and_no_more():
    refs = (Ref("01/06901234567892", 4, b"\xab" * 32),)
    fields = json.loads(body(refs=refs, via="agent", signed=Signed("k1", SIGNATURE)))
    assert {name: fields.pop(name) for name in ("prev", "recorded_at", "seq", "source", "via")} == {
        "prev": (b"p" * 32).hex(),
        "recorded_at": "2026-11-23T07:00:01.123Z",
        "seq": 3,
        "source": "merchant",
        "via": "agent",
    }
    assert fields.pop("refs") == [{"hash": "ab" * 32, "seq": 4, "stream": "01/06901234567892"}]
    assert fields.pop("signed") == {"key": "k1", "value": SIGNATURE}
    assert fields == json.loads(CLAIM)
    # What is absent is absent, never null or empty.
    assert set(json.loads(body())) == set(json.loads(CLAIM)) | {
        "prev", "recorded_at", "seq", "source",
    }  # fmt: skip


def test_a_body_is_the_very_bytes_of_an_independent_canonicaliser():
    whole = body(refs=(Ref("01/x", 0, ZERO_HASH),), via="v", signed=Signed("k", "v"))
    assert whole == rfc8785.dumps(json.loads(whole))


def test_the_hash_is_that_of_the_body_and_moves_with_every_field():
    changes = (
        {},
        {"seq": 4},
        {"prev": b"q" * 32},
        {"recorded_at": NOW + timedelta(milliseconds=1)},
        {"source": "platform"},
        {"via": "x"},
        {"refs": (Ref("01/x", 0, ZERO_HASH),)},
        {"signed": Signed("k", "v")},
    )
    bodies = [body(**change) for change in changes]
    assert len({record_hash(b) for b in bodies}) == len(changes)
    assert record_hash(bodies[0]) == hashlib.sha256(bodies[0]).digest()


@pytest.mark.parametrize("part", ["name", "salt", "content"])
def test_a_commitment_moves_with_each_of_its_parts(part):
    told = {"name": "waybill", "salt": b"s" * 32, "content": CONTENT}
    other = told | {part: "order" if part == "name" else b"t" * 32}
    assert seal_commitment(**told) != seal_commitment(**other)


def test_the_key_of_a_stream_is_part_of_its_hash_and_fits_a_signed_integer():
    digest = hashlib.sha256(b"01/06901234567892").digest()
    assert stream_key("01/06901234567892") == int.from_bytes(digest[:8], "big") >> 1
    assert 0 <= stream_key("party/x") < 2**63


@given(st.text(max_size=20))
def test_a_segment_has_one_spelling_and_comes_back(value):
    try:
        value.encode()
    except UnicodeEncodeError:
        return
    segment = encode_segment(value)
    assert decode_segment(segment) == value
    assert segment.isascii()
    assert "/" not in segment
