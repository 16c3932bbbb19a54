"""A form that is refused says the field and why, and keeps everything else that was filled in."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from starlette.requests import Request

from app.kit.errors import FieldFault, invalid
from app.web.pages.signed.form import SECRETS, Form, refused
from app.web.problems import MOST_TOLD
from app.web.visit import SCOPE_KEY, Visit
from tests.drills.processes import ROOT
from tests.web.authority import open_two_provinces
from tests.web.conftest import SHOP
from tests.web.form_rows import BUTTONS, FROM_ELSEWHERE, ROWS, Row
from tests.web.form_stage import Stage
from tests.web.no_pages import NO_PAGES
from tests.web.shown_forms import Shown, ShownForm

MACHINES = ("/api/", "/push/")
"""What programs send; no page has a form that leads there."""
TEMPLATES = ROOT / "app" / "web" / "templates"
_CHOICES = ("radio", "checkbox", "select")


@pytest.fixture(scope="module")
def stage(databases, tmp_path_factory):
    with open_two_provinces(tmp_path_factory.mktemp("forms")) as running:
        yield Stage(running)


def test_every_page_that_takes_a_form_has_a_row(stage):
    posted = {
        route.path
        for route in iter_route_contexts(stage.market.app.routes)
        if "POST" in (route.methods or ()) and not route.path.startswith(MACHINES)
    }
    assert posted == {row.route for row in ROWS} | BUTTONS.keys() | FROM_ELSEWHERE


@pytest.mark.parametrize("route", NO_PAGES)
def test_what_is_no_page_leads_on_or_is_a_file(stage, route):
    who, path = NO_PAGES[route]
    answer = stage.browser(who).http.get(path.format(s=stage, shop=SHOP))
    if not answer.is_redirect:
        assert answer.status_code == 200, f"{answer.status_code} {answer.text[:400]}"
        assert not answer.headers["Content-Type"].startswith("text/html")


def test_no_row_stands_twice():
    assert [name for name, n in Counter(row.name for row in ROWS).items() if n > 1] == []


@pytest.mark.parametrize("route", BUTTONS)
def test_nobody_types_anything_where_only_buttons_are(stage, route):
    forms = [one for one in shown(stage, *BUTTONS[route]).forms if leads_to(one, route)]
    assert forms, f"no form leads to {route}"
    typed = [control for form in forms for control in form.controls if control.is_seen]
    assert {control.kind for control in typed} <= {"file"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_refused_form_says_why_and_keeps_the_rest(stage, row):
    browser = open_page(stage, row.who, row.page)
    form = form_of(Shown(browser.page), row)
    sent = filled(form, row, stage)
    browser.post(form.action.split("#")[0], row.status, **sent)
    page = Shown(browser.page)
    again = form_of(page, row, like=form)

    lost = {
        name: (value, again.values(name))
        for name, value in kept(form, row, sent).items()
        if again.values(name) != value
    }
    assert lost == {}
    for name, secret in row.secrets.items():
        assert "".join(again.values(name)) == ""
        assert not secret or secret not in browser.page
    (bad,) = row.bad
    assert page.said_about(again, bad), f"nothing is said about {bad}: {page.alerts}"
    assert any(alert.strip() for alert in page.alerts)
    marked = [one.is_marked for one in again.named(bad) if one.kind not in ("radio", "checkbox")]
    assert all(marked), f"{bad} is not marked as wrong"


@pytest.mark.parametrize(
    ("path", "name", "value", "bad"),
    [
        ("/desk/looks", "code", "01/06901234567892", "since=yesterday"),
        ("/desk/recalls", "code", "01/06901234567892", "after=nowhere"),
        ("/desk/findings", "party", "somebody", "region=999999"),
    ],
)
def test_a_refused_filter_keeps_the_rest(stage, path, name, value, bad):
    browser = stage.browser("regulator")
    page = Shown(browser.get(f"{path}?{name}={value}&{bad}", 422).text)
    assert [value] in [form.values(name) for form in page.forms]


def test_an_id_that_was_taken_is_not_kept_else_the_form_could_never_be_sent(stage):
    """What was recorded stands; other words under the same id are refused once, and then new."""
    browser = stage.browser("owner")
    browser.get("/desk/entry?type=notice")
    once = Shown(browser.page).forms[-1].values("entry")[0]
    told = {"type": "notice", "code": stage.unit, "entry": once}
    browser.post("/desk/entry", **told, text="the first words")
    browser.get("/desk/entry?type=notice")
    browser.post("/desk/entry", 409, **told, text="other words")
    (form,) = [one for one in Shown(browser.page).forms if one.action == "/desk/entry"]
    assert form.values("text") == ["other words"]
    (again,) = form.values("entry")
    assert again not in ("", once)
    browser.post("/desk/entry", **told | {"entry": again}, text="other words")


def test_a_field_that_is_wrong_very_often_says_how_often_more():
    faults = [FieldFault(("codes", n), "duplicate", {"got": f"x{n}"}) for n in range(107)]
    visit = Visit("0", "192.0.2.1", "en")
    request = Request({"type": "http", "headers": [], SCOPE_KEY: visit})
    said = refused(request, Form((("codes", ""),)), invalid(*faults)).errors["codes"].split("\n")
    assert said[-1] == "7 more are wrong too."
    assert len(said) == MOST_TOLD + 1


def test_what_is_secret_is_named_so_and_nothing_else_is():
    """A password or a code of the second step has a name that no field of goods could have."""
    secret, open_ = set(), set()
    for path in TEMPLATES.glob("*.html"):
        for call in re.findall(r"\{\{ line\(.*?\) \}\}", path.read_text("utf-8")):
            named = re.match(r'\{\{ line\([\w.]+, "(\w+)"', call)
            is_secret = 'type="password"' in call or "one-time-code" in call
            if named:
                (secret if is_secret else open_).add(named[1])
    assert secret == SECRETS - {"csrf", "second_secret"}
    assert open_ & SECRETS == set()


# --- a page, and its forms -----------------------------------------------------------------------


def open_page(stage: Stage, who: str, page: Any) -> Any:
    browser = stage.browser(who)
    if isinstance(page, str):
        browser.get(page)
    else:
        page(browser, stage)
    return browser


def shown(stage: Stage, who: str, page: Any) -> Shown:
    return Shown(open_page(stage, who, page).page)


def leads_to(form: ShownForm, route: str) -> bool:
    path = re.split("[?#]", form.action)[0]
    pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(route))
    return form.method == "post" and re.fullmatch(pattern, path) is not None


def form_of(page: Shown, row: Row, like: ShownForm | None = None) -> ShownForm:
    """Returns the form that a row means; like: the one among neighbours that brings along the same."""
    found = [one for one in page.forms if leads_to(one, row.route) and is_meant(one, row)]
    if like is not None and len(found) > 1:
        found = [one for one in found if hidden(one) == hidden(like)] or found
    assert found, [(one.action, one.names()) for one in page.forms]
    return found[0]


def is_meant(form: ShownForm, row: Row) -> bool:
    words = {value for _, value in form.buttons} | {v for vs in hidden(form).values() for v in vs}
    is_named = (
        not row.do or row.do in words or re.split("[?#]", form.action)[0].endswith(f"/{row.do}")
    )
    return is_named and {*row.bad, *row.fields, *row.secrets} <= set(form.names())


def hidden(form: ShownForm) -> dict[str, list[str]]:
    """Returns what a form brings along, but for the session's token and secrets."""
    return {
        one.name: form.values(one.name)
        for one in form.controls
        if one.kind == "hidden" and one.name not in SECRETS
    }


def filled(form: ShownForm, row: Row, stage: Stage) -> dict[str, Any]:
    """Returns what is sent: a value in every field, and the one that is wrong."""
    sent: dict[str, Any] = dict(hidden(form))
    secret = form.values("second_secret")
    if secret:
        sent["second_secret"] = secret
    for name in form.names():
        kinds = {one.kind for one in form.named(name)}
        if name in row.bad:
            sent[name] = row.bad[name]
        elif name in row.secrets:
            sent[name] = row.secrets[name]
        elif name in row.fields:
            value = row.fields[name]
            sent[name] = value.format(s=stage) if isinstance(value, str) else value
        elif kinds & {*_CHOICES}:
            sent[name] = other_choice(form, name)
        elif kinds != {"file"}:
            pytest.fail(f"the row has no value for {name}")
    sent.update({name: value for name, value in form.buttons if value == row.do})
    return {
        name: value for name, value in sent.items() if value not in ([], "") or is_typed(form, name)
    }


def is_typed(form: ShownForm, name: str) -> bool:
    """Whether a browser sends a field that is left empty, too."""
    return all(one.kind not in ("radio", "checkbox") for one in form.named(name))


def other_choice(form: ShownForm, name: str) -> list[str]:
    """Returns what is not chosen yet: the last of a few, or of check boxes all that are empty."""
    free = [one for one in form.offers(name) if one not in form.values(name)]
    is_many = all(one.kind == "checkbox" for one in form.named(name))
    return free if is_many else (free or form.offers(name))[-1:]


def kept(form: ShownForm, row: Row, sent: dict[str, Any]) -> dict[str, list[str]]:
    """Returns what must stand in the form again: name -> values."""
    told = {}
    for name in {*form.names(), *hidden(form)} - {*row.secrets}:
        value = sent.get(name, "")
        kind = form.named(name)[0].kind
        values = list(value) if isinstance(value, list) else [value]
        if kind in ("radio", "checkbox") and values == [""]:
            values = []
        if kind in _CHOICES and not set(values) <= set(form.offers(name)):
            continue  # what was never offered cannot be chosen again
        if kind != "file":
            told[name] = values
    return told
