"""The way through all three doors, from the demo's pages alone: merchant, regulator, consumer.

What a person would do is done by the pages; what a carrier's system would send, by its key. The steps
hand on to each other only what a person would carry: a label, a query code, a file.
"""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from app.i18n import text
from app.kit.clock import format_time
from tests.asking import fetch
from tests.browser.filming import BARS, NO_DETECTOR, QR, film, seeing
from tests.browser.form import Form
from tests.browser.phone import opened
from tests.drills.deployment import wait_until
from tests.drills.processes import ROOT, start
from tests.drills.trade import moment

SAMPLES = ROOT / "docs" / "samples"
GIFT_BOX = "06901234999020"
"""A product of the sample spreadsheet, which nobody has registered in the demo."""
CARRIER = "91440000MA4TE5T04E"
WAYBILL = "TEST5550000001"
WORDS = "盒角压坏了，独一无二的话。"
Keep = Callable[[Any, str], None]
"""Is shown a page and told what it shows."""

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


@dataclass
class Demo:
    """A served demo: its address, name -> password of people, role -> key, kind -> address of a unit."""

    url: str
    people: dict[str, str]
    keys: dict[str, str]
    shown: dict[str, str]


@dataclass
class Carried:
    """What one step hands on. codes: of the gift boxes, each with its inner code."""

    codes: dict[str, str] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        return next(iter(self.codes))


@contextmanager
def demo_served(work: Path) -> Iterator[Demo]:
    """Serves the demo from a folder and reads what it prints for a newcomer."""
    out, err = work / "out", work / "err"
    process = start(["demo", "--port", "0"], cwd=work, env={}, out=out, err=err)
    try:
        wait_until(
            lambda: "is serving at" in err.read_text("utf-8") or not process.is_alive(),
            "the demo is served", timeout_s=180,
        )  # fmt: skip
        told = out.read_text("utf-8")
        found = re.search(r"Sign in at (http://\S+)/sign-in", told)
        assert found, err.read_text("utf-8")[-2_000:]
        people = dict(
            re.findall(r"^  [a-z, ]+ {2,}(\S+) +(\S{4}-\S{4}-\S{4}-\S{4})$", told, re.MULTILINE)
        )
        keys = dict(reversed(re.findall(r"^  (\w+)[^\n]* (sx_\S+)$", told, re.MULTILINE)))
        shown = dict(re.findall(r"^ {2}(\w[\w -]*?) +(http://\S+/01/\S+)$", told, re.MULTILINE))
        yield Demo(found[1], people, keys, shown)
    finally:
        process.terminate()
        process.join(30)


def sign_in(page: Any, demo: Demo, name: str, path: str = "/desk") -> None:
    page.goto(f"{demo.url}/sign-in?next={path}")
    page.locator("#f-name").fill(name)
    page.locator("#f-password").fill(demo.people[name])
    page.locator(".narrow .button-first").click()
    page.wait_for_url(f"**{path}")


# --- merchant ------------------------------------------------------------------------------------


def sell_and_send(browser: Any, demo: Demo, work: Path, keep: Keep) -> Carried:
    """Imports products and orders, orders codes, prints labels, and sends a unit off by its label."""
    carried = Carried()
    with opened(browser, script=True, viewport=DESK, accept_downloads=True) as (page, _):
        sign_in(page, demo, "duanyan", "/desk/imports")
        _import(page, "products", "products-gbk.csv", keep)
        page.goto(f"{demo.url}/desk/imports")
        _import(page, "shipments", "orders.csv", keep)
        page.goto(f"{demo.url}/desk/products/{GIFT_BOX}")
        page.locator("#f-count").fill("3")
        page.locator("label:has(input[name=inner])").click()
        page.locator('form[action$="/codes"] .button-first').click()
        page.locator(".label-look").wait_for(timeout=60_000)
        page.locator(".label-look").evaluate("image => image.decode()")
        keep(page, "labels")
        carried.files["labels"] = _download(page, "button[value=print]", work)
        told = _download(page, 'a[href$="/codes.csv"]', work).read_text("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(told)))
        carried.codes = {row["code"]: row["inner"] for row in rows}
        page.goto(f"{demo.url}/desk/entry?type=sale&code={carried.unit}")
        page.locator("#main .form .button-first").click()
        page.locator(".told").wait_for()
    _dispatch(browser, demo, work, carried.unit, keep)
    return carried


def _import(page: Any, kind: str, name: str, keep: Keep) -> None:
    page.locator(f"label:has(input[name=kind][value={kind}])").click()
    page.locator("#f-file").set_input_files(SAMPLES / name)
    page.locator('form[enctype="multipart/form-data"] .button-first').click()
    page.locator("#faults-title, .card-acts .button-first").first.wait_for(timeout=60_000)
    keep(page, f"planned {name}")
    page.locator(".card-acts .button-first").first.click()
    page.get_by_role("heading", name="结果").wait_for(timeout=60_000)
    keep(page, f"imported {name}")


def _download(page: Any, what: str, work: Path) -> Path:
    with page.expect_download() as download:
        page.locator(what).first.click()
    path = work / download.value.suggested_filename
    download.value.save_as(path)
    return path


def _dispatch(browser: Any, demo: Demo, work: Path, unit: str, keep: Keep) -> None:
    """A phone's camera sees the label and the waybill, one after the other."""
    seen = film((f"{demo.url}/{unit}", QR), (WAYBILL, BARS), path=work / "parcel.y4m")
    with (
        seeing(browser, seen) as phone,
        opened(phone, script=True, viewport=PHONE) as (page, _),
    ):
        page.add_init_script(NO_DETECTOR)
        sign_in(page, demo, "duanyan.ck", "/desk/dispatch")
        page.locator("#f-carrier").fill(CARRIER)
        page.locator("#camera button").click()
        page.locator("#done b").filter(has_text="1").wait_for(timeout=90_000)
        keep(page, "dispatched")


# --- carrier -------------------------------------------------------------------------------------


def push_signature(demo: Demo) -> str:
    """The carrier's system pushes that the parcel was signed for; returns what came of it."""
    item = {"waybill": WAYBILL, "state": "3", "occurred_at": format_time(moment())}
    body = {"feed": "kuaidi100", "items": [item]}
    headers = {"Authorization": f"Bearer {demo.keys['carrier']}"}
    answer = httpx.post(f"{demo.url}/api/v1/carriers/push", json=body, headers=headers, timeout=30)
    assert answer.is_success, answer.text
    return str(answer.json()["results"][0]["status"])


# --- regulator -----------------------------------------------------------------------------------


def find_and_prove(browser: Any, demo: Demo, work: Path, keep: Keep) -> Carried:
    """Finds the altered chain among the findings, audits, and takes report and evidence away."""
    carried = Carried()
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
        carried.files["chain"] = Path(urlsplit(page.url).path)
        page.goto(f"{demo.url}/desk/audits")
        page.locator("#main .form .button-first").click()
        page.locator("#report-title").wait_for(timeout=120_000)
        page.locator('form[action$="/report"] .button-first').click()
        page.locator(".told").wait_for(timeout=60_000)
        keep(page, "audit")
        carried.files["pdf"] = _download(page, 'a[href$="/report.zh.pdf"]', work)
        carried.files["json"] = _download(page, 'a[href$="/report.json"]', work)
        page.goto(f"{demo.url}/desk/evidence")
        page.locator("#f-goods").fill(demo.shown["broken"])
        carried.files["zip"] = _download(page, "#main .form .button-first", work)
    return carried


def verify_offline(carried: Carried, demo: Demo, work: Path) -> dict[str, tuple[int, str]]:
    """Returns by what was checked the exit code and the words of the plain programs."""
    folder = work / "evidence"
    with zipfile.ZipFile(carried.files["zip"]) as package:
        package.extractall(folder)
    keys = work / "keys"
    keys.write_text(
        "".join(fetch(demo.url + path).text for path in ("/log/key", "/log/receipt-key"))
    )
    program = ROOT / "scripts" / "verify_proof.py"
    papers = [carried.files["json"], carried.files["pdf"]]
    told = {}
    for name, what in {"report": papers, "package": [folder]}.items():
        command = [sys.executable, "-I", program, *what, "--key", keys, "--lang", "zh"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        told[name] = (done.returncode, done.stdout + done.stderr)
    return told


# --- consumer ------------------------------------------------------------------------------------


def buy_and_speak(browser: Any, demo: Demo, unit: str, inner: str, keep: Keep) -> None:
    """Scans, reviews and complains by the code inside the pack, follows the ticket, erases the words."""
    proof = {"proof_kind": "inner", "proof": inner}
    with opened(browser, viewport=PHONE) as (page, _):
        page.goto(f"{demo.url}/{unit}")
        keep(page, "scanned")
        form = Form(page, "review").open().fill(rating="5", text="包装也用心。", **proof)
        assert form.send() == 201
        page.goto(f"{demo.url}/{unit}")
        form = Form(page, "complaint").open()
        form.fill(category="quality", text=WORDS, contact="19900000000", **proof)
        assert form.send() == 201
        page.get_by_role("button", name=text("zh", "page.ticket.follow")).click()
        page.locator(".state-waiting").wait_for()
        assert WORDS in page.locator(".said").inner_text()
        keep(page, "ticket")
        page.goto(f"{demo.url}/privacy")
        page.locator("#code").fill(f"{demo.url}/{unit}")
        page.locator("label:has(input[value=inner])").click()
        page.locator("#proof").fill(inner)
        page.get_by_role("button", name=text("zh", "page.privacy.mine.show")).click()
        mine = page.locator(".said-me").filter(has_text=WORDS)
        mine.get_by_role("button", name=text("zh", "page.privacy.mine.erase")).click()
        page.locator(".told-good").wait_for()
        assert WORDS not in page.content()
        page.goto(f"{demo.url}/{unit}")
        keep(page, "erased")


def verdict(demo: Demo, unit: str) -> str:
    """Returns what the service says of a unit's chain, once all of it stands in the log."""
    _, gtin, _, serial = unit.split("/")
    path = f"{demo.url}/api/v1/codes/{gtin.zfill(14)}/{serial}"

    def told() -> str:
        return str(fetch(path, timeout=30).json()["verdict"])

    wait_until(lambda: told() != "provisional", "all of the chain is in a signed checkpoint")
    return told()
