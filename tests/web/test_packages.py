"""Evidence packages: unzipped by a stranger, checked by the programs inside, with the network off."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.ledger.prover import InLog
from app.oversight.packages import _table
from tests.web.conftest import AUTHORITY, SHOP
from tests.web.market import RIVAL, told
from tests.web.people import open_people_market, signed_in
from tests.web.test_audits_api import audit

# A bare interpreter in which whoever touches the network ends the program.
OFFLINE = """
import runpy, sys
def refuse(event, _):
    if event.startswith(("socket.", "urllib.", "http.")):
        raise SystemExit("the network was asked: " + event)
sys.addaudithook(refuse)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("packages")) as running:
        yield running


@pytest.fixture(scope="module")
def unit(market):
    (one,) = market.issue(lot=None)
    market.complete(one.code)
    market.publish()
    market.map_heads()
    return one


def keys_of(market, folder: Path) -> Path:
    """The public keys, taken from the service and not from the package."""
    file = folder.parent / "keys.txt"
    asked = [market.call("GET", f"/log/{name}").text for name in ("key", "receipt-key")]
    file.write_text("".join(asked))
    return file


def unzipped(raw: bytes, folder: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    return folder


def downloaded(market, path: str, folder: Path, **more) -> Path:
    answer = market.call("GET", path, **more)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/zip"
    return unzipped(answer.content, folder)


def run(folder: Path, *arguments: object) -> tuple[int, dict]:
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        OFFLINE,
        "verify_proof.py",
        ".",
        "--json",
        *arguments,
    ]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, timeout=60, check=False, cwd=folder, env={}
    )
    assert done.stdout, done.stderr.decode()
    return done.returncode, json.loads(done.stdout)


def test_a_stranger_checks_a_package_with_what_is_in_it(market, unit, tmp_path):
    folder = downloaded(market, f"{unit.path}/evidence.zip", tmp_path / "p")
    keys = keys_of(market, folder)
    code, found = run(folder, "--key", keys)
    assert (code, found["verdict"]) == (0, "matches")
    assert found["bundle"]["verdict"] == "matches"
    assert found["bundle"]["subject"] == unit.code
    assert any(one["key"] == "checked_completeness" for one in found["bundle"]["checked"])
    assert run(folder)[0] == 3
    names = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert {"MANIFEST.txt", "bundle.json", "checkpoints/1.txt", "keys/log.vkey", "keys/receipt.vkey",
            "README.zh.txt", "STATEMENT.en.txt", "records.csv"} <= names  # fmt: skip
    assert "sealed.json" not in names
    # The program left nothing behind, so it may be run again.
    assert run(folder, "--key", keys)[0] == 0
    for lang in ("zh", "en"):
        statement = (folder / f"STATEMENT.{lang}.txt").read_text("utf-8")
        assert unit.code in statement
        assert "{" not in statement


def test_no_cell_of_the_table_is_a_formula():
    """Whatever a record that a hand was in says of itself, its reader opens it in a spreadsheet."""
    told = dict.fromkeys(("recorded_at", "occurred_at", "type", "actor", "source"), "=1+1")
    record = SimpleNamespace(stream="01/1", seq=0, fields=told | {"actor": "@x"}, hash=b"\x00")
    table = _table([record], {("01/1", 0): InLog("proven", origin="-log", index=7)})
    (line,) = csv.DictReader(io.StringIO(table.decode("utf-8-sig")))
    assert (line["type"], line["actor"], line["log"], line["seq"]) == ("'=1+1", "'@x", "'-log", "0")


def test_one_altered_byte_in_any_file_is_refused_with_its_name(market, unit, tmp_path):
    path = f"{unit.path}/evidence.zip?sealed=true&purpose=case-77-of-the-court"
    folder = downloaded(market, path, tmp_path / "p", token=market.keys[AUTHORITY])
    keys = keys_of(market, folder)
    assert run(folder, "--key", keys)[0] == 0
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    assert len(files) >= 12
    for file in files:
        whole = file.read_bytes()
        name = file.relative_to(folder).as_posix()
        # Within the programs a word of their description: they must still run.
        at = whole.index(b"offline") if name.endswith(".py") else len(whole) // 2
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        code, found = run(folder, "--key", keys)
        assert code in (1, 2), name
        named = {value for one in found["broken"] for value in one["params"].values()}
        assert name in named, (name, found["broken"])
        file.write_bytes(whole)
    assert run(folder, "--key", keys)[0] == 0


def test_a_file_more_or_less_and_a_link_are_refused_with_their_names(market, unit, tmp_path):
    folder = downloaded(market, f"{unit.path}/evidence.zip", tmp_path / "p")
    keys = keys_of(market, folder)
    (folder / "extra.txt").write_text("x")
    (folder / "elsewhere").symlink_to(tmp_path)
    (folder / "records.csv").unlink()
    code, found = run(folder, "--key", keys)
    told_of = {(one["key"], one["params"]["name"]) for one in found["broken"]}
    assert code == 1
    assert told_of == {
        ("foreign", "extra.txt"),
        ("foreign", "elsewhere"),
        ("missing", "records.csv"),
    }


def test_a_link_in_a_files_place_and_a_paper_beside_a_package_are_refused(market, unit, tmp_path):
    folder = downloaded(market, f"{unit.path}/evidence.zip", tmp_path / "p")
    keys = keys_of(market, folder)
    there = folder / "records.csv"
    same = tmp_path / "same.csv"
    same.write_bytes(there.read_bytes())
    there.unlink()
    there.symlink_to(same)
    code, found = run(folder, "--key", keys)
    assert (code, [one["params"]["name"] for one in found["broken"]]) == (1, ["records.csv"])
    command = [sys.executable, "-I", "verify_proof.py", ".", same, "--key", keys]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=folder
    )
    assert done.returncode == 2
    assert "same.csv" in done.stdout + done.stderr


def test_another_services_package_is_refused_under_our_key(market, unit, tmp_path):
    from app.ledger.note import make_vkey

    folder = downloaded(market, f"{unit.path}/evidence.zip", tmp_path / "p")
    other = make_vkey("other.example/log/1/receipt", bytes(31) + b"\x07")
    code, found = run(folder, "--key", str(other))
    assert (code, found["broken"][0]["key"]) == (1, "signer")


def test_an_altered_chain_is_packed_as_it_is_and_told_with_its_finding(market, damaged, tmp_path):
    job = audit(market, {"code": damaged.code})
    by = market.keys[AUTHORITY]
    (met,) = market.ask("GET", f"/api/v1/audits/{job['id']}/findings", token=by)["items"]
    path = f"/api/v1/findings/{met['id']}/evidence.zip"
    folder = downloaded(market, path, tmp_path / "p", token=by)
    told_of = json.loads((folder / "finding.json").read_text())
    assert told_of["kind"] == met["kind"]
    code, found = run(folder, "--key", keys_of(market, folder))
    assert (code, [one["key"] for one in found["broken"]]) == (1, ["bundle"])
    assert any(
        one["key"] == "checked_files" for one in found["checked"]
    )  # the package itself is whole
    assert found["bundle"]["broken"][0]["key"] == "hash_mismatch"
    # The seller it concerns may have it, a rival may not.
    assert market.call("GET", path, token=market.keys[SHOP]).status_code == 200
    assert told(market.call("GET", path, token=market.keys[RIVAL]))[0] == 404
    assert market.call("GET", path).status_code == 401


def test_sealed_sections_are_there_for_who_may_open_them_with_a_purpose(market, unit, tmp_path):
    path = f"{unit.path}/evidence.zip?sealed=true"
    assert market.call("GET", path).status_code == 401
    assert told(market.call("GET", path, token=market.keys[AUTHORITY]))[:2] == (422, "invalid")

    def looks() -> int:
        return market.count_rows()["access_log"]

    before = looks()
    folder = downloaded(market, f"{unit.path}/evidence.zip", tmp_path / "plain")
    assert looks() == before
    folder = downloaded(
        market, f"{path}&purpose=case-77", tmp_path / "p", token=market.keys[AUTHORITY]
    )
    assert looks() > before
    told_of = json.loads((folder / "sealed.json").read_text())
    assert told_of["purpose"] == "case-77"
    (waybill,) = [one for one in told_of["sections"] if one["section"] == "waybill"]
    assert waybill["content"]["number"].startswith("TEST")
    code, found = run(folder, "--key", keys_of(market, folder))
    assert code == 0
    assert {"key": "checked_sealed", "params": {"count": len(told_of["sections"])}} in found[
        "checked"
    ]
    # A merchant gets what it sealed itself, without a purpose, and no rival's.
    own = downloaded(market, path, tmp_path / "own", token=market.keys[SHOP])
    assert json.loads((own / "sealed.json").read_text())["sections"] == [waybill]
    rival = downloaded(market, path, tmp_path / "rival", token=market.keys[RIVAL])
    assert json.loads((rival / "sealed.json").read_text())["sections"] == []
    listed = market.ask("GET", f"{unit.path}/sealed", token=market.keys[SHOP])["items"]
    assert all("salt" not in part for one in listed for part in one["sections"].values())


def test_a_sealed_section_that_somebody_replaced_is_named(market, unit, tmp_path):
    """Whoever holds the signing key could sign a false manifest; the commitments are the log's."""
    path = f"{unit.path}/evidence.zip?sealed=true&purpose=case-77"
    folder = downloaded(market, path, tmp_path / "p", token=market.keys[AUTHORITY])
    from hashlib import sha256

    from app.ledger.note import sign_note, split_note

    file, manifest = folder / "sealed.json", folder / "MANIFEST.txt"
    before = sha256(file.read_bytes()).hexdigest()
    file.write_text(file.read_text().replace("TEST", "FAKE", 1))
    text, _ = split_note(manifest.read_bytes())
    text = text.replace(before, sha256(file.read_bytes()).hexdigest())
    manifest.write_text(sign_note(text, market.rooms.keyring.receipt))
    code, found = run(folder, "--key", keys_of(market, folder))
    assert (code, [one["key"] for one in found["broken"]]) == (1, ["sealed"])


def test_the_page_gives_the_package_and_a_refusal_names_the_field(market, unit, tmp_path):
    browser = signed_in(market, "owner", AUTHORITY)
    browser.get(f"/desk/evidence?code={unit.code}&lang=en")
    assert f'value="{unit.code}"' in browser.page
    browser.post("/desk/evidence", 422, goods=unit.code, sealed="yes", purpose="n", lang="en")
    assert 'id="f-purpose-error"' in browser.page
    assert 'value="n"' in browser.page
    assert f'value="{unit.code}"' in browser.page
    answer = browser.post("/desk/evidence", 200, goods=unit.code, sealed="yes", purpose="case 8")
    folder = unzipped(answer.content, tmp_path / "p")
    assert run(folder, "--key", keys_of(market, folder))[0] == 0
    assert (folder / "sealed.json").exists()
    browser.get("/desk/evidence?lang=en")
    browser.post("/desk/evidence", 422, goods="01/06901234567893", lang="en")
    assert 'id="f-goods-error"' in browser.page
    shop = signed_in(market, "owner", SHOP)
    shop.get("/desk/evidence?lang=en")
    assert "f-purpose" not in shop.page


def test_a_chain_that_is_too_long_is_refused(market, unit, monkeypatch):
    from app.oversight import packages

    monkeypatch.setattr(packages, "MOST_RECORDS", 2)
    assert told(market.call("GET", f"{unit.path}/evidence.zip"))[:2] == (409, "chain-too-long")


def test_a_finding_outside_ones_region_is_not_packed(market):
    party = market.newcomer(region="440300")
    body = {"gtin": "06901234567892", "name": "端砚文房礼盒", "category": "consumer_goods"}
    market.ask("POST", "/api/v1/products", body, token=market.keys[party])
    other = market.one(by=party)
    sent = market.send(party, other.code, "sale", {"region": "440300"}, hours=-3)
    market.publish()
    statement = "UPDATE record SET body = replace(body, ?, ?) WHERE hash = ?"
    market.tamper(statement, "440300", "440100", bytes.fromhex(sent["hash"]))
    job = audit(market, {"code": other.code})
    by = market.keys[AUTHORITY]
    (met,) = market.ask("GET", f"/api/v1/audits/{job['id']}/findings", token=by)["items"]
    assert (
        market.call("GET", f"/api/v1/findings/{met['id']}/evidence.zip", token=by).status_code
        == 200
    )
    here = signed_in(market, "owner", AUTHORITY)  # in Zhaoqing, as its code says
    here.get(f"/desk/evidence?finding={met['id']}&lang=en")
    here.post("/desk/evidence", 404, finding=met["id"], lang="en")
