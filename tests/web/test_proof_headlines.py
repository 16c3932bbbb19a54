"""verify_proof.py: its first line says the same as the lines below it, in each case and both languages."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from app.ledger.note import make_vkey, sign_note, split_note
from tests.web.conftest import AUTHORITY, SHOP
from tests.web.people import open_people_market
from tests.web.test_audits_api import audit
from tests.web.test_packages import downloaded, keys_of

SCRIPT = Path(__file__).parents[2] / "scripts" / "verify_proof.py"
STRANGER = str(make_vkey("other.example/log/1/receipt", bytes(31) + b"\x07"))
SAID = {
    "matches": ("与所签名的一致。", "It is what was signed."),
    "altered": ("与所签名的不一致！", "It is NOT what was signed."),
    "unsigned": (
        "签名无效！所签名的内容或签名本身已被改动。",
        "The signature is NOT valid: what was signed, or the signature, was altered.",
    ),
    "stranger": (
        "不是由给出的公钥签名！所签名的内容没有核对。",
        "It is NOT signed by a key that was given; what was signed was not checked.",
    ),
    "inside": (
        "签名有效，但其中的内容与记录不符！",
        "The signature is valid, but what is in it does NOT match the record.",
    ),
    "strange_log": (
        "签名有效，但其中的日志不是由给出的公钥签名！",
        "The signature is valid, but the log in it is NOT of a key that was given.",
    ),
    "elsewhere": (
        "签名有效，但不是给这个域名的！",
        "The signature is valid, but it is NOT for this domain.",
    ),
    "outdated": ("签名有效，但已经过期！", "The signature is valid, but it has EXPIRED."),
    "undecided": (
        "签名有效，但没有核对是给哪个域名的。",
        "The signature is valid, but for which domain was not checked.",
    ),
    "unreadable": ("无法读取。", "It cannot be read."),
}


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("headlines")) as running:
        yield running


@pytest.fixture(scope="module")
def unit(market):
    (one,) = market.issue(lot=None)
    market.complete(one.code)
    market.publish()
    market.map_heads()
    return one


def check(case: str, *arguments: object, code: int = 1) -> str:
    """Returns what the program says in English, once its first lines are those of the case."""
    said = {}
    for lang in ("zh", "en"):
        command = [sys.executable, "-I", "-S", SCRIPT, *arguments, "--lang", lang]
        done = subprocess.run(list(map(str, command)), capture_output=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (code, b""), done.stdout.decode()
        said[lang] = done.stdout.decode()
    assert tuple(one.split("\n")[0] for one in said.values()) == SAID[case]
    command = [sys.executable, "-I", "-S", SCRIPT, *arguments, "--json"]
    done = subprocess.run(list(map(str, command)), capture_output=True, timeout=60, check=False)
    found = json.loads(done.stdout)
    assert (found["headline"], found["exit_code"]) == (case, code)
    return said["en"]


def signed_anew(market, folder: Path, name: str) -> None:
    """Signs the manifest once more, as whoever holds the key could, over a file as it is now."""
    manifest = folder / "MANIFEST.txt"
    text, _ = split_note(manifest.read_bytes())
    lines = [
        f"{sha256((folder / name).read_bytes()).hexdigest()}  {name}"
        if line.endswith(f"  {name}")
        else line
        for line in text.split("\n")
    ]
    manifest.write_text(sign_note("\n".join(lines), market.rooms.keyring.receipt))


# --- packages ------------------------------------------------------------------------------------


def test_a_package_with_an_altered_file_a_foreign_one_or_none_is_not_what_was_signed(
    market, unit, tmp_path
):
    folder = downloaded(market, f"{unit.path}/evidence.zip", tmp_path / "p")
    keys = keys_of(market, folder)
    check("matches", folder, "--key", keys, code=0)
    (folder / "extra.txt").write_text("x")
    assert "the manifest does not name it" in check("altered", folder, "--key", keys)
    (folder / "extra.txt").unlink()
    table = (folder / "records.csv").read_bytes()
    (folder / "records.csv").write_bytes(table + b"\n")
    assert "records.csv: it was altered" in check("altered", folder, "--key", keys)
    (folder / "records.csv").unlink()
    assert "it is not here" in check("altered", folder, "--key", keys)
    (folder / "records.csv").write_bytes(table)
    program = folder / "verify_bundle.py"
    program.write_bytes(program.read_bytes() + b"\n")
    assert "verify_bundle.py or MANIFEST.txt" in check("altered", folder, "--key", keys)


def test_a_package_that_was_not_unpacked_is_told_to_be_a_zip_file(market, unit, tmp_path):
    file = tmp_path / "evidence.zip"
    file.write_bytes(market.call("GET", f"{unit.path}/evidence.zip").content)
    assert "evidence.zip: this is a zip file. Unpack it" in check("unreadable", file, code=2)
    file.write_bytes(b"PK")
    assert "this is not JSON text in UTF-8" in check("unreadable", file, code=2)


def test_an_altered_chain_in_a_whole_package_is_told_apart_from_an_altered_package(
    market, damaged, tmp_path
):
    audit(market, {"code": damaged.code})
    folder = downloaded(market, f"{damaged.path}/evidence.zip", tmp_path / "p")
    keys = keys_of(market, folder)
    said = check("inside", folder, "--key", keys)
    assert "the package is as it was signed, but the chain in it does not match the log" in said
    assert "It does NOT match the record." in said
    assert "NOT what was signed" not in said
    assert "under the key that comes with it" in check("inside", folder)
    # Altered in the folder as well, it is no more what was signed, whatever the chain in it is.
    (folder / "records.csv").unlink()
    check("altered", folder, "--key", keys)


def test_something_sealed_that_was_replaced_under_the_key_is_not_the_record(market, unit, tmp_path):
    path = f"{unit.path}/evidence.zip?sealed=true&purpose=case-77"
    folder = downloaded(market, path, tmp_path / "p", token=market.keys[AUTHORITY])
    file = folder / "sealed.json"
    file.write_text(file.read_text().replace("TEST", "FAKE", 1))
    signed_anew(market, folder, "sealed.json")
    assert "is not what was recorded" in check("inside", folder, "--key", keys_of(market, folder))


def test_a_manifest_whose_signature_is_wrong_and_a_key_that_did_not_sign_are_told_apart(
    market, unit, tmp_path
):
    folder = downloaded(market, f"{unit.path}/evidence.zip", tmp_path / "p")
    said = check("stranger", folder, "--key", STRANGER)
    assert "not signed by the key that was given" in said
    manifest = folder / "MANIFEST.txt"
    manifest.write_text(manifest.read_text().replace("20", "21", 1))
    said = check("unsigned", folder, "--key", keys_of(market, folder))
    assert "the signature is not valid" in said


def test_a_package_under_the_receipt_key_alone_does_not_say_that_its_chain_was_altered(
    market, unit, damaged, tmp_path
):
    receipt = market.call("GET", "/log/receipt-key").text.strip()
    folder = downloaded(market, f"{unit.path}/evidence.zip", tmp_path / "p")
    said = check("strange_log", folder, "--key", receipt)
    assert "none of the keys given is the log's" in said
    folder = downloaded(market, f"{damaged.path}/evidence.zip", tmp_path / "damaged")
    check("inside", folder, "--key", receipt)


# --- reports -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report(market, unit):
    job = audit(market, {"code": unit.code})
    by = market.keys[AUTHORITY]
    return market.ask("POST", f"/api/v1/audits/{job['id']}/report", token=by, status=201)


def written(tmp_path: Path, told: dict) -> Path:
    file = tmp_path / "report.json"
    file.write_text(json.dumps(told, ensure_ascii=False))
    return file


def test_a_report_says_which_of_text_signature_and_key_is_wrong(market, report, tmp_path):
    keys = keys_of(market, tmp_path / "p")
    check("matches", written(tmp_path, report), "--key", keys, code=0)
    text = {**report, "report": {**report["report"], "records": 1}}
    assert "does not agree with what was signed" in check(
        "altered", written(tmp_path, text), "--key", keys
    )
    note = {**report, "note": report["note"].replace("report ", "report f", 1)}
    assert "the signature is not valid" in check("unsigned", written(tmp_path, note), "--key", keys)
    check("stranger", written(tmp_path, report), "--key", STRANGER)
    paper = tmp_path / "other.pdf"
    paper.write_bytes(b"%PDF-1.7")
    said = check("altered", written(tmp_path, report), paper, "--key", keys)
    assert "not of this report" in said


def test_a_key_that_is_no_key_and_a_file_that_is_not_there_are_told_apart(report, tmp_path):
    file = written(tmp_path, report)
    said = check("unreadable", file, "--key", tmp_path / "nokey", code=2)
    assert f"{tmp_path / 'nokey'}: there is no such file" in said
    assert "cannot be opened" in check("unreadable", file, "--key", tmp_path, code=2)
    for given in ("suxin.test/log+33ac6e36+AYq", file):
        said = check("unreadable", file, "--key", given, code=2)
        assert "The key that was given is not a verifier key" in said


def test_a_report_signed_over_a_state_that_the_log_never_signed_is_told_apart(
    market, report, tmp_path
):
    content = json.loads(json.dumps(report["report"]))
    content["logs"][0]["root"] = "A" * 43 + "="
    digest = sha256(canonical(content)).hexdigest()
    text, _ = split_note(report["note"].encode())
    note = sign_note(text.replace(report["report_sha256"], digest), market.rooms.keyring.receipt)
    told = {**report, "report": content, "report_sha256": digest, "note": note}
    said = check("inside", written(tmp_path, told), "--key", keys_of(market, tmp_path / "p"))
    assert "is not what the log signed" in said


def canonical(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


# --- badges --------------------------------------------------------------------------------------


def test_a_badge_that_is_signed_but_of_another_domain_or_time_is_what_was_signed(market, tmp_path):
    def badge(**more: object) -> Path:
        claim = {
            "as_of": "2026-11-27T00:00:00.000Z",
            "domain": "shop.example",
            "expires_at": "2999-01-01T00:00:00.000Z",
            "grade": "A",
            "party": SHOP,
            **more,
        }
        line = canonical(claim).decode()
        note = sign_note(f"suxin-badge/1\n{line}\n", market.rooms.keyring.receipt)
        told = {"format": "suxin-badge/1", "badge": claim, "note": note, "key": "x"}
        return written(tmp_path, told)

    keys = keys_of(market, tmp_path / "p")
    asked = ("--domain", "shop.example", "--key", keys)
    check("matches", badge(), *asked, code=0)
    said = check("elsewhere", badge(domain="other.example"), *asked)
    assert "it is for other.example, not for shop.example" in said
    check("outdated", badge(expires_at="2020-01-01T00:00:00.000Z"), *asked)
    check("undecided", badge(), "--key", keys)
    file = badge()
    told = json.loads(file.read_text())
    told["badge"]["grade"] = "A+"
    file.write_text(json.dumps(told))
    check("altered", file, *asked)
