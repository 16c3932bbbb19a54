"""Two clients that we did not write verify all that a witnessed, running service publishes.

Each verifies five things over HTTP: the checkpoint, the tiles down to the entries, inclusion,
consistency with an earlier checkpoint, and the witness's cosignature.

- tlog-scales (Python) runs in this process.
- aics-tlog (Python 3.12) runs as the command that it is, from `.cache/foreign` (scripts/foreign).

And the two sides of the witness protocol meet a foreign one: aics-witness cosigns our log, and its
client has our witness cosign.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Ed25519CosignatureVerifier, Vkey
from tlog_scales.tlog import InclusionProofInvalid

from app.ledger.checkpoint import open_checkpoint
from app.ledger.cosign import parse_cosigner_vkey, read_cosignatures
from app.ledger.note import parse_vkey
from tests.asking import fetch
from tests.drills.deployment import wait_until
from tests.drills.test_foreign_verifier import Published, rfc6962_leaf
from tests.drills.trade import CARRIER, GTIN, PLATFORM, SHOP, STALL, Trade
from tests.drills.watching import WatchedLog, WitnessProcess
from tests.ports import free_port

FOREIGN = Path(__file__).resolve().parents[2] / ".cache" / "foreign" / "bin"


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A watched log of more than one tile, its witness, and an earlier checkpoint of it."""
    folder = tmp_path_factory.mktemp("foreign")
    witness = WitnessProcess(folder / "w", "witness.test/w1")
    place = WatchedLog(folder / "log", "duan")
    place.ask_of("witness.test/w1", witness.line)
    witness.serve(place.key)
    try:
        trade = Trade(place.serve()).begin()
        place.wait_published()
        earlier = place.checkpoint
        trade.issue(SHOP, 300)
        place.wait_settled()
        yield place, witness, earlier
    finally:
        place.close()
        witness.stop()


def entries(place: WatchedLog) -> list[tuple[int, bytes]]:
    items = place.get(f"/api/v1/products/{GTIN}/events")["items"]
    return [(item["leaf_index"], bytes.fromhex(item["hash"])) for item in items]


def test_tlog_scales_verifies_all_five(log):
    place, witness, earlier = log
    reader = TilesReader(Published(place))
    checkpoint = reader.get_checkpoint()
    checkpoint.verify(Vkey.from_string(place.key))  # 1: checkpoint
    assert reader.calculate_root_hash() == checkpoint.root_hash  # 2: tiles
    assert checkpoint.size > 256
    for index, entry in entries(place):
        assert reader.get_entry(index) == entry
        proof = reader.get_inclusion_proof(index, checkpoint.size)
        proof.check(rfc6962_leaf(entry), checkpoint.root_hash)  # 3: inclusion
        with pytest.raises(InclusionProofInvalid):
            proof.check(rfc6962_leaf(entry[::-1]), checkpoint.root_hash)
    before = open_checkpoint(earlier, [parse_vkey(place.key)])
    assert before.size < checkpoint.size
    grown = reader.get_consistency_proof(before.size, checkpoint.size)
    grown.check(before.root, checkpoint.root_hash)  # 4: consistency
    checkpoint.verify(Vkey.from_string(witness.key))  # 5: cosignature
    theirs = Ed25519CosignatureVerifier(Vkey.from_string(witness.key))
    (line,) = [one for one in checkpoint.signatures if theirs.vkey.match(one)]
    assert abs(theirs.get_timestamp(line.payload) - time.time()) < 300
    with pytest.raises(InvalidSignature):
        theirs.verify_note(line, replace(checkpoint, size=checkpoint.size + 1))


def foreign(name: str, *arguments: str, code: int = 0) -> dict:
    """Runs a foreign command and returns what it reports; skips where it is not installed."""
    if not (FOREIGN / name).exists():
        pytest.skip(
            f"{name} is not installed: scripts/foreign, which needs Python 3.12, was not run"
        )
    done = subprocess.run(
        [FOREIGN / name, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout) if done.stdout.startswith("{") else {"text": done.stdout}


def test_aics_tlog_verifies_all_five(log, tmp_path):
    place, witness, earlier = log
    (tmp_path / "earlier").write_text(earlier)
    asked = ("--tiles", f"{place.url}/log", "--log-key", place.key, "--origin", "duan.test/log/1")
    asked += ("--witness-key", witness.key, "--quorum", "1", "--max-age", "300")
    told = foreign("aics-tlog", "verify-checkpoint", *asked)  # 1 and 5: checkpoint, cosignature
    assert told["ok"]
    assert told["size"] == place.get("/api/v1/ledger")["size"]
    for index, entry in entries(place):  # 3: inclusion
        leaf = ("--index", str(index), "--leaf-hash", rfc6962_leaf(entry).hex())
        assert foreign("aics-tlog", "verify-inclusion", *leaf, *asked)["ok"]
    wrong = ("--index", str(index), "--leaf-hash", rfc6962_leaf(b"another").hex())
    assert not foreign("aics-tlog", "verify-inclusion", *wrong, *asked, code=1)["ok"]
    old = ("--old-checkpoint", str(tmp_path / "earlier"))  # 4: consistency
    told = foreign("aics-tlog", "verify-consistency", *old, *asked)
    assert told["ok"]
    # 2: tiles, every one of them, down to the entries.
    script = (
        "import sys, base64, aics_tlog\n"
        "reader = aics_tlog.HttpTileReader([sys.argv[1]])\n"
        "aics_tlog.audit_tiles(reader, int(sys.argv[2]), base64.b64decode(sys.argv[3]))\n"
        "print('{\"ok\": true}')\n"
    )
    ledger = place.get("/api/v1/ledger")
    head = (f"{place.url}/log", str(ledger["size"]))
    assert foreign("python", "-c", script, *head, ledger["root"])["ok"]
    other = base64.b64encode(hashlib.sha256(b"another").digest()).decode()
    foreign("python", "-c", script, *head, other, code=1)
    # A witness that did not cosign is missed.
    stranger = WitnessProcess(tmp_path / "stranger", "witness.test/stranger").key
    missed = [stranger if word == witness.key else word for word in asked]
    assert not foreign("aics-tlog", "verify-checkpoint", *missed, code=1)["ok"]


def test_a_foreign_witness_cosigns_our_log(tmp_path):
    """aics-witness: our publisher speaks the protocol as somebody else read it."""
    port = free_port()
    config = ("--config", str(tmp_path / "witness.json"))
    made = foreign(
        "aics-witness", "init", *config, "--name", "foreign.test/w", "--listen", f"127.0.0.1:{port}"
    )
    (key,) = set(
        re.findall(r"foreign\.test/w\+[0-9a-f]{8}\+\S+", json.dumps(made).replace("\\n", " "))
    )
    key = key.rstrip('",')
    place = WatchedLog(tmp_path / "log", "duan")
    origin = "duan.test/log/1"
    foreign("aics-witness", "add-log", *config, "--origin", origin, "--vkey", place.key)
    url = f"http://127.0.0.1:{port}"
    place.ask_of("theirs", f"witness theirs {key} {url}\n")
    process = subprocess.Popen([FOREIGN / "aics-witness", "serve", *config], stderr=subprocess.PIPE)
    try:
        wait_until(lambda: answers(url), "the foreign witness answers")
        place.serve()
        for party in (SHOP, STALL, CARRIER):
            place.record(party)
            place.wait_published()
            found = read_cosignatures(place.checkpoint, [parse_cosigner_vkey(key)])
            assert [one.key.name for one in found] == ["foreign.test/w"]
        # A restart of ours finds its way back to where the witness is.
        place.stop()
        place.serve()
        place.record(PLATFORM)
        place.wait_published()
        log = place.log.read_text("utf-8")
        assert "witness.failed" not in log
    finally:
        place.close()
        process.terminate()
        process.communicate(timeout=30)


def answers(url: str) -> bool:
    try:
        fetch(url, timeout=5)
    except httpx.TransportError:
        return False
    return True


def test_a_foreign_client_has_our_witness_cosign(log, tmp_path):
    place, _, earlier = log
    witness = WitnessProcess(tmp_path / "w", "witness.test/w2")
    witness.serve(place.key)
    (tmp_path / "earlier").write_text(earlier)
    (tmp_path / "now").write_text(place.checkpoint)
    script = (
        "import base64, json, sys, urllib.request\n"
        "from aics_witness.feeder import WitnessClient\n"
        "url, key, log, *notes = sys.argv[1:]\n"
        "def prove(old, new):\n"
        "    at = f'{log}/api/v1/ledger/consistency?from={old}&to={new}'\n"
        "    told = json.load(urllib.request.urlopen(at))\n"
        "    return [base64.b64decode(part) for part in told['hashes']] if old else []\n"
        "lines = []\n"
        "for path in notes:\n"
        "    with WitnessClient(url, key) as client:\n"
        "        lines.append(client.submit(open(path).read(), prove))\n"
        "print(json.dumps({'lines': lines}))\n"
    )
    try:
        given = (
            witness.url,
            witness.key,
            place.url,
            str(tmp_path / "earlier"),
            str(tmp_path / "now"),
        )
        told = foreign("python", "-c", script, *given)
        for note, line in zip((earlier, place.checkpoint), told["lines"], strict=True):
            assert read_cosignatures(note + line, [parse_cosigner_vkey(witness.key)])
    finally:
        witness.stop()
