"""Evidence that crosses logs: one key carries all of them, and no forged hand-over carries any."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ledger.bundle import verify_bundle_bytes
from tests.ledger.handover_bundles import FALSE, MIDDLE, NEW, OLD, TRUE, whole
from tests.scripts.test_verify_bundle import script


def both(raw: bytes, vkey: str | None) -> dict:
    """The report of both verifiers, which must be one and the same."""
    report = verify_bundle_bytes(raw, vkey=vkey).as_json()
    assert script.verify(raw, vkey) == report
    return report


def encode(bundle: object) -> bytes:
    return json.dumps(bundle, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("build", "vkey", "given"), [c[1:] for c in TRUE], ids=[c[0] for c in TRUE]
)
def test_the_key_of_any_log_carries_all(build, vkey, given):
    report = both(encode(build()), vkey)
    assert (report["verdict"], report["broken"]) == ("matches", [])
    counts = {one["key"]: one["params"]["count"] for one in report["checked"]}
    assert counts["checked_key"] == given
    assert counts.get("checked_handovers", 0) == 3 - given
    for lang in ("en", "zh"):
        assert script.render(report, lang)


@pytest.mark.parametrize("case", FALSE, ids=lambda case: case.name)
def test_a_false_hand_over_carries_nothing(case):
    report = both(encode(case.build()), case.vkey)
    first = report["broken"][0]
    assert (report["exit_code"], first["key"], first["place"]) == (1, case.key, case.place)


def test_without_a_key_every_log_is_taken_at_its_word():
    report = both(encode(whole()), None)
    assert (report["verdict"], report["broken"]) == ("unanchored", [])
    assert {"key": "checked_checkpoints", "place": "", "params": {"count": 3}} in report["checked"]


RAW = encode(whole())


@given(st.integers(0, len(RAW) * 8 - 1), st.sampled_from([OLD, MIDDLE, NEW, None]))
@settings(max_examples=60)
def test_a_flipped_bit_means_the_same_to_both(bit, vkey):
    raw = bytearray(RAW)
    raw[bit // 8] ^= 1 << bit % 8
    report = both(bytes(raw), vkey)
    assert report["exit_code"] in (0, 1, 2, 3)


_PARTS = st.tuples(
    st.sampled_from(["log", "leaf_index", "inclusion", "hash", "body"]),
    st.sampled_from([None, "", 0, -1, "suxin.test/log", []]),
    st.integers(0, 3),
)


@given(_PARTS, st.sampled_from([OLD, MIDDLE, NEW]))
@settings(max_examples=40)
def test_a_hand_over_that_is_bent_means_the_same_to_both(part, vkey):
    name, value, number = part
    bundle = json.loads(RAW)
    heads = next(s for s in bundle["streams"] if s["stream"] == "log/heads")
    heads["records"][number][name] = value
    assert both(encode(bundle), vkey)["exit_code"] in (0, 1, 2)
