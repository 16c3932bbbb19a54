"""Webhooks: where a party wants to be told, what was sent there, and sending it again."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Query, Response
from pydantic import BaseModel, Field

from app.kit.clock import format_ms_if, format_time, from_ms
from app.oversight.hooks import Hook
from app.web.body import Body, api_router
from app.web.deps import Caller, InRooms
from app.web.openapi import problems
from app.web.paging import InPage, PageBody, page_response

router = api_router(tag="webhooks")

HookId = Annotated[str, Path(max_length=80, examples=["0192f3a0-0000-7000-8000-0000000f00d0"])]
DeliveryId = Annotated[str, Path(max_length=80, examples=["0192f3a0-0000-7000-8000-0000000f00d1"])]
Event = Literal["credit.warning", "finding.opened", "complaint.opened", "recall"]
Status = Annotated[Literal["waiting", "delivered", "dead"] | None, Query()]


class WebhookIn(Body):
    """Where to send, and what: `https` and a public address, unless the operator allows others."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {
            "examples": [
                {"url": "https://shop.example/suxin", "events": ["credit.warning", "recall"]}
            ]
        },
    }

    url: Annotated[str, Field(min_length=1, max_length=500)]
    events: Annotated[list[Event], Field(min_length=1, max_length=4)]


class WebhookOut(BaseModel):
    """A webhook. `secret` is shown once, when it is made: `whsec_` and base64 of the HMAC key."""

    id: str
    url: str
    events: list[str]
    created_at: str
    secret: str | None = None


class DeliveryOut(BaseModel):
    """A message: waiting for its next attempt, delivered, or dead after the last one."""

    id: str
    webhook: str
    event: str
    status: Literal["waiting", "delivered", "dead"]
    attempts: int
    created_at: str
    next_at: str | None = None
    delivered_at: str | None = None
    last_error: str | None = None


@router.post(
    "/webhooks",
    status_code=201,
    summary="Register a webhook",
    responses=problems("forbidden", "already-exists"),
    response_model_exclude_none=True,
)
def register_webhook(rooms: InRooms, caller: Caller, body: WebhookIn) -> WebhookOut:
    """For the caller's own party: what is about it, and about those that gave it a mandate."""
    return _shown(rooms.hooks.register(caller, url=body.url, events=body.events))


@router.get(
    "/webhooks", summary="Your webhooks", responses=problems("forbidden"),
    response_model=PageBody[WebhookOut],
)  # fmt: skip
def list_webhooks(rooms: InRooms, caller: Caller) -> Response:
    """Returns the caller's webhooks, without secrets."""
    return page_response([_shown(one) for one in rooms.hooks.hooks(caller)], None)


@router.delete(
    "/webhooks/{webhook}", status_code=204, summary="End a webhook",
    responses=problems("forbidden", "not-found"),
)  # fmt: skip
def end_webhook(rooms: InRooms, caller: Caller, webhook: HookId) -> None:
    """Ends it: nothing more is sent there. Again is no harm."""
    rooms.hooks.end(caller, webhook)


@router.get(
    "/webhooks/deliveries", summary="What was sent", responses=problems("forbidden"),
    response_model=PageBody[DeliveryOut],
)  # fmt: skip
def list_deliveries(
    rooms: InRooms, caller: Caller, page: InPage, status: Status = None
) -> Response:
    """Returns messages to the caller's webhooks, oldest first, kept 30 days; `status=dead`: given up."""
    after = page.after(int, str)
    rows = rooms.hooks.deliveries(caller, status=status, after=after, limit=page.limit + 1)
    shown, following = page.cut(rows, lambda row: (row.created_at, row.id))
    return page_response([_delivery(row) for row in shown], following)


@router.post(
    "/webhooks/deliveries/{delivery}/resend", status_code=202, summary="Send again",
    responses=problems("forbidden", "not-found"), response_model_exclude_none=True,
)  # fmt: skip
def resend_delivery(rooms: InRooms, caller: Caller, delivery: DeliveryId) -> DeliveryOut:
    """Sends a message anew, with all its attempts; it keeps its id."""
    return _delivery(rooms.hooks.resend(caller, delivery))


def _shown(hook: Hook) -> WebhookOut:
    return WebhookOut(
        id=hook.id, url=hook.url, events=list(hook.events),
        created_at=format_time(hook.created_at), secret=hook.secret,
    )  # fmt: skip


def _delivery(row: object) -> DeliveryOut:
    found = row._mapping  # type: ignore[attr-defined]
    waiting = found["status"] == "waiting"
    delivered = found["delivered_at"]
    return DeliveryOut(
        id=found["id"],
        webhook=found["webhook"],
        event=found["event"],
        status=found["status"],
        attempts=found["attempts"],
        created_at=format_time(from_ms(found["created_at"])),
        next_at=format_time(from_ms(found["available_at"])) if waiting else None,
        delivered_at=format_ms_if(delivered),
        last_error=found["last_error"],
    )
