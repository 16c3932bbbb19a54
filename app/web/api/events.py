"""POST /events, /events/batch, /shipments: what happens to goods.

The single event is the hot path of the service: `async`, parsed once, and in the thread pool only
where preparing it asks the database.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import Query, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from app.kit.clock import format_time
from app.kit.errors import MOST_BESIDE, Fault, FieldFault, Invalid, TooLarge, Unauthenticated
from app.ledger import logstore
from app.ledger.record import MAX_EVENT_BYTES, stream_key
from app.ledger.served import load_checkpoint
from app.ledger.submission import Abandoned, Answer, Recorded
from app.parties.principal import Principal
from app.trace.requests import ConsumerProof, EventRequest
from app.web.api.event_bodies import BatchIn, EventIn, ShipmentIn, plain_request
from app.web.api.proofs import ClaimHeader, InnerHeader, QueryHeader, read_proof
from app.web.body import BatchRoute, StrictRoute, api_router
from app.web.deps import Caller, InRooms, InVisit, Rooms, Viewer
from app.web.links import code_path
from app.web.openapi import problems
from app.web.problems import describe, read_errors, refusal_of, status_of
from app.web.short import ShortAnswer
from app.web.visit import Visit, visit_of

Wait = Literal["durable", "sequenced", "published"]
_REFUSALS = (
    "forbidden",
    "no-mandate",
    "party-unverified",
    "licence-missing",
    "proof-invalid",
    "not-found",
    "code-unknown",
    "lifecycle-conflict",
    "id-conflict",
    "too-large",
    "signature-invalid",
    "overloaded",
)
_REPEATED: dict[int | str, dict[str, Any]] = {
    200: {"description": "A repeat: the first answer again."}
}
_WAIT_S = 5.0
_POLL_S = 0.01

_PROOFS = frozenset({b"suxin-claim", b"suxin-inner", b"suxin-ticket"})


class _EventRoute(StrictRoute):
    """A route of one event: with a key or a proof, and with room for six bytes an escaped character.

    It tells all that is wrong with the event at once: the body looks at its own texts, and a body that was
    refused is judged once more, by the clock too, which the framework does not know.
    """

    max_bytes = 8 * MAX_EVENT_BYTES
    checks_text = False

    def check_first(self, request: Request) -> None:
        """Raises Unauthenticated without a key or a proof."""
        shown = any(name in _PROOFS for name, _ in request.scope["headers"])
        if visit_of(request).principal is None and not shown:
            raise Unauthenticated("key_or_proof_required")

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Returns the handler that tells a refused body in full."""
        handle = super().get_route_handler()

        async def handle_in_full(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as err:
                # Where so much is wrong that nothing was looked for beside it, there is no more to tell.
                if type(err.body) is not dict or len(err.errors()) > 2 * MOST_BESIDE:
                    raise
                now = request.app.state.rooms.clock.now()
                raise await run_in_threadpool(_told_in_full, err, now) from err

        return handle_in_full


def _told_in_full(err: RequestValidationError, now: datetime) -> Invalid:
    """Returns what is wrong with an event and with what stands beside its body."""
    others = read_errors(one for one in err.errors() if one["loc"][:1] != ("body",))
    try:
        EventIn.model_validate(err.body, context={"now": now})
    except ValidationError as refused:
        return refusal_of(refused.errors(include_url=False), *others)
    return Invalid("invalid", errors=others)


event_router = api_router(tag="events", route=_EventRoute)
router = api_router(tag="events")
batch_router = api_router(tag="events", route=BatchRoute)


@event_router.post(
    "/events",
    status_code=201,
    summary="Record one event",
    responses={**_REPEATED, **problems(*_REFUSALS)},
)
async def record_event(
    rooms: InRooms,
    principal: Viewer,
    event: EventIn,
    wait: Annotated[Wait, Query()] = "durable",
    claim: ClaimHeader = None,
    inner: InnerHeader = None,
    query: QueryHeader = None,
) -> Response:
    """Records one event on a product, lot or unit, or a measure on a party.

    Programs send a key. Consumers send `Suxin-Claim` or `Suxin-Inner` in its place, and to go on with a
    complaint (`message`) its query code as `Suxin-Ticket`. The answer says
    what is true: `durable` (committed), `sequenced`, `published`; `wait` waits for it up to 5 s.
    """
    proof = None
    if principal is None:
        proof = read_proof(claim, inner, query)
    else:
        principal.check_may("event.send")
    request = event.request()
    _check_size(request)
    return await _record(rooms, principal, request, proof, wait)


async def _record(
    rooms: Rooms,
    principal: Principal | None,
    request: EventRequest,
    proof: ConsumerProof | None,
    wait: Wait,
) -> Response:
    if rooms.recording.reads_database(request, proof):
        answers = await run_in_threadpool(
            rooms.recording.record_and_wait, principal, [request], proof=proof
        )
        answer = answers[0]
    else:
        answer = (await rooms.recording.record(principal, [request], proof=proof))[0]
    if isinstance(answer, Fault):
        raise answer
    body = event_body(rooms, answer)
    body["status"] = await reached(rooms, [answer], wait)
    return Response(
        orjson.dumps(body), 200 if answer.replayed else 201, media_type="application/json"
    )


async def answer_event(request: Request, body: Any) -> Response | None:
    """Returns the answer to a program's plain event; None for every other, and for a wrong shape."""
    principal = visit_of(request).principal
    assert principal is not None
    event = plain_request(body)
    if event is None:
        return None
    principal.check_may("event.send")
    # Not `_check_size`: what is so short in a body (INLINE_BYTES) is not four times as long out of it,
    # as long as it would have to be.
    return await _record(request.app.state.rooms, principal, event, None, "durable")


SHORT_ANSWERS: Mapping[str, ShortAnswer] = {"/api/v1/events": answer_event}
"""Who is asked before the routes are, by path."""


@batch_router.post(
    "/events/batch",
    summary="Record up to 1000 events",
    responses=problems(*_REFUSALS),
)
async def record_batch(
    rooms: InRooms,
    principal: Caller,
    visit: InVisit,
    batch: BatchIn,
    atomic: Annotated[bool, Query()] = False,
    wait: Annotated[Wait, Query()] = "durable",
) -> Response:
    """Records events in the order given; each stands for itself and sees those before it.

    With `atomic=true` all or none: the first refusal is the answer, and nothing was written.
    """
    principal.check_may("event.send")
    requests, faults = await run_in_threadpool(_read_items, batch.events, rooms.clock.now())
    count = len(batch.events)
    answered: Iterable[Answer]
    if atomic:
        if faults:
            index, fault = min(faults.items())
            raise _at_index(fault, index)
        answered = await run_in_threadpool(
            rooms.recording.record_and_wait, principal, list(requests.values()), atomic=True
        )
        for index, answer in enumerate(answered):
            if isinstance(answer, Fault) and not isinstance(answer, Abandoned):
                raise _at_index(answer, index)
    else:
        answered = await run_in_threadpool(
            rooms.recording.hand_over, principal, list(requests.values())
        )

    def answers() -> Iterator[Answer]:
        told = iter(answered)
        return (faults[index] if index in faults else next(told) for index in range(count))

    async def stand() -> tuple[list[Recorded], Wait]:
        done = await run_in_threadpool(
            lambda: [one for one in answers() if isinstance(one, Recorded)]
        )
        return done, await reached(rooms, done, wait)

    # A thousand receipts are signed beside the loop, while the rest is recorded and the log takes it in.
    (done, status), results = await asyncio.gather(
        stand(), run_in_threadpool(_results, rooms, visit, answers())
    )
    for result in results:
        if "event" in result:
            result["event"]["status"] = status
    body = {"accepted": len(done), "rejected": count - len(done), "results": results}
    return Response(orjson.dumps(body), media_type="application/json")


def _results(rooms: Rooms, visit: Visit, answers: Iterable[Answer]) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    for index, answer in enumerate(answers):
        if isinstance(answer, Recorded):
            status = 200 if answer.replayed else 201
            event = event_body(rooms, answer)
            results.append({"index": index, "status": status, "event": event})
        else:
            problem = describe(answer, lang=visit.lang, instance=visit.id)
            results.append({"index": index, "status": status_of(answer), "problem": problem})
    return results


@router.post(
    "/shipments",
    status_code=201,
    summary="Record a parcel: sale and dispatch of its units",
    responses={**_REPEATED, **problems(*_REFUSALS)},
)
def record_shipment(rooms: InRooms, principal: Caller, shipment: ShipmentIn) -> Response:
    """Records `sale` and `dispatch` on every unit of a parcel, all or none.

    Without `codes` the units are issued now; `links.labels_pdf` prints their labels.
    """
    shipped = rooms.shipments.ship(principal, shipment.shipment())
    links: dict[str, str] = {}
    if shipped.batch_id is not None:
        links["self"] = f"/api/v1/batches/{shipped.batch_id}"
        links["labels_pdf"] = f"/api/v1/batches/{shipped.batch_id}/labels.pdf"
    body = {
        "events": event_bodies(rooms, shipped.events),
        "codes": list(shipped.codes),
        "links": links,
    }
    replayed = all(event.replayed for event in shipped.events)
    return Response(orjson.dumps(body), 200 if replayed else 201, media_type="application/json")


def event_body(rooms: Rooms, recorded: Recorded) -> dict[str, Any]:
    """Returns the answer to a recorded event; the same for a repeat."""
    return event_bodies(rooms, [recorded])[0]


def event_bodies(rooms: Rooms, records: Sequence[Recorded]) -> list[dict[str, Any]]:
    """Returns the same of many."""
    promised = rooms.recording.all_promises(records)
    return [_body(rooms, one) | more for one, more in zip(records, promised, strict=True)]


def _body(rooms: Rooms, recorded: Recorded) -> dict[str, Any]:
    return {
        "id": recorded.id,
        "code": recorded.stream,
        "seq": recorded.seq,
        "type": recorded.type,
        "hash": recorded.hash.hex(),
        "prev": recorded.prev.hex(),
        "recorded_at": format_time(recorded.recorded_at),
        "status": "durable",
        "receipt": rooms.receipts.issue(recorded),
        "links": {"self": code_path(recorded.stream)},
    }


async def reached(rooms: Rooms, recorded: Sequence[Recorded], wait: Wait) -> Wait:
    """Returns how far the records have come, after waiting for `wait` at most 5 s."""
    if wait == "durable" or not recorded:
        return "durable"
    rooms.on_wait()
    # The last in the order in which the log takes them in.
    last = max(recorded, key=lambda r: (r.recorded_at, stream_key(r.stream), r.seq))
    end = asyncio.get_running_loop().time() + _WAIT_S
    while True:
        status = await run_in_threadpool(_standing, rooms, last)
        if status in (wait, "published") or asyncio.get_running_loop().time() >= end:
            return status
        await asyncio.sleep(_POLL_S)


def _standing(rooms: Rooms, recorded: Recorded) -> Wait:
    with rooms.database.read() as connection:
        leaf = logstore.find_leaf(connection, recorded.stream, recorded.seq)
        if leaf is None:
            return "durable"
        published = load_checkpoint(connection, rooms.keyring.log.vkey)
    covered = published is not None and leaf[0] < published.end
    return "published" if covered else "sequenced"


def _read_items(
    items: Sequence[Any],
    now: datetime,
) -> tuple[dict[int, EventRequest], dict[int, Fault]]:
    requests: dict[int, EventRequest] = {}
    faults: dict[int, Fault] = {}
    for index, item in enumerate(items):
        try:
            request = plain_request(item)
            if request is None:
                event = EventIn.model_validate(item, context={"now": now})
                _check_size(event)
                request = event.request()
            else:
                _check_size(request)
            requests[index] = request
        except ValidationError as err:
            faults[index] = refusal_of(err.errors(include_url=False))
        except Fault as fault:
            faults[index] = fault
    return requests, faults


def _at_index(fault: Fault, index: int) -> Fault:
    """Returns the fault with its fields named from the body's root."""
    fault.errors = tuple(
        dataclasses.replace(error, loc=("events", index, *error.loc)) for error in fault.errors
    ) or (FieldFault(("events", index), "refused"),)
    return fault


def _check_size(event: EventIn | EventRequest) -> None:
    size = _size(event.data) + sum(_size(section.content) for section in event.sealed.values())
    if size > MAX_EVENT_BYTES:
        raise TooLarge("event_too_large", limit=MAX_EVENT_BYTES, got="> 64 KiB")


def _size(value: Mapping[str, Any]) -> int:
    try:
        return len(orjson.dumps(value))
    except TypeError:  # an integer beyond 64 bits: refused later, by name
        return len(str(value))
