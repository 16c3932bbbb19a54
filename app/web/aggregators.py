"""The doors of aggregators that have a form of their own and can send no key: today kuaidi100 (快递100).

No call of the API: what is asked, and the answer `{"result", "returnCode", "message"}`, also to what is
refused, are the aggregator's. Where `result` is false it pushes again, half an hour later, three times: so
what was signed and would say nothing the next time either is taken, with notes. Who did not sign is refused,
though pushing again helps no more: nothing is said to be taken of whom we do not know. The HTTP status says
the same to whoever reads logs.
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import parse_qsl

import orjson
import structlog
from fastapi import APIRouter, Depends
from fastapi.responses import Response
from starlette.requests import Request

from app.i18n import Lang, text
from app.kit.errors import (
    Fault,
    FieldFault,
    Malformed,
    NotFound,
    TooMany,
    UnsupportedMedia,
    invalid,
)
from app.trace.pushaddresses import Taken
from app.web.body import MAX_UNKNOWN_BYTES, StrictRoute, read_raw
from app.web.deps import InRooms, InVisit
from app.web.problems import say_fault, status_of
from app.web.visit import visit_of

log = structlog.get_logger(__name__)

PREFIX = "/push/"
PATH = f"{PREFIX}kuaidi100"
_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 16


class ParcelUnknown(NotFound):
    """No parcel of this party's travels under the number: perhaps not yet, so it is asked for again."""


router = APIRouter(route_class=StrictRoute, include_in_schema=False)


async def _read_form(request: Request) -> bytes:
    """Returns a form's bytes; they are parsed beside the event loop. Raises TooLarge."""
    return await read_raw(request, MAX_UNKNOWN_BYTES)


def _parse_form(raw: bytes, media_type: str) -> tuple[str, str]:
    """Returns the two fields of a push, `param` and `sign`. Raises UnsupportedMedia, Malformed, Invalid."""
    if media_type.partition(";")[0].strip().lower() != _FORM:
        raise UnsupportedMedia("push_form", got=media_type[:80])
    try:
        fields = dict(
            parse_qsl(
                raw.decode("ascii"), keep_blank_values=True, errors="strict",
                max_num_fields=_MOST_FIELDS,
            )
        )  # fmt: skip
    except ValueError as err:  # not percent-encoded UTF-8, or too many fields
        raise Malformed("push_form") from err
    if not fields.get("param"):
        raise invalid(FieldFault(("param",), "missing", sentence="push_param"))
    return fields["param"], fields.get("sign", "")


@router.post(f"{PATH}/{{address}}")
def take_push(
    request: Request, rooms: InRooms, visit: InVisit, address: str,
    raw: Annotated[bytes, Depends(_read_form)],
) -> Response:  # fmt: skip
    """Takes what kuaidi100 pushes of one waybill."""
    door = rooms.push_addresses.find(address)
    try:
        param, sign = _parse_form(raw, request.headers.get("content-type", ""))
    except Fault:
        rooms.push_addresses.note_unformed(door)
        raise
    taken = rooms.push_addresses.take(door, param=param, sign=sign)
    told = taken.told
    log.info(
        "push.taken", party=taken.party, outcome=taken.outcome, recorded=taken.count("recorded"),
        carrier=told and told.carrier, unread=told and told.unread,
        fault=None if taken.fault is None else str(taken.fault),
    )  # fmt: skip
    if taken.outcome == "unknown":
        raise ParcelUnknown("push_waybill_unknown")
    if taken.outcome == "refused" and taken.fault is not None:
        raise taken.fault
    key = "push.answer.taken" if told is not None else "push.answer.unreadable"
    return _answer(200, text(visit.lang, key), taken=taken, lang=visit.lang)


def answer_fault(request: Request, fault: Fault) -> Response:
    """Returns what is said of anything refused below PREFIX: an aggregator reads no problem documents."""
    status = status_of(fault)
    if status < 500 and not isinstance(fault, TooMany):  # what is ours is logged where it happens
        # The address is half of what one must know to push: it stands in no log.
        log.warning("push.refused", slug=fault.slug, fault=str(fault))
    return _answer(status, say_fault(fault, visit_of(request).lang, with_places=True), fault=fault)


def _answer(
    status: int, message: str, *, taken: Taken | None = None, fault: Fault | None = None,
    lang: Lang = "zh",
) -> Response:  # fmt: skip
    """Returns an answer in the aggregator's shape; it passes over what it does not know."""
    told: dict[str, Any] = {
        "result": status == 200,
        "returnCode": str(status),
        "message": message,
    }
    if taken is not None:
        told["recorded"] = taken.count("recorded")
        told["repeated"] = taken.count("repeated")
        if notes := _notes(taken, lang):
            told["notes"] = notes
    headers = {"Cache-Control": "no-store"}
    if fault is not None and fault.retry_after_s is not None:
        headers["Retry-After"] = str(fault.retry_after_s)
    return Response(orjson.dumps(told), status, headers=headers, media_type="application/json")


def _notes(taken: Taken, lang: Lang) -> list[str]:
    """Returns what was heard and not recorded, and why."""
    told = taken.told
    if told is None:
        return [] if taken.fault is None else [say_fault(taken.fault, lang, with_places=True)]
    notes = []
    if told.ended:
        notes.append(text(lang, "push.answer.ended"))
    if taken.untold:
        notes.append(text(lang, "push.answer.untold", count=taken.untold))
    if told.bare:
        notes.append(text(lang, "push.answer.empty"))
    if told.untimed:
        notes.append(text(lang, "push.answer.untimed", state=told.untimed))
    if told.unread:
        notes.append(text(lang, "push.answer.unread", states=", ".join(told.unread)))
    return notes
