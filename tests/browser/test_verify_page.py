"""/verify and "check on this device": the verdict is reached in the browser, and says on what it relies."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from app.i18n import text
from app.ledger.bundle import verify_bundle_bytes
from app.web.links import code_path
from tests.browser.measures import check_layout, check_structure
from tests.browser.modules import LACKING
from tests.browser.phone import opened
from tests.browser.screens import check_screens
from tests.ledger.bundles import OTHER_LOG_KEY, VKEY, intact, unit_records

pytestmark = pytest.mark.browser

every = pytest.mark.parametrize("lang", ["zh", "en"])
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "verify_bundle.py"


def said(lang: str, key: str, **params: object) -> str:
    return text(lang, key, **params)


def open_verify(page, shown, lang="zh"):
    page.goto(f"{shown.trade.place.url}/verify?lang={lang}")
    page.locator("#tool[data-ready]").wait_for()


def headline(page) -> str:
    return page.locator("#result .verdict h2").inner_text()


def evidence(shown, state: str) -> bytes:
    return shown.trade.place.call("GET", f"{code_path(shown.codes[state])}/evidence").content


def listed(page, kind: str, root: str = "#result") -> list[str]:
    return page.locator(f"{root} .remarks-{kind} li").all_inner_texts()


def sentences(report: dict, kind: str, lang: str) -> list[str]:
    """The lines that `suxin verify` would print."""
    place = (lambda r: f" {r['place']}" if r["place"] else "") if kind == "broken" else lambda _: ""
    return [said(lang, f"bundle.{r['key']}", **r["params"]) + place(r) for r in report[kind]]


def verdict_said(report: dict, lang: str) -> str:
    """The headline: what matches, and beside it whether its steps are all there."""
    told = [said(lang, f"bundle.verdict_{report['verdict']}")]
    for status in ("missing", "none"):
        names = [s["step"] for s in report["steps"] or () if s["status"] == status]
        quoted = [
            said(lang, "bundle.steps_quote", step=said(lang, f"page.step.{name}")) for name in names
        ]
        if names:
            steps = said(lang, "bundle.steps_join").join(quoted)
            told.append(said(lang, f"bundle.steps_{status}", steps=steps))
    if report["steps"] and len(told) == 1:
        told.append(said(lang, "bundle.steps_whole"))
    return (" " if lang == "en" else "").join(told)


def check_says(page, report: dict, lang: str, root: str = "#result") -> None:
    for kind in ("broken", "checked", "unchecked", "pending"):
        assert listed(page, kind, root) == sentences(report, kind, lang)


# ---------------------------------------------------------------- the page /verify


@pytest.mark.looks("/verify")
@every
@pytest.mark.parametrize(
    ("state", "seal"),
    [
        ("intact", "intact"),
        ("incomplete", "open"),
        ("provisional", "incomplete"),
        ("moving", "open"),
        ("unsold", "open"),
        ("broken", "broken"),
    ],
)
def test_a_file_gets_the_verdict_of_suxin_verify(
    shown, chromium, pictures, tmp_path, state, seal, lang
):
    raw = evidence(shown, state)
    file = tmp_path / "evidence.json"
    file.write_bytes(raw)
    key = shown.trade.place.call("GET", "/log/key").text
    report = verify_bundle_bytes(raw, vkey=key).as_json()
    assert report["verdict"] == ("differs" if state == "broken" else "matches")
    with opened(chromium, lang=lang, script=True) as (page, noted):
        open_verify(page, shown, lang)
        page.locator("#file").set_input_files(file)
        page.locator("#result .verdict").wait_for()
        assert headline(page) == verdict_said(report, lang)
        assert page.locator("#result .verdict .seal").get_attribute("class") == f"seal seal-{seal}"
        # Where a step is not there nothing is green, and no seal says that the chain is whole.
        whole = page.locator("#result .verdict-intact, #result .seal-intact").count()
        assert whole == (2 if state == "intact" else 0)
        assert len(listed(page, "steps")) == (0 if state == "broken" else 4)
        check_says(page, report, lang)
        assert page.locator("#keys code").all_inner_texts() == [key.strip()]
        check_screens(page, pictures, f"verify-{state}-{lang}")
        check_structure(page, lang=lang, also_dark=True)
        assert noted.complaints == []


def test_it_works_without_a_network_once_loaded(shown, chromium, tmp_path):
    file = tmp_path / "evidence.json"
    file.write_bytes(evidence(shown, "intact"))
    with opened(chromium, script=True) as (page, noted):
        open_verify(page, shown)
        asked = len(noted.addresses)
        page.context.set_offline(True)
        page.locator("#file").set_input_files(file)
        page.locator("#result .verdict-intact").wait_for()
        page.locator("#paste").fill("{")
        page.locator("#run").click()
        page.locator("#result .verdict-unknown").wait_for()
        assert noted.addresses[asked:] == []
        assert noted.complaints == []


def test_evidence_may_be_dropped_anywhere_on_the_page(shown, chromium):
    with opened(chromium, lang="en", script=True) as (page, noted):
        open_verify(page, shown, "en")
        for target in ("#drop", "h1"):
            page.locator("#result").evaluate("(e) => e.replaceChildren()")
            held = page.evaluate_handle(
                """(text) => {
                  const held = new DataTransfer();
                  held.items.add(new File([text], "mine.json"));
                  return held;
                }""",
                evidence(shown, "intact").decode(),
            )
            page.dispatch_event(target, "drop", {"dataTransfer": held})
            page.locator("#result .verdict-intact").wait_for()
            assert (
                said("en", "verify.check.of", name="mine.json")
                in page.locator("#result").inner_text()
            )
        assert noted.complaints == []


@every
def test_a_code_fetches_its_own_evidence(shown, chromium, lang):
    with opened(chromium, lang=lang, script=True) as (page, noted):
        open_verify(page, shown, lang)
        page.locator("#code").fill(f"https://id.example/{shown.codes['intact']}")
        page.locator("#code").press("Enter")
        page.locator("#result .verdict-intact").wait_for()
        assert shown.codes["intact"] in page.locator("#result .verdict").inner_text()
        assert noted.complaints == []
        page.locator("#code").fill(shown.codes["unknown"])
        page.locator("#fetch button").click()
        page.get_by_text(said(lang, "verify.check.no_evidence")).wait_for()
        for typed in ("hello", "ｈｅｌｌｏ　你好"):
            page.locator("#result").evaluate("(e) => e.replaceChildren()")
            page.locator("#code").fill(typed)
            page.locator("#fetch button").click()
            page.get_by_text(said(lang, "verify.check.no_code")).wait_for()


def test_a_typed_code_is_found_in_small_letters_and_full_width_unless_nobody_answers(
    shown, chromium
):
    code = shown.codes["intact"]
    wide = {number: number + 0xFEE0 for number in range(0x21, 0x7F)}
    with opened(chromium, lang="zh", script=True) as (page, _):
        open_verify(page, shown)
        asked: list[str] = []
        page.on("request", lambda r: asked.append(r.url) if "/api/v1/code?" in r.url else None)
        for typed, times in ((code, 1), (code.lower(), 2), (code.lower().translate(wide), 3)):
            asked.clear()
            page.locator("#result").evaluate("(e) => e.replaceChildren()")
            page.locator("#code").fill(typed)
            page.locator("#code").press("Enter")
            page.locator("#result .verdict-intact").wait_for()
            assert said("zh", "verify.check.of", name=code) in page.locator("#result").inner_text()
            assert len(asked) == times
        page.route("**/api/v1/code?**", lambda route: route.fulfill(status=503))
        asked.clear()
        page.locator("#code").fill(code.lower())
        page.locator("#code").press("Enter")
        page.get_by_text(said("zh", "verify.check.no_evidence")).wait_for()
        assert len(asked) == 1


def paste(page, bundle: dict | str, given: str = "") -> str:
    """Returns the headline for pasted evidence against keys from elsewhere, "" for the device's own."""
    page.locator("#paste").fill(bundle if isinstance(bundle, str) else json.dumps(bundle))
    page.locator("#given").evaluate("(area, text) => { area.value = text; }", given)
    page.locator("#result").evaluate("(e) => e.replaceChildren()")
    page.locator("#run").click()
    page.locator("#result .verdict").wait_for()
    return headline(page)


def test_pasted_evidence_is_held_against_pasted_keys(shown, chromium):
    changed = intact()
    unit_records(changed)[1]["hash"] = "00" * 32
    with opened(chromium, lang="en", script=True) as (page, noted):
        open_verify(page, shown, "en")
        matches, differs = (said("en", f"bundle.verdict_{v}") for v in ("matches", "differs"))
        matches = f"{matches} {said('en', 'bundle.steps_whole')}"
        assert paste(page, intact(), VKEY) == matches
        assert paste(page, intact(), f"\n {OTHER_LOG_KEY.vkey}\n{VKEY}\n") == matches
        assert paste(page, intact(), str(OTHER_LOG_KEY.vkey)) == differs
        assert paste(page, changed, VKEY) == differs
        report = verify_bundle_bytes(json.dumps(changed).encode(), vkey=VKEY).as_json()
        check_says(page, report, "en")
        # Against the key that this device knows it is another log's.
        assert paste(page, intact()) == differs
        assert paste(page, "[]", VKEY) == said("en", "bundle.verdict_unreadable")
        assert paste(page, intact(), "no key") == said("en", "bundle.verdict_unreadable")
        assert noted.complaints == []


def test_a_forgers_words_are_shown_as_words(shown, chromium):
    loud = intact() | {"subject": "<img src=x onerror=alert(1)>\u202e"}
    with opened(chromium, lang="en", script=True) as (page, noted):
        open_verify(page, shown, "en")
        paste(page, loud, VKEY)
        assert page.locator("#result img").count() == 0
        assert "<img src=x onerror=alert(1)>\ufffd" in page.locator("#result .verdict").inner_text()
        assert noted.complaints == []


def test_a_key_may_be_pinned_and_is_used_from_then_on(shown, chromium):
    with opened(chromium, lang="en", script=True) as (page, _):
        open_verify(page, shown, "en")
        page.locator("details summary").click()
        page.locator("#given").fill("no key")
        page.locator("#pin").click()
        page.get_by_text(said("en", "bundle.key_given")).wait_for()
        page.locator("#given").fill(VKEY)
        page.locator("#pin").click()
        page.get_by_text(said("en", "verify.check.pinned")).wait_for()
        open_verify(page, shown, "en")
        assert VKEY in page.locator("#keys code").all_inner_texts()
        assert paste(page, intact()).startswith(said("en", "bundle.verdict_matches"))
        page.locator("details summary").click()
        page.locator("#forget").click()
        assert page.locator("#keys").inner_text() == said("en", "verify.check.key_none")
        # With no key at all it only agrees with itself.
        assert paste(page, intact()) == said("en", "bundle.verdict_unanchored")
        assert page.locator("#result .seal-unproven").count() == 1
        check_layout(page)


def test_nothing_moves_under_the_finger_while_the_script_is_on_its_way(shown, chromium):
    """Cumulative Layout Shift, as Lighthouse counts it: 0.1 is where it begins to be felt."""
    with opened(chromium, script=True) as (page, noted):
        page.add_init_script(
            "globalThis.moved = 0; new PerformanceObserver((list) => {"
            " for (const one of list.getEntries()) globalThis.moved += one.value;"
            "}).observe({ type: 'layout-shift', buffered: true });"
        )

        def late(route) -> None:
            page.locator("#run").wait_for()  # it is there, and waits
            page.locator("#tool[inert]").wait_for()
            page.wait_for_timeout(200)
            route.continue_()

        page.route("**/page.js", late)
        open_verify(page, shown)
        assert page.evaluate("globalThis.moved") < 0.05
        assert page.locator("#tool[inert]").count() == 0
        assert noted.complaints == []


@every
def test_whoever_reads_at_four_times_the_size_scrolls_one_way(shown, chromium, lang):
    """WCAG 2.2 1.4.10: 320 CSS pixels are what a screen of 1280 has at 400 %."""
    unit = code_path(shown.codes["intact"]).removeprefix("/api/v1/codes/")
    gtin, serial = unit.split("/")
    with opened(chromium, lang=lang, viewport={"width": 320, "height": 640}) as (page, _):
        for path in ("/", f"/01/{gtin}/21/{serial}", "/scan", "/ticket", "/log", "/verify"):
            page.goto(f"{shown.trade.place.url}{path}")
            check_layout(page)


@every
def test_without_a_script_the_page_says_how_else(shown, chromium, pictures, lang):
    with opened(chromium, lang=lang) as (page, noted):
        page.goto(f"{shown.trade.place.url}/verify")
        assert page.locator("#plain").inner_text() == said(lang, "page.verify.plain")
        assert page.locator("#tool").is_hidden()
        words = page.locator("main").inner_text()
        assert "suxin verify" in words
        assert "verify_bundle.py" in words
        check_layout(page)
        check_structure(page, lang=lang)
        pictures(page, f"verify-plain-{lang}.png")
        assert noted.complaints == []
    href = re.search(r'href="([^"]+)" download>verify_bundle', page_text(shown))[1]
    assert shown.trade.place.call("GET", href, expect=200).content == SCRIPT.read_bytes()


def page_text(shown) -> str:
    return shown.trade.place.call("GET", "/verify", expect=200).text


@every
@pytest.mark.parametrize("lack", ["subtle", "ed25519"])
def test_a_browser_that_cannot_check_is_told_so_and_no_verdict_is_shown(
    shown, chromium, lack, lang
):
    sentence = said(lang, f"verify.check.missing_{lack}")
    with opened(chromium, lang=lang, script=True) as (page, noted):
        page.add_init_script(LACKING[lack])
        page.goto(f"{shown.trade.place.url}/verify?lang={lang}")
        page.get_by_text(sentence).wait_for()
        assert page.locator("#tool").is_hidden()
        page.goto(shown.url("intact", lang=lang))
        page.locator("#self button").click()
        page.get_by_text(sentence).wait_for()
        assert page.locator(".beside").count() == 0
        assert page.locator("#watch-told").inner_text() == ""
        assert noted.complaints == []


def test_a_page_that_came_by_http_is_told_so(shown, chromium):
    place = shown.trade.place.url
    with opened(chromium, lang="en", script=True) as (page, _):
        # A name that is not localhost makes the page an insecure one.
        page.route("http://suxin.test/**", lambda route: route.fulfill(
            response=page.request.get(place + route.request.url.split("suxin.test")[1])
        ))  # fmt: skip
        page.goto("http://suxin.test/verify?lang=en")
        page.get_by_text(said("en", "verify.check.missing_insecure")).wait_for()
        assert page.locator("#tool").is_hidden()
        # The icon may still be on its way: its answer would come to a page that is closed.
        page.unroute_all(behavior="ignoreErrors")


# ---------------------------------------------------------------- on the page that a scan opens


def check_here(page) -> None:
    page.locator("#self button").click()
    page.locator("#self-told > :first-child").wait_for()


@every
@pytest.mark.parametrize(
    "state", ["intact", "incomplete", "moving", "provisional", "broken", "product", "lot"]
)
def test_the_devices_verdict_stands_beside_the_pages_own(shown, chromium, pictures, state, lang):
    verdict = state if state in ("broken", "incomplete") else "intact"
    tones = {"broken": ["bad", "bad"], "incomplete": ["gap", "open"], "moving": ["good", "open"],
             "provisional": ["good", "gap"]}  # fmt: skip
    with opened(chromium, lang=lang, script=True) as (page, noted):
        page.goto(shown.url(state, lang=lang))
        check_here(page)
        report = verify_bundle_bytes(
            evidence(shown, state), vkey=shown.trade.place.call("GET", "/log/key").text
        ).as_json()
        assert report["verdict"] == ("differs" if verdict == "broken" else "matches")
        assert page.locator(".beside dd").all_inner_texts() == [
            said(lang, f"page.verdict.{verdict}"),
            verdict_said(report, lang),
        ]
        told = [f"beside-{tone}" for tone in tones.get(state, ["good", "good"])]
        assert (
            page.locator(".beside > div").evaluate_all("all => all.map((e) => e.className)") == told
        )
        if verdict != "broken":
            page.locator("#self-told summary").click()
        check_says(page, report, lang, root="#self-told")
        assert page.locator("#self-told .refusal").count() == 0
        check_structure(page, lang=lang)
        check_screens(page, pictures, f"here-{state}-{lang}")
        assert noted.complaints == []


def test_the_first_key_is_remembered_and_named_with_its_day(shown, chromium):
    with opened(chromium, lang="en", script=True) as (page, _):
        page.goto(shown.url("intact", lang="en"))
        page.locator("#watch-told:not(:empty)").wait_for()
        check_here(page)
        start = said("en", "verify.check.relies_seen", at="").rstrip(".")
        assert page.locator("#self-told > .mute").inner_text().startswith(start)
        # Another key at the same address is not taken for the old one.
        page.route("**/evidence", lambda route: route.fulfill(json=intact()))
        check_here(page)
        page.locator("#self-told .refusal").wait_for()
        assert said("en", "bundle.verdict_differs") in page.locator(".beside").inner_text()
        assert any(
            "not the one that was given" in line for line in listed(page, "broken", "#self-told")
        )


def test_a_server_that_lies_is_contradicted(shown, chromium):
    forged = json.loads(evidence(shown, "intact"))
    record = forged["streams"][0]["records"][1]
    record["body"] = record["body"].replace("440100", "310100")
    with opened(chromium, lang="zh", script=True) as (page, _):
        page.route("**/evidence", lambda route: route.fulfill(json=forged))
        page.goto(shown.url("intact", lang="zh"))
        check_here(page)
        assert page.locator("#self-told .refusal").inner_text() == said(
            "zh", "verify.check.disagree"
        )
        check_layout(page)


def test_what_does_not_arrive_is_no_verdict(shown, chromium):
    with opened(chromium, lang="en", script=True) as (page, _):
        page.goto(shown.url("intact", lang="en"))
        page.locator("#watch-told:not(:empty)").wait_for()
        page.route("**/evidence", lambda route: route.abort())
        check_here(page)
        assert page.locator("#self-told").inner_text() == said("en", "verify.check.no_evidence")
        page.context.set_offline(True)
        page.unroute("**/evidence")
        check_here(page)
        assert page.locator("#self-told").inner_text() == said("en", "verify.check.no_evidence")


def test_where_not_even_the_program_arrives_the_page_says_so(shown, chromium):
    with opened(chromium, lang="en", script=True) as (page, _):
        page.route("**/self.js", lambda route: route.abort())
        page.goto(shown.url("intact", lang="en"))
        page.locator("#self button").click()
        page.get_by_text(said("en", "page.check.here.failed")).wait_for()
