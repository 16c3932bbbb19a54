"""What an authority enters about a party: a credit entry by a rule of the policy, the red or black list.

Both are announced to the party first where the policy says so, and rest on something that everybody can
look up. An entry or a listing that was made in error is taken back on /desk/decisions.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final
from uuid import uuid4

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from app.credit.rules import ListName, Rule, RuleClass
from app.i18n import Lang, text
from app.kit.clock import china_day
from app.kit.errors import Fault, FieldFault, NotFound, invalid
from app.parties.principal import Principal
from app.parties.roles import ADMIN, REGULATOR
from app.parties.sessions import SignedIn
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.form import Form, Sent, form_reader, prefilled, refused
from app.web.pages.signed.numbers import day
from app.web.pages.signed.parties import PATH, SHOWN, answer_form, check_deals, check_may
from app.web.pages.signed.resting import check_sure, read_evidence
from app.web.pages.signed.sayings import FILES, step_id
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import does, go_on
from app.web.pages.standing_words import say_signed
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

_LISTS: Final[tuple[ListName, ...]] = ("black", "red")
_InFile = Annotated[Form, Depends(form_reader(max_files=len(FILES)))]
_Text = Annotated[str, Query(max_length=80)]


@router.get(f"{PATH}/{{party}}/entry")
def show_entry(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    party: str,
    finding: _Text = "",
    lang: AskedLang = None,
) -> Response:
    """Shows the rules that one may enter, with their points; finding: on which the entry rests."""
    return _entry(request, rooms, signed, party, lang, prefilled(finding=finding))


@router.post(f"{PATH}/{{party}}/entry")
def enter_fact(
    request: Request, rooms: InRooms, signed: InSigned, form: _InFile, party: str
) -> Response:
    """Enters a fact, priced and dated by the policy in force."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    try:
        check_deals(rooms, principal, party)
        principal.check_may("credit.enter")
        if not form.text("rule"):
            raise invalid(FieldFault(("rule",), "missing", {"name": "rule"}))
        evidence = read_evidence(form, rooms, principal)
        if "finding" in evidence:
            rooms.findings.get(evidence["finding"])
        on = day(form, "occurred_on")
        check_sure(form)
        rooms.credit_ledger.enter(
            principal,
            party,
            rule=form.text("rule"),
            evidence=evidence,
            day=None if on is None else date.fromisoformat(on),
            id=step_id(form, "entry"),
        )
    except Fault as fault:
        sent = refused(request, form, fault, only=SHOWN)
        return _entry(request, rooms, signed, party, lang, sent, status=status_of(fault))
    path = f"{PATH}/{party}"
    return go_on(frame_of(request, lang, path), path, told="entry_made")


@router.get(f"{PATH}/{{party}}/lists/{{name}}")
def show_list(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    party: str,
    name: str,
    lang: AskedLang = None,
) -> Response:
    """Shows the form by which a party is put on a list."""
    return _list(request, rooms, signed, party, _list_name(name), lang, prefilled())


@router.post(f"{PATH}/{{party}}/lists/{{name}}")
def enter_list(
    request: Request, rooms: InRooms, signed: InSigned, form: _InFile, party: str, name: str
) -> Response:
    """Announces to a party that it is put on a list."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    listed = _list_name(name)
    try:
        check_deals(rooms, principal, party)
        principal.check_may("list.enter")
        if not form.text("criterion"):
            raise invalid(FieldFault(("criterion",), "missing", {"name": "criterion"}))
        evidence = read_evidence(form, rooms, principal, named=("entry",))
        check_sure(form)
        rooms.lists.enter(
            principal,
            listed,
            party,
            criterion=form.text("criterion"),
            evidence=evidence,
            id=step_id(form, "list") or str(uuid4()),
        )
    except Fault as fault:
        sent = refused(request, form, fault, only=SHOWN)
        return _list(request, rooms, signed, party, listed, lang, sent, status=status_of(fault))
    path = f"{PATH}/{party}"
    return go_on(frame_of(request, lang, path), path, told="listing_made")


# --- parts ---------------------------------------------------------------------------------------


def _list_name(given: str) -> ListName:
    for name in _LISTS:
        if name == given:
            return name
    raise NotFound("path_unknown")


def _rules_of(rooms: Rooms, principal: Principal) -> list[Rule]:
    """Returns the rules that somebody may enter, those that cost most first."""
    sources = {
        name
        for role, name in ((REGULATOR, "regulator"), (ADMIN, "operator"))
        if role in principal.roles
    }
    rules = [one for one in rooms.credit.policy.rules.values() if sources & one.entered_by]
    return sorted(rules, key=lambda rule: (rule.points, rule.id))


def _entry(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    party: str,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
) -> Response:
    principal = signed.person.principal()
    about = check_may(rooms, principal, party, "credit.enter")
    policy = rooms.credit.policy
    frame = frame_of(request, lang, f"{PATH}/{party}/entry", keeps=("finding",))
    return answer_form(
        "party_entry.html",
        frame,
        signed,
        about,
        status=status,
        rules=_rules_of(rooms, principal),
        classes={name: terms.title[frame.lang] for name, terms in policy.classes.items()},
        policy=policy,
        sent=sent,
        files=FILES if does("document.keep")(signed.person) else (),
        today=china_day(rooms.clock.now()),
    )


def _list(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    party: str,
    name: ListName,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
) -> Response:
    about = check_may(rooms, signed.person.principal(), party, "list.enter")
    frame = frame_of(request, lang, f"{PATH}/{party}/lists/{name}")
    terms = rooms.credit.policy.lists[name]
    criteria = [one for one in terms.criteria.values() if one.decided_by == "regulator"]
    return answer_form(
        "party_list.html",
        frame,
        signed,
        about,
        status=status,
        terms=terms,
        criteria=criteria,
        entries=_serious(rooms, party, frame.lang) if name == "black" else (),
        notice_days=rooms.credit.policy.notice_working_days,
        sent=sent,
        files=FILES,
    )


def _serious(rooms: Rooms, party: str, lang: Lang) -> list[tuple[str, str]]:
    """Returns the party's serious entries that weigh now, to choose the one that a listing names."""
    entries, card = rooms.credit.entries(party)
    rules = rooms.credit.policy.rules
    found = [("", text(lang, "dealing.list.entry.none"))]
    for one in entries:
        rule, weight = rules.get(one.rule), card.weights.get(one.id)
        if rule and weight and weight.points and rule.rule_class is RuleClass.SERIOUS:
            found.append((one.id, f"{rule.title[lang]} {say_signed(one.points)} · {one.day}"))
    return found
