"""How looks at a unit's page are counted and shown: by device, and nobody's looks not at all."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from app.i18n import format_moment, text
from app.kit.clock import to_ms
from app.ledger.record import stream_key
from tests.browser.counter import phone
from tests.browser.form import Form
from tests.browser.phone import OTHER_PHONE, PHONE
from tests.drills.trade import moment

pytestmark = pytest.mark.browser

ROBOTS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/140.0.0.0 Safari/537.36",
    "WhatsApp/2.2 LinkPreview",
    "curl/8.5.0",
    "python-httpx/0.28",
    "",
)
UNSEEN = (
    {"Sec-Purpose": "prefetch"},
    {"Sec-Purpose": "prefetch;prerender"},
    {"Purpose": "prefetch"},
    {"X-Moz": "prefetch"},
)


def look(counter, code: str, lang: str = "en", **shown: str) -> str:
    """Returns the sentence about looks that a program gets which shows these headers."""
    headers = {"User-Agent": PHONE, "Accept-Language": lang, **shown}
    # Each without the others' cookies.
    counter.trade.place.client.cookies.clear()
    answer = counter.trade.place.call("GET", f"/{code}", headers=headers, expect=200)
    return re.search(r'<p class="scans">(.*?)</p>', answer.text)[1]


def seen(page, counter, code: str) -> str:
    page.goto(counter.url(code))
    return page.locator(".scans").inner_text()


def settled(counter, code: str, looks: int) -> None:
    """Waits until the looks at a unit are written: before, only the process that had them counts them."""
    deadline = time.monotonic() + 20
    while counter.looks_written(code) != looks:
        assert time.monotonic() < deadline, (counter.looks_written(code), looks)
        time.sleep(0.05)


def sentences(lang: str, *, times: int, devices: int) -> tuple[str, str]:
    """Returns what stands before and after the time of the first look."""
    return (
        text(lang, "page.scans.nth", n=times),
        text(lang, "page.scans.devices", count=devices),
    )


def check_said(said: str, lang: str, *, times: int, devices: int) -> None:
    first, last = sentences(lang, times=times, devices=devices)
    assert said.startswith(first), said
    assert said.endswith(last), said


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_one_phone_is_one_device_however_often_it_looks(counter, chromium, lang):
    unit = counter.unit()
    begun = moment()
    with phone(chromium, lang=lang) as (page, _):
        for _ in range(3):  # a page that is loaded again is no other look
            assert seen(page, counter, unit) == text(lang, "page.scans.first")
            settled(counter, unit, 1)
    with phone(chromium, lang=lang, agent=OTHER_PHONE) as (page, _):
        said = seen(page, counter, unit)
        check_said(said, lang, times=2, devices=2)
        # The minute may have turned while the first look was on its way.
        minutes = {begun, begun + timedelta(minutes=1)}
        assert any(format_moment(lang, one) in said for one in minutes)


def test_the_first_look_keeps_its_time(counter, chromium):
    unit = counter.unit()
    long_ago = moment(days=3, hours=5)
    with phone(chromium, lang="en") as (page, _):
        page.goto(counter.url(unit))
        settled(counter, unit, 1)
        with counter.trade.place.opened() as run:
            run(
                "INSERT INTO scan (stream, device, first_at, last_at, loads) VALUES (?, ?, ?, ?, 1)",
                stream_key(unit), bytes(16), to_ms(long_ago), to_ms(long_ago),
            )  # fmt: skip
        said = seen(page, counter, unit)
    check_said(said, "en", times=2, devices=2)
    assert text("en", "page.scans.first_at", at=format_moment("en", long_ago)) in said


def test_two_phones_are_two_devices(counter, chromium):
    unit, other = counter.unit(), counter.unit()
    with phone(chromium, lang="en") as (page, _):
        seen(page, counter, unit)
        settled(counter, unit, 1)
        with phone(chromium, lang="en", agent=OTHER_PHONE) as (neighbour, _):
            check_said(seen(neighbour, counter, unit), "en", times=2, devices=2)
            settled(counter, unit, 2)
            check_said(seen(neighbour, counter, unit), "en", times=2, devices=2)
        check_said(seen(page, counter, unit), "en", times=2, devices=2)
        settled(counter, unit, 2)
        assert seen(page, counter, other) == text("en", "page.scans.first")


def test_a_phone_that_moves_to_another_network_is_the_same_device(counter, chromium):
    unit = counter.unit()
    with phone(chromium, lang="en") as (page, _):
        seen(page, counter, unit)
        settled(counter, unit, 1)
        page.context.set_extra_http_headers({"X-Forwarded-For": "203.0.113.77"})
        assert seen(page, counter, unit) == text("en", "page.scans.first")
        settled(counter, unit, 1)


def test_what_a_phone_keeps_tells_devices_apart_and_no_more(counter, chromium):
    unit = counter.unit()
    with phone(chromium, address="203.0.113.9") as (page, _):
        seen(page, counter, unit)
        (kept,) = page.context.cookies()
    assert (kept["httpOnly"], kept["sameSite"]) == (True, "Lax")
    assert kept["expires"] < (moment() + timedelta(days=1, minutes=1)).timestamp()
    assert re.fullmatch("[0-9a-f]{32}", kept["value"])


def test_a_form_is_no_look(counter, chromium):
    unit = counter.unit()
    with phone(chromium, lang="en") as (page, _):
        assert seen(page, counter, unit) == text("en", "page.scans.first")
        settled(counter, unit, 1)
        form = Form(page, "review").open().fill(rating="4", proof="wrong")
        assert form.send() == 403
        assert page.locator(".scans").inner_text() == text("en", "page.scans.first")


def test_robots_and_what_is_fetched_ahead_are_nobodys_looks(counter):
    unit = counter.unit()
    place = counter.trade.place
    for agent in ROBOTS:
        look(counter, unit, **{"User-Agent": agent})
        assert not place.client.cookies, agent
    for shown in UNSEEN:
        look(counter, unit, **shown)
        assert not place.client.cookies, shown
    head = place.call("HEAD", f"/{unit}", headers={"User-Agent": PHONE}, expect=200)
    assert (head.content, "set-cookie" in head.headers) == (b"", False)
    assert look(counter, unit) == text("en", "page.scans.first")
    settled(counter, unit, 1)
    check_said(look(counter, unit, **{"User-Agent": OTHER_PHONE}), "en", times=2, devices=2)


def test_what_chromium_fetches_ahead_is_counted_when_it_is_looked_at(counter, chromium):
    unit = counter.unit()
    listed = f"<!doctype html><link rel=prefetch href='{counter.url(unit)}'>".encode()
    with _served(listed) as shop, phone(chromium, lang="en") as (page, noted):
        page.goto(shop, wait_until="networkidle")
        assert counter.url(unit) in noted.addresses
        assert seen(page, counter, unit) == text("en", "page.scans.first")


@contextmanager
def _served(page: bytes) -> Iterator[str]:
    """Yields the address of another site's page, which our own policy would not let be ours."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_headless_browser_that_says_so_is_a_robot(counter, chromium):
    unit = counter.unit()
    with phone(chromium, agent=None) as (page, _):
        seen(page, counter, unit)
    assert look(counter, unit) == text("en", "page.scans.first")


def test_looks_outlive_a_restart(counter, chromium):
    """The last ones are still in memory when the service is told to end."""
    unit = counter.unit()
    place = counter.trade.place
    with phone(chromium, lang="en") as (page, _):
        seen(page, counter, unit)
        for devices in itertools.count(2):
            look(counter, unit, **{"X-Forwarded-For": f"203.0.113.{devices}"})
            if counter.looks_written(unit) < devices:
                break
        try:
            place.stop()
            assert counter.looks_written(unit) == devices
        finally:
            place.serve()
        check_said(seen(page, counter, unit), "en", times=devices, devices=devices)
