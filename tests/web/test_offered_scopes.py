"""/account/keys: whatever its role, a party is offered scopes with which a key of its can do something."""

from __future__ import annotations

import html
import re

import pytest

from app.i18n import text
from app.parties.account_rules import PARTY_SCOPES
from app.parties.roles import OFFICIAL_ROLES, PARTY_ROLES, actions_of_use, grantable_types
from tests.web.operations import World
from tests.web.operations_events import OPERATIONS
from tests.web.people import open_people_market, signed_in
from tests.web.test_bad_input import good, send

BOX = re.compile(
    r'<input type="checkbox" name="scopes" value="(\w+)"[^>]*><span>(.*?)</span>', re.DOTALL
)


@pytest.fixture(scope="module")
def world(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("scopes")) as market:
        yield World(market)


def boxes(world, party: str, lang: str) -> dict[str, str]:
    page = signed_in(world.market, "owner", party).get(f"/account/keys?lang={lang}").text
    return {value: re.sub("<[^>]+>", " ", html.unescape(said)) for value, said in BOX.findall(page)}


def is_refused_for_its_role(world, place: tuple[str, str], key: str) -> bool:
    request = good(world, OPERATIONS[place]) | {"key": key}
    answer = send(world, place[0], request, "en")
    assert answer.status_code != 401, place
    # What is somebody's is not there for who may never look at it.
    is_for_role = answer.status_code == 403 and "Your role may not" in answer.json()["detail"]
    return is_for_role or answer.status_code == 404


@pytest.mark.parametrize("role", PARTY_ROLES)
def test_a_key_with_a_scope_that_is_offered_is_not_refused_for_its_role(world, role):
    market = world.market
    party = market.newcomer(role)
    offered = boxes(world, party, "zh")
    assert {"parties", "events", "credit", "audit"} <= set(offered)
    for scope in PARTY_SCOPES:
        key = market.key_of(party, scope)
        calls = [place for place, operation in OPERATIONS.items() if operation.scope == scope]
        assert calls
        # The admin's own are no party's; whoever deletes the keys that the world has comes last.
        calls.sort(key=lambda place: place[0] == "DELETE")
        is_of_use = any(not is_refused_for_its_role(world, place, key) for place in calls)
        assert (scope in offered) == is_of_use, scope


@pytest.mark.parametrize("role", PARTY_ROLES)
def test_each_scope_says_what_it_opens_to_this_party(world, role):
    party = world.market.newcomer(role)
    for lang in ("zh", "en"):
        for scope, said in boxes(world, party, lang).items():
            named = actions_of_use([role], scope)
            assert named
            for action in named:
                assert text(lang, f"action.{action}") in said
    told = " ".join(boxes(world, party, "zh").values())
    # An authority has no voice to lend and judges what others promise.
    assert (text("zh", "action.mandate.manage") in told) == bool(grantable_types([role]))
    assert (text("zh", "action.commitment.sign") in told) == (role not in OFFICIAL_ROLES)
    ranking = boxes(world, party, "zh").get("ranking", "")
    assert ("查询排序" in ranking) == (role in ("platform", "regulator"))


def test_a_shop_that_asks_for_the_ranking_is_told_who_may(world):
    key = world.market.key_of(world.market.newcomer(), "ranking")
    request = good(world, OPERATIONS["POST", "/api/v1/ranking"]) | {"key": key}
    for lang, said in (
        ("zh", "平台、监管部门、运营管理员"),
        ("en", "Platform, Regulator, Operator's admin"),
    ):
        answer = send(world, "POST", request, lang)
        assert answer.status_code == 403
        assert said in answer.json()["detail"]


def test_who_has_signed_in_is_told_of_the_account_and_a_program_of_its_key(world):
    market = world.market
    shop = market.newcomer()
    staff = signed_in(market, "staff", shop, scopes=["events"])
    staff.http.headers["Accept"] = "application/json"
    told = staff.get("/account/keys", 403).json()["detail"]
    assert (
        told
        == "An owner of your organisation deals with parties and keys; no account of its staff does."
    )
    path, body = f"/api/v1/parties/{shop}/keys", {"scopes": ["events"]}
    key = market.key_of(shop, "events")
    assert "This API key lacks the scope “parties”" in market.ask(
        "POST", path, body, token=key, status=403, headers={"Accept-Language": "en"}
    )["detail"]  # fmt: skip


def test_the_page_of_a_refusal_says_who_may_and_asks_for_no_right_that_would_not_help(world):
    shop = signed_in(world.market, "staff", world.market.newcomer(), scopes=["codes"])
    page = shop.get("/desk/shipments", 403).text
    assert "not given “events and shipments”. An owner of your organisation can" in page
    owner = signed_in(world.market, "owner", world.market.newcomer())
    page = owner.get("/desk/search", 403).text
    assert "these may: Regulator" in page
    assert "An owner of your organisation" not in page
