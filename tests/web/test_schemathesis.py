"""What the description promises, tried with made-up requests: no server error, no undocumented answer.

A fixed seed and 100 examples an operation, beside those that schemathesis derives from the
description itself. Each operation is asked with the key of somebody who may do it, about goods that
exist, so that the requests come further than the door.
"""

from __future__ import annotations

import zlib
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, seed, settings
from schemathesis import checks

from app.config import Settings
from app.main import create_app
from app.trace.events import EVENT_TYPES
from tests.web.conftest import SHOP
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

description = schemathesis.openapi.from_dict(create_app(Settings()).openapi())


_worlds: list[World] = []


@pytest.fixture(scope="module")
def world(market) -> World:
    _worlds[:] = [World(market)]
    return _worlds[0]


@description.hook
def map_path_parameters(_context: Any, path_parameters: Any) -> Any:
    """Three of four paths lead to something that exists."""
    return _with_real(path_parameters)


@description.hook
def map_body(_context: Any, body: Any) -> Any:
    """Three of four bodies are about goods and parties that exist, in one of the event types."""
    if isinstance(body, dict) and isinstance(body.get("events"), list):
        return {**body, "events": [_with_real(item) for item in body["events"]]}
    return _with_real(body)


def _with_real(given: Any) -> Any:
    if not isinstance(given, dict) or not _worlds:
        return given
    # The same each time for the same example, so that a failure can be had again.
    choice = zlib.crc32(repr(given).encode("utf-8", "replace"))
    if choice % 4 == 0:
        return given
    market, names = _worlds[0].market, _worlds[0].names
    (fresh,) = market.issue() if "code" in given else (None,)
    real = {
        "gtin": [names["gtin"], names["item"]],
        "serial": [names["serial"], names["plain"]],
        "lot": ["A/1", "THEIRS"],
        "party": [SHOP, RIVAL],
        "batch_id": [names["batch"]],
        "finding": [names["finding"]],
        "audit_id": [names["audit"]],
        "version": [1],
        "path": ["0/000.p/1", "entries/000.p/3"],
        "form": ["png", "svg"],
        "code": [fresh and fresh.code, PRODUCT, f"{PRODUCT}/10/A%2F1", f"party/{RIVAL}"],
        "type": list(EVENT_TYPES),
    }
    return given | {
        name: values[choice // 4 % len(values)] for name, values in real.items() if name in given
    }


@pytest.fixture
def headers(world: World, request: pytest.FixtureRequest) -> dict[str, str]:
    """A key of its own for each operation, since an example may come to revoke it."""
    place = request.node.callspec.id if hasattr(request.node, "callspec") else request.node.name
    (operation,) = [
        line
        for (method, path), line in OPERATIONS.items()
        if place.endswith(f"[{method} {path}]") or place == f"{method} {path}"
    ]
    if operation.by is None:
        return {}
    return {"Authorization": f"Bearer {world.market.key_of(operation.by)}"}


@description.parametrize()
@seed(SEED)
@settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_an_operation_answers_as_described(case: Any, world: World, headers: dict[str, str]):
    r = case.call_and_validate(base_url=world.market.url, headers=headers, checks=CHECKS)
    open("/tmp/h/stat.txt", "a").write(f"{case.method} {case.operation.path} {r.status_code}\n")
