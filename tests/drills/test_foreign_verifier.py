"""C2SP verifiers from PyPI that we did not write accept what a running service publishes.

They read over HTTP as anybody does: tlog-scales (Python) fetches checkpoint and tiles and builds the
proof, metamorphic-log (Rust) judges note and proof. tests/ledger has the same at every size.
"""

from __future__ import annotations

import base64
import hashlib

import metamorphic_log
import pytest
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tlog import InclusionProofInvalid

from tests.drills.deployment import Deployment
from tests.drills.trade import SHOP, Trade, api_path


class Published:
    """tlog-scales reads the log through this; it knows nothing but URLs below /log."""

    def __init__(self, place: Deployment) -> None:
        self._place = place
        self.asked: list[str] = []

    def get(self, *path: str) -> bytes | None:
        self.asked.append("/log/" + "/".join(path))
        answer = self._place.call("GET", self.asked[-1])
        return answer.content if answer.status_code == 200 else None


@pytest.fixture(scope="module")
def log(served: Trade) -> tuple[Trade, str]:
    """A log of more than one tile, and its key."""
    served.issue(SHOP, 300)
    served.place.wait_settled()
    return served, served.place.call("GET", "/log/key", expect=200).text.strip()


def rfc6962_leaf(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def test_tlog_scales_accepts_checkpoint_tiles_and_inclusion(log):
    trade, key = log
    published = Published(trade.place)
    reader = TilesReader(published)
    checkpoint = reader.get_checkpoint()
    checkpoint.verify(Vkey.from_string(key))
    assert checkpoint.size > 256
    assert reader.calculate_root_hash() == checkpoint.root_hash
    items = trade.place.get(f"{api_path(trade.units[SHOP][3])}/events")["items"]
    assert len(items) >= 4
    for item in items:
        entry = bytes.fromhex(item["hash"])
        index = item["leaf_index"]
        assert reader.get_entry(index) == entry
        proof = reader.get_inclusion_proof(index, checkpoint.size)
        proof.check(rfc6962_leaf(entry), checkpoint.root_hash)
        with pytest.raises(InclusionProofInvalid):
            proof.check(rfc6962_leaf(entry[::-1]), checkpoint.root_hash)
    assert any(".p/" in path for path in published.asked)
    assert any(path.endswith("/log/tile/0/000") for path in published.asked)


def test_metamorphic_log_accepts_checkpoint_and_the_proofs_of_an_evidence_bundle(log):
    trade, key = log
    note = trade.place.call("GET", "/log/checkpoint", expect=200).text
    told = metamorphic_log.checkpoint_verify(note, [key])
    ledger = trade.place.get("/api/v1/ledger")
    assert (told.origin, told.size) == (ledger["origin"], ledger["size"])
    assert base64.b64encode(told.root).decode() == ledger["root"]

    bundle = trade.place.get(f"{api_path(trade.units[SHOP][3])}/evidence")
    (checkpoint,) = bundle["checkpoints"]
    records = [record for stream in bundle["streams"] for record in stream["records"]]
    assert len(records) >= 4
    for record in records:
        # The entry is the hash of the very bytes that the bundle shows.
        entry = hashlib.sha256(record["body"].encode()).digest()
        proof = [base64.b64decode(node) for node in record["inclusion"]]
        given = (checkpoint["note"], [key], record["leaf_index"])
        metamorphic_log.checkpoint_verify_inclusion(*given, rfc6962_leaf(entry), proof)
        with pytest.raises(metamorphic_log.VerifyError):
            metamorphic_log.checkpoint_verify_inclusion(*given, rfc6962_leaf(entry[::-1]), proof)


def test_a_later_checkpoint_is_consistent_with_an_earlier_one_by_the_tiles(log):
    trade, key = log
    place = trade.place
    earlier = place.call("GET", "/log/checkpoint", expect=200).text
    trade.issue(SHOP, 20)
    place.wait_settled()
    later = place.call("GET", "/log/checkpoint", expect=200).text
    reader = TilesReader(Published(place))
    sizes = [metamorphic_log.checkpoint_verify(note, [key]).size for note in (earlier, later)]
    assert sizes[0] < sizes[1]
    assert reader.get_checkpoint().size == sizes[1]
    proof = reader.get_consistency_proof(*sizes)
    metamorphic_log.checkpoint_verify_consistency(earlier, later, [key], proof.node_hashes)


def test_what_no_signed_checkpoint_covers_is_not_served(log):
    trade, _ = log
    size = trade.place.get("/api/v1/ledger")["size"]
    full, rest = divmod(size, 256)
    for path, status in (
        (f"0/{full:03}.p/{rest}", 200), (f"0/{full:03}.p/{rest + 1}", 404), (f"0/{full:03}", 404),
        (f"0/{full + 1:03}.p/1", 404), (f"entries/{full:03}.p/{rest}", 200),
        (f"entries/{full:03}.p/{rest + 1}", 404), ("0/000", 200), ("1/000.p/1", 200),
    ):  # fmt: skip
        assert trade.place.call("GET", f"/log/tile/{path}").status_code == status, path
