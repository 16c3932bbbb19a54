"""Evidence is held against the log that this device was shown: one key can sign two logs."""

from __future__ import annotations

import json

import pytest

from app.i18n import text
from app.ledger.keyring import load_keys
from app.ledger.note import NoteSigner, encode_base64
from app.web.links import code_path
from tests.browser.counter import phone
from tests.browser.measures import check_layout
from tests.browser.test_watch import PROOF, kept, look, signed_now, url
from tests.drills.trade import GTIN, SHOP
from tests.ledger.bundles import SmallLog, sold_unit

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("still")]

every = pytest.mark.parametrize("lang", ["zh", "en"])
EVIDENCE = "**/evidence"
PRODUCT = f"01/{GTIN}"


def other_log(counter, *, by: int) -> dict:
    """Returns evidence from a second log of the same name and key; by: how much longer it is."""
    _, now = signed_now(counter)
    log: SmallLog = sold_unit()
    log.origin = now.origin
    while by > -(now.size - 9) and len(log.leaves()) < now.size + by:
        log.add("01/06901234567892/21/FILL", "review")
    signer: NoteSigner = load_keys(counter.trade.place.keys_dir).log
    bundle = log.bundle(
        "01/06901234567892/21/8F3K2M9QZ7AB",
        "01/06901234567892",
        "01/06901234567892/10/L1%2F2",
        *(entry.stream for entry in log.entries if entry.stream.startswith("party/")),
    )
    checkpoint = {"origin": now.origin, "key": str(signer.vkey), "note": log.checkpoint(signer)}
    return bundle | {"checkpoints": [checkpoint]}


def evidence(counter) -> bytes:
    return counter.trade.place.call("GET", f"{code_path(PRODUCT)}/evidence", expect=200).content


def check_here(page) -> None:
    page.locator("#self button").click()
    page.locator("#self-told > .beside").wait_for()


def check_on_page(page, counter, bundle: dict, lang: str) -> None:
    page.goto(f"{counter.trade.place.url}/verify?lang={lang}")
    page.locator("#tool[data-ready]").wait_for()
    page.locator("#paste").fill(json.dumps(bundle))
    page.locator("#run").click()
    page.locator("#result .verdict").wait_for()


@every
@pytest.mark.parametrize("by", [-10_000, 0, 40], ids=["shorter", "as long", "longer"])
def test_evidence_from_another_log_is_refused_loudly(counter, chromium, by, lang):
    with phone(chromium, lang=lang, script=True) as (page, noted):
        look(page, counter, lang)
        (seen,) = kept(page).values()
        bundle = other_log(counter, by=by)
        if by > 0:  # whoever forks proves whatever he can
            hashes = [encode_base64(b"\x08" * 32)]
            page.route(PROOF, lambda route: route.fulfill(json={"hashes": hashes}))
        page.route(EVIDENCE, lambda route: route.fulfill(json=bundle))
        check_here(page)
        assert page.locator(".beside dd").last.inner_text() == text(lang, "bundle.verdict_differs")
        warning = page.locator(".notice-alarm[role=alert]")
        assert warning.locator("h2").inner_text() == text(lang, "verify.watch.evidence")
        (alarm,) = kept(page, "suxin.alarms.1")
        assert (alarm["kind"], alarm["old"]["note"], alarm["new"]["note"]) == (
            "evidence", seen["note"], bundle["checkpoints"][0]["note"],
        )  # fmt: skip
        assert ("proof" in alarm) == (by != 0)
        assert list(kept(page).values()) == [seen]
        check_layout(page)
        # The page of its own says the same of the same evidence.
        check_on_page(page, counter, bundle, lang)
        assert page.locator("#result .verdict h2").inner_text() == text(
            lang, "bundle.verdict_differs"
        )
        assert len(page.locator("#result .remarks-broken li").all()) == 1
        assert page.locator(".notice-alarm").count() == 1
        check_layout(page)
        assert noted.complaints == []


@every
def test_evidence_of_the_same_log_is_said_to_be_so_whichever_is_newer(counter, chromium, lang):
    raw = evidence(counter)
    counter.trade.issue(SHOP, 2)
    counter.trade.place.wait_settled()
    with phone(chromium, lang=lang, script=True) as (page, noted):
        page.route(EVIDENCE, lambda route: route.fulfill(body=raw, content_type="application/json"))
        look(page, counter, lang)
        check_here(page)
        same = text(lang, "verify.check.seen_same", at="").split("{")[0][:12]
        assert page.locator("#self-told .log-line").inner_text().startswith(same)
        assert len([one for one in noted.addresses if "/consistency" in one]) == 1
        # Now the evidence is newer than what this phone saw.
        counter.trade.issue(SHOP, 2)
        counter.trade.place.wait_settled()
        page.unroute(EVIDENCE)
        check_here(page)
        page.wait_for_timeout(300)
        assert page.locator("#self-told .log-line").inner_text().startswith(same)
        assert page.locator(".beside dd").last.inner_text() == text(lang, "bundle.verdict_matches")
        assert page.locator(".notice-alarm").count() == 0
        check_on_page(page, counter, json.loads(raw), lang)
        assert page.locator("#result .log-line").inner_text().startswith(same)
        assert noted.complaints == []


def test_what_cannot_be_compared_is_said_to_be_so_and_nobody_is_accused(counter, chromium):
    unknown = text("en", "verify.check.seen_unknown", at="@").split("@")[1]
    with phone(chromium, lang="en", script=True) as (page, _):
        raw = evidence(counter)
        counter.trade.issue(SHOP, 1)
        counter.trade.place.wait_settled()
        look(page, counter, "en")
        page.route(EVIDENCE, lambda route: route.fulfill(body=raw, content_type="application/json"))
        for failing in (
            lambda route: route.abort(),
            lambda route: route.fulfill(status=503, body="{}"),
            lambda route: route.fulfill(body="<p>log in</p>"),
        ):
            page.route(PROOF, failing)
            check_here(page)
            page.locator("#self-told .log-line").wait_for()
            assert page.locator("#self-told .log-line").inner_text().endswith(unknown)
            page.unroute(PROOF)
        # A log that is longer than the service's own may be one that it has not heard of yet.
        page.unroute(EVIDENCE)
        bundle = other_log(counter, by=40)
        page.route(EVIDENCE, lambda route: route.fulfill(json=bundle))
        check_here(page)
        page.wait_for_timeout(500)
        assert page.locator("#self-told .log-line").inner_text().endswith(unknown)
        assert page.locator(".notice-alarm").count() == 0
    with phone(chromium, lang="en", script=True) as (page, _):
        page.add_init_script("delete globalThis.requestIdleCallback; setTimeout = () => 0")
        page.goto(url(counter, "en"))
        check_here(page)
        assert page.locator("#self-told .log-line").inner_text() == text(
            "en", "verify.check.seen_unmet"
        )


@pytest.mark.parametrize("body", ["<!doctype html><p>log in</p>", "{}", '{"links": null}', "null"])
def test_an_answer_that_is_none_leaves_no_page_busy(counter, chromium, body):
    with phone(chromium, lang="en", script=True) as (page, noted):
        page.goto(f"{counter.trade.place.url}/verify?lang=en")
        page.locator("#tool[data-ready]").wait_for()
        page.route("**/api/v1/code?*", lambda route: route.fulfill(body=body))
        page.locator("#code").fill(PRODUCT)
        page.locator("#fetch button").click()
        page.get_by_text(text("en", "verify.check.no_evidence")).wait_for()
        assert noted.complaints == []


def test_a_check_that_breaks_off_says_so(counter, chromium):
    with phone(chromium, lang="en", script=True) as (page, noted):
        page.goto(f"{counter.trade.place.url}/verify?lang=en")
        page.locator("#tool[data-ready]").wait_for()
        page.evaluate("() => { crypto.subtle.digest = () => Promise.reject(new Error('broken')); }")
        page.locator("#paste").fill(evidence(counter).decode())
        page.locator("#run").click()
        page.get_by_text(text("en", "verify.check.failed")).wait_for()
        assert noted.complaints == []
