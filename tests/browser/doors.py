"""The way through all three doors, from the demo's pages alone: merchant, regulator, consumer.

What a person would do is done by the pages; what kuaidi100 sends, to the address that a page made. The steps
hand on to each other only what a person would carry: a file, a printed label, a query code.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from hashlib import md5
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from app.i18n import text
from app.trace.printing import CODE_COLUMNS
from tests.asking import fetch
from tests.browser.filming import BARS, NO_DETECTOR, film, printed, seeing, symbol
from tests.browser.form import Form
from tests.browser.phone import opened
from tests.drills.deployment import wait_until
from tests.drills.processes import ROOT
from tests.drills.trade import moment

SAMPLE = ROOT / "docs" / "samples" / "products-gbk.csv"
GIFT_BOX = "06901234999020"
"""A product of the sample spreadsheet, which nobody has registered in the demo."""
CARRIER = "91440000MA4TE5T04E"
SHIPPED = ("261126-0001", "TEST5550000001")
"""Order and waybill of the parcel that the shop's system sent."""
WAITING = ("261126-0002", "TEST5550000002")
"""Those of the parcel that is packed by the phone; the export knows its order alone."""
WORDS = "盒角压坏了，独一无二的话。"
Keep = Callable[[Any, str], None]
"""Is shown a page and told what it shows."""

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
_CHINA = timezone(timedelta(hours=8))
_HEADER = "订单号,商品条码,数量,溯源码,订单状态,下单时间,发货时间,快递公司,快递单号"


@dataclass
class Demo:
    """A served demo: its address, name -> password of people, role -> key, kind -> address of a unit."""

    url: str
    people: dict[str, str]
    keys: dict[str, str]
    shown: dict[str, str]


@dataclass
class Carried:
    """What one step hands on. inner: of each gift box its inner code. labels: what is printed, by code.

    shipped, scanned: codes of the parcels of the shop's system and of the phone.
    """

    inner: dict[str, str] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)
    shipped: str = ""
    scanned: str = ""


@contextmanager
def demo_served(work: Path) -> Iterator[Demo]:
    """Serves the demo as a newcomer starts it, and reads what it prints for one."""
    out, err = work / "out", work / "err"
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SUXIN_")}
    command = [ROOT / "scripts" / "run", "--demo", "--port", "0"]
    with out.open("wb") as said, err.open("wb") as told:
        process = subprocess.Popen(command, env=plain, stdout=said, stderr=told)
    try:
        wait_until(
            lambda: "is serving at" in err.read_text("utf-8") or process.poll() is not None,
            "the demo is served", timeout_s=300,
        )  # fmt: skip
        guide = out.read_text("utf-8")
        found = re.search(r"Sign in at (http://\S+)/sign-in", guide)
        assert found, err.read_text("utf-8")[-2_000:]
        people = dict(
            re.findall(r"^  [a-z, ]+ {2,}(\S+) +(\S{4}-\S{4}-\S{4}-\S{4})$", guide, re.MULTILINE)
        )
        keys = dict(reversed(re.findall(r"^  (\w+)[^\n]* (sx_\S+)$", guide, re.MULTILINE)))
        shown = dict(re.findall(r"^ {2}(\w[\w -]*?) +(http://\S+/01/\S+)$", guide, re.MULTILINE))
        yield Demo(found[1], people, keys, shown)
    finally:
        process.terminate()
        process.wait(60)


def can_be_started() -> bool:
    """Whether scripts/run finds everything in place: the tests of a checkout install nothing."""
    asked = ". scripts/setup; have_packages requirements.lock"
    return not subprocess.run(["sh", "-c", asked, "scripts/run"], cwd=ROOT, check=False).returncode


def sign_in(page: Any, demo: Demo, name: str, path: str = "/desk") -> None:
    page.goto(f"{demo.url}/sign-in?next={path}")
    page.locator("#f-name").fill(name)
    page.locator("#f-password").fill(demo.people[name])
    page.locator(".narrow .button-first").click()
    page.wait_for_url(f"{demo.url}{path}")  # in full: the present one ends with where it leads to


# --- merchant ------------------------------------------------------------------------------------


def sell_and_send(browser: Any, demo: Demo, work: Path, keep: Keep) -> Carried:
    """Imports products, prints labels of one, ships an order list, and sends a parcel off by its label."""
    carried = Carried()
    with opened(browser, script=True, viewport=DESK, accept_downloads=True) as (page, _):
        sign_in(page, demo, "duanyan", "/desk/imports")
        _import(page, "products", SAMPLE, keep)
        page.goto(f"{demo.url}/desk/products/{GIFT_BOX}")
        page.locator("#f-count").fill("3")
        page.locator("label:has(input[name=inner])").click()
        page.locator('form[action$="/codes"] .button-first').click()
        page.locator(".label-look").wait_for(timeout=60_000)
        page.locator(".label-look").evaluate("image => image.decode()")
        keep(page, "labels")
        sheet = printed(_download(page, "button[value=print]", work).read_bytes())
        carried.labels = {urlsplit(uri).path[1:]: label for uri, label in sheet.items()}
        told = _download(page, 'a[href$="/codes.csv"]', work).read_text("utf-8-sig")
        head, *rows = csv.reader(io.StringIO(told))
        assert head == [text("zh", f"batches.column.{name}") for name in CODE_COLUMNS]
        carried.inner = {code: inner for code, _, _, inner in rows}
        carried.shipped, carried.scanned, _ = carried.inner
        page.goto(f"{demo.url}/desk/imports")
        _import(page, "shipments", write_orders(work / "orders.csv", carried), keep)
    _dispatch(browser, demo, work, carried, keep)
    return carried


def now() -> datetime:
    """Returns the time by China's clocks."""
    return moment().astimezone(_CHINA)


def write_orders(path: Path, carried: Carried) -> Path:
    """Writes what the shop's system exports: a parcel that was sent, and an order that waits for one."""
    at = f"{now():%F %T}"
    sent = (SHIPPED[0], GIFT_BOX, "1", carried.shipped, "已发货", at, at, CARRIER, SHIPPED[1])
    waits = (WAITING[0], GIFT_BOX, "1", carried.scanned, "待发货", at, "", "", "")
    path.write_text("\n".join([_HEADER, *map(",".join, (sent, waits))]), "utf-8")
    return path


def _import(page: Any, kind: str, file: Path, keep: Keep) -> None:
    page.locator(f"label:has(input[name=kind][value={kind}])").click()
    page.locator("#f-file").set_input_files(file)
    page.locator('form[enctype="multipart/form-data"] .button-first').click()
    page.locator("#faults-title, .card-acts .button-first").first.wait_for(timeout=60_000)
    keep(page, f"planned {kind}")
    page.locator(".card-acts .button-first").first.click()
    page.get_by_role("heading", name="结果").wait_for(timeout=60_000)
    keep(page, f"imported {kind}")


def _download(page: Any, what: str, work: Path) -> Path:
    with page.expect_download() as download:
        page.locator(what).first.click()
    path = work / download.value.suggested_filename
    download.value.save_as(path)
    return path


def _dispatch(browser: Any, demo: Demo, work: Path, carried: Carried, keep: Keep) -> None:
    """A phone's camera sees the printed label and then the waybill; the order is typed."""
    order, waybill = WAITING
    parcel = (carried.labels[carried.scanned], symbol(waybill, kind=BARS))
    with (
        seeing(browser, film(*parcel, path=work / "parcel.y4m")) as phone,
        opened(phone, script=True, viewport=PHONE) as (page, _),
    ):
        page.add_init_script(NO_DETECTOR)
        sign_in(page, demo, "duanyan.ck", "/desk/dispatch")
        page.locator("#f-carrier").fill(CARRIER)
        folded = page.locator("#dispatch details:not([open]) > summary")
        if folded.count():  # where other sales wait for their parcels
            folded.click()
        page.locator("#f-order").fill(order)
        page.locator("#camera button").click()
        page.locator("#done b").filter(has_text="1").wait_for(timeout=90_000)
        keep(page, "dispatched")


# --- carrier -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Subscription:
    """What a carrier copies from its page to kuaidi100."""

    callback_url: str
    salt: str


def subscribe(browser: Any, demo: Demo, keep: Keep) -> Subscription:
    """Makes the carrier's push address on its page."""
    with opened(browser, script=True, viewport=DESK) as (page, _):
        sign_in(page, demo, "kuaidi", "/account/push")
        page.locator("button[value=make]").click()
        shown = page.locator(".once code")
        shown.first.wait_for()
        keep(page, "subscribed")
        found = Subscription(*shown.all_inner_texts())
        page.goto(f"{demo.url}/account/push")
        assert found.salt not in page.content()
        assert found.callback_url in page.content()
    return found


def push_signatures(at: Subscription, when: datetime) -> list[tuple[int, int]]:
    """kuaidi100 pushes in its own form that both parcels were signed for.

    Returns how many events each push became, and how many it was a repeat of.
    """
    time = f"{when:%F %T}"
    signed = {"time": time, "ftime": time, "context": "已签收", "status": "签收"}
    came = []
    for _, waybill in (SHIPPED, WAITING):
        told = {"com": "test", "nu": waybill, "state": "3", "data": [signed]}
        param = json.dumps({"status": "shutdown", "lastResult": told}, ensure_ascii=False)
        sign = md5(f"{param}{at.salt}".encode(), usedforsecurity=False).hexdigest().upper()
        form = {"param": param, "sign": sign}
        answer = httpx.post(at.callback_url, data=form, timeout=30).json()
        assert answer["result"] is True, answer
        came.append((answer["recorded"], answer["repeated"]))
    return came


# --- regulator -----------------------------------------------------------------------------------


@dataclass
class Found:
    """What the regulator takes away. altered: the code of the altered chain. packages: of it and of goods."""

    altered: str
    report: list[Path]
    packages: dict[str, Path]


def find_and_prove(browser: Any, demo: Demo, work: Path, unit: str, keep: Keep) -> Found:
    """Finds the altered chain among the findings, audits, and takes report and evidence away.

    unit: a label's words, of goods that a package is asked for too.
    """
    with opened(browser, script=True, viewport=DESK, accept_downloads=True) as (page, _):
        sign_in(page, demo, "jianguan", "/desk/findings?severity=grave")
        link = page.locator(".waits a[href*='/desk/findings/']")

        def is_found() -> bool:
            page.reload()
            return bool(link.count())

        # The demo's own audit meets the altered record within half a minute of serving.
        wait_until(is_found, "the audit has found the altered record", timeout_s=120)
        keep(page, "findings")
        link.first.click()
        page.locator("a[href*='/desk/chains/']").first.click()
        page.locator(".alarm").first.wait_for()
        keep(page, "the altered chain")
        altered = urlsplit(page.url).path.removeprefix("/desk/chains/")
        page.locator("a[href*='/desk/evidence?code=']").click()
        packages = {"altered": _package(page, work / "altered.zip")}
        page.locator("#f-goods").fill(unit)
        packages["sold"] = _package(page, work / "sold.zip")
        page.goto(f"{demo.url}/desk/audits")
        page.locator("#main .form .button-first").click()
        page.locator("#report-title").wait_for(timeout=120_000)
        page.locator('form[action$="/report"] .button-first').click()
        page.locator(".told").wait_for(timeout=60_000)
        keep(page, "audit")
        papers = ('a[href$="/report.json"]', 'a[href$="/report.zh.pdf"]')
        return Found(altered, [_download(page, paper, work) for paper in papers], packages)


def _package(page: Any, path: Path) -> Path:
    return _download(page, "#main .form .button-first", path.parent).rename(path)


def verify_offline(found: Found, demo: Demo, work: Path) -> dict[str, tuple[int, str]]:
    """Returns by what was checked the exit code and the words of the plain program."""
    keys = work / "keys"
    keys.write_text(
        "".join(fetch(demo.url + path).text for path in ("/log/key", "/log/receipt-key"))
    )
    checked: dict[str, list[Path]] = {"report": found.report}
    for name, package in found.packages.items():
        checked[name] = [work / name]
        with zipfile.ZipFile(package) as opened_package:
            opened_package.extractall(work / name)
    program = ROOT / "scripts" / "verify_proof.py"
    told = {}
    for name, what in checked.items():
        command = [sys.executable, "-I", program, *what, "--key", keys, "--lang", "zh"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        told[name] = (done.returncode, done.stdout + done.stderr)
    return told


# --- consumer ------------------------------------------------------------------------------------


def scan_and_speak(browser: Any, demo: Demo, work: Path, carried: Carried, keep: Keep) -> None:
    """Scans the label, reviews and complains by the code in the pack, follows the ticket, erases it."""
    unit = carried.scanned
    proof = {"proof_kind": "inner", "proof": carried.inner[unit]}
    with (
        seeing(browser, film(carried.labels[unit], path=work / "bought.y4m")) as phone,
        opened(phone, script=True, viewport=PHONE) as (page, _),
    ):
        page.add_init_script(NO_DETECTOR)
        page.goto(demo.url)
        page.locator("a[href^='/scan']").first.click()
        page.wait_for_url(f"{demo.url}/{unit}", timeout=60_000)  # it was allowed the camera before
        scanned = page.url
        keep(page, "scanned")
        form = Form(page, "review").open().fill(rating="5", text="包装也用心。", **proof)
        assert form.send() == 201
        page.get_by_role("link", name=text("zh", "page.result.back")).click()
        form = Form(page, "complaint").open()
        form.fill(category="quality", text=WORDS, contact="19900000000", **proof)
        assert form.send() == 201
        page.get_by_role("button", name=text("zh", "page.ticket.follow")).click()
        page.locator(".state-waiting").wait_for()
        assert WORDS in page.locator(".said").inner_text()
        keep(page, "ticket")
        page.goto(f"{demo.url}/privacy")
        page.locator("#code").fill(scanned)
        page.locator("label:has(input[value=inner])").click()
        page.locator("#proof").fill(proof["proof"])
        page.get_by_role("button", name=text("zh", "page.privacy.mine.show")).click()
        mine = page.locator(".said-me").filter(has_text=WORDS)
        mine.locator("summary").click()
        mine.get_by_role("button", name=text("zh", "page.ticket.erase.do")).click()
        page.locator(".told-good").wait_for()
        assert WORDS not in page.content()
        page.goto(scanned)
        keep(page, "erased")


def standing(demo: Demo, unit: str) -> tuple[str, str]:
    """Returns state and verdict of a unit, once all of its chain stands in the log."""
    _, gtin, _, serial = unit.split("/")
    path = f"{demo.url}/api/v1/codes/{gtin.zfill(14)}/{serial}"

    def told() -> tuple[str, str]:
        body = fetch(path, timeout=30).json()
        return body["state"], body["verdict"]

    wait_until(lambda: told()[1] != "provisional", "all of the chain is in a signed checkpoint")
    return told()
