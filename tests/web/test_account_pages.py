"""People, keys, webhooks, applications and what waits: through the pages, as those concerned would."""

from __future__ import annotations

import re

import pytest

from app.i18n import text
from app.kit.errors import Fault
from app.parties.account_rules import staff_scopes
from app.parties.identity import uscc_check_digit
from app.parties.principal import OPERATOR
from app.parties.registration import read_registration
from tests.web.conftest import AUTHORITY, CARRIER, SHOP
from tests.web.market import RIVAL
from tests.web.people import NEW, new_browser, new_name, open_people_market, signed_in
from tests.web.shown_forms import Shown

PUSH = "/account/push"
PEOPLE, KEYS, HOOKS = "/account/people", "/account/keys", "/account/webhooks"
_codes = iter(range(100, 1000))


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("pages")) as running:
        yield running


def new_code() -> str:
    first_17 = f"91441200MB4TE5{next(_codes)}"
    return first_17 + uscc_check_digit(first_17)


def once(page: str) -> str:
    """Returns what a page shows this once."""
    return re.search(r'class="once".*?<code>([^<]+)</code>', page, re.DOTALL)[1]


# --- people --------------------------------------------------------------------------------------


def invite(browser, **fields) -> str:
    browser.get(PEOPLE)
    browser.post(PEOPLE, 200, **{"label": "early shift", **fields})
    return "/join/" + once(browser.page).rpartition("/join/")[2]


def joined(market, link: str):
    """Returns a browser in which an invitation was taken, and the new account's name."""
    name, browser = new_name(), new_browser(market)
    browser.get(link)
    browser.post(link, name=name, password=NEW)
    return browser, name


def test_an_owner_invites_staff_by_a_link_that_works_once(market):
    owner = signed_in(market)
    link = invite(owner, role="staff", scopes=["products", "codes"])
    assert link.rpartition("/")[2].encode() not in market.stored_bytes()
    browser, name = joined(market, link)
    assert "staff" in browser.get("/account").text
    principal = market.rooms.people.accounts.find(name).person.principal()
    assert (principal.party, principal.scopes) == (SHOP, {"products", "codes"})
    again = new_browser(market)
    again.get(link, 404)
    again.post(link, 404, name=new_name(), password=NEW)


def test_a_refused_name_keeps_the_invitation_and_never_shows_the_password(market):
    link = invite(signed_in(market), role="owner")
    taken = signed_in(market).name
    browser = new_browser(market)
    browser.get(link)
    for name, said in ((taken, "taken"), ("Ab cd", "small letters"), ("x", "small letters")):
        browser.post(link, 422, name=name, password=NEW)
        assert said in browser.page
        assert f'value="{name}"' in browser.page
        assert NEW not in browser.page
    browser.post(link, name=new_name(), password=NEW)


def test_an_invitation_taken_back_or_a_week_old_makes_nobody(market):
    owner = signed_in(market)
    link = invite(owner, role="owner", label="wrong one")
    owner.get(PEOPLE)
    (card,) = [one for one in owner.page.split('class="card"') if "wrong one" in one]
    owner.post(
        f"{PEOPLE}/uninvite", invitation=re.search(r'name="invitation" value="([^"]+)"', card)[1]
    )
    new_browser(market).get(link, 404)
    late = invite(owner, role="owner")
    market.clock.advance(7 * 86_400 + 1)
    new_browser(market).get(late, 404)


def test_staff_may_do_what_was_chosen_and_nothing_else(market):
    staff = signed_in(market, "staff", scopes=["products"])
    for path in (PEOPLE, KEYS, HOOKS, "/applications"):
        staff.get(path, 403)
    nav = re.findall(r'<a href="([^"]+)"(?: aria-current="page")?>', staff.get("/desk").text)
    assert not {PEOPLE, KEYS, HOOKS, "/applications"} & set(nav)
    person = market.rooms.people.accounts.find(staff.name).person
    person.principal().check_may("product.register")
    for action in ("code.issue", "event.send", "key.manage", "commitment.sign"):
        with pytest.raises(Fault) as refused:
            person.principal().check_may(action, owner=SHOP)
        assert refused.value.slug == "forbidden"


def test_the_salt_of_the_push_address_is_for_who_may_make_a_key(market):
    owner = signed_in(market)
    owner.get(PUSH)
    owner.post(PUSH, 422, do="nonsense")
    owner.get(PUSH)
    owner.post(PUSH, 422)
    assert market.rooms.push_addresses.of(principal_of(market, owner)) is None
    owner.get(PUSH)
    owner.post(PUSH, 200, do="make")
    salt = market.rooms.push_addresses.show(principal_of(market, owner)).salt
    assert salt in owner.page
    assert salt not in owner.get(PUSH).text
    since = re.search(r'name="since" value="([^"]+)"', owner.page)[1]
    salts = [salt]
    for _ in range(2):  # the second is that page loaded again
        market.clock.advance(1)
        owner.post(PUSH, 200, do="renew", since=since)
        salts.append(market.rooms.push_addresses.show(principal_of(market, owner)).salt)
        assert salts[-1] in owner.page
    assert salts[0] != salts[1] == salts[2]
    salt = salts[2]
    owner.get(PUSH)
    assert PUSH in owner.get("/desk").text
    staff = signed_in(market, "staff", scopes=["events"])
    assert salt not in staff.get(PUSH, 403).text
    staff.get("/account")
    for do in ("make", "show", "renew", "end"):
        staff.post(PUSH, 403, do=do)
    assert PUSH not in staff.get("/desk").text
    assert market.rooms.push_addresses.show(principal_of(market, owner)).salt == salt


def principal_of(market, browser):
    return market.rooms.people.accounts.find(browser.name).person.principal()


def test_nobody_gives_a_staff_the_right_to_make_keys_and_people(market):
    owner = signed_in(market)
    owner.get(PEOPLE)
    owner.post(PEOPLE, 422, label="somebody", scopes=["codes"])  # neither staff nor owner
    for scopes in ([], ["parties"], ["admin"], ["codes", "nonsense"]):
        owner.post(PEOPLE, 422, label="somebody", role="staff", scopes=scopes)
        assert 'value="somebody"' in owner.page


def test_rights_can_be_changed_and_hold_from_the_next_click(market):
    owner = signed_in(market)
    staff = signed_in(market, "staff", scopes=["products"])
    account = market.rooms.people.accounts.find(staff.name).person.id
    owner.get(PEOPLE)
    owner.post(f"{PEOPLE}/change", account=account, role="owner", do="move")
    staff.get(KEYS)
    owner.post(f"{PEOPLE}/change", account=account, role="staff", scopes=["codes"], do="move")
    staff.get(KEYS, 403)
    assert "rights changed" in staff.get("/account").text


def test_a_disabled_person_is_out_at_once_and_reset_gives_a_new_password(market):
    owner = signed_in(market)
    staff = signed_in(market, "staff", scopes=["products"])
    account = market.rooms.people.accounts.find(staff.name).person.id
    owner.get(PEOPLE)
    owner.post(f"{PEOPLE}/change", account=account, do="disable")
    staff.get("/desk", 303)
    new_browser(market).sign_in(staff.name, NEW, 401)
    owner.post(f"{PEOPLE}/change", account=account, do="enable")
    owner.post(f"{PEOPLE}/change", 200, account=account, do="reset", name=staff.name)
    password = once(owner.page)
    fresh = new_browser(market)
    assert "/account/password" in fresh.sign_in(staff.name, password).headers["Location"]


def test_whom_the_operator_disabled_the_operator_alone_lets_in_again(market):
    owner, operator = signed_in(market), signed_in(market, "operator", None)
    by_page, by_line, by_owner = (signed_in(market, "staff", scopes=["codes"]) for _ in range(3))
    accounts = market.rooms.people.accounts
    ids = {one.name: accounts.find(one.name).person.id for one in (by_page, by_line, by_owner)}
    operator.get(PEOPLE)
    operator.post(f"{PEOPLE}/change", account=ids[by_page.name], party=SHOP, do="disable")
    accounts.disable(ids[by_line.name])  # at the command line
    owner.get(PEOPLE)
    owner.post(f"{PEOPLE}/change", account=ids[by_owner.name], do="disable")
    cards = owner.get(PEOPLE).text.split('class="card"')
    for one, held in ((by_page, True), (by_line, True), (by_owner, False)):
        (card,) = [card for card in cards if f"<h3>{one.name}</h3>" in card]
        assert ('value="enable"' in card) != held
        assert ("Disabled by the operator" in card) == held
        status = 403 if held else 303
        owner.get(PEOPLE)
        owner.post(f"{PEOPLE}/change", status, account=ids[one.name], do="enable")
    operator.get(PEOPLE)
    operator.post(f"{PEOPLE}/change", account=ids[by_page.name], party=SHOP, do="enable")
    new_browser(market).sign_in(by_page.name, NEW)


def test_the_page_of_people_offers_nothing_that_is_refused(market):
    boss = signed_in(market, "owner", AUTHORITY)
    local = signed_in(market, "owner", AUTHORITY, region="441202")
    beside = signed_in(market, "owner", AUTHORITY, region="441202")
    cards = local.get(PEOPLE).text.split('class="card"')
    for one, may in ((boss, False), (local, False), (beside, True)):
        (card,) = [card for card in cards if f"<h3>{one.name}</h3>" in card]
        assert ('value="disable"' in card) == may


@pytest.mark.parametrize("do", ["disable", "reset", "move"])
def test_nobody_reaches_into_another_party_or_at_himself(market, do):
    owner, other = signed_in(market), signed_in(market, "owner", RIVAL)
    accounts = market.rooms.people.accounts
    owner.get(PEOPLE)
    theirs = accounts.find(other.name).person.id
    owner.post(f"{PEOPLE}/change", 404, account=theirs, role="owner", do=do)
    other.get("/desk")
    mine = accounts.find(owner.name).person.id
    owner.get(PEOPLE)
    owner.post(f"{PEOPLE}/change", 403, account=mine, role="owner", do=do)
    owner.get("/desk")


def test_an_owner_invites_into_no_other_party(market):
    owner = signed_in(market)
    link = invite(owner, role="owner", party=RIVAL)  # a field that its form does not have
    _, name = joined(market, link)
    assert market.rooms.people.accounts.find(name).person.party == SHOP


def test_people_of_an_authority_have_a_region_inside_its_own(market):
    boss = signed_in(market, "owner", AUTHORITY)
    boss.get(PEOPLE)
    boss.post(PEOPLE, 422, label="x", role="owner", region="440100")
    assert "not inside" in boss.page
    _, name = joined(market, invite(boss, role="owner", region="441202"))
    assert market.rooms.people.accounts.find(name).person.principal().region == "441202"
    assert market.rooms.people.accounts.find(boss.name).person.principal().region == "441200"
    owner = signed_in(market)
    owner.get(PEOPLE)
    owner.post(PEOPLE, 422, label="x", role="owner", region="441200")


def test_who_is_in_office_in_a_part_takes_over_nobody_beyond_it(market):
    boss = signed_in(market, "owner", AUTHORITY)
    local = signed_in(market, "owner", AUTHORITY, region="441202")
    beside = signed_in(market, "owner", AUTHORITY, region="441202")
    accounts = market.rooms.people.accounts
    local.get(PEOPLE)
    for do in ("reset", "disable", "move"):
        local.post(f"{PEOPLE}/change", 403,
                   account=accounts.find(boss.name).person.id, role="owner", do=do)  # fmt: skip
    boss.get("/desk")
    local.get(PEOPLE)
    local.post(f"{PEOPLE}/change", account=accounts.find(beside.name).person.id, do="disable")


def test_the_operator_invites_owners_of_parties_and_its_own(market):
    operator = signed_in(market, "operator", None)
    _, name = joined(market, invite(operator, role="owner", party=RIVAL))
    assert market.rooms.people.accounts.find(name).person.party == RIVAL
    _, own = joined(market, invite(operator))
    person = market.rooms.people.accounts.find(own).person
    assert person.is_operator
    assert person.principal().admin
    assert name in operator.get(f"{PEOPLE}?party={RIVAL}").text
    operator.get(PEOPLE)
    operator.post(PEOPLE, 404, label="x", role="owner", party="91440101MA5TE5T000")


def test_the_operator_is_offered_what_the_party_may_be_given_and_nothing_else(market):
    operator = signed_in(market, "operator", None)
    for party, staff in ((CARRIER, "events"), (SHOP, "codes"), (AUTHORITY, "audit")):
        name = signed_in(market, "staff", party, scopes=(staff,)).name
        roles = market.rooms.parties.get(party).roles
        page = operator.get(f"{PEOPLE}?party={party}").text
        shown = Shown(page)
        (invites,) = [one for one in shown.forms if one.action == PEOPLE and one.method == "post"]
        moves = [one for one in shown.forms if ("do", "move") in one.buttons]
        for form in (invites, *moves):
            assert form.values("party") == [party]
            assert tuple(form.offers("scopes")) == staff_scopes(roles)
        assert bool(invites.named("region")) == (party == AUTHORITY)
        account = market.rooms.people.accounts.find(name).person.id
        told = {"role": "staff", "scopes": invites.offers("scopes"), "party": party}
        operator.post(f"{PEOPLE}/change", account=account, do="move", **told)
        operator.get(f"{PEOPLE}?party={party}")
        operator.post(PEOPLE, 200, label="all of it", **told)
        assert "/join/" in operator.page


def test_the_operator_invites_into_a_party_that_there_is_or_as_its_own(market):
    operator = signed_in(market, "operator", None)
    own = Shown(operator.get(PEOPLE).text)
    (invites,) = [one for one in own.forms if one.action == PEOPLE and one.method == "post"]
    assert invites.names() == ["label"], "it may do all, in every place"
    for mistyped in ("nobody", "91440101MA5TE5T000"):
        page = operator.get(f"{PEOPLE}?party={mistyped}", 404).text
        assert 'id="of-party-error"' in page
        assert not [
            one for one in Shown(page).forms if one.method == "post" and one.action == PEOPLE
        ]


# --- keys and webhooks ---------------------------------------------------------------------------


def test_a_key_is_made_shown_once_used_and_revoked(market):
    owner = signed_in(market)
    owner.get(KEYS)
    owner.post(KEYS, 422, label="ERP")
    assert 'value="ERP"' in owner.page
    assert text("en", "field.none_chosen") in owner.page
    owner.post(KEYS, 200, label="ERP", scopes=["products", "events"])
    token = once(owner.page)
    assert "never used" in owner.get(KEYS).text
    assert token not in owner.page
    answer = market.call("GET", f"/api/v1/parties/{SHOP}/keys", token=token)
    assert answer.status_code == 403  # it has no scope `parties`
    market.rooms.keys.note_uses()
    (card,) = [one for one in owner.get(KEYS).text.split('class="card"') if ">ERP<" in one]
    assert "last used" in card
    owner.post(f"{KEYS}/revoke", key=token.split("_")[1])
    assert market.call("GET", "/api/v1/findings", token=token).status_code == 401
    assert "API key revoked" in owner.get("/account").text


def test_tests_of_webhooks_wait_where_a_party_asks_for_too_many(market):
    shop = market.newcomer()
    owner = signed_in(market, "owner", shop)
    owner.get(HOOKS)
    owner.post(HOOKS, 200, url="https://shop.example/suxin", events=["recall"])
    owner.get(HOOKS)
    hook = re.search(r'name="hook" value="([^"]+)"', owner.page)[1]
    principal = market.rooms.people.accounts.find(owner.name).person.principal()
    for _ in range(30):
        market.rooms.hooks.test(principal, hook)
    answer = owner.post(f"{HOOKS}/act", 429, hook=hook, do="test")
    assert int(answer.headers["Retry-After"]) == 10
    sent = market.rooms.hooks.recent(principal, limit=100)
    assert len(sent) == 30
    owner.get(HOOKS)
    owner.post(f"{HOOKS}/act", 429, delivery=sent[0].id, do="resend")
    market.clock.advance(11)
    owner.get(HOOKS)
    owner.post(f"{HOOKS}/act", hook=hook, do="test")


def test_a_webhook_is_added_tested_and_ended(market):
    owner = signed_in(market)
    owner.get(HOOKS)
    owner.post(HOOKS, 422, url="http://127.0.0.1/x", events=["recall"])
    assert 'value="http://127.0.0.1/x"' in owner.page
    owner.post(HOOKS, 422, url="https://shop.example/suxin")
    assert text("en", "field.none_chosen") in owner.page
    owner.post(HOOKS, 200, url="https://shop.example/suxin", events=["recall"])
    assert once(owner.page).startswith("whsec_")
    owner.get(HOOKS)
    hook = re.search(r'name="hook" value="([^"]+)"', owner.page)[1]
    owner.post(f"{HOOKS}/act", hook=hook, do="test")
    assert "test</h3>" in owner.get(HOOKS).text
    other = signed_in(market, "owner", RIVAL)
    other.get(HOOKS)
    other.post(f"{HOOKS}/act", 404, hook=hook, do="end")
    other.get(HOOKS)
    other.post(f"{HOOKS}/act", 404, hook=hook, do="test")
    owner.post(f"{HOOKS}/act", hook=hook, do="end")
    owner.get(HOOKS)
    assert f'name="hook" value="{hook}"' not in owner.page


# --- applications --------------------------------------------------------------------------------

FIELDS = {
    "name": "高要果园（虚构）",
    "contact": "陈女士 0758-0000000",
    "licences_0_kind": "food_production",
    "licences_0_number": "SC10144120000008",
    "licences_0_valid_until": "2029-06-30",
}


def apply(market, *, status: int = 303, code: str = "", **fields):
    browser = new_browser(market)
    browser.get("/apply")
    told = {"uscc": code or new_code(), **FIELDS, "account": new_name(), "password": NEW, **fields}
    browser.post("/apply", status, **told)
    browser.name = told["account"]
    return browser


def waiting_of(operator, name: str) -> str:
    operator.get("/applications")
    return re.findall(rf'href="(/applications/[^"?]+)[^"]*">{name}', operator.page)[-1]


def test_a_wrong_check_digit_is_explained_and_what_was_typed_stays(market):
    code = new_code()
    wrong = code[:-1] + ("0" if code[-1] != "0" else "1")
    browser = apply(market, status=422, code=wrong)
    assert code[-1] in re.search(r'id="f-uscc-error">([^<]+)<', browser.page)[1]
    for kept in (wrong, FIELDS["contact"], FIELDS["licences_0_number"], browser.name):
        assert kept in browser.page
    assert NEW not in browser.page


def test_an_exempt_person_applies_and_is_registered_under_the_id_that_was_drawn(market):
    name = "陈果农一"
    person = {"exempt": "yes", "ground": "farm", "licences_0_number": "", "name": name}
    browser = apply(market, status=422, **{**person, "ground": ""})
    assert 'name="uscc"' not in browser.page, "what is a company's is not asked of a person"
    assert re.findall(r'id="f-(\w+)-error"', browser.page) == ["ground"]
    browser = apply(market, code=" ", **person)
    operator = signed_in(market, "operator", None)
    path = waiting_of(operator, name)
    page = operator.get(path).text
    party = re.search(r"EX[0-9A-Z]{16}", page)[0]
    assert "own farm" in page
    assert b"farm" not in market.stored_bytes(), (
        "the ground says something of a person: it is sealed"
    )
    operator.post(path, do="accept", evidence="identity card and orchard seen")
    view = market.rooms.parties.get(party)
    assert (view.exempt, view.status, view.name, view.roles) == (
        True,
        "verified",
        "陈＊＊",
        ("merchant",),
    )
    assert name in browser.get("/desk").text
    assert name not in market.call("GET", f"/credit/{party}").text


def test_each_applicant_is_asked_for_its_own_and_reaches_the_others_form_without_a_script(market):
    browser = new_browser(market)
    company = browser.get("/apply").text
    assert 'name="uscc"' in company
    assert 'name="ground"' not in company
    (link,) = re.findall(r'href="(/apply\?who=exempt[^"]*)"', company)
    person = browser.get(link).text
    assert 'name="ground"' in person
    assert 'name="uscc"' not in person
    assert "/apply?who=registered" in person


def test_the_empty_form_is_found_by_search_engines_and_no_filled_one(market):
    browser = new_browser(market)
    assert "noindex" not in browser.get("/apply").text
    told = {"uscc": "1", **FIELDS, "account": new_name(), "password": NEW}
    assert "noindex" in browser.post("/apply", 422, **told).text
    assert "noindex" not in browser.get("/sign-in").text
    assert "noindex" in browser.get("/sign-in?next=/desk/keys").text
    assert "noindex" in browser.post("/sign-in", 422, name="", password="").text


def test_an_acceptance_that_was_broken_off_registers_nobody_twice(market):
    person = {"exempt": "yes", "ground": "petty", "licences_0_number": "", "name": "陈果农二"}
    apply(market, code=" ", **person)
    operator = signed_in(market, "operator", None)
    path = waiting_of(operator, "陈果农二")
    party = re.search(r"EX[0-9A-Z]{16}", operator.get(path).text)[0]
    asked = market.rooms.applications.get(
        market.rooms.people.accounts.find(operator.name).person, path.rpartition("/")[2]
    )
    # As far as a process came that ended then.
    market.rooms.parties.register(
        OPERATOR,
        read_registration(uscc=None, exempt=True, name=asked.name, roles=["merchant"]),
        exempt_id=asked.party,
    )
    operator.post(path, do="accept", evidence="identity card seen")
    assert market.rooms.parties.get(party).status == "verified"
    with market.rooms.database.read() as connection:
        found = connection.exec_driver_sql("SELECT id FROM party WHERE name = '陈果农二'").scalars()
        assert list(found) == [party]


def test_every_wrong_field_is_named_at_once(market):
    browser = apply(
        market, status=422, code="123", name="", contact="", licences_0_number="SC1", account="!!",
        password="short",
    )  # fmt: skip
    marked = set(re.findall(r'id="f-(\w+)-error"', browser.page))
    assert marked == {"uscc", "name", "contact", "licences_0_number", "account", "password"}


def test_who_applies_waits_and_speaks_for_nobody(market):
    code = new_code()
    before = market.rooms.recorder
    browser = apply(market, code=code)
    assert "waiting" in browser.get("/desk").text
    for path in (PEOPLE, KEYS, HOOKS, "/applications"):
        browser.get(path, 403)
    person = market.rooms.people.accounts.find(browser.name).person
    with pytest.raises(Fault) as refused:
        person.principal()
    assert refused.value.slug == "forbidden"
    # Nothing is chained in the name of a company before somebody has seen who it is.
    assert market.call("GET", f"/api/v1/parties/{code}").status_code == 404
    assert FIELDS["contact"].encode() not in market.stored_bytes()
    assert before


def test_a_licence_without_an_end_is_read_by_who_verifies(market):
    code = new_code()
    apply(
        market, code=code, name="果园无期", licences_0_kind="business", licences_0_number=code,
        licences_0_valid_until="",
    )  # fmt: skip
    operator = signed_in(market, "operator", None)
    assert f"<code>{code}</code>" in operator.get(waiting_of(operator, "果园无期")).text


def test_an_accepted_merchant_is_registered_verified_and_its_owner(market):
    code = new_code()
    browser = apply(market, code=code, name="果园一号")
    operator = signed_in(market, "operator", None)
    page = waiting_of(operator, "果园一号")
    operator.get(page)
    assert FIELDS["contact"] in operator.page
    operator.post(page, 422, do="accept", evidence="")
    assert market.call("GET", f"/api/v1/parties/{code}").status_code == 404
    operator.post(page, do="accept", evidence="执照原件")
    party = market.call("GET", f"/api/v1/parties/{code}").json()
    assert (party["status"], party["name"], party["roles"]) == (
        "verified",
        "果园一号",
        ["merchant"],
    )
    assert party["licences"][0]["number"] == "SC10144120000008"
    text = browser.get("/desk").text
    assert "果园一号" in text
    assert "verified" in text
    browser.get(KEYS)
    operator.get(page)
    operator.post(page, 409, do="refuse", reason="too late")


def test_a_refused_one_reads_why_corrects_it_and_waits_again(market):
    browser = apply(market, name="果园二号")
    operator = signed_in(market, "operator", None)
    page = waiting_of(operator, "果园二号")
    operator.get(page)
    operator.post(page, 422, do="refuse", reason="")
    operator.post(page, do="refuse", reason="执照已过期")
    assert "执照已过期" in browser.get("/desk").text
    browser.get("/apply")
    assert 'value="果园二号"' in browser.page
    again = {"uscc": new_code(), **FIELDS, "name": "果园三号"}
    browser.post("/apply", 403, csrf="0" * 64, **again)
    browser.get("/apply")
    browser.post("/apply", **again)
    assert "果园三号" in browser.get("/desk").text
    browser.get("/apply", 303)
    assert waiting_of(operator, "果园三号")


def test_two_may_ask_for_one_code_and_the_operator_is_told(market):
    code = new_code()
    apply(market, code=code, name="同名甲")
    apply(market, code=code, name="同名乙")
    operator = signed_in(market, "operator", None)
    page = waiting_of(operator, "同名甲")
    assert "One further application" in operator.get(page).text
    operator.post(page, do="accept", evidence="seen")
    other = waiting_of(operator, "同名乙")
    assert "one account already" in operator.get(other).text
    operator.post(other, 409, do="accept", evidence="seen")  # registered under another name
    assert "同名甲" in operator.page


def test_an_address_that_applies_again_and_again_must_wait(market):
    browser = new_browser(market)
    for n in range(6):
        browser.http.cookies.clear()
        browser.page = ""
        fields = {"uscc": new_code(), **FIELDS, "account": new_name(), "password": NEW}
        answer = browser.post("/apply", 303 if n < 5 else 429, **fields)
    assert int(answer.headers["Retry-After"]) == 600


def test_only_the_operator_decides(market):
    apply(market, name="果园四号")
    page = waiting_of(signed_in(market, "operator", None), "果园四号")
    for role, party in (("owner", SHOP), ("owner", AUTHORITY)):
        browser = signed_in(market, role, party)
        browser.get("/applications", 403)
        browser.get(page, 403)
        browser.get("/account")
        browser.post(page, 403, do="accept", evidence="x")


# --- what waits ----------------------------------------------------------------------------------


def test_the_desk_shows_findings_with_their_dates_to_whom_they_concern(market):
    unit = market.one()
    market.sell(unit.code, hours=-24 * 9)  # its dispatch is overdue
    market.work()
    market.clock.advance(2 * 86_400)
    market.work()
    shop = signed_in(market).get("/desk").text
    assert "no record tells in time that they were sent" in shop
    assert re.search(r"by \d+ \w+ 20\d\d, \d+ days left", shop)
    assert re.search(r'class="score">\d+<small>/1000', shop)
    rival = signed_in(market, "owner", RIVAL).get("/desk").text
    assert "Nothing is open" in rival
    official = signed_in(market, "owner", AUTHORITY).get("/desk").text
    assert SHOP in official
    # The shop is in 441200; an office elsewhere has an empty queue.
    elsewhere = signed_in(market, "owner", AUTHORITY, region="330100").get("/desk").text
    assert SHOP not in elsewhere


def test_what_was_altered_stands_first_in_an_authoritys_queue(market):
    late, unit = market.one(), market.one()
    market.sell(late.code, hours=-24 * 9)  # its dispatch is overdue
    market.work()
    market.clock.advance(2 * 86_400)
    market.work()
    market.clock.advance(3_600)
    sale = market.sell(unit.code)
    market.tamper(
        "UPDATE record SET body = replace(body, '440100', '440300') WHERE hash = ?",
        bytes.fromhex(sale["hash"]),
    )
    market.ask(
        "POST",
        "/api/v1/audits",
        {"scope": {"code": unit.code}},
        token=market.keys[AUTHORITY],
        status=202,
    )
    market.work()
    desk = signed_in(market, "owner", AUTHORITY).get("/desk").text
    altered = desk.index("What is stored is not what was recorded")
    assert altered < desk.index("no record tells in time that they were sent")
    # Of one severity the newest stands first, as in the list that it leads to.
    market.sell(market.one().code, hours=-24 * 9)
    market.work()
    market.clock.advance(2 * 86_400)
    market.work()
    browser = signed_in(market, "owner", AUTHORITY)
    shown = re.findall(r'href="/desk/findings/([^"?]+)', browser.get("/desk").text)
    listed = re.findall(r'href="/desk/findings/([^"?]+)', browser.get("/desk/findings").text)
    assert shown[:8] == listed[: len(shown)][:8]
    assert len(set(shown)) > 2


def test_looks_at_sealed_data_are_logged_with_the_account(market):
    from app.trace.identifiers import parse_code

    unit = market.one()
    market.sell(unit.code)
    market.dispatch(unit.code)
    browser = signed_in(market, "owner", AUTHORITY)
    person = market.rooms.people.accounts.find(browser.name).person
    market.rooms.sealed.read(person.principal(), parse_code(unit.code), purpose="check of a case")
    with market.rooms.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT key_id FROM access_log").fetchall()
    assert f"account/{person.id}" in {row[0] for row in rows}


@pytest.mark.parametrize(("lang", "told"), [("zh", "应不早于 2"), ("en", "expected not before ")])
def test_a_licence_that_is_over_is_refused_beside_its_day(market, lang, told):
    browser = apply(
        market, status=422, lang=lang, licences_0_number="", licences_1_kind="food_business",
        licences_1_number="JY14412000000000", licences_1_valid_until="2020-01-01",
    )  # fmt: skip
    (said,) = re.findall(r'id="f-([\w]+)-error">([^<]+)<', browser.page)
    assert said[0] == "licences_1_valid_until", "the first licence on the form was left empty"
    assert told in said[1]


def test_whoever_verifies_is_told_of_a_licence_that_ended_while_the_application_waited(market):
    with market.rooms.database.read() as connection:
        before = set(connection.exec_driver_sql("SELECT id FROM application").scalars())
    apply(market, name="果园过期")
    with market.rooms.database.write() as connection:
        ids = set(connection.exec_driver_sql("SELECT id FROM application").scalars()) - before
        connection.exec_driver_sql(
            "UPDATE application SET licences = replace(licences, '2029-06-30', '2020-01-01')"
            f" WHERE id = '{ids.pop()}'"
        )
    operator = signed_in(market, "operator", None)
    page = operator.get(waiting_of(operator, "果园过期") + "?lang=zh").text
    assert '<span class="licence-until bad">已于 2020-01-01 到期</span>' in page
