"""What people and other stores see over HTTP, of a service whose credit is kept at another one."""

from __future__ import annotations

import time

import pytest

from app.exchange.signing import sign_request
from app.joining import credit_signer
from app.worker import other_loops, own_loops
from tests.exchange.conftest import SHOP, kept
from tests.web.conftest import AUTHORITY, Service, serving

PATH = "/api/v1/credit-store"


@pytest.fixture
def ours_served(databases, tmp_path, clock, theirs):
    """A service of ours, let in at theirs, with a shop and an authority."""
    from app.config import Settings

    folder = tmp_path / "served"
    folder.mkdir()
    settings = Settings(data_dir=folder, keys_dir=folder / "keys", anonymous_per_second=0,
                        credit_store=theirs.url)  # fmt: skip
    with serving(settings, clock=clock) as (app, url):
        service = Service(app, url)
        with service.client:
            service.settings = settings
            signer = credit_signer(settings, service.rooms.keyring)
            service.signer = signer
            theirs.rooms.receiver.let_in("ours", str(signer.vkey))
            service.register(SHOP)
            service.register(AUTHORITY, "regulator")
            yield service


def get(service, path, token=None, status=200):
    answer = service.call("GET", path, token=token)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_hold_shows_at_the_store_and_its_score_here_with_its_age(ours_served, theirs, clock):
    rooms = ours_served.rooms
    assert get(ours_served, f"/api/v1/credit/{SHOP}")["store"] == {
        "score": None, "grade": None, "as_of": get(ours_served, f"/api/v1/credit/{SHOP}")["as_of"],
        "age_s": 0, "stale": False,
    }  # fmt: skip
    rooms.credit.hold(SHOP, "finding-1")
    assert get(ours_served, "/readyz")["credit_store"] == {
        "state": "closed", "waiting": 1, "dead": 0
    }  # fmt: skip
    assert rooms.sender.work()
    assert get(ours_served, "/readyz")["credit_store"]["waiting"] == 0
    clock.advance(31)
    get(ours_served, f"/api/v1/credit/{SHOP}")
    assert rooms.cards.refresh()
    shown = get(ours_served, f"/api/v1/credit/{SHOP}")
    assert shown["store"]["score"] == shown["score"] < shown["score_without_holds"]
    assert get(theirs, f"{PATH}/parties/{SHOP}")["senders"] == ["ours"]


def test_with_the_store_gone_the_credit_page_answers_as_before(ours_served, theirs, clock):
    rooms = ours_served.rooms
    rooms.credit.hold(SHOP, "finding-1")
    rooms.sender.work()
    before = get(ours_served, f"/api/v1/credit/{SHOP}")["store"]
    rooms.cards._remote._http.close()
    clock.advance(600)
    rooms.cards.refresh()
    begun = time.monotonic()
    after = get(ours_served, f"/api/v1/credit/{SHOP}")["store"]
    assert time.monotonic() - begun < 10
    assert after == before | {"age_s": 600, "stale": True}


def test_local_credit_names_no_store(theirs):
    theirs.register(SHOP)
    assert get(theirs, f"/api/v1/credit/{SHOP}")["store"] is None
    assert get(theirs, "/readyz")["credit_store"] is None
    told = get(theirs, f"{PATH}/sending", theirs.admin)
    assert (told["kind"], told["waiting"]) == ("local", 0)


def test_dead_letters_are_listed_and_sent_again_by_regulators_and_the_operator(ours_served, theirs):
    rooms = ours_served.rooms
    rooms.credit.hold(SHOP, "finding-1")
    theirs.rooms.receiver.take = _refuse_all(theirs.rooms.receiver)
    while rooms.sender.work():
        pass
    for token in (ours_served.admin, ours_served.key_of(AUTHORITY, "credit")):
        (letter,) = get(ours_served, f"{PATH}/dead-letters", token)["items"]
        assert letter["key"].startswith(f"party/{SHOP}/")
        assert letter["error"].startswith("409 id-conflict")
        told = get(ours_served, f"{PATH}/sending", token)
        assert (told["kind"], told["dead"], told["waiting"]) == ("http", 1, 1)
    assert get(ours_served, "/readyz")["credit_store"]["dead"] == 1
    path = f"{PATH}/dead-letters/resend"
    shop = ours_served.key_of(SHOP, "credit")
    assert ours_served.call("POST", path, {}, token=shop).status_code == 403
    del theirs.rooms.receiver.take
    assert ours_served.call("POST", path, {}, token=ours_served.admin).json() == {"resent": 1}
    rooms.sender.work()
    assert get(ours_served, "/readyz")["credit_store"] == {
        "state": "closed", "waiting": 0, "dead": 0
    }  # fmt: skip


def _refuse_all(receiver):
    from app.exchange.receiver import ChangeConflict

    def take(sender, told, refused=None):
        return [ChangeConflict("change_conflict", change=one.key) for one in told]

    return take


def test_a_sender_lists_its_own_and_nobody_elses(ours_served, theirs):
    for n in range(5):
        ours_served.rooms.credit.hold(SHOP, f"finding-{n}")
    ours_served.rooms.sender.work()
    found, cursor = [], ""
    while True:
        path = f"{PATH}/changes?limit=2{cursor}"
        headers = sign_request(ours_served.signer, method="GET", url=f"{theirs.url}{path}", body=b"",
                               at=ours_served.rooms.clock.now())  # fmt: skip
        page = theirs.call("GET", path, headers=headers).json()
        found += page["items"]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert sorted((one["key"], one["hash"]) for one in found) == kept(theirs)
    assert len(found) == 5
    # What was signed for one request is no key to another.
    other = f"{PATH}/changes?sender=another"
    assert theirs.call("GET", other, headers=headers).status_code == 401
    assert theirs.call("GET", f"{PATH}/changes").status_code == 401
    by_name = get(theirs, f"{PATH}/changes?sender=ours", theirs.admin)["items"]
    assert {one["key"] for one in by_name} == {one["key"] for one in found}
    assert get(theirs, f"{PATH}/changes?sender=nobody", theirs.admin)["items"] == []


def test_the_loops_of_the_worker_send_and_read(ours_served, theirs):
    rooms = ours_served.rooms
    loops = other_loops(rooms)
    assert "credit-store" in {one.name for one in loops if not one.everywhere}
    assert "cards" in {one.name for one in own_loops(rooms)}
    assert "cards" not in {one.name for one in own_loops(theirs.rooms)}
    assert "credit-store" not in {one.name for one in other_loops(theirs.rooms)}
