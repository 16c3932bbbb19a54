"""API keys: what a token proves, for how long, and what a key may give away."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest

from app.kit.errors import Denied, Invalid
from app.parties import store
from app.parties.access import CACHE_S, APIKeys, KeyRefused, KeyUnknown, ScopeBeyond
from app.parties.principal import OPERATOR, NotYours, Principal, RoleMissing, ScopeMissing
from app.parties.registration import read_registration
from app.parties.roles import SCOPES
from app.parties.rules import PartyUnknown
from tests.sentences import explain, only_error

SHOP, PLATFORM = "91441200MA4TE5T00Q", "91441204MA4TE5T02Q"


@pytest.fixture
def shop(house):
    for uscc, role in ((SHOP, "merchant"), (PLATFORM, "platform")):
        told = read_registration(uscc=uscc, exempt=False, name="示例", roles=[role])
        house.parties.register(OPERATOR, told)
    return house


def holder(party=SHOP, role="merchant", scopes=("parties",)):
    return Principal("k", party, frozenset({role}), frozenset(scopes))


def test_a_token_tells_who_asks(shop):
    made = shop.keys.create(OPERATOR, SHOP, scopes=["events", "parties"], label=" till ")
    assert made.token.startswith(f"sx_{made.key_id}_")
    assert (made.scopes, made.label) == (("parties", "events"), "till")
    asking = shop.keys.authenticate(made.token)
    assert asking == Principal(
        made.key_id, SHOP, frozenset({"merchant"}), frozenset({"parties", "events"})
    )
    assert not asking.admin


def test_only_the_hash_of_the_secret_is_stored(shop):
    made = shop.keys.create(OPERATOR, SHOP, scopes=["events"])
    secret = made.token.split("_")[2]
    assert len(bytes.fromhex(secret)) == 32
    with shop.database.read() as connection:
        (row,) = connection.exec_driver_sql("SELECT * FROM api_key").all()
    assert sha256(secret.encode()).digest() in [
        bytes(v) for v in row if not isinstance(v, (str, int, type(None)))
    ]
    assert secret not in repr(row)


def test_the_admin_key_has_every_scope_and_no_party(shop):
    assert not shop.keys.has_admin()
    asking = shop.keys.authenticate(shop.keys.create_admin().token)
    assert shop.keys.has_admin()
    assert asking.admin
    assert (asking.party, asking.roles, asking.scopes) == (None, {"admin"}, set(SCOPES))


def test_a_changed_token_is_refused(shop):
    token = shop.keys.create(OPERATOR, SHOP, scopes=["events"]).token
    last = "0" if token[-1] != "0" else "1"
    wrong = [token[:-1] + last, token[:-1], token + "0", token.upper(), "", "sx_", "sx__", "é" * 9]
    for changed in wrong:
        for ask in (shop.keys.authenticate, shop.keys.recall):
            try:
                assert ask(changed) is None, "a stranger may be unknown to the cache"
            except KeyRefused as fault:
                explain(fault)
        with pytest.raises(KeyRefused):
            shop.keys.authenticate(changed)


def test_the_cache_answers_without_the_database_and_forgets(shop):
    token = shop.keys.create(OPERATOR, SHOP, scopes=["events"]).token
    assert shop.keys.recall(token) is None
    asking = shop.keys.authenticate(token)
    shop.ticks.now_s += CACHE_S - 0.01
    assert shop.keys.recall(token) == asking
    with pytest.raises(KeyRefused):
        shop.keys.recall(token[:-1] + "x")
    shop.ticks.now_s += 0.02
    assert shop.keys.recall(token) is None


def test_many_who_ask_at_once_cost_one_look(shop, monkeypatch):
    """Each second a busy key was looked up by every request that was there, each on a connection."""
    token = shop.keys.create(OPERATOR, SHOP, scopes=["events"]).token
    looks = []
    look = store.find_key

    def slowly(*given):
        looks.append(given)
        time.sleep(0.05)
        return look(*given)

    monkeypatch.setattr(store, "find_key", slowly)
    with ThreadPoolExecutor(16) as many:
        told = set(many.map(shop.keys.authenticate, [token] * 16))
    assert {one.party for one in told} == {SHOP}
    assert len(looks) == 1


def test_a_key_revoked_elsewhere_is_refused_within_a_second(shop):
    elsewhere = APIKeys(shop.database, clock=shop.clock)
    made = shop.keys.create(OPERATOR, SHOP, scopes=["events"])
    shop.keys.authenticate(made.token)
    elsewhere.revoke(OPERATOR, made.key_id)
    assert shop.keys.authenticate(made.token), "the cache may still know it"
    shop.ticks.now_s += 1.0
    with pytest.raises(KeyRefused) as caught:
        shop.keys.authenticate(made.token)
    assert caught.value.key == "key_revoked"
    explain(caught.value)


def test_when_keys_were_used_is_noted_and_a_later_use_stays(shop):
    elsewhere = APIKeys(shop.database, clock=shop.clock)
    made = [shop.keys.create(OPERATOR, SHOP, scopes=["events"]) for _ in range(2)]
    first = shop.clock.now()
    for key in made:
        shop.keys.authenticate(key.token)
    shop.clock.advance(60)
    elsewhere.authenticate(made[0].token)
    elsewhere.note_uses()
    shop.keys.note_uses()
    used = {key.key_id: key.used_at for key in shop.keys.list_of(OPERATOR, SHOP)}
    assert [used[key.key_id] for key in made] == [shop.clock.now(), first]


def test_a_key_revoked_here_is_refused_at_once_and_again_is_no_harm(shop):
    made = shop.keys.create(OPERATOR, SHOP, scopes=["parties"])
    asking = shop.keys.authenticate(made.token)
    shop.keys.revoke(asking, made.key_id, party=SHOP)
    with pytest.raises(KeyRefused):
        shop.keys.authenticate(made.token)
    revoked_at = shop.keys.list_of(OPERATOR, SHOP)[0].revoked_at
    shop.clock.advance(60)
    shop.keys.revoke(OPERATOR, made.key_id, party=SHOP)
    assert shop.keys.list_of(OPERATOR, SHOP)[0].revoked_at == revoked_at


def test_a_key_gives_no_scope_that_it_lacks(shop):
    asking = holder(scopes=("parties", "events"))
    assert shop.keys.create(asking, SHOP, scopes=["events"])
    with pytest.raises(ScopeBeyond) as caught:
        shop.keys.create(asking, SHOP, scopes=["events", "codes"])
    explain(caught.value)


@pytest.mark.parametrize(
    ("asking", "fault"),
    [
        (holder(scopes=("events",)), ScopeMissing),
        (holder(PLATFORM, "platform"), NotYours),
        (holder(party="x", role="nobody"), RoleMissing),
    ],
)
def test_who_may_not_manage_a_partys_keys(shop, asking, fault):
    made = shop.keys.create(OPERATOR, SHOP, scopes=["events"])
    for attempt in (
        lambda: shop.keys.create(asking, SHOP, scopes=["parties"]),
        lambda: shop.keys.list_of(asking, SHOP),
        lambda: shop.keys.revoke(asking, made.key_id, party=SHOP),
        lambda: shop.keys.revoke(asking, made.key_id),
    ):
        with pytest.raises(fault) as caught:
            attempt()
        explain(caught.value)
    assert shop.keys.authenticate(made.token)


def test_a_key_is_looked_for_with_its_party_only(shop):
    made = shop.keys.create(OPERATOR, SHOP, scopes=["events"])
    for key_id, party in ((made.key_id, PLATFORM), ("nothing", SHOP), ("nothing", None)):
        with pytest.raises(KeyUnknown) as caught:
            shop.keys.revoke(OPERATOR, key_id, party=party)
        explain(caught.value)
    # To who may not look, an unknown key is no more than a foreign one.
    with pytest.raises(Denied):
        shop.keys.revoke(holder(PLATFORM, "platform"), made.key_id, party=SHOP)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"scopes": []}, "length"),
        ({"scopes": ["everything"]}, "enum"),
        ({"scopes": ["admin"]}, "enum"),
        ({"scopes": ["events"], "label": " "}, "length"),
        ({"scopes": ["events"], "label": "a\nb"}, "control"),
    ],
)
def test_a_key_that_cannot_be(shop, given, kind):
    with pytest.raises(Invalid) as caught:
        shop.keys.create(OPERATOR, SHOP, **given)
    assert only_error(caught.value).kind == kind


def test_only_parties_that_exist_have_keys(shop):
    with pytest.raises(PartyUnknown):
        shop.keys.create(OPERATOR, "91440000MA4TE5T04E", scopes=["events"])
