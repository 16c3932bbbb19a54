"""Signing keys, mandates and order counts by pages: what a party's owner needed the API for."""

from __future__ import annotations

import base64
import re
import subprocess

import pytest

from app.i18n import text
from app.parties.accountstore import find_by_name
from tests.web.conftest import AUTHORITY, PLATFORM
from tests.web.market import GTIN
from tests.web.people import open_people_market, signed_in
from tests.web.test_own_credit_pages import hidden

KEYS, MANDATES, COUNTS = "/account/keys", "/account/mandates", "/desk/order-counts"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("powers")) as running:
        yield running


def signing_keys(market, party: str) -> list[dict]:
    return market.ask("GET", f"/api/v1/parties/{party}/signing-keys")["items"]


def test_a_key_made_as_the_page_says_is_added_and_revoked(market, tmp_path):
    party = market.newcomer()
    owner = signed_in(market, "owner", party)
    page = owner.get(KEYS).text
    told = re.search(r'<pre class="command"><code>(openssl.*?)</code>', page, re.DOTALL)[1]
    script = told.replace("&gt;", ">")
    assert party in script
    made = subprocess.run(["bash", "-e"], input=script, text=True, cwd=tmp_path, check=False,
                          capture_output=True)  # fmt: skip
    assert made.returncode == 0, made.stderr
    public = (tmp_path / "public.txt").read_text().strip()
    proof = (tmp_path / "proof.txt").read_text().strip()

    forged = base64.b64encode(bytes(64)).decode()
    owner.post(f"{KEYS}/signing", 422, public_key=public, proof=forged)
    assert f'value="{public}"' in owner.page, "what was typed stays"
    assert "f-proof-error" in owner.page, "and the field that is wrong says so"
    assert signing_keys(market, party) == []
    owner.post(f"{KEYS}/signing", 422, public_key="abc", proof=proof)
    assert "f-public_key-error" in owner.page
    owner.get(KEYS)
    owner.post(f"{KEYS}/signing", public_key=public, proof=proof)
    (key,) = signing_keys(market, party)
    assert key["public_key"] == public
    assert key["key_id"] in owner.get(KEYS).text
    assert "signing key added" in owner.get("/account").text
    owner.get(KEYS)
    owner.post(f"{KEYS}/signing/revoke", key=key["key_id"])
    assert signing_keys(market, party)[0]["revoked_at"]
    owner.get(KEYS)
    owner.post(f"{KEYS}/signing", 409, public_key=public, proof=proof)


def test_a_mandate_is_given_used_and_taken_back(market):
    party = market.newcomer()
    owner = signed_in(market, "owner", party)
    assert MANDATES in owner.get("/desk").text
    form = owner.get(MANDATES).text
    assert 'value="sale"' in form
    assert 'value="measure"' not in form
    owner.post(MANDATES, 422, agent=PLATFORM)
    assert "f-types-error" in owner.page
    assert text("en", "field.none_chosen") in owner.page
    owner.post(MANDATES, 422, agent="nobody")
    assert "f-types-error" in owner.page
    assert "f-agent-error" in owner.page
    owner.post(MANDATES, 422, agent=PLATFORM)
    assert f'value="{PLATFORM}"' in owner.page
    owner.post(MANDATES, 422, agent="91441200MA4TE5ZZZ9", types="sale")
    assert "f-agent-error" in owner.page
    assert re.search(r'value="sale" checked', owner.page)
    owner.post(MANDATES, 422, agent=PLATFORM, types="sale", until="2020-01-01T00:00")
    assert "f-until-error" in owner.page
    assert 'name="until" type="date"' in owner.page
    day = market.at(48)[:10]
    owner.post(MANDATES, agent=PLATFORM, types="dispatch", until=day)
    assert f"{day} 23:59" in owner.get(f"{MANDATES}?lang=zh").text, "the whole day, in Beijing"
    mandate = re.search(r'name="mandate" value="([^"]+)"', owner.page)[1]
    owner.post(f"{MANDATES}/end", mandate=mandate)
    owner.get(MANDATES)
    owner.post(MANDATES, agent=PLATFORM, types="sale")
    body = {"gtin": GTIN, "count": 1}
    unit = market.one(by=party)
    sale = {"code": unit.code, "type": "sale", "actor": party, "occurred_at": market.at(-1)}
    market.ask("POST", "/api/v1/events", sale, token=market.keys[PLATFORM], status=201)
    assert PLATFORM in owner.get(MANDATES).text
    mandate = re.search(r'name="mandate" value="([^"]+)"', owner.page)[1]
    owner.post(f"{MANDATES}/end", mandate=mandate)
    assert "is over" in owner.get(MANDATES).text or ">over<" in owner.page
    second = sale | {"code": market.one(by=party).code}
    refused = market.call("POST", "/api/v1/events", second, token=market.keys[PLATFORM])
    assert refused.status_code == 403, body


def test_a_form_that_is_sent_twice_gives_one_mandate_and_what_is_over_ends_once(market):
    party = market.newcomer()
    owner = signed_in(market, "owner", party)
    owner.get(MANDATES)
    form = {"id": hidden(owner.page), "agent": PLATFORM, "types": "sale"}
    for _ in range(2):
        owner.post(MANDATES, **form)
    owner.get(MANDATES)
    (mandate,) = re.findall(r'name="mandate" value="([^"]+)"', owner.page)
    owner.post(MANDATES, 409, **(form | {"types": "dispatch"}))
    assert hidden(owner.page) != form["id"], "sent once more it is something new"
    owner.post(MANDATES, 422, agent=PLATFORM, id=form["id"])
    assert hidden(owner.page) == form["id"]
    for _ in range(2):
        owner.post(f"{MANDATES}/end", mandate=mandate)
    with market.rooms.database.read() as connection:
        account = find_by_name(connection, owner.name)
    told = [one.kind for one in market.rooms.people.accounts.events(account.id)]
    assert (told.count("mandate_given"), told.count("mandate_ended")) == (1, 1)


def test_nobody_but_an_owner_sees_them_and_an_authority_lends_its_voice_to_nobody(market):
    party = market.newcomer()
    staff = signed_in(market, "staff", party, scopes=("products", "events"))
    staff.get(MANDATES, 403)
    staff.get(KEYS, 403)
    assert MANDATES not in signed_in(market, "owner", AUTHORITY).get("/desk").text


def test_a_platform_tells_orders_of_a_month(market):
    party = market.newcomer()
    platform = signed_in(market, "owner", PLATFORM)
    assert COUNTS in platform.get("/desk").text
    platform.get(COUNTS)
    told = {"id": hidden(platform.page), "seller": party, "gtin": GTIN, "orders": "40"}
    platform.post(COUNTS, 422, period="2999-01", **told)
    assert "f-period-error" in platform.page
    assert 'value="40"' in platform.page
    platform.post(COUNTS, 422, period="2026-01", **{**told, "orders": "many"})
    assert "f-orders-error" in platform.page
    period = market.at()[:7]
    platform.post(COUNTS, period=period, **told)
    platform.post(COUNTS, period=period, **told)  # sent twice: one record
    with market.rooms.database.read() as connection:
        found = connection.exec_driver_sql(
            "SELECT count(*) FROM record WHERE type = 'order_counts'"
        ).scalar()
    assert found == 1
    signed_in(market, "owner", party).get(COUNTS, 403)
