"""How a party's files of orders and events are read: which column is which, what goods are called there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Final, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import Lang
from app.imports.columns import Kind, columns_of, names_of
from app.imports.mapping import Layout, presets
from app.imports.plans import check_may, kinds_of
from app.kit.errors import Fault, FieldFault, Invalid, invalid
from app.parties.identity import Loc
from app.parties.principal import Principal
from app.parties.sessions import SignedIn
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of, lang_of
from app.web.pages.signed.form import BLANK, Form, InForm, Sent, prefilled, refused
from app.web.pages.signed.lines import Line, say_lines
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/imports/mapping"

_MAX_NAME: Final = 64
_NAME = Annotated[str, Query(max_length=_MAX_NAME)]
_KINDS: Final[tuple[Kind, ...]] = ("shipments", "events")
_PAIRED: Final = ("goods", "carriers")
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
    if not name:
        return _mapping(request, rooms, signed, lang, of, BLANK)
    layout = rooms.imports.mapping(principal, of, name)
    doubts = _say_doubts(
        lang_of(request, lang), of, layout, rooms.imports.doubts(principal, layout)
    )
    return _mapping(request, rooms, signed, lang, of, _filled(name, layout), doubts=doubts)


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
    lines = {part: _lines(form, part) for part in _PAIRED}
    try:
        kept = rooms.imports.remember(
            principal, of, name, _checked(rooms, principal, of, name, form, lines)
        )
    except Fault as fault:
        sent = _refused(request, form, fault, lines)
        return _mapping(request, rooms, signed, lang, of, sent, status=status_of(fault))
    if rooms.imports.doubts(principal, kept):
        path += f"&{urlencode({'name': name})}"  # which shows them
    return go_on(frame_of(request, lang, PATH), path, told="mapping_kept")


def _kind(principal: Principal, told: str) -> Kind:
    """Returns the kind asked for, else the first that the reader may import. Raises Denied."""
    may = [one for one in kinds_of(principal) if one in _KINDS]
    asked = next((one for one in _KINDS if one == told), may[0] if may else _KINDS[0])
    check_may(principal, asked)
    return asked


class _Pair(NamedTuple):
    """A line of a field of pairs. theirs, ours: "" where it has no `=` or nothing on one side of it."""

    line: Line
    theirs: str = ""
    ours: str = ""


def _lines(form: Form, name: str) -> list[_Pair]:
    found = []
    for n, typed in enumerate(form.raw(name).splitlines(), 1):
        if not typed.strip():
            continue
        # The shop's own word may hold a `=`; a GTIN or a party's id holds none.
        theirs, sign, ours = typed.replace("＝", "=").rpartition("=")
        line = Line(n, typed.strip())
        whole = sign and theirs.strip() and ours.strip()
        found.append(_Pair(line, theirs.strip(), ours.strip()) if whole else _Pair(line))
    return found


def _checked(
    rooms: Rooms,
    principal: Principal,
    of: Kind,
    name: str,
    form: Form,
    lines: Mapping[str, Sequence[_Pair]],
) -> dict[str, dict[str, str]]:
    """Returns the mapping as `read_mapping` takes it. Raises Invalid with all that is wrong."""

    def fields(prefix: str) -> dict[str, str]:
        return {
            key.removeprefix(prefix): value.strip()
            for key, value in form.items
            if key.startswith(prefix) and value.strip()
        }

    faults = []
    if not name:
        faults.append(FieldFault(("name",), "missing"))
    elif len(name) > _MAX_NAME:
        params = {"expected": f"1..{_MAX_NAME}", "got": len(name)}
        faults.append(FieldFault(("name",), "length", params))
    told = {"columns": fields(_COLUMNS), "defaults": fields(_DEFAULTS)}
    for part, pairs in lines.items():
        told[part] = {pair.theirs: pair.ours for pair in pairs if pair.theirs}
        faults += _find_unclear(part, pairs)
    try:
        rooms.imports.check_mapping(principal, of, told)
    except Invalid as refusal:
        faults += refusal.errors
    if faults:
        raise invalid(*faults)
    return told


def _find_unclear(part: str, pairs: Sequence[_Pair]) -> Iterator[FieldFault]:
    """Yields a fault for each line that is no pair, or says of a word other than a line before it."""
    before: dict[str, _Pair] = {}
    for pair in pairs:
        place = (part, pair.line.number or 0)
        if not pair.theirs:
            yield FieldFault(place, "pair")
            continue
        first = before.setdefault(pair.theirs, pair)
        if first.ours != pair.ours:
            params = {"line": first.line.number, "first": first.ours[:80]}
            yield FieldFault(place, "pair_twice", params)


def _refused(
    request: Request, form: Form, fault: Fault, lines: Mapping[str, Sequence[_Pair]]
) -> Sent:
    """Returns the form as it was sent, each wrong pair told at its field by its line."""
    at: dict[Loc, tuple[str, Line]] = {}
    for part, pairs in lines.items():
        for pair in pairs:
            at[part, pair.line.number or 0] = (part, pair.line)
            at["mapping", part, pair.theirs[:80]] = (part, pair.line)
    wrong: dict[str, list[tuple[Line, Fault]]] = {}
    others = []
    for error in fault.errors:
        match error.loc:
            case place if place in at:
                part, line = at[place]
                wrong.setdefault(part, []).append((line, invalid(error)))
            case ("mapping", "columns", str(field)):
                others.append(replace(error, loc=(_COLUMNS + field,)))
            case ("mapping", "defaults", str(field)):
                others.append(replace(error, loc=(_DEFAULTS + field,)))
            case _:
                others.append(error)
    if not wrong:
        return refused(request, form, invalid(*others) if others else fault)
    sent = refused(request, form, Invalid("lines_refused", errors=tuple(others)))
    lang = lang_of(request, form.text("lang"))
    errors = dict(sent.errors)
    for part, told in wrong.items():
        told.sort(key=lambda one: one[0].number or 0)
        said = [errors[part]] if part in errors else []
        errors[part] = "\n".join([*said, *say_lines(lang, told)])
    return replace(sent, errors=errors)


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


def _say_doubts(lang: Lang, of: Kind, layout: Layout, doubts: Sequence[FieldFault]) -> list[str]:
    """Returns what may not hold of a mapping that is kept, by its line or field as the form shows them."""
    at = {theirs[:80]: Line(n, theirs) for n, theirs in enumerate(layout.carriers, 1)}
    lines: list[tuple[Line, Fault]] = []
    said = []
    for doubt in doubts:
        _, part, word = map(str, doubt.loc)
        if part == "carriers":
            lines.append((at[word], invalid(doubt)))
        else:
            line = Line(None, names_of(of, lang)[word])
            said += say_lines(lang, [(line, invalid(doubt))])
    return [*say_lines(lang, lines), *said]


def _mapping(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    of: Kind,
    sent: Sent,
    *,
    status: int = 200,
    doubts: Sequence[str] = (),
) -> Response:
    frame = frame_of(request, lang, PATH, keeps=("kind", "name"))
    principal = signed.person.principal()
    kept = rooms.imports.mappings(principal)
    names = names_of(of, frame.lang)
    return answer_signed(
        "import_mapping.html",
        frame,
        signed,
        at="imports",
        status=status,
        told=told_of(request),
        sent=sent,
        doubts=doubts,
        of=of,
        kinds=[one for one in kinds_of(principal) if one in _KINDS],
        kept=[name for kind, name, _, _ in kept if kind == of],
        columns=[(_COLUMNS + one.field, names[one.field], one.required) for one in columns_of(of)],
        defaults=[(_DEFAULTS + field, names[field]) for field in _DEFAULTED[of]],
        presets=[one.title[frame.lang] for one in presets()],
    )
