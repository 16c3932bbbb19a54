"""Credit kept for others, and how the sending of our own goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Depends, Path, Query, Response
from pydantic import BaseModel, Field
from starlette.requests import Request

from app.exchange.receiver import MAX_CHANGES, Kept, Told
from app.exchange.signing import signed_by
from app.i18n import Lang
from app.kit.clock import format_ms_if, format_time, from_ms
from app.kit.errors import Fault, FieldFault, Unauthenticated, invalid
from app.ledger.store import as_bytes
from app.web.body import Body, api_router
from app.web.deps import Caller, InRooms, InVisit, Rooms, Viewer
from app.web.openapi import problems
from app.web.paging import InPage, PageBody, page_response
from app.web.problems import describe

router = api_router(tag="credit-store")

_KEYS = 500
_EXAMPLE: Any = {
    "changes": [
        {
            "key": "party/91441200MA4TE5T00Q/3",
            "hash": "9f2c1d…",
            "record": {
                "v": 1,
                "stream": "party/91441200MA4TE5T00Q",
                "seq": 3,
                "type": "credit_entry",
                "id": "5a3e0c1e-8d52-5a8b-9b7c-0c5d2d0f6a11",
                "actor": "system",
                "source": "system",
                "occurred_at": "2026-11-25T08:00:00.000Z",
                "recorded_at": "2026-11-25T08:00:00.000Z",
                "prev": "41a7…",
                "data": {"entry": "…", "rule": "chain.completed", "points": 1},
            },
        }
    ]
}


class ChangeIn(Body):
    """One change of the sender's ledger: where it stands there, its hash, the record itself."""

    key: Annotated[str, Field(min_length=1, max_length=200)]
    hash: Annotated[str, Field(min_length=64, max_length=64)]
    record: dict[str, Any]


class ChangesIn(Body):
    """Changes in the sender's order; of one party in the order of its chain."""

    model_config = {**Body.model_config, "json_schema_extra": {"examples": [_EXAMPLE]}}

    changes: Annotated[list[ChangeIn], Field(min_length=1, max_length=MAX_CHANGES)]


class TakenOut(BaseModel):
    """What became of a change: the record that we made of it, or why there is none.

    held: an earlier change of its party was refused in the same request; send it again after that one.
    """

    key: str
    result: Literal["stored", "refused", "held"]
    stream: str | None = None
    seq: int | None = None
    hash: str | None = None
    recorded_at: str | None = None
    problem: dict[str, Any] | None = None


class TakenAllOut(BaseModel):
    """One result a change, in their order."""

    results: list[TakenOut]


class ReceivedOut(BaseModel):
    """A change that is kept here: its key and hash in the sender's ledger, its place in ours."""

    key: str
    hash: str
    party: str
    type: str
    stream: str
    seq: int
    received_at: str


class StoreCardOut(BaseModel):
    """A party's score by all that senders told about it, under the policy in force here."""

    party: str
    score: int
    score_without_holds: int
    grade: Literal["A", "B", "C", "D"]
    policy: int
    as_of: str
    senders: list[str]


class SendingOut(BaseModel):
    """How the sending goes. waiting: changes that the store has not confirmed, failing and dead too."""

    kind: Literal["local", "http", "file"]
    state: Literal["closed", "open", "half_open"]
    failures: int
    waiting: int
    failing: int
    dead: int
    oldest_at: str | None = None
    next_at: str | None = None
    last_ok_at: str | None = None
    last_error: str | None = None


class DeadLetterOut(BaseModel):
    """A change that the store refused for good; it holds back what follows of its party."""

    key: str
    error: str


class ResendIn(Body):
    """keys: of dead letters; left out: all of them."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {"examples": [{"keys": ["party/91441200MA4TE5T00Q/3"]}]},
    }

    keys: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=_KEYS)] | None = (
        None
    )


class ResentOut(BaseModel):
    """How many will be sent again."""

    resent: int


@dataclass(frozen=True, slots=True)
class _Signed:
    """A request as its signature covers it."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]]
    body: bytes

    def sender(self, rooms: Rooms) -> str:
        """Returns who signed it. Raises Unauthenticated."""
        return rooms.receiver.authenticate(
            method=self.method, url=self.url, headers=self.headers, body=self.body
        )

    @property
    def claims(self) -> bool:
        return signed_by(dict(self.headers))


async def _signed(request: Request) -> _Signed:
    scope = request.scope
    path = scope.get("raw_path", b"").decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    # As it came: behind a proxy of ours the scheme differs, which is not covered.
    host = request.headers.get("host", "")
    url = f"{scope['scheme']}://{host}{path}" + (f"?{query}" if query else "")
    headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in scope["headers"]]
    return _Signed(request.method, url, headers, await request.body())


InSigned = Annotated[_Signed, Depends(_signed)]


@router.post(
    "/credit-store/changes",
    summary="Keep changes of a credit ledger",
    responses=problems("id-conflict", "lifecycle-conflict"),
    response_model=TakenAllOut,
    response_model_exclude_none=True,
)
def take_changes(
    rooms: InRooms, visit: InVisit, signed: InSigned, body: ChangesIn
) -> dict[str, Any]:
    """Takes each change exactly once, as a record of our chain; a repeat meets the first answer.

    Signed by a sender whom the operator let in (RFC 9421, see docs/credit-store.md). A single change
    that is refused is answered with its problem; of several each has its own result.
    """
    sender = signed.sender(rooms)
    told = [Told(one.key, one.hash, one.record) for one in body.changes]
    answers = rooms.receiver.take(sender, told)
    if len(answers) == 1 and isinstance(answers[0], Fault):
        raise answers[0]
    pairs = zip(told, answers, strict=True)
    return {"results": [_taken(one.key, answer, visit.lang, visit.id) for one, answer in pairs]}


@router.get(
    "/credit-store/changes",
    summary="What a sender keeps here",
    responses=problems("forbidden"),
    response_model=PageBody[ReceivedOut],
)
def list_changes(
    rooms: InRooms,
    viewer: Viewer,
    signed: InSigned,
    page: InPage,
    sender: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """Returns a sender's changes in an order that its own ledger can be listed in, to compare both.

    A sender signs the request and sees its own; regulators and the operator name the sender.
    """
    after = page.after(int, int)
    if viewer is not None:
        viewer.check_may("credit.exchange")
        if sender is None:
            raise invalid(FieldFault(("query", "sender"), "missing", {"name": "sender"}))
    elif signed.claims:
        sender = signed.sender(rooms)
    else:
        raise Unauthenticated("key_required")
    rows = rooms.receiver.list_received(sender, after=after, limit=page.limit + 1)
    shown, following = page.cut(rows, lambda row: (row.source, row.seq))
    return page_response([_received(row) for row in shown], following)


@router.get(
    "/credit-store/parties/{party}",
    summary="A party's score by what was sent",
    responses=problems("not-found"),
)
def read_store_card(
    rooms: InRooms,
    party: Annotated[str, Path(max_length=64, examples=["91441200MA4TE5T00Q"])],
) -> StoreCardOut:
    """Returns the score that all changes kept here for a party add up to, computed now."""
    card, senders = rooms.receiver.card(party)
    return StoreCardOut(
        party=party,
        score=card.score,
        score_without_holds=card.score_without_holds,
        grade=card.grade,
        policy=card.policy_version,
        as_of=format_time(rooms.clock.now()),
        senders=senders,
    )


@router.get(
    "/credit-store/sending",
    summary="How the sending goes",
    responses=problems("forbidden"),
    response_model_exclude_none=True,
)
def read_sending(rooms: InRooms, caller: Caller) -> SendingOut:
    """Returns the circuit breaker's state, what waits, what is dead, and the last error."""
    caller.check_may("credit.exchange")
    told = rooms.backroom.standing()
    link, waiting = told.link, told.backlog
    return SendingOut(
        kind=told.kind,
        state=told.state.value,
        failures=link.failures,
        waiting=waiting.waiting,
        failing=waiting.failing,
        dead=waiting.dead,
        oldest_at=format_ms_if(waiting.oldest_at_ms),
        next_at=format_ms_if(link.next_at_ms or None),
        last_ok_at=format_ms_if(link.last_ok_at_ms),
        last_error=link.last_error,
    )


@router.get(
    "/credit-store/dead-letters",
    summary="Changes that the store refused",
    responses=problems("forbidden"),
    response_model=PageBody[DeadLetterOut],
)
def list_dead_letters(rooms: InRooms, caller: Caller, page: InPage) -> Response:
    """Returns what the store refused for good, and why; each holds back its party's later changes."""
    caller.check_may("credit.exchange")
    rows = rooms.backroom.dead_letters(after=page.after(int, int), limit=page.limit + 1)
    shown, following = page.cut(rows, lambda letter: letter.place)
    return page_response([DeadLetterOut(key=one.key, error=one.error) for one in shown], following)


@router.post(
    "/credit-store/dead-letters/resend",
    summary="Send dead letters again",
    responses=problems("forbidden"),
)
def resend_dead_letters(rooms: InRooms, caller: Caller, body: ResendIn) -> ResentOut:
    """Lets dead letters be sent once more, in their turn."""
    caller.check_may("credit.exchange")
    return ResentOut(resent=rooms.backroom.resend(body.keys))


def _taken(key: str, answer: Kept | Fault, lang: Lang, instance: str) -> TakenOut:
    if isinstance(answer, Kept):
        recorded = answer.recorded
        return TakenOut(
            key=key,
            result="stored",
            stream=recorded.stream,
            seq=recorded.seq,
            hash=recorded.hash.hex(),
            recorded_at=format_time(recorded.recorded_at),
        )
    result: Literal["held", "refused"] = "held" if answer.key == "earlier_refused" else "refused"
    problem = describe(answer, lang=lang, instance=instance)
    return TakenOut(key=key, result=result, problem=problem)


def _received(row: Any) -> ReceivedOut:
    return ReceivedOut(
        key=f"party/{row.party}/{row.seq}",
        hash=as_bytes(row.hash).hex(),
        party=row.party,
        type=row.type,
        stream=f"store/{row.sender}/{row.party}",
        seq=row.place,
        received_at=format_time(from_ms(row.received_at)),
    )
