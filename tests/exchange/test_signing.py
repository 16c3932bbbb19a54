"""Signed requests: what is covered, what is refused, and an outside implementation's words."""

from __future__ import annotations

from base64 import b64decode
from datetime import timedelta
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app.exchange.signing import (
    MAX_AGE,
    RequestStale,
    RequestUnsigned,
    key_id_of,
    sign_request,
    verify_request,
)
from app.ledger.note import NoteSigner
from tests.fakes import START

SIGNER, OTHER = (
    NoteSigner("a.example/credit", bytes(32)),
    NoteSigner("b.example/credit", b"\1" * 32),
)
URL, BODY = "https://store.example/api/v1/credit-store/changes?x=1", b'{"changes":[]}'
KEYS = {key_id_of(one.vkey): one.vkey for one in (SIGNER, OTHER)}


def signed(**changes):
    return sign_request(
        SIGNER, **{"method": "POST", "url": URL, "body": BODY, "at": START} | changes
    )


def verify(headers=None, **changes):
    request = {"method": "POST", "url": URL, "body": BODY, "keys": KEYS, "now": START}
    told = signed() if headers is None else headers
    lower = [(name.lower(), value) for name, value in told.items()]
    return verify_request(headers=lower, **request | changes)


def test_a_signed_request_tells_who_signed_it():
    assert verify() == "a.example/credit+28f298d3" or verify() == key_id_of(SIGNER.vkey)


def test_what_is_signed_is_what_rfc_9421_says():
    # Built here by hand from section 2.5, so that the library is not judge of itself.
    headers = signed()
    given = headers["Signature-Input"].removeprefix("suxin=")
    digest = headers["Content-Digest"]
    assert digest.startswith("sha-256=:")
    assert b64decode(digest[9:-1]) == sha256(BODY).digest()
    base = (
        '"@method": POST\n"@authority": store.example\n"@path": /api/v1/credit-store/changes\n'
        f'"@query": ?x=1\n"content-digest": {digest}\n"@signature-params": {given}'
    )
    signature = b64decode(headers["Signature"].removeprefix("suxin=:")[:-1])
    Ed25519PublicKey.from_public_bytes(SIGNER.vkey.public_key).verify(signature, base.encode())


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "PUT"},
        {"url": URL.replace("store.example", "another.example")},
        {"url": URL.replace("changes", "parties")},
        {"url": URL.replace("x=1", "x=2")},
        {"body": BODY + b" "},
        {"keys": {key_id_of(OTHER.vkey): OTHER.vkey}},
        {"keys": {key_id_of(SIGNER.vkey): OTHER.vkey}},
        {"headers": {}},
    ],
)  # fmt: skip
def test_another_request_or_another_key_is_refused(changes):
    with pytest.raises(RequestUnsigned):
        verify(**changes)


@pytest.mark.parametrize("part", ['"@method" ', '"@query" ', ' "content-digest"'])
def test_a_signature_that_covers_less_is_refused(part):
    from http_message_signatures import HTTPMessageSigner
    from http_message_signatures.algorithms import ED25519

    from app.exchange.signing import COVERED, TAG, Message

    covered = [name for name in COVERED if f'"{name}"' != part.strip()]
    message = Message("POST", URL, {"content-digest": signed()["Content-Digest"]})
    maker = HTTPMessageSigner(signature_algorithm=ED25519)
    prepared = maker.prepare(
        message,
        key_id=key_id_of(SIGNER.vkey),
        created=START,
        tag=TAG,
        covered_component_ids=covered,
        use_existing_digest=True,
    )
    maker.apply(message, prepared, SIGNER.sign(prepared.signature_base))
    with pytest.raises(RequestUnsigned):
        verify(message.headers)


def test_clocks_may_differ_by_some_minutes_and_no_more():
    for off in (MAX_AGE, -MAX_AGE):
        assert verify(now=START + off)
    for off in (MAX_AGE + timedelta(seconds=1), -MAX_AGE - timedelta(seconds=1)):
        with pytest.raises(RequestStale):
            verify(now=START + off)


def test_any_flipped_character_of_the_signature_fails():
    headers = signed()
    for name in ("Signature", "Signature-Input", "Content-Digest"):
        for at in range(0, len(headers[name]), 7):
            flipped = chr(ord(headers[name][at]) ^ 1)
            wrong = headers[name][:at] + flipped + headers[name][at + 1 :]
            if wrong.lower() != headers[name].lower():
                with pytest.raises((RequestUnsigned, RequestStale)):
                    verify(headers | {name: wrong})
