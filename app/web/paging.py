"""Lists in pages: `{items, next}` with `?limit=` and an opaque `?cursor=`.

A cursor says where the next page begins and nothing else: who may see what is asked again with every
page, so it needs no signature.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import orjson
from fastapi import Depends, Query, Response
from pydantic import BaseModel

from app.kit.errors import FieldFault, invalid

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
LONG_LIMIT = 1_000
"""Of lists that are nearly always read whole, and are so unless less is asked for."""
_VERSION = 1
_MAX_CURSOR = 1_000
_MAX_INTEGER = 2**63 - 1

Item = TypeVar("Item")
Row = TypeVar("Row")


class PageBody(BaseModel, Generic[Item]):
    """One page of a list; `next` is null on the last one."""

    items: list[Item]
    next: str | None = None


def page_response(items: Sequence[BaseModel], following: str | None, **more: object) -> Response:
    """Returns a page whose items leave out what they have not; `next` is there even if null.

    more: what the page says beside its items.
    """
    shown = [item.model_dump(mode="json", by_alias=True, exclude_none=True) for item in items]
    body = orjson.dumps({"items": shown, "next": following, **more})
    return Response(body, media_type="application/json")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for. cursor None: from its beginning."""

    limit: int
    cursor: str | None

    def after(self, *shape: type) -> tuple[Any, ...] | None:
        """Returns the place after which the page begins, of these types (int, str), or None.

        Raises Invalid, kind `cursor`.
        """
        return None if self.cursor is None else _decode(self.cursor, shape)

    def cut(
        self, rows: Sequence[Row], place_of: Callable[[Row], tuple[int | str, ...]]
    ) -> tuple[list[Row], str | None]:
        """Returns the page's rows and the next cursor; `rows` holds `limit + 1` where there is more."""
        shown = list(rows[: self.limit])
        more = len(rows) > self.limit
        return shown, encode_place(place_of(shown[-1])) if more else None


async def _page(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=_MAX_CURSOR)] = None,
) -> Page:
    return Page(limit, cursor)


async def _long_page(
    limit: Annotated[int, Query(ge=1, le=LONG_LIMIT)] = LONG_LIMIT,
    cursor: Annotated[str | None, Query(max_length=_MAX_CURSOR)] = None,
) -> Page:
    return Page(limit, cursor)


InPage = Annotated[Page, Depends(_page)]
InLongPage = Annotated[Page, Depends(_long_page)]


def read_seq(page: Page) -> int:
    """Returns behind which own seq a page of a chain begins, -1 for the first. Raises Invalid."""
    place = page.after(int)
    return -1 if place is None else max(place[0], -1)


def encode_place(place: tuple[int | str, ...]) -> str:
    """Returns the cursor of the page after this place."""
    return base64.urlsafe_b64encode(orjson.dumps([_VERSION, *place])).decode("ascii").rstrip("=")


def _decode(cursor: str, shape: tuple[type, ...]) -> tuple[Any, ...]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        version, *place = orjson.loads(raw)
    except (binascii.Error, ValueError, TypeError) as err:
        raise _refused() from err
    fits = version == _VERSION and [type(part) for part in place] == list(shape)
    if not fits or any(type(part) is int and abs(part) > _MAX_INTEGER for part in place):
        raise _refused()
    return tuple(place)


def _refused() -> Exception:
    return invalid(FieldFault(("query", "cursor"), "cursor"))
