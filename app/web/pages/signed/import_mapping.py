"""How a party's files of orders and events are read: which column is which, what goods are called there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import Lang
from app.imports.columns import Kind, columns_of
from app.imports.mapping import Layout, presets
from app.imports.plans import check_may, kinds_of
from app.kit.errors import Fault, FieldFault, invalid
from app.parties.principal import Principal
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
_KINDS: Final[tuple[Kind, ...]] = ("shipments", "events")
_COLUMNS: Final = "mapping_columns_"
_DEFAULTS: Final = "mapping_defaults_"
_DEFAULTED: Final[Mapping[Kind, tuple[str, ...]]] = {
    "shipments": ("platform", "carrier", "shipped_at"),
    "events": ("type", "kind", "reason"),
}


@router.get(PATH)
def show_mapping(
    request: Request, rooms: InRooms, signed: InSigned, lang: AskedLang = None, kind: _NAME = "",
    name: _NAME = "",
) -> Response:  # fmt: skip
    """Shows what is remembered, and a form for another or the one named."""
    principal = signed.person.principal()
    of = _kind(principal, kind)
    sent = BLANK
    if name:
        sent = _filled(name, rooms.imports.mapping(principal, of, name))
    return _mapping(request, rooms, signed, lang, of, sent)


@router.post(PATH)
def keep_mapping(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Keeps a mapping under its name, in place of one of that name; or forgets it."""
    principal = signed.person.principal()
    of = _kind(principal, form.text("kind"))
    path = f"{PATH}?kind={of}"
    lang = form.text("lang") or None
    name = form.text("name")
    if form.text("do") == "forget":
        rooms.imports.forget(principal, of, name)
        return go_on(frame_of(request, lang, PATH), path, told="mapping_forgotten")
    try:
        if not 1 <= len(name) <= 64:
            raise invalid(
                FieldFault(("name",), "length", {"expected": "1..64", "got": len(name)})
                if name
                else FieldFault(("name",), "missing")
            )
        rooms.imports.remember(principal, of, name, _read(form))
    except Fault as fault:
        sent = refused(request, form, fault)
        return _mapping(request, rooms, signed, lang, of, sent, status=status_of(fault))
    return go_on(frame_of(request, lang, PATH), path, told="mapping_kept")


def _kind(principal: Principal, told: str) -> Kind:
    """Returns the kind asked for, else the first that the reader may import. Raises Denied."""
    may = [one for one in kinds_of(principal) if one in _KINDS]
    asked = next((one for one in _KINDS if one == told), may[0] if may else _KINDS[0])
    check_may(principal, asked)
    return asked


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


def _names(lang: Lang, of: Kind) -> dict[str, str]:
    return {column.field: column.names[lang][0] for column in columns_of(of)}


def _mapping(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    of: Kind,
    sent: Sent,
    *,
    status: int = 200,
) -> Response:
    frame = frame_of(request, lang, PATH, keeps=("kind", "name"))
    principal = signed.person.principal()
    kept = rooms.imports.mappings(principal)
    names = _names(frame.lang, of)
    return answer_signed(
        "import_mapping.html",
        frame,
        signed,
        at="imports",
        status=status,
        told=told_of(request),
        sent=sent,
        of=of,
        kinds=[one for one in kinds_of(principal) if one in _KINDS],
        kept=[name for kind, name, _, _ in kept if kind == of],
        columns=[(_COLUMNS + one.field, names[one.field], one.required) for one in columns_of(of)],
        defaults=[(_DEFAULTS + field, names[field]) for field in _DEFAULTED[of]],
        presets=[one.title[frame.lang] for one in presets()],
    )
