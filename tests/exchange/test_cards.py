"""What the other store says of a score: a copy that tells its age, and never an error."""

from __future__ import annotations

import threading

import httpx
import pytest

from app.exchange.cards import FRESH_S, STALE_S
from tests.exchange.conftest import SHOP, STALL


def test_the_first_answer_is_fetched_and_the_next_are_the_copy_with_its_age(ours, theirs):
    ours.enter(SHOP, "a")
    ours.work()
    first = ours.cards.read(SHOP)
    assert first.card["score"] == ours.rooms.credit.card(SHOP).score
    assert (first.age_s, first.stale, first.as_of) == (0, False, ours.clock.now())
    asked = len(ours.wire.requests)
    ours.clock.advance(FRESH_S - 1)
    assert ours.cards.read(SHOP).age_s == FRESH_S - 1
    assert not ours.cards.refresh()
    assert len(ours.wire.requests) == asked


def test_an_old_copy_is_answered_at_once_and_fetched_beside(ours, theirs):
    ours.enter(SHOP, "a")
    ours.work()
    ours.cards.read(SHOP)
    ours.enter(SHOP, "b")
    ours.work()
    ours.clock.advance(FRESH_S)
    asked = len(ours.wire.requests)
    before = ours.cards.read(SHOP)
    assert len(ours.wire.requests) == asked, "nobody waits for the store"
    assert ours.cards.refresh()
    after = ours.cards.read(SHOP)
    assert (before.age_s, after.age_s) == (FRESH_S, 0)
    assert after.card["score"] != before.card["score"]


def test_while_the_store_is_down_the_copy_is_shown_and_called_stale(ours, theirs):
    ours.enter(SHOP, "a")
    ours.work()
    told = ours.cards.read(SHOP).card["score"]
    ours.wire.down = True
    for _ in range(10):
        ours.clock.advance(STALE_S / 5)
        ours.cards.refresh()
        read = ours.cards.read(SHOP)
    assert (read.card["score"], read.stale, read.age_s) == (told, True, 2 * STALE_S)
    ours.use(ours.remote)  # after a restart the copy is there
    assert ours.cards.read(SHOP).card["score"] == told
    ours.wire.down = False
    assert ours.cards.refresh()
    assert ours.cards.read(SHOP).stale is False


def test_nothing_known_is_said_so_and_asked_again_without_waiting_for_ever(ours):
    ours.wire.down = True
    for _ in range(20):
        read = ours.cards.read(STALL)
        assert (read.card, read.as_of, read.age_s, read.stale) == (None, None, None, True)
    assert len(ours.wire.requests) < 4, "the breaker spares who asks"


def test_a_party_that_the_store_does_not_know_is_no_error(ours):
    read = ours.cards.read(STALL)
    assert (read.card, read.age_s, read.stale) == (None, 0, False)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, json={}),
        httpx.Response(200, content=b"no json"),
        httpx.Response(200, json={"party": "another", "score": 900}),
        httpx.Response(200, json={"party": SHOP, "score": "900"}),
    ],
)
def test_an_answer_that_is_none_is_not_kept(ours, answer):
    ours.wire.fails = [answer]
    assert ours.cards.read(SHOP).card is None


def test_many_parties_are_remembered_up_to_a_bound(ours):
    ours.wire.down = True
    for n in range(1_200):
        ours.cards._want(f"party-{n}")
    assert len(ours.cards._wanted) == 1_000


def test_many_readers_at_once_see_one_copy(ours, theirs):
    ours.enter(SHOP, "a")
    ours.work()
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(ours.cards.read(SHOP))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert {one.card["score"] for one in found} == {ours.rooms.credit.card(SHOP).score}
