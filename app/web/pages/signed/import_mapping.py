"""How a party's order exports are read: which column is which, what goods and carriers are called there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import Lang
from app.imports.columns import columns_of
from app.imports.mapping import Layout, presets
from app.imports.plans import check_may
from app.kit.errors import Fault, FieldFault, invalid
from app.parties.sessions import SignedIn
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.form import BLANK, Form, InForm, Sent, prefilled, refused
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/imports/mapping"

_NAME = Annotated[str, Query(max_length=64)]
_KIND: Final = "shipments"
_COLUMNS: Final = "mapping_columns_"
_DEFAULTS: Final = "mapping_defaults_"
_DEFAULTED: Final = ("platform", "carrier", "shipped_at")


@router.get(PATH)
def show_mapping(
    request: Request, rooms: InRooms, signed: InSigned, lang: AskedLang = None, name: _NAME = ""
) -> Response:
    """Shows what is remembered, and a form for another or the one named."""
    principal = signed.person.principal()
    check_may(principal, _KIND)
    sent = BLANK
    if name:
        sent = _filled(name, rooms.imports.mapping(principal, _KIND, name))
    return _mapping(request, rooms, signed, lang, sent)


@router.post(PATH)
def keep_mapping(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Keeps a mapping under its name, in place of one of that name; or forgets it."""
    principal = signed.person.principal()
    check_may(principal, _KIND)
    lang = form.text("lang") or None
    name = form.text("name")
    if form.text("do") == "forget":
        rooms.imports.forget(principal, _KIND, name)
        return go_on(frame_of(request, lang, PATH), PATH, told="mapping_forgotten")
    try:
        if not 1 <= len(name) <= 64:
            raise invalid(
                FieldFault(("name",), "length", {"expected": "1..64", "got": len(name)})
                if name
                else FieldFault(("name",), "missing")
            )
        rooms.imports.remember(principal, _KIND, name, _read(form))
    except Fault as fault:
        sent = refused(request, form, fault)
        return _mapping(request, rooms, signed, lang, sent, status=status_of(fault))
    return go_on(frame_of(request, lang, PATH), PATH, told="mapping_kept")


def _read(form: Form) -> dict[str, dict[str, str]]:
    """Returns the mapping as `read_mapping` takes it. Raises Invalid for a line without `=`."""

    def fields(prefix: str) -> dict[str, str]:
        return {
            key.removeprefix(prefix): value.strip()
            for key, value in form.items
            if key.startswith(prefix) and value.strip()
        }

    return {
        "columns": fields(_COLUMNS),
        "goods": _pairs(form, "goods"),
        "carriers": _pairs(form, "carriers"),
        "defaults": fields(_DEFAULTS),
    }


def _pairs(form: Form, name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for n, line in enumerate(form.raw(name).splitlines(), 1):
        if not line.strip():
            continue
        # The shop's own word may hold a `=`; a GTIN or a party's id holds none.
        theirs, sign, ours = line.replace("＝", "=").rpartition("=")
        if not sign or not theirs.strip() or not ours.strip():
            raise invalid(FieldFault((name,), "pair", {"got": line.strip()[:80], "line": n}))
        found[theirs.strip()] = ours.strip()
    return found


def _filled(name: str, layout: Layout) -> Sent:
    def lines(pairs: Mapping[str, str]) -> str:
        return "\n".join(f"{theirs} = {ours}" for theirs, ours in pairs.items())

    return prefilled(
        name=name,
        goods=lines(layout.goods),
        carriers=lines(layout.carriers),
        **{_COLUMNS + field: header for field, header in layout.columns.items()},
        **{_DEFAULTS + field: value for field, value in layout.defaults.items()},
    )


def _names(lang: Lang) -> dict[str, str]:
    return {column.field: column.names[lang][0] for column in columns_of(_KIND)}


def _mapping(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
) -> Response:
    frame = frame_of(request, lang, PATH, keeps=("name",))
    kept = rooms.imports.mappings(signed.person.principal())
    names = _names(frame.lang)
    return answer_signed(
        "import_mapping.html",
        frame,
        signed,
        at="imports",
        status=status,
        told=told_of(request),
        sent=sent,
        kept=[name for kind, name, _, _ in kept if kind == _KIND],
        columns=[
            (_COLUMNS + one.field, names[one.field], one.required) for one in columns_of(_KIND)
        ],
        defaults=[(_DEFAULTS + field, names[field]) for field in _DEFAULTED],
        presets=[one.title[frame.lang] for one in presets()],
    )
