"""Applying as a merchant, and the operator's decisions about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import RedirectResponse
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import Lang, text
from app.kit.clock import china_day
from app.kit.errors import Fault, FieldFault, TooMany
from app.parties.account_rules import MIN_PASSWORD
from app.parties.applications import GROUNDS, Wish
from app.parties.licences import LICENCE_KINDS
from app.parties.registration import LicenceGiven
from app.parties.sessions import SignedIn
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, answer_page, frame_of
from app.web.pages.render import render_page
from app.web.pages.signed.form import (
    BLANK,
    Form,
    FormForeign,
    InForm,
    InOpenForm,
    Sent,
    check_token,
    prefilled,
    refused,
)
from app.web.pages.signed.session import HOME, InSigned, MaybeSigned, client_of, set_session
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

_LICENCES = 3
"""Licences that the form has room for; more are added later."""


@router.get("/apply")
def show_apply(
    request: Request,
    rooms: InRooms,
    signed: MaybeSigned,
    lang: AskedLang = None,
    who: Literal["registered", "exempt", ""] = "",
) -> Response:
    """Asks who the merchant is; who is signed in already and was refused corrects what was said.

    A company and a person whom the law exempts are asked for different things, so each has its own form.
    """
    sent = prefilled(exempt="yes" if who == "exempt" else "no")
    if signed is not None and signed.stage == "full":
        last = rooms.applications.of(signed.person)
        if signed.person.role != "applicant" or last is None or last.status != "refused":
            return RedirectResponse(HOME, 303)
        exempt = last.exempt if not who else who == "exempt"
        values = {
            "exempt": "yes" if exempt else "no",
            "name": last.name,
            "region": last.region or "",
        }
        if not last.exempt:
            values["uscc"] = last.party
        for n, licence in enumerate(last.licences[:_LICENCES]):
            values |= {f"licences_{n}_{key}": value for key, value in licence.items()}
        sent = prefilled(**values)
    return _form(request, signed, lang, sent)


@router.post("/apply")
def apply(request: Request, rooms: InRooms, signed: MaybeSigned, form: InOpenForm) -> Response:
    """Takes an application."""
    lang = form.text("lang") or None
    client = client_of(request)
    frame = frame_of(request, lang, "/apply")
    token = None
    try:
        wish = _wish(form)
        if signed is not None and signed.stage == "full":
            check_token(form, signed)
            rooms.applications.apply_again(signed.person, wish, client=client)
        else:
            account = rooms.applications.apply(
                wish, name=form.text("account"), password=form.raw("password"), client=client
            )
            token = rooms.people.sign_in.open_for(account, client=client)
    except Fault as fault:
        if status_of(fault) >= 500 or isinstance(fault, FormForeign):
            raise
        sent = refused(request, form, _at_its_field(fault, form))
        response = _form(request, signed, lang, sent, status=status_of(fault))
        if isinstance(fault, TooMany) and fault.retry_after_s is not None:
            response.headers["Retry-After"] = str(fault.retry_after_s)
        return response
    response = go_on(frame, HOME, told="applied")
    if token is not None:
        set_session(response, rooms, token)
    return response


@router.get("/applications")
def list_applications(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    status: Literal["waiting", "accepted", "refused"] = "waiting",
    lang: AskedLang = None,
) -> Response:
    """Shows who applied, to the operator."""
    frame = frame_of(request, lang, "/applications")
    return answer_signed(
        "applications.html",
        frame,
        signed,
        at="applications",
        told=told_of(request),
        status_shown=status,
        found=rooms.applications.list_of(signed.person, status),
    )


@router.get("/applications/{application}")
def show_application(
    request: Request, rooms: InRooms, signed: InSigned, application: str, lang: AskedLang = None
) -> Response:
    """Shows an application, with its contact, and asks for the decision."""
    return _application(request, rooms, signed, application, lang, BLANK)


@router.post("/applications/{application}")
def decide(
    request: Request, rooms: InRooms, signed: InSigned, form: InForm, application: str
) -> Response:
    """Takes the decision; or opens for a purpose the contact of one that is decided."""
    lang, client = form.text("lang") or None, client_of(request)
    path = f"/applications/{application}"
    frame = frame_of(request, lang, path)
    accepts = form.text("do") == "accept"
    try:
        if form.text("do") == "open":
            purpose = form.text("purpose")
            return _application(request, rooms, signed, application, lang, BLANK, purpose=purpose)
        if accepts:
            rooms.applications.accept(
                signed.person, application, evidence=form.text("evidence"), client=client
            )
        else:
            rooms.applications.refuse(
                signed.person, application, reason=form.text("reason"), client=client
            )
    except Fault as fault:
        sent = refused(request, form, fault, only=("invalid", "id-conflict", "lifecycle-conflict"))
        return _application(
            request, rooms, signed, application, lang, sent, status=status_of(fault)
        )
    told = "application_accepted" if accepts else "application_refused"
    return go_on(frame, "/applications", told=told)


def _filled(form: Form) -> list[int]:
    """Returns which of the licences on the form were filled in."""
    return [n for n in range(_LICENCES) if form.text(f"licences_{n}_number")]


def _wish(form: Form) -> Wish:
    licences = [
        LicenceGiven(
            form.text(f"licences_{n}_kind"),
            form.text(f"licences_{n}_number"),
            form.text(f"licences_{n}_valid_until") or None,
        )
        for n in _filled(form)
    ]
    exempt = form.text("exempt") == "yes"
    # What the other form asks for is not taken.
    return Wish(
        uscc="" if exempt else form.plain("uscc"),
        name=form.text("name"),
        contact=form.text("contact"),
        region=form.plain("region") or None,
        licences=licences,
        exempt=exempt,
        ground=form.text("ground") if exempt else "",
    )


def _at_its_field(fault: Fault, form: Form) -> Fault:
    """Returns the fault with each error at the field of this form.

    `name` is the company's here, so what is about the login name is `account`; and a licence that stands
    below an empty one is told there, not at the empty one.
    """
    filled = _filled(form)

    def move(error: FieldFault) -> FieldFault:
        match error.loc:
            case ("licences", int(n), *more):
                return replace(error, loc=("licences", filled[n], *more))
            case _ if error.kind in ("account_name", "account_taken"):
                return replace(error, loc=("account",))
            case _:
                return error

    fault.errors = tuple(move(error) for error in fault.errors)
    return fault


def _form(
    request: Request, signed: SignedIn | None, lang: str | None, sent: Sent, *, status: int = 200
) -> Response:
    frame = frame_of(request, lang, "/apply", keeps=("who",))
    again = signed is not None and signed.stage == "full"
    html = render_page(
        "apply.html",
        frame,
        sent=sent,
        csrf=signed.csrf if signed is not None and again else "",
        again=again,
        kinds=licence_kinds(frame.lang),
        licences=_LICENCES,
        grounds=[
            ("", text(frame.lang, "form.choose")),
            *((one, text(frame.lang, f"apply.ground.{one}")) for one in GROUNDS),
        ],
        least=MIN_PASSWORD,
        indexable=status == 200 and not again,
    )
    return answer_page(html, frame.lang, status=status)


def _application(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    application: str,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
    purpose: str | None = None,
) -> Response:
    frame = frame_of(request, lang, f"/applications/{application}")
    asked = rooms.applications.open(signed.person, application, purpose=purpose)
    known = {one.kind: one.query_url for one in LICENCE_KINDS.values()}
    return answer_signed(
        "application.html",
        frame,
        signed,
        at="applications",
        status=status,
        told=told_of(request),
        sent=sent,
        asked=asked,
        links=known,
        today=china_day(rooms.clock.now()),
    )


def licence_kinds(lang: Lang) -> list[tuple[str, str]]:
    """Returns the kinds of licences with their words, for a form."""
    return [(kind, text(lang, f"licence.{kind}")) for kind in LICENCE_KINDS]
