"""Nobody honest is accused: what lags, fails or was changed on the phone is not a fork."""

from __future__ import annotations

import json

import pytest

from app.i18n import text
from app.ledger.note import NoteSigner, encode_base64
from tests.browser.counter import phone
from tests.browser.test_watch import PROOF, fork, glance, kept, look, serve, signed_now, told, url
from tests.drills.deployment import wait_until
from tests.drills.trade import SHOP

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("still")]

LEDGER = "**/api/v1/ledger"
DOUBTS = "suxin.doubts.1"


def grow(counter) -> None:
    counter.trade.issue(SHOP, 1)
    counter.trade.place.wait_settled()


def set_kept(page, name: str, value) -> None:
    page.evaluate("([name, text]) => localStorage.setItem(name, text)", [name, json.dumps(value)])


def age_doubts(page) -> None:
    """Lets what this phone doubts have begun long ago."""
    doubts = {
        name: one | {"since": "2026-01-02T03:04:05.000Z"}
        for name, one in kept(page, DOUBTS).items()
    }
    set_kept(page, DOUBTS, doubts)


def doubted(page) -> int:
    """How often this phone was shown no proof."""
    return sum(one["times"] for one in (kept(page, DOUBTS) or {}).values())


def warned(page) -> str:
    page.locator(".notice-alarm h2").wait_for()
    (one,) = page.locator(".notice-alarm h2").all_inner_texts()
    return one


def behind(page, counter, note: str, size: int) -> None:
    """The phone is answered by a copy that has got as far as this."""
    serve(page, note)
    page.route(PROOF, lambda route: route.fulfill(status=422, json={}))
    ledger = counter.trade.place.get("/api/v1/ledger")
    ledger["logs"][-1]["size"] = size
    page.route(LEDGER, lambda route: route.fulfill(json=ledger))


def test_an_older_checkpoint_of_the_same_log_is_no_fork(counter, chromium):
    note, old = signed_now(counter)
    grow(counter)
    with phone(chromium, lang="en", script=True) as (page, noted):
        look(page, counter, "en")
        before = kept(page)
        serve(page, note)  # a proxy's, or one that another tab has overtaken
        look(page, counter, "en")
        _, now = signed_now(counter)
        assert f"{now.size} now" in told(page)
        assert page.locator(".notice-alarm").count() == 0
        assert kept(page) == before
        assert any(f"from={old.size}&to={now.size}" in one for one in noted.addresses)
        assert noted.complaints == []


def test_two_tabs_that_answer_out_of_order_are_no_fork(counter, chromium):
    with phone(chromium, lang="en", script=True) as (page, _):
        look(page, counter, "en")
        grow(counter)
        early, _ = signed_now(counter)
        grow(counter)
        note, now = signed_now(counter)
        newest = {"note": note, "size": str(now.size), "root": encode_base64(now.root)}
        newest = {name: one | newest for name, one in kept(page).items()}

        def overtake(route) -> None:
            # While this tab asks for its proof, another one has looked and seen more.
            page.unroute(PROOF)
            set_kept(page, "suxin.logs.1", newest)
            route.continue_()

        serve(page, early)
        page.route(PROOF, overtake)
        look(page, counter, "en")
        assert page.locator(".notice-alarm").count() == 0
        assert kept(page) == newest


def test_a_copy_that_lags_is_mild_and_one_that_never_catches_up_is_loud(counter, chromium):
    note, old = signed_now(counter)
    grow(counter)
    with phone(chromium, lang="en", script=True) as (page, _):
        look(page, counter, "en")
        before = kept(page)
        behind(page, counter, note, old.size)
        for _ in range(3):
            look(page, counter, "en")
            assert f"shows the log with {old.size} entries" in told(page)
            assert page.locator(".notice-alarm").count() == 0
        # It has caught up: nothing is held against it.
        for pattern in (PROOF, LEDGER, "**/log/checkpoint"):
            page.unroute(pattern)
        look(page, counter, "en")
        assert kept(page, DOUBTS) == {}
        behind(page, counter, note, old.size)
        for _ in range(2):
            look(page, counter, "en")
        age_doubts(page)
        page.goto(url(counter, "en"))
        assert warned(page) == text("en", "verify.watch.smaller")
        assert {k: v["note"] for k, v in kept(page).items()} == {
            k: v["note"] for k, v in before.items()
        }


@pytest.mark.parametrize("status", [404, 422])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_proof_that_is_refused_is_told_loudly(counter, chromium, status, lang):
    with phone(chromium, lang=lang, script=True) as (page, _):
        look(page, counter, lang)
        before = kept(page)
        grow(counter)
        page.route(PROOF, lambda route: route.fulfill(status=status, json={}))
        page.goto(url(counter, lang))
        assert warned(page) == text(lang, "verify.watch.refused")
        assert kept(page) == before
        (alarm,) = kept(page, "suxin.alarms.1")
        assert (alarm["old"]["note"], alarm["new"]["note"]) == (
            next(iter(before.values()))["note"], signed_now(counter)[0],
        )  # fmt: skip


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_service_that_fails_for_days_is_named_mildly(counter, chromium, lang):
    with phone(chromium, lang=lang, script=True) as (page, _):
        look(page, counter, lang)
        grow(counter)
        page.route(PROOF, lambda route: route.fulfill(status=503, json={}))
        for times in range(1, 5):
            glance(page, counter, lang)
            wait_until(lambda times=times: doubted(page) == times, "it has looked")
            assert (told(page), page.locator(".notice-alarm").count()) == ("", 0)
        age_doubts(page)
        look(page, counter, lang)
        assert "2026" in told(page)
        assert page.locator(".notice-alarm").count() == 0
        page.unroute(PROOF)
        look(page, counter, lang)
        assert kept(page, DOUBTS) == {}


def test_a_rotation_between_two_answers_is_no_fork(counter, chromium):
    with phone(chromium, lang="en", script=True) as (page, noted):
        look(page, counter, "en")
        grow(counter)
        false = {"from": 1, "to": 2, "hashes": [encode_base64(bytes(32))]}

        def another_logs(route) -> None:
            # Unless asked for by its number it is the log that goes on now.
            route.continue_() if "log=" in route.request.url else route.fulfill(json=false)

        page.route(PROOF, another_logs)
        look(page, counter, "en")
        assert page.locator(".notice-alarm").count() == 0
        assert any(one.endswith("&log=0") for one in noted.addresses)
        assert next(iter(kept(page).values()))["note"] == signed_now(counter)[0]


def test_a_foreign_key_that_the_reader_pinned_makes_no_log_renamed(counter, chromium):
    foreign = NoteSigner("elsewhere.test/log", b"\x0c" * 32)
    with phone(chromium, lang="en", script=True) as (page, _):
        look(page, counter, "en")
        page.goto(f"{counter.trade.place.url}/verify?lang=en")
        page.locator("#tool[data-ready]").wait_for()
        page.locator("details summary").click()
        page.locator("#forget").click()
        page.locator("#given").fill(str(foreign.vkey))
        page.locator("#pin").click()
        page.get_by_text(text("en", "verify.check.pinned")).wait_for()
        glance(page, counter, "en")
        assert page.locator(".notice-alarm").count() == 0
        # What the reader chose to trust is all that is trusted.
        assert [key["vkey"] for key in kept(page, "suxin.keys.1")] == [str(foreign.vkey)]


BAD = [None, 5, "x", [], {}, {"vkey": 5, "since": 5, "how": []}, {"kind": 5, "old": None}]


def test_one_bad_entry_silences_nothing(counter, chromium):
    with phone(chromium, lang="en", script=True) as (page, noted):
        look(page, counter, "en")
        origin = next(iter(kept(page)))
        seen, keys = kept(page)[origin], kept(page, "suxin.keys.1")
        set_kept(page, "suxin.keys.1", [*BAD, *keys, *BAD])
        set_kept(
            page, "suxin.logs.1", {origin: seen} | {f"bad{n}": one for n, one in enumerate(BAD)}
        )
        set_kept(page, "suxin.alarms.1", BAD)
        set_kept(page, DOUBTS, {origin: 5})
        serve(page, fork(counter, "root")[0])
        page.goto(url(counter, "en"))
        assert warned(page) == text("en", "verify.watch.root")
        # A log's own entry, if it is none: the log is met anew, and watched from then on.
        for change in (
            {"root": "AAAA"},
            {"size": 7},
            {"size": "1" * 30},
            {"first": None},
            {"note": "x"},
        ):
            page.unroute("**/log/checkpoint")
            page.evaluate("localStorage.removeItem('suxin.alarms.1')")
            set_kept(page, "suxin.logs.1", {origin: seen | change})
            look(page, counter, "en")
            assert told(page).startswith("From now on"), change
            serve(page, fork(counter, "root")[0])
            page.goto(url(counter, "en"))
            assert warned(page) == text("en", "verify.watch.root"), change
        page.unroute("**/log/checkpoint")
        page.evaluate("localStorage.clear()")
        set_kept(page, "suxin.keys.1", [keys[0] | {"vkey": f"{origin}+00000000+AAAA"}])
        look(page, counter, "en")
        assert [key["vkey"] for key in kept(page, "suxin.keys.1")] == [keys[0]["vkey"]]
        assert noted.complaints == []
