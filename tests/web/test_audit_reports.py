"""Audits as people ask for them, what is kept of each, and the signed report that never changes."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from app.i18n import text
from app.ledger.note import open_note, parse_vkey
from tests.labels.reading import page_texts, pages, zxing_texts
from tests.web.conftest import AUTHORITY, SHOP
from tests.web.market import GTIN, RIVAL, told
from tests.web.people import open_people_market, signed_in
from tests.web.test_audits_api import audit

A = "/api/v1/audits"
SCRIPT = Path(__file__).parents[2] / "scripts" / "verify_proof.py"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("reports")) as running:
        running.complete(running.one().code)
        running.publish()
        yield running


def made(market, job: str, *, by: str = AUTHORITY, status: int = 201) -> dict:
    return market.ask("POST", f"{A}/{job}/report", token=market.keys[by], status=status)


def paper(market, job: str, lang: str) -> bytes:
    answer = market.call("GET", f"{A}/{job}/report.pdf?lang={lang}", token=market.keys[AUTHORITY])
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/pdf")
    return answer.content


def receipt_key(market) -> str:
    return market.call("GET", "/log/receipt-key").text.strip()


def run(*arguments: object) -> tuple[int, dict]:
    """Runs the program as a stranger would: no packages, nothing of ours in the path."""
    command = [sys.executable, "-I", "-S", SCRIPT, "--json", *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, timeout=60, check=False)
    assert done.stderr == b"", done.stderr.decode()
    return done.returncode, json.loads(done.stdout)


def test_a_sound_audit_becomes_a_report_that_a_stranger_can_check(market, tmp_path):
    job = audit(market, "all")
    assert job["total"] >= job["streams"] > 5
    report = made(market, job["id"])
    key = receipt_key(market)
    assert report["key"] == key
    text = open_note(report["note"], [parse_vkey(key)]).text.split("\n")
    assert text[:2] == ["suxin-audit-report/2", job["id"]]
    content = report["report"]
    assert (content["result"], content["told"]) == ("sound", [])
    assert (content["streams"], content["records"]) == (job["streams"], job["records"])
    assert {"hash", "tree"} <= set(content["method"])
    assert {"truth", "view"} <= set(content["not_checked"])
    signed = market.ask("GET", "/api/v1/ledger")
    (log,) = content["logs"]
    assert (log["origin"], log["root"]) == (signed["origin"], signed["root"])

    file = tmp_path / "report.json"
    file.write_bytes(
        market.call("GET", f"{A}/{job['id']}/report", token=market.keys[AUTHORITY]).content
    )
    papers = []
    for lang in ("zh", "en"):
        raw = paper(market, job["id"], lang)
        assert report["pdf"][lang] == {"sha256": sha256(raw).hexdigest(), "bytes": len(raw)}
        papers.append(tmp_path / f"{lang}.pdf")
        papers[-1].write_bytes(raw)
    assert run(file, *papers, "--key", key)[0] == 0
    assert run(file, *papers)[0] == 3
    other = key.replace("/receipt", "/other")
    assert run(file, "--key", other)[0] == 2  # its id is that of another name
    papers[1].write_bytes(papers[1].read_bytes()[:-1] + b"\0")
    code, found = run(file, *papers, "--key", key)
    assert (code, [one["params"]["name"] for one in found["broken"]]) == (1, ["en.pdf"])
    altered = file.read_text().replace('"records":', '"records":1', 1)
    file.write_text(altered)
    assert run(file, "--key", key)[0] == 1


def test_the_paper_says_the_same_in_both_languages_and_its_symbol_leads_to_the_check(market):
    job = audit(market, {"gtin": GTIN})
    report = made(market, job["id"])
    words = {
        "zh": ("核查报告", "没有核查的", "第 1 页"),
        "en": ("Audit report", "What was not", "Page 1 of"),
    }
    for lang, expected in words.items():
        raw = paper(market, job["id"], lang)
        texts = page_texts(raw)
        whole = "\n".join(texts)
        for word in (*expected, job["id"], report["report_sha256"][:16]):
            assert word in whole, word
        assert len(texts) > 1
        for number, sheet in enumerate(texts, 1):
            assert (
                f"第 {number} 页" if lang == "zh" else f"Page {number} of {len(texts)}"
            ) in sheet
        address = f"{market.settings.base_url}/audit-reports/{job['id']}"
        assert zxing_texts(pages(raw, dpi=150)[0]) == [address]
        assert b"/FontFile2" in raw or b"FontFile2" in raw  # the font travels with it


def test_the_paper_names_who_asked_where_what_is_signed_does(market):
    unit = market.one()
    market.complete(unit.code)
    market.publish()
    name = market.rooms.parties.get(SHOP).name
    for by, said in ((SHOP, f"{name} {SHOP}"), (AUTHORITY, AUTHORITY)):
        job = audit(market, {"code": unit.code}, by=by)
        report = made(market, job["id"])["report"]
        assert (SHOP in report["parties"], AUTHORITY in report["parties"]) == (True, False)
        assert report["asked_by"] == by
        for lang in ("zh", "en"):
            assert said in page_texts(paper(market, job["id"], lang))[0]


def test_what_was_met_is_kept_as_it_was_and_a_report_once_made_never_changes(market, damaged):
    job = audit(market, {"code": damaged.code})
    assert job["findings"] == 1
    report = made(market, job["id"])
    (met,) = report["report"]["told"]
    assert (met["kind"], met["status"]) == ("integrity.hash_mismatch", "open")
    assert met["evidence"]["expected"] != met["evidence"]["got"]
    text = "\n".join(page_texts(paper(market, job["id"], "zh")))
    for name in ("expected", "got"):
        assert met["evidence"][name][:24] in text.replace("\n", "")
    finding = market.ask("GET", f"/api/v1/findings/{met['id']}", token=market.keys[AUTHORITY])
    assert finding["status"] == "open"

    by = market.keys[AUTHORITY]
    done = {"to": "operator", "reason": "restored disk"}
    market.ask("POST", f"/api/v1/findings/{met['id']}/attribution", done, token=by)
    listed = market.ask("GET", f"{A}/{job['id']}/findings", token=by)
    assert listed == {"items": [met], "next": None, "outside": 0}
    market.clock.advance(3600)
    assert made(market, job["id"], status=200) == report
    # The next audit of the same place tells what was decided since.
    next_job = audit(market, {"code": damaged.code})["id"]
    later = made(market, next_job)
    assert later["report"]["told"][0]["attributed_to"] == "operator"
    reader = signed_in(market, "owner", AUTHORITY)
    assert "attributed to the operator" in reader.get(f"/desk/audits/{next_job}").text
    assert "attributed to" not in reader.get(f"/desk/audits/{job['id']}").text


def test_there_is_no_report_before_an_audit_is_done_nor_for_strangers(market):
    by = market.keys[AUTHORITY]
    audit(market, {"gtin": GTIN})  # an older one
    job = market.ask("POST", A, {"scope": {"gtin": GTIN}}, token=by, status=202)["id"]
    assert told(market.call("POST", f"{A}/{job}/report", token=by)) == (409, "audit-not-done", None)
    assert told(market.call("GET", f"{A}/{job}/report", token=by))[0] == 404
    while market.rooms.audits.run_job():
        pass
    assert told(market.call("POST", f"{A}/{job}/report", token=market.keys[SHOP]))[0] == 403
    made(market, job)
    for path in ("report", "report.pdf", "findings"):
        assert market.call("GET", f"{A}/{job}/{path}", token=market.keys[SHOP]).status_code == 403
    assert [one["id"] for one in market.ask("GET", f"{A}?limit=1", token=by)["items"]] == [job]
    page = market.ask("GET", f"{A}?limit=1", token=by)
    older = market.ask("GET", f"{A}?limit=1&cursor={page['next']}", token=by)["items"]
    assert older[0]["id"] < job


def test_a_merchant_may_not_read_what_the_operator_asked_for(market):
    job = market.ask("POST", A, {"scope": {"gtin": GTIN}}, token=market.admin, status=202)["id"]
    while market.rooms.audits.run_job():
        pass
    assert market.call("GET", f"{A}/{job}", token=market.keys[SHOP]).status_code == 403
    assert market.call("GET", f"{A}/{job}", token=market.admin).status_code == 200


def test_anybody_can_compare_a_file_and_reads_nothing_of_the_report(market, damaged):
    job = audit(market, {"code": damaged.code})
    report = made(market, job["id"])
    confirmed = market.ask("GET", f"/api/v1/audit-reports/{job['id']}")
    assert confirmed == {name: value for name, value in report.items() if name != "report"}
    path = f"/audit-reports/{job['id']}"
    page = market.call("GET", path)
    assert report["report_sha256"] in page.text
    assert report["pdf"]["zh"]["sha256"] in page.text
    assert report["report"]["told"][0]["kind"] not in page.text
    raw = paper(market, job["id"], "zh")
    for sent, word, wrong in (
        (raw, "PDF in Chinese", False),
        (raw.replace(b"Suxin", b"Suxim", 1), "does NOT match", True),
        (b"", "no file came", True),
    ):
        answer = market.call("POST", path, files={"file": ("a.pdf", sent, "application/pdf")})
        assert answer.status_code == (422 if not sent else 200)
        assert word.lower() in answer.text.lower()
        assert ('class="refusal"' in answer.text) is wrong
    assert market.call("GET", "/audit-reports/x").status_code == 404


def test_a_signature_that_the_database_invented_is_told_on_the_page(market):
    job = audit(market, {"gtin": GTIN})
    report = made(market, job["id"])
    note = report["note"]
    market.tamper(
        "UPDATE audit_report SET signed = replace(signed, ?, ?) WHERE job = ?",
        json.dumps(note)[1:40], json.dumps("x" + note[1:])[1:40], job["id"],
    )  # fmt: skip
    page = market.call("GET", f"/audit-reports/{job['id']}").text
    assert "is NOT valid" in page


# --- pages ---------------------------------------------------------------------------------------


def test_an_authority_asks_follows_and_reports_by_the_pages_alone(market, damaged):
    browser = signed_in(market, "owner", AUTHORITY)
    browser.get("/desk/audits?lang=en")
    sent = {"scope": "code", "about": damaged.uri, "lang": "en"}
    path = browser.post("/desk/audits", **sent).headers["location"]
    browser.get(path)
    assert "waiting" in browser.page
    assert 'http-equiv="refresh"' in browser.page  # without a script it follows too
    while market.rooms.audits.run_job():
        pass
    browser.get(path)
    assert "1 finding" in browser.page
    assert f'href="/{damaged.code}?lang=en"' in browser.page
    assert "/desk/evidence?finding=" in browser.page
    assert "Held against which signed state" in browser.page
    browser.post(f"{path.split('?')[0]}/report", lang="en")
    browser.get(path)
    job = path.split("?")[0].rpartition("/")[2]
    for form, first in (("zh.pdf", b"%PDF"), ("en.pdf", b"%PDF"), ("json", b"{")):
        answer = browser.http.get(f"/desk/audits/{job}/report.{form}")
        assert answer.content.startswith(first)
    assert browser.http.get(f"/desk/audits/{job}/report.exe").status_code == 404
    browser.get("/desk/audits?lang=en")
    assert f"/desk/audits/{job}" in browser.page


@pytest.mark.parametrize(
    ("scope", "about", "field", "words"),
    [
        ("code", "01/06901234567893/21/A", "about", "check digit"),
        ("code", "", "about", "required"),
        ("gtin", "06923450656174", "about", "06923450656174"),
        ("party", "91441200MA4W000020", "about", "91441200MA4W000020"),
        ("some", "x", "scope", "code"),
    ],
)
def test_a_refused_audit_says_the_field_and_keeps_what_was_typed(
    market, scope, about, field, words
):
    browser = signed_in(market, "owner", AUTHORITY)
    browser.get("/desk/audits?lang=en")
    status = 404 if scope in ("gtin", "party") else 422
    browser.post("/desk/audits", status, scope=scope, about=about, lang="en")
    assert f'id="f-{field}-error"' in browser.page
    error = browser.page.split(f'id="f-{field}-error">')[1].split("</p>")[0]
    assert words in error
    assert f'value="{about}"' in browser.page


def test_a_merchant_audits_its_own_alone(market):
    browser = signed_in(market, "owner", SHOP)
    browser.get("/desk/audits?lang=en")
    assert 'value="all"' not in browser.page
    browser.post("/desk/audits", 403, scope="party", about=RIVAL, lang="en")
    browser.post("/desk/audits", 403, scope="all", about="", lang="en")
    path = browser.post("/desk/audits", scope="party", about=SHOP).headers["location"]
    while market.rooms.audits.run_job():
        pass
    browser.get(path)
    other = signed_in(market, "owner", RIVAL)
    other.get(path, 403)


def test_who_may_not_audit_finds_no_such_page(market):
    browser = signed_in(market, "staff", SHOP, scopes=["products"])
    assert browser.get("/desk").text.count("/desk/audits") == 0
    browser.get("/desk/audits", 403)


@pytest.mark.parametrize("what", ["paper", "content", "note"])
def test_a_report_that_was_altered_in_the_database_is_not_called_signed(market, what):
    """Also with a note of this very service's, but of another report."""
    jobs = [audit(market, {"gtin": GTIN}) for _ in range(2)]
    first, other = (made(market, job["id"]) for job in jobs)
    reports = market.rooms.audit_reports
    report = reports.get(first["report"]["id"])
    assert reports.is_signed(report)
    page = f"/audit-reports/{report.id}?lang=en"
    right = market.call("GET", page).text
    if what == "paper":
        column, value = "pdf_zh", report.pdf["en"]
    else:
        told = report.told
        told |= (
            {"note": other["note"]}
            if what == "note"
            else {"report": told["report"] | {"records": 1}}
        )
        column, value = "signed", json.dumps(told)
    market.tamper(f"UPDATE audit_report SET {column} = ? WHERE job = ?", value, report.id)
    assert not reports.is_signed(reports.get(report.id))
    said = text("en", "report.page.signed")
    assert said in right
    assert said not in market.call("GET", page).text
