"""Whether this process is alive, and whether it can serve: for supervisors and load balancers."""

from __future__ import annotations

from typing import Literal

import structlog
from fastapi import APIRouter
from pydantic import BaseModel

from app.db.lease import read_standing
from app.db.schema import is_served
from app.kit.clock import from_ms
from app.kit.errors import Unavailable
from app.ledger import logstore
from app.ledger.served import load_checkpoint
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.openapi import problems

log = structlog.get_logger(__name__)

router = APIRouter(tags=["health"], route_class=StrictRoute)


class HealthBody(BaseModel):
    """What was looked at, and that it is well."""

    status: str
    checks: list[str] = []


class CreditStoreBody(BaseModel):
    """How the sending to the other credit store goes: changes that wait, and those that it refused."""

    state: Literal["closed", "open", "half_open"]
    waiting: int
    dead: int


class ReadyBody(HealthBody):
    """leader: id of the process that leads, null where none does. leads: whether it is of this service.

    On SQLite the one service of the database leads, and has no id. credit_store: null where credit is kept
    nowhere else; nothing in it makes this process less ready.
    """

    leader: str | None
    leads: bool
    credit_store: CreditStoreBody | None


@router.get("/healthz", summary="Alive")
async def read_alive() -> HealthBody:
    """Answers as long as the process does; looks at nothing else."""
    return HealthBody(status="alive")


@router.get("/readyz", summary="Ready to serve", responses=problems("unavailable"))
def read_ready(rooms: InRooms) -> ReadyBody:
    """The database answers with our schema or a later one, the log's state can be read, and it is published.

    `leader` is the id of the process that gives records their place and signs; it has another at
    each start.

    503 where the last try to publish was refused, or a record waits longer than its receipt promised.
    """
    try:
        not_ready = _look(rooms)
        leader, leads = _leading(rooms)
        sending = _sending(rooms)
    except Exception as err:
        # Whatever a driver raises means the same to who asks: not now.
        log.exception("readiness.failed")
        raise Unavailable("not_ready", what="database", retry_after_s=5) from err
    if not_ready:
        raise Unavailable("not_ready", what=not_ready, retry_after_s=5)
    checks = ["database", "schema", "log", "publishing"]
    return ReadyBody(
        status="ready", checks=checks, leader=leader, leads=leads, credit_store=sending
    )


def _leading(rooms: Rooms) -> tuple[str | None, bool]:
    if rooms.lease is None:
        return None, True
    with rooms.database.read() as connection:
        leader = read_standing(connection).holder
    ours = rooms.leading()
    return leader, ours.leads and leader == ours.id


def _sending(rooms: Rooms) -> CreditStoreBody | None:
    if rooms.sender is None:
        return None
    told = rooms.backroom.standing()
    return CreditStoreBody(
        state=told.state.value, waiting=told.backlog.waiting, dead=told.backlog.dead
    )


def _look(rooms: Rooms) -> str | None:
    """Returns what is not as it must be, or None."""
    if not is_served(rooms.database):
        return "schema"
    with rooms.database.read() as connection:
        state = logstore.load_state(connection)
        if state is None:
            return "log"
        published = load_checkpoint(connection, rooms.keyring.log.vkey)
        end = state.log.start if published is None else published.end
        oldest = logstore.oldest_unpublished(connection, end)
    if (fault := rooms.leading().fault) is not None:
        return f"publishing ({fault})"
    # Also where another process publishes: its faults are not known here, its delay is.
    if oldest is not None and rooms.clock.now() > from_ms(oldest) + rooms.receipts.publish_within:
        return "publishing (overdue)"
    return None
