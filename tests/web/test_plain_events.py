"""A plain event is read as the model reads it; every other is left to the model."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from pydantic import ValidationError

from app.kit.errors import Fault
from app.trace.requests import EventRequest
from app.web.api.event_bodies import EventIn, plain_request

EVENT = {"code": "01/06901234567892/21/A", "type": "sale"}
ID = "0192f3a0-0000-7000-8000-00000000aaaa"
# Of each field what is right, what is nearly right, and what is of another type.
TOLD: dict[str, tuple[Any, ...]] = {
    "code": ("x" * 2048, "x" * 2049, "", 1, None, ["x"]),
    "type": ("购" * 64, "购" * 65, 1, None),
    "id": (ID, None, "x" * 80, "x" * 81, 7, True),
    "occurred_at": ("2026-11-23T15:00:00+08:00", None, "2026-11-23", "0000-01-01T00:00:00Z",
                    "0001-01-01T00:00:00+08:00", "", 5),
    "actor": ("91441200MA4T00000L", None, "x" * 65, 0),
    "data": ({}, {"region": "440100"}, {"a": [1.5, None]}, None, [], "x"),
    "sealed": ({}, {"order": {"content": {"number": "A-1"}}}, {"order": {"content": []}},
               {"order": {"content": {}, "salt": None}}, {"order": {"content": {}, "more": 1}},
               {"order": {}}, {"order": None}, None, []),
    "signed": (None, {"key": "k", "value": "v"}),
    "more": (1,),
}  # fmt: skip


def by_model(given: Any) -> EventRequest | None:
    try:
        return EventIn.model_validate(given).request()
    except (ValidationError, Fault):
        return None


def cases() -> list[dict[str, Any]]:
    single = [{**EVENT, name: value} for name, values in TOLD.items() for value in values]
    both = [
        {**EVENT, one: first, other: second}
        for (one, firsts), (other, seconds) in product(TOLD.items(), repeat=2)
        for first in firsts
        for second in seconds
        if one < other
    ]
    without = [{n: v for n, v in EVENT.items() if n != name} for name in EVENT]
    return [EVENT, *single, *both, *without]


def test_what_is_taken_is_what_the_model_reads():
    taken = 0
    for given in cases():
        request = plain_request(given)
        if request is not None:
            taken += 1
            assert request == by_model(given), given
    assert taken > 100


def test_what_programs_send_is_taken():
    for more in ({}, {"id": ID}, {"occurred_at": "2026-11-23T15:00:00+08:00"}, {"actor": "x"}):
        for sealed in ({}, {"sealed": {"order": {"content": {"number": "A-1"}}}}):
            assert plain_request({**EVENT, **more, **sealed, "data": {"a": 1}}) is not None


@pytest.mark.parametrize("given", [None, [], "x", 5, {}, {1: 2}])
def test_what_is_no_event_is_left(given):
    assert plain_request(given) is None
