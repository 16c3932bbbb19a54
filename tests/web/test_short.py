"""The short way of a plain event: nobody can tell from an answer which way it went."""

from __future__ import annotations

import json
import time

import pytest

from app.web.api import events
from tests.web.conftest import SHOP

SHORT, LONG = "/api/v1/events", "/api/v1/events?wait=durable"
JSON = {"Content-Type": "application/json"}


def sale(code: str, **more) -> dict:
    return {"code": code, "type": "sale", "data": {"region": "440100"}, **more}


def post(market, path: str, body: bytes, *, headers=JSON, key: bool = True):
    token = market.keys[SHOP] if key else None
    return market.call("POST", path, content=body, headers=headers, token=token)


def shown(answer) -> tuple:
    """What an answer says, without what is each request's own."""
    kept = {k: v for k, v in answer.headers.items() if k not in ("x-request-id", "date")}
    told = answer.json()
    told.pop("instance", None)
    return answer.status_code, kept, told


def test_a_repeat_is_the_first_answer_on_either_way(market):
    (unit,) = market.issue()
    body = json.dumps(sale(unit.code, id="0192f3a0-0000-7000-8000-00000000aaaa")).encode()

    first = post(market, SHORT, body)
    again = [shown(post(market, path, body)) for path in (SHORT, LONG)]

    assert first.status_code == 201
    assert again[0] == again[1]
    assert again[0][0] == 200
    assert again[0][2] == first.json()


@pytest.mark.parametrize(
    ("body", "headers", "key"),
    [
        (b"", JSON, True),
        (b"{", JSON, True),
        (b"[]", JSON, True),
        (b"{}", JSON, True),
        (b'{"code":"x","code":"y"}', JSON, True),
        (b'{"code":"01/06901234567892","type":"sale","extra":1}', JSON, True),
        (b'{"code":1,"type":"sale"}', JSON, True),
        ('{"code":"01/06901234567892","type":"a\u0085"}'.encode(), JSON, True),
        (json.dumps(sale("01/06901234567892/21/NEVER-ISSUED")).encode(), JSON, True),
        (json.dumps(sale("01/06901234567890")).encode(), JSON, True),
        (json.dumps(sale("x" * 5_000)).encode(), JSON, True),
        (b"{}", {"Content-Type": "text/plain"}, True),
        (b"{}", {**JSON, "Content-Encoding": "gzip"}, True),
        (json.dumps(sale("01/06901234567892/21/A")).encode(), JSON, False),
        (json.dumps(sale("01/06901234567892/21/A")).encode(), {**JSON, "Suxin-Claim": "P"}, False),
    ],
)
def test_a_refusal_is_the_same_on_either_way(market, body, headers, key):
    short, long = (
        shown(post(market, path, body, headers=headers, key=key)) for path in (SHORT, LONG)
    )

    assert short == long
    assert short[0] >= 400


def test_a_body_in_pieces_is_read_whole(market):
    (unit,) = market.issue()
    raw = json.dumps(sale(unit.code)).encode()

    def pieces():
        yield raw[:20]
        time.sleep(0.3)  # or the server would read both at once
        yield raw[20:]

    assert post(market, SHORT, pieces()).status_code == 201


def test_a_plain_event_goes_the_short_way_and_a_consumers_the_long(market, monkeypatch):
    went: list[bool] = []
    real = events.answer_event

    async def watched(request, body):
        answer = await real(request, body)
        went.append(answer is not None)
        return answer

    monkeypatch.setitem(events.SHORT_ANSWERS, SHORT, watched)
    (unit,) = market.issue()
    token = market.sell_by_platform(unit.code)["claim_token"]
    market.send(None, unit.code, "review", {"rating": 5}, headers={"Suxin-Claim": token})

    # Of the other nobody was asked.
    assert went == [True]
