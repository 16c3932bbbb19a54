"""A witness as it answers over HTTP: codes, media types, bounds."""

from __future__ import annotations

from hashlib import sha256

import pytest

from app.ledger.checkpoint import open_checkpoint
from app.ledger.cosign import read_answer
from app.ledger.note import NoteSigner, split_note
from app.ledger.witness import MAX_REQUEST, place_of
from tests.asking import plain_client
from tests.ledger.peers import true_witness
from tests.ledger.test_witness import (
    FORK,
    LOG,
    MALFORMED,
    NOTE,
    ORIGIN,
    THIEF,
    TREE,
    WITNESS,
    request,
    signed,
)

STRANGER = NoteSigner("stranger.test/log", b"\x05" * 32)
PLACE = sha256(ORIGIN.encode()).hexdigest()


@pytest.fixture
def client(tmp_path):
    key = WITNESS.vkey.name
    with (
        true_witness(tmp_path, key, [LOG.vkey], seed=4) as (signer, url),
        plain_client(base_url=url, timeout=30) as asking,
    ):
        assert signer.vkey == WITNESS.vkey
        yield asking


def post(client, body: bytes):
    return client.post("/add-checkpoint", content=body)


def test_what_it_cosigns_it_shows(client):
    assert client.get(f"/{PLACE}/checkpoint").status_code == 404
    answer = post(client, TREE.request(0, 5))
    assert answer.status_code == 200
    assert read_answer(split_note(TREE.note(5))[0], answer.text, [WITNESS.vkey])
    shown = client.get(f"/{PLACE}/checkpoint")
    assert (shown.status_code, shown.text) == (200, TREE.note(5) + answer.text)
    assert shown.headers["content-type"] == "text/plain; charset=utf-8"
    assert open_checkpoint(shown.text, [LOG.vkey]).size == 5
    # c2sp.org/tlog-witness: the hash of the origin, as TLOG.md has it for the specification's log.
    assert place_of("example.com/log/testdata").startswith("6994c640")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (TREE.request(5, 9), 200),
        (TREE.request(5, 5), 200),
        (TREE.request(0, 9), 409),
        (TREE.request(4, 9), 409),
        (request(7, [], TREE.note(5)), 400),
        (FORK.request(5, 9), 200),  # they share five entries
        (FORK.request(5, 5), 200),
        (request(5, [], TREE.note(9)), 422),
        (request(5, TREE.proof(5, 9), FORK.note(9)), 422),
        (request(5, [], signed("5", b"\x01" * 32)), 422),
        (TREE.request(5, 9, signer=STRANGER), 404),
        (TREE.request(5, 9, signer=THIEF), 403),
        (request(0, [], signed("0", b"\x01" * 32)), 422),
        (TREE.request(5, 9, extensions=("x",)), 400),
        (b"x" * (MAX_REQUEST + 1), 413),
        *((body, 400) for body in MALFORMED.values()),
    ],
)
def test_each_refusal_has_its_code(client, body, status):
    post(client, TREE.request(0, 5))
    before = client.get(f"/{PLACE}/checkpoint").text
    answer = post(client, body)
    assert answer.status_code == status
    if status == 409:
        assert (answer.headers["content-type"], answer.content) == ("text/x.tlog.size", b"5\n")
    if status != 200:
        assert client.get(f"/{PLACE}/checkpoint").text == before


def test_nothing_else_is_served(client, tmp_path):
    (tmp_path / "checkpoint").write_text("secret")
    for path in ("/", "/checkpoint", "/..%2F/checkpoint", "/lock/checkpoint", "/add-checkpoint"):
        assert client.get(path).status_code in (404, 405), path
    assert client.put("/add-checkpoint", content=NOTE).status_code == 405


def test_a_memory_that_cannot_be_read_is_an_error_of_ours(client, tmp_path):
    post(client, TREE.request(0, 5))
    (tmp_path / PLACE).write_text("garbage")
    answer = post(client, TREE.request(0, 9))
    assert (answer.status_code, answer.text) == (500, "witness_head_damaged\n")
