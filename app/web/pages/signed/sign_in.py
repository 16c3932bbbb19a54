"""Signing in and out: password, second factor, the password once more, a new one."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi.responses import RedirectResponse
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import text
from app.kit.errors import Fault, TooMany
from app.parties.account_rules import MIN_PASSWORD
from app.parties.sessions import SignedIn
from app.parties.signing_in import Opened
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, answer_page, frame_of
from app.web.pages.render import render_page
from app.web.pages.signed.form import (
    BLANK,
    Form,
    InForm,
    InOpenForm,
    InOwedForm,
    Sent,
    missing,
    refused,
)
from app.web.pages.signed.session import (
    HOME,
    InSigned,
    Led,
    MaybeSigned,
    client_of,
    device_shown,
    drop_session,
    local_path,
    set_device,
    set_session,
)
from app.web.pages.signed.shell import go_on, told_of
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

_NEXT = Annotated[str | None, Query(max_length=500, alias="next")]


@router.get("/login")
def find_sign_in() -> Response:
    """Leads to where one signs in."""
    return RedirectResponse("/sign-in", 308)


@router.get("/sign-in")
def show_sign_in(
    request: Request,
    signed: MaybeSigned,
    onward: _NEXT = None,
    lang: AskedLang = None,
) -> Response:
    """Asks for name and password."""
    if signed is not None and signed.stage == "full":
        return RedirectResponse(local_path(onward), 303)
    return _door(request, "sign_in.html", "/sign-in", lang, BLANK, onward=onward)


@router.post("/sign-in")
def sign_in(request: Request, rooms: InRooms, signed: MaybeSigned, form: InOpenForm) -> Response:
    """Takes name and password."""
    lang, onward = form.text("lang") or None, form.text("next")
    frame = frame_of(request, lang, "/sign-in")
    sent = missing(form, frame.lang, "name") or (
        missing(form, frame.lang, "password") if not form.raw("password") else None
    )
    if sent is not None:
        return _door(request, "sign_in.html", "/sign-in", lang, sent, onward=onward, status=422)
    try:
        opened = rooms.people.sign_in.enter(
            form.text("name"),
            form.raw("password"),
            client=client_of(request),
            before=signed,
            device=device_shown(request, rooms),
        )
    except Fault as fault:
        return _refuse(request, "sign_in.html", "/sign-in", form, fault)
    return _enter(request, rooms, opened, form)


@router.post("/sign-out")
def sign_out(request: Request, rooms: InRooms, signed: MaybeSigned, form: InOwedForm) -> Response:
    """Ends the session."""
    if signed is not None:
        rooms.people.sign_in.leave(signed, client=client_of(request))
    frame = frame_of(request, form.text("lang"), "/sign-in")
    response = go_on(frame, "/sign-in", told="signed_out")
    drop_session(response, rooms)
    return response


@router.get("/sign-out")
def find_sign_out() -> Response:
    """Leads away: to sign out, a form is sent."""
    return RedirectResponse(HOME, 303)


@router.get("/sign-in/code")
def show_code(
    request: Request,
    signed: MaybeSigned,
    onward: _NEXT = None,
    lang: AskedLang = None,
) -> Response:
    """Asks for the code of the second factor."""
    if signed is None or signed.stage != "code":
        return RedirectResponse("/sign-in" if signed is None else HOME, 303)
    return _door(request, "sign_in_code.html", "/sign-in/code", lang, BLANK, signed, onward=onward)


@router.post("/sign-in/code")
def take_code(request: Request, rooms: InRooms, signed: MaybeSigned, form: InOwedForm) -> Response:
    """Takes the code."""
    if signed is None or signed.stage != "code":
        raise Led("sign_in_needed", to="/sign-in")
    try:
        opened = rooms.people.sign_in.second(
            signed,
            form.plain("second_code"),
            client=client_of(request),
            device=device_shown(request, rooms),
        )
    except Fault as fault:
        return _refuse(request, "sign_in_code.html", "/sign-in/code", form, fault, signed)
    return _enter(request, rooms, opened, form)


@router.get("/confirm")
def show_confirm(
    request: Request,
    signed: InSigned,
    onward: _NEXT = None,
    lang: AskedLang = None,
) -> Response:
    """Asks for the password once more."""
    return _door(request, "confirm.html", "/confirm", lang, BLANK, signed, onward=onward)


@router.post("/confirm")
def confirm(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Takes the password once more."""
    try:
        token = rooms.people.sign_in.confirm(
            signed, form.raw("password"), client=client_of(request)
        )
    except Fault as fault:
        return _refuse(request, "confirm.html", "/confirm", form, fault, signed)
    response = _onward(request, form)
    set_session(response, rooms, token)
    return response


@router.get("/account/password")
def show_password(
    request: Request,
    signed: MaybeSigned,
    onward: _NEXT = None,
    lang: AskedLang = None,
) -> Response:
    """Asks for a new password; also of who signed in with one that was given."""
    if signed is None or signed.stage == "code":
        raise Led("sign_in_needed", to="/sign-in")
    return _door(request, "password.html", "/account/password", lang, BLANK, signed, onward=onward)


@router.post("/account/password")
def change_password(
    request: Request, rooms: InRooms, signed: MaybeSigned, form: InOwedForm
) -> Response:
    """Takes a new password; every other session ends."""
    if signed is None or signed.stage == "code":
        raise Led("sign_in_needed", to="/sign-in")
    try:
        opened = rooms.people.sign_in.change_password(
            signed,
            old=form.raw("old_password"),
            new=form.raw("password"),
            client=client_of(request),
        )
    except Fault as fault:
        return _refuse(request, "password.html", "/account/password", form, fault, signed)
    frame = frame_of(request, form.text("lang"), "/account/password")
    path = local_path(form.text("next")) if signed.stage == "password" else "/account"
    response = go_on(frame, path, told="password_changed")
    set_session(response, rooms, opened.token)
    return response


def _enter(request: Request, rooms: Rooms, opened: Opened, form: Form) -> Response:
    """Returns the way on under a new session: to what it still owes, else to where it was going."""
    owed = {"code": "/sign-in/code", "password": "/account/password"}.get(opened.stage)
    response = _onward(request, form) if owed is None else _onward(request, form, by=owed)
    set_session(response, rooms, opened.token)
    if opened.device:
        set_device(response, rooms, opened.device)
    return response


def _onward(request: Request, form: Form, *, by: str | None = None) -> Response:
    frame = frame_of(request, form.text("lang"), "/")
    onward = local_path(form.text("next"))
    if by is None:
        return RedirectResponse(onward, 303) if "lang=" in onward else go_on(frame, onward)
    return go_on(frame, f"{by}?next={quote(onward, safe='')}")


def _refuse(
    request: Request,
    template: str,
    path: str,
    form: Form,
    fault: Fault,
    signed: SignedIn | None = None,
) -> Response:
    status = status_of(fault)
    if status >= 500:
        raise fault
    lang = form.text("lang") or None
    frame = frame_of(request, lang, path)
    sent = refused(request, form, fault)
    if isinstance(fault, TooMany) and fault.retry_after_s is not None:
        wait = text(frame.lang, "page.error.retry", count=fault.retry_after_s)
        sent = Sent(sent.items, sent.errors, f"{sent.message} {wait}")
    if fault.key == "password_wrong":
        place = "old_password" if template == "password.html" else "password"
        sent = Sent(sent.items, {place: sent.message}, text(frame.lang, "form.refused"))
    response = _door(
        request, template, path, lang, sent, signed, onward=form.text("next"), status=status
    )
    if fault.retry_after_s is not None:
        response.headers["Retry-After"] = str(fault.retry_after_s)
    return response


def _door(
    request: Request,
    template: str,
    path: str,
    lang: str | None,
    sent: Sent,
    signed: SignedIn | None = None,
    *,
    onward: str | None,
    status: int = 200,
) -> Response:
    frame = frame_of(request, lang, path, keeps=("next", "told"))
    html = render_page(
        template,
        frame,
        sent=sent,
        onward=local_path(onward) if onward else "",
        indexable=path == "/sign-in" and not onward and status == 200,
        csrf="" if signed is None else signed.csrf,
        person=None if signed is None else signed.person,
        owes=signed is not None and signed.stage == "password",
        told=told_of(request),
        least=MIN_PASSWORD,
    )
    return answer_page(html, frame.lang, status=status)
