"""Large bodies: refused before they are read where that can be, and never parsed on the event loop."""

from __future__ import annotations

import asyncio

import pytest

from app.web import body as bodies
from tests.web.conftest import SHOP

MIB = 1024 * 1024
JSON = {"Content-Type": "application/json"}
# The escape takes it past the fast parser; the many objects are what the careful one is slow at.
SMALL_OBJECTS = (
    rb'{"code":"\u0041","type":"sale","data":{"a":['
    + b",".join([b"{}"] * (8 * MIB // 3 - 80))
    + b"]}}"
)
PARTIES, EVENTS, BATCH = "/api/v1/parties", "/api/v1/events", "/api/v1/events/batch"
REPORTS = "/api/v1/reports"


@pytest.fixture
def parsed(monkeypatch) -> list[tuple[int, bool]]:
    """Every body that is parsed: its bytes, and whether on the event loop."""
    found: list[tuple[int, bool]] = []
    real = bodies.parse_json

    def watched(raw: bytes):
        try:
            asyncio.get_running_loop()
            found.append((len(raw), True))
        except RuntimeError:
            found.append((len(raw), False))
        return real(raw)

    monkeypatch.setattr(bodies, "parse_json", watched)
    return found


def test_the_body_is_one_that_the_gate_lets_pass():
    assert 7 * MIB < len(SMALL_OBJECTS) <= 8 * MIB


@pytest.mark.parametrize("path", [EVENTS, f"{EVENTS}?wait=durable", BATCH, PARTIES])
def test_without_a_key_a_body_is_not_even_read(market, parsed, path):
    answer = market.call("POST", path, content=SMALL_OBJECTS, headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthenticated")
    assert parsed == []


@pytest.mark.parametrize("path", [EVENTS, f"{EVENTS}?wait=durable"])
@pytest.mark.parametrize("proof", [None, "Suxin-Claim"])
@pytest.mark.parametrize("pieces", [False, True])
def test_one_event_is_never_as_large_as_that(market, parsed, path, proof, pieces):
    headers, token = (JSON, market.keys[SHOP]) if proof is None else ({**JSON, proof: "x"}, None)
    sent = iter([SMALL_OBJECTS[:MIB], SMALL_OBJECTS[MIB:]]) if pieces else SMALL_OBJECTS
    answer = market.call("POST", path, content=sent, headers=headers, token=token)
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")
    assert parsed == []


def test_who_has_no_key_sends_no_large_body_anywhere(market, parsed):
    answer = market.call("POST", REPORTS, content=SMALL_OBJECTS, headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")
    assert "524288" in answer.json()["detail"]
    assert parsed == []


def test_a_batch_may_be_8_mib_and_is_parsed_once_beside_the_event_loop(market, parsed):
    raw = b'{"events":[' + SMALL_OBJECTS[:-20].rsplit(b",", 1)[0] + b"]}}]}"
    answer = market.call("POST", BATCH, content=raw, headers=JSON, token=market.keys[SHOP])
    assert answer.status_code == 200, answer.text[:300]
    (result,) = answer.json()["results"]
    assert (result["status"], result["problem"]["type"]) == (413, "/problems/too-large")
    assert parsed == [(len(raw), False)]


def test_an_event_of_64_kib_is_taken_in_whatever_way_it_is_written(market, parsed):
    (unit,) = market.issue()
    parsed.clear()
    sealed = '{"order":{"content":{"number":"' + "\\u0041" * 60_000 + '"}}}'
    told = f'"code":"{unit.code}","type":"sale","data":{{"region":"440100"}},"sealed":{sealed}'
    raw = ("{" + told + "}").encode()
    answer = market.call("POST", EVENTS, content=raw, headers=JSON, token=market.keys[SHOP])
    assert answer.status_code == 201, answer.text
    assert parsed == [(len(raw), False)]


def test_a_plain_event_is_parsed_once_and_at_once(market, parsed):
    (unit,) = market.issue()
    parsed.clear()
    market.sell(unit.code)
    ((size, on_loop),) = parsed
    assert (size < 1_000, on_loop) == (True, True)
