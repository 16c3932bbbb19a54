"""What the description promises, tried with made-up requests: no server error, no undocumented answer.

A fixed seed and 100 examples an operation, beside those that schemathesis derives from the
description itself. Each operation is asked with the key of somebody who may do it, about goods that
exist, so that the requests come further than the door.
"""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, seed, settings
from schemathesis import checks

from app.config import Settings
from app.main import create_app
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


@pytest.fixture(scope="module")
def world(market) -> World:
    return World(market)


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
    case.call_and_validate(base_url=world.market.url, headers=headers, checks=CHECKS)
