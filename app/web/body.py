"""Request bodies: strict JSON, read once, for every route of ours.

Strict means: a JSON media type, UTF-8, no duplicate keys, no lone surrogates, no control characters
(`app.kit.canonical.parse_json`), no unknown fields and no value taken for one of another type. A route
class does it, so that no handler can forget: routers of the API are made by `api_router`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterator
from datetime import date, datetime
from email.message import Message
from functools import lru_cache, partial
from itertools import islice
from typing import Annotated, Any, ClassVar

import orjson
from fastapi import APIRouter, params
from fastapi.dependencies.models import Dependant
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from app.kit.canonical import parse_json
from app.kit.clock import parse_time
from app.kit.errors import (
    MOST_BESIDE,
    FieldFault,
    TooLarge,
    Unauthenticated,
    UnsupportedMedia,
    invalid,
)
from app.web.deps import require_key
from app.web.paths import CONTROL, decode_parameters
from app.web.visit import visit_of

MAX_DEPTH = 32
MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_FORM_BYTES = 16 * 1024 * 1024
"""Of a form with several documents, from somebody who has signed in."""

MAX_UNKNOWN_BYTES = 512 * 1024
"""Of a body from somebody without a key: more than any call that he may make can mean."""

INLINE_BYTES = 16 * 1024
"""What is longer is parsed beside the event loop: at worst a parser takes 0.3 ms for 1 KiB."""

# What must be in the bytes of a body for a control character to be in one of its texts.
_CONTROL_SIGNS = re.compile(rb"\\[bfnrtu]|\x7f|\xc2[\x80-\x9f]")

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Body(BaseModel):
    """Base of every JSON body: unknown fields are refused, values keep their type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


def _read_time(given: object) -> datetime:
    try:
        if isinstance(given, str):
            return parse_time(given)
    except (ValueError, OverflowError) as err:
        raise PydanticCustomError("time", "not an RFC 3339 time") from err
    raise PydanticCustomError("string_type", "not a text")


def _read_day(given: object) -> str:
    try:
        if isinstance(given, str) and date.fromisoformat(given).isoformat() == given:
            return given
    except ValueError as err:
        raise PydanticCustomError("date", "not a day YYYY-MM-DD") from err
    raise PydanticCustomError("date" if isinstance(given, str) else "string_type", "not a day")


Time = Annotated[
    datetime,
    PlainValidator(_read_time),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""An RFC 3339 time with any offset, as UTC truncated to milliseconds."""

Day = Annotated[
    str, PlainValidator(_read_day), WithJsonSchema({"type": "string", "format": "date"})
]
"""A calendar day `YYYY-MM-DD`, as text."""


class _ReadRequest(Request):
    """A request whose body was read and parsed already; FastAPI asks for both again."""

    def __init__(self, request: Request, raw: bytes, value: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._raw, self._value = raw, value

    async def body(self) -> bytes:
        return self._raw

    async def json(self) -> Any:
        return self._value


async def read_json(
    request: Request, *, checks_text: bool = True, most: int = MAX_BODY_BYTES
) -> tuple[bytes, Any]:
    """Returns the body's bytes and their value; (b"", None) for an empty body.

    checks_text: whether control characters are refused here; False for who judges item by item.
    most: bytes. Raises UnsupportedMedia, Malformed, Invalid, and TooLarge while reading.
    """
    raw = await read_raw(request, most)
    parse = partial(parse_body, request, raw, checks_text=checks_text)
    return raw, parse() if len(raw) <= INLINE_BYTES else await run_in_threadpool(parse)


async def read_raw(request: Request, most: int) -> bytes:
    """Returns the body's bytes, whatever they are. Raises TooLarge while reading."""
    parts: list[bytes] = []
    told, length = request.headers.get("content-length", "0"), 0
    if int(told[:20]) > most:  # the gate has seen that it is a number
        raise _too_large(most)
    async for part in request.stream():
        parts.append(part)
        length += len(part)
        if length > most:
            raise _too_large(most)
    return b"".join(parts)


def _too_large(most: int) -> TooLarge:
    return TooLarge("body_too_large_here", limit=most)


def parse_body(request: Request, raw: bytes, *, checks_text: bool = True) -> Any:
    """Returns the value of a body that was read already. Raises as `read_json`."""
    if not raw:
        return None
    check_media_type(request)
    value = parse_json(raw)
    if checks_text and _CONTROL_SIGNS.search(raw):
        check_texts(value, ())
    return value


def check_media_type(request: Request) -> None:
    """Raises UnsupportedMedia unless the body is sent as JSON in UTF-8, uncompressed."""
    headers = dict(reversed(request.scope["headers"]))  # the first of each name
    given = headers.get(b"content-type", b"").decode("latin-1")
    encoding = headers.get(b"content-encoding", b"identity").decode("latin-1")
    if not _is_json(given) or encoding.lower() != "identity":
        raise UnsupportedMedia("media_type", expected="application/json", got=given[:80])


@lru_cache(maxsize=256)
def _is_json(content_type: str) -> bool:
    if not content_type:
        return False
    message = Message()
    message["content-type"] = content_type
    subtype = message.get_content_subtype()
    is_json = message.get_content_maintype() == "application" and (
        subtype == "json" or subtype.endswith("+json")
    )
    return is_json and message.get_content_charset("utf-8") == "utf-8"


def _name_of(route: APIRoute) -> str:
    return route.name


class StrictRoute(APIRoute):
    """Reads bodies by `read_json` and hands path parameters over decoded exactly once.

    Who may not ask at all is told so before his body is read. max_bytes: of a body.
    """

    checks_text: ClassVar[bool] = True
    max_bytes: ClassVar[int] = MAX_BODY_BYTES

    def __init__(self, path: str, endpoint: Callable[..., Any], **more: Any) -> None:
        # The description calls each operation by its handler's name.
        more["generate_unique_id_function"] = _name_of
        super().__init__(path, endpoint, **more)

    def check_first(self, request: Request) -> None:
        """Raises the fault of a request whose body need not be read: Unauthenticated."""
        if visit_of(request).principal is None and _asks_for(self.dependant, require_key):
            raise Unauthenticated("key_required")

    def get_route_handler(self) -> _Handler:
        handle = super().get_route_handler()
        field = self.body_field
        takes_json = field is not None and not isinstance(field.field_info, params.Form)
        checks_text, max_bytes = self.checks_text, self.max_bytes

        async def read_and_handle(request: Request) -> Response:
            scope = request.scope
            scope["path_params"] = decode_parameters(scope.get("path_params", {}))
            check_query(request)
            if takes_json:
                self.check_first(request)
                known = visit_of(request).principal is not None
                most = max_bytes if known else min(max_bytes, MAX_UNKNOWN_BYTES)
                raw, value = await read_json(request, checks_text=checks_text, most=most)
                request = _ReadRequest(request, raw, value)
            return await handle(request)

        return read_and_handle


class BatchRoute(StrictRoute):
    """A StrictRoute whose handler checks texts itself, so that one bad item fails alone."""

    checks_text = False


def api_router(*, tag: str, route: type[StrictRoute] = StrictRoute) -> APIRouter:
    """Returns a router below /api/v1 whose routes are strict."""
    return APIRouter(prefix="/api/v1", tags=[tag], route_class=route)


def _asks_for(dependant: Dependant, call: Callable[..., Any]) -> bool:
    return dependant.call is call or any(_asks_for(d, call) for d in dependant.dependencies)


def check_query(request: Request) -> None:
    """Raises Invalid where a name or value of the query holds a control character."""
    if not request.scope["query_string"]:
        return
    for name, value in request.query_params.multi_items():
        if CONTROL.search(name) or CONTROL.search(value):
            raise invalid(FieldFault(("query", CONTROL.sub("?", name)[:80]), "control"))


def check_texts(value: Any, loc: tuple[str | int, ...]) -> None:
    """Raises Invalid where texts or names in it have a control character, or it is too deep."""
    found = tuple(islice(controls_in(value, loc), MOST_BESIDE))
    if found:
        raise invalid(*found)


def controls_in(value: Any, loc: tuple[str | int, ...] = ()) -> Iterator[FieldFault]:
    """Yields a fault for each text or name in it with a control character, and where it is too deep."""
    if isinstance(value, str):
        if CONTROL.search(value):
            yield FieldFault(loc, "control")
    elif isinstance(value, (dict, list)):
        if len(loc) >= MAX_DEPTH:
            yield FieldFault(loc[:MAX_DEPTH], "depth", {"expected": MAX_DEPTH})
            return
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            place = (*loc, CONTROL.sub("?", key)[:80] if isinstance(key, str) else key)
            if isinstance(key, str) and CONTROL.search(key):
                yield FieldFault(place, "control")
            yield from controls_in(item, place)


def holds_controls(value: Any, raw: bytes | None = None) -> bool:
    """Whether a text or name in this JSON value has a control character. raw: the value's bytes, if known."""
    if raw is None:
        try:
            raw = orjson.dumps(value)
        except TypeError:  # a long integer, or too deep
            return next(controls_in(value), None) is not None
    return _CONTROL_SIGNS.search(raw) is not None and next(controls_in(value), None) is not None
