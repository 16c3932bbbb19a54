"""The browser's verifier in real Chromium, beside Python's: the same vectors, the same reports."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.ledger.bundle import verify_bundle_bytes
from tests.browser.modules import LACKING, reasons, report_texts, served_modules
from tests.browser.phone import Noted, opened
from tests.ledger.bundles import ACCEPTED, LIVES, MANIPULATIONS, VKEY, intact
from tests.ledger.handover_bundles import FALSE, TRUE, whole
from tests.vectors.make import KINDS, read

pytestmark = pytest.mark.browser

FOREIGN = Path(__file__).resolve().parents[3] / "shared" / "vectors" / "merkle"
FLIPPED = 150


@pytest.fixture(scope="module")
def bare(chromium) -> Iterator[tuple[Any, Noted]]:
    with served_modules() as url, opened(chromium, lang="en", script=True) as (page, noted):
        page.goto(url)
        yield page, noted
        assert noted.complaints == []


def encode(bundle: object) -> bytes:
    return json.dumps(bundle, ensure_ascii=False).encode()


def check_same_reports(page: Any, cases: list[tuple[str, bytes, str | None]]) -> list[dict]:
    """Returns the browser's reports, which must be Python's."""
    told = report_texts(page, [(raw, vkey, None) for _, raw, vkey in cases])
    reports = [json.loads(text) for text in told]
    for (name, raw, vkey), report in zip(cases, reports, strict=True):
        assert report == verify_bundle_bytes(raw, vkey=vkey).as_json(), name
    return reports


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "bundles"])
def test_the_vectors_are_accepted_and_refused_for_the_same_reasons(bare, kind):
    vectors = read(kind)
    told = reasons(bare[0], kind, vectors)
    expected = {vector["name"]: vector["refused"] for vector in vectors}
    assert dict(zip(expected, told, strict=True)) == expected


def test_the_bundles_of_the_vectors_get_the_report_beside_them(bare):
    vectors = read("bundles")
    told = report_texts(bare[0], [(v["bundle"].encode(), v["vkey"], None) for v in vectors])
    for vector, text in zip(vectors, told, strict=True):
        assert json.loads(text) == vector["report"], vector["name"]


@pytest.mark.parametrize("kind", ["inclusion", "consistency"])
def test_foreign_proofs_are_judged_as_their_authors_say(bare, kind):
    files = sorted((FOREIGN / kind).rglob("*.json"))
    if not files:
        pytest.skip("../shared/vectors/merkle is absent")
    given = [json.loads(file.read_text()) for file in files]
    named = {"index": "leafIdx", "size": "treeSize", "leaf": "leafHash", "root": "root"}
    if kind == "consistency":
        named = {name: name for name in ("size1", "size2", "root1", "root2")}
    vectors = [
        {"kind": kind, "proof": v["proof"] or []}
        # As text, for JavaScript would round the largest.
        | {
            name: str(v[theirs] or ("" if "oo" in name or "leaf" in name else 0))
            for name, theirs in named.items()
        }
        for v in given
    ]
    told = reasons(bare[0], "proofs", vectors)
    assert len(told) == 98
    for file, vector, why in zip(files, given, told, strict=True):
        assert not why.startswith("mistake"), why
        assert bool(why) == vector["wantErr"], (file.name, why)


def test_every_manipulation_gets_pythons_report(bare):
    cases = [(case.name, encode(case.build()), case.vkey) for case in MANIPULATIONS]
    for case, report in zip(MANIPULATIONS, check_same_reports(bare[0], cases), strict=True):
        first = report["broken"][0]
        got = (report["exit_code"], first["key"], first["place"])
        assert got == (case.exit_code, case.key, case.place), case.name


@pytest.mark.parametrize(("vkey", "exit_code"), [(VKEY, 0), (None, 3)])
def test_what_is_in_order_is_believed(bare, vkey, exit_code):
    cases = [(name, encode(build()), vkey) for name, build, _ in ACCEPTED]
    assert {r["exit_code"] for r in check_same_reports(bare[0], cases)} == {exit_code}


def test_the_steps_of_every_life_are_told_as_python_tells_them(bare):
    cases = [(name, encode(build()), VKEY) for name, build, _ in LIVES]
    for (_, _, statuses), report in zip(LIVES, check_same_reports(bare[0], cases), strict=True):
        assert tuple(one["status"] for one in report["steps"]) == statuses


def test_logs_that_hand_over_are_believed_as_python_does(bare):
    cases = [(case.name, encode(case.build()), case.vkey) for case in FALSE]
    cases += [(name, encode(build()), vkey) for name, build, vkey, _ in TRUE]
    cases += [("each at its word", encode(whole()), None)]
    reports = check_same_reports(bare[0], cases)
    assert [r["verdict"] for r in reports[: len(FALSE)]] == ["differs"] * len(FALSE)
    assert [r["verdict"] for r in reports[len(FALSE) : -1]] == ["matches"] * len(TRUE)


def test_any_flipped_bit_gets_pythons_report(bare):
    raw = encode(intact())
    cases = []
    for bit in random.Random(20261123).sample(range(len(raw) * 8), FLIPPED):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        cases.append((f"bit {bit}", bytes(flipped), VKEY))
    check_same_reports(bare[0], cases)


def test_texts_that_are_no_bundle_get_pythons_report(bare):
    large = intact()
    large["streams"][0]["records"][1]["leaf_index"] = 2**70
    loud = intact() | {"subject": "\x1b[2J\u202e" + "x😀" * 200}
    texts = [b"", b"{", b"PK\x03\x04\xff", b"\xff{}", b'{"format":1,"format":1}', b"NaN", b"[" * 10**6,
             b"\xef\xbb\xbf{}", encode(large), encode(loud)]  # fmt: skip
    check_same_reports(bare[0], [(repr(raw[:20]), raw, VKEY) for raw in texts])


def test_no_request_is_made_while_a_bundle_is_verified(bare):
    page, noted = bare
    report_texts(page, [(encode(intact()), VKEY, None)])
    asked = len(noted.addresses)
    page.context.set_offline(True)
    try:
        (text,) = report_texts(page, [(encode(intact()), VKEY, None)])
    finally:
        page.context.set_offline(False)
    assert json.loads(text)["verdict"] == "matches"
    assert len(noted.addresses) == asked


@pytest.mark.parametrize("lack", LACKING)
def test_what_the_browser_lacks_is_told(chromium, lack):
    with served_modules() as url, opened(chromium, script=True) as (page, _):
        page.add_init_script(LACKING[lack])
        page.goto(url)
        told = page.evaluate("async () => (await import('/crypto.js')).missing()")
        assert told == (lack if lack == "subtle" else "ed25519")


def test_a_page_that_came_by_http_is_told_so(chromium):
    with served_modules() as url, opened(chromium, script=True) as (page, _):
        # A name that is not localhost makes the page an insecure one.
        page.route("http://suxin.test/**", lambda route: route.fulfill(
            response=page.request.get(url + route.request.url.split("suxin.test/")[1])
        ))  # fmt: skip
        page.goto("http://suxin.test/")
        assert page.evaluate("isSecureContext") is False
        told = page.evaluate("async () => (await import('/crypto.js')).missing()")
        assert told == "insecure"
        # The icon may still be on its way: its answer would come to a page that is closed.
        page.unroute_all(behavior="ignoreErrors")
