"""What the description promises, tried with made-up requests: no server error, no undocumented answer.

A fixed seed and 10 examples an operation, beside those that schemathesis derives from the description
itself: each bound, and each way to break it (`--hypothesis-profile long` makes 200 up). Three of four
are led to goods and parties that exist and are asked with the key of somebody who may, so that they
come further than the door.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, seed, settings
from schemathesis import checks
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.generation.meta import TestPhase
from schemathesis.pytest._test_builder import build_operation_test

from app.config import Settings
from app.main import create_app
from tests.web.conftest import CARRIER, SHOP
from tests.web.market import PRODUCT, RIVAL
from tests.web.operations import World
from tests.web.operations_events import OPERATIONS

SEED = 20261123
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
SETTINGS = settings(
    max_examples=settings().max_examples // 10,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
# What a shop may say of its unit, lot and product.
SAID: list[tuple[str, dict[str, Any]]] = [
    ("sale", {"region": "440100"}),
    ("dispatch", {"carrier": CARRIER, "to": "440100"}),
    ("return", {"reason": "cancelled"}),
    ("listing", {"platform": "示例平台"}),
    ("notice", {"text": "keep dry"}),
    ("transfer", {"to": RIVAL}),
    ("recall", {"reason": "glass"}),
    ("recall_lifted", {"reason": "checked"}),
]

_worlds: list[World] = []


@pytest.fixture(scope="module")
def world(market) -> World:
    _worlds[:] = [World(market)]
    return _worlds[0]


@pytest.fixture(scope="module")
def tokens(world: World) -> dict[tuple[str, str], str]:
    """A key of its own for each operation, since an example may come to revoke it."""
    return {
        place: world.market.key_of(operation.by)
        for place, operation in OPERATIONS.items()
        if operation.by is not None
    }


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """One for all: a new one each time costs as much as the answer."""
    with requests.Session() as opened:
        opened.trust_env = False
        yield opened


@pytest.fixture(scope="module")
def description() -> Any:
    made = schemathesis.openapi.from_dict(create_app(Settings()).openapi())
    made.hook(map_path_parameters)
    made.hook(map_body)
    return made


def map_path_parameters(_context: Any, path_parameters: Any) -> Any:
    return _with_real(path_parameters)


def map_body(_context: Any, body: Any) -> Any:
    if isinstance(body, dict) and isinstance(body.get("events"), list):
        return {**body, "events": [_with_real(item) for item in body["events"]]}
    return _with_real(body)


# OPERATIONS are all that is described: tests/web/test_bad_input.py.
@pytest.mark.parametrize("place", OPERATIONS, ids=" ".join)
def test_an_operation_answers_as_described(
    place: tuple[str, str],
    description: Any,
    world: World,
    tokens: dict[tuple[str, str], str],
    session: requests.Session,
):
    """Its cases are made here: `description.parametrize` makes those of all operations, which takes
    eight seconds, in every process that only collects tests."""
    method, path = place
    headers = {"Authorization": f"Bearer {tokens[place]}"} if place in tokens else {}

    # The settings by hand: `seed` alone would put those of the profile in their place, unseen.
    @seed(SEED)
    @SETTINGS
    def answers(case: Any) -> None:
        made_up.append(case.meta.phase.name)
        case.call_and_validate(
            base_url=world.market.url, headers=headers, checks=CHECKS, session=session
        )

    made_up: list[TestPhase] = []
    build_operation_test(
        config=description.config,
        operation=description[path][method],
        test_func=answers,
        given_kwargs={},
        feedback=FeedbackSources(constants_value_source=None),
    )()
    assert made_up.count(TestPhase.FUZZING) <= SETTINGS.max_examples


def _with_real(given: Any) -> Any:
    """Returns what was made up with names in it that are there, the same each time."""
    if not isinstance(given, dict) or not _worlds:
        return given
    choice = zlib.crc32(repr(given).encode("utf-8", "replace"))
    if choice % 4 == 0:
        return given
    names, unit = _worlds[0].names, _worlds[0].fresh.code
    real = {
        "gtin": [names["gtin"], names["item"]],
        "serial": [names["serial"], names["plain"]],
        "lot": ["A/1", "THEIRS"],
        "party": [SHOP, RIVAL],
        "batch_id": [names["batch"]],
        "finding": [names["finding"]],
        "entry": [names["entry"]],
        "audit_id": [names["audit"]],
        "version": [1],
        "path": ["0/000.p/1", "entries/000.p/3"],
        "form": ["png", "svg"],
        "code": [unit, PRODUCT, f"{PRODUCT}/10/A%2F1"],
    }
    shown = given | {
        name: values[choice // 4 % len(values)] for name, values in real.items() if name in given
    }
    if "type" in given and choice % 4 == 1:
        type_, data = SAID[choice // 16 % len(SAID)]
        # Without what no shop would send, an event comes as far as the chain.
        kept = {name: shown[name] for name in ("code",) if name in shown}
        return kept | {"type": type_, "data": data}
    return shown
