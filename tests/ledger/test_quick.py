"""The quick proof is never laxer than the long way: what it passes, that one passes.

Beside this, every drill of the audit is asked both ways (`Ledger.problems`).
"""

from __future__ import annotations

import json
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.kit.clock import parse_time, to_ms
from app.ledger.audit import LedgerAudit
from app.ledger.auditstore import EVERYTHING, Span
from app.ledger.record import record_hash, stream_key
from tests.ledger.ledgers import OTHER, PRODUCT, UNIT

ANY = [None, True, 1, 1.0, "", "é", [], {"a": 1}]
NAMES = ["v", "seq", "stream", "type", "actor", "id", "recorded_at", "prev", "data", "refs"]
NAMES += ["signed", "sealed", "via", "source"]


def upper(fields, name):
    fields[name] = str(fields[name]).upper()


def nested(depth):
    return [nested(depth - 1)] if depth else []


def put(name, value):
    def change(fields):
        fields[name] = value

    return change


CHANGES = {
    f"{name}: {json.dumps(value)}": put(name, value) for name in NAMES for value in ANY
}  # fmt: skip
CHANGES |= {
    "nothing": lambda fields: None,
    "id in capitals": lambda f: upper(f, "id"),
    "id without dashes": lambda f: f.update(id=f["id"].replace("-", "")),
    "id with dashes elsewhere": lambda f: f.update(id="-".join(f["id"].replace("-", ""))[:36]),
    "prev in capitals": lambda f: upper(f, "prev"),
    "time as another would write it": lambda f: f.update(
        recorded_at=f["recorded_at"].replace("Z", "+00:00")
    ),
    "time without its milliseconds": lambda f: f.update(recorded_at=f["recorded_at"][:19] + "Z"),
    "time in small letters": lambda f: f.update(recorded_at=f["recorded_at"].lower()),
    "a day that is none": lambda f: f.update(recorded_at="2026-02-30" + f["recorded_at"][10:]),
    "an hour that is none": lambda f: f.update(recorded_at=f["recorded_at"][:11] + "24:00:00.000Z"),
    "an older time": lambda f: f.update(recorded_at="2020" + f["recorded_at"][4:]),
    "seq as true": lambda f: f.update(seq=True),
    "no data": lambda f: f.pop("data"),
    "no type": lambda f: f.pop("type"),
    "no version": lambda f: f.pop("v"),
    "refs as an object": lambda f: f.update(refs={}),
    "a ref to itself": lambda f: f.update(
        refs=[{"stream": f["stream"], "seq": f["seq"], "hash": "0" * 64}]
    ),
    "a ref whose seq is true": lambda f: [r.update(seq=True) for r in f.get("refs", [])],
    "a ref to another hash": lambda f: [r.update(hash="1" * 64) for r in f.get("refs", [])],
    "a ref without a stream": lambda f: [r.pop("stream") for r in f.get("refs", [])],
    "a signature of another": lambda f: "signed" in f and f["signed"].update(value="AAAA"),
    "data too deep to be written again": lambda f: f.update(data={"x": nested(300)}),
    "deep data": lambda f: f.update(data={"x": nested(150)}),
    "signed with nothing": lambda f: f.update(signed={}),
    "sealed with what is not there": lambda f: f.update(sealed={"text": "0" * 64}),
}
NOT_AN_OBJECT = {"a list": b"[]", "a number": b"1", "half": b'{"v":1', "no UTF-8": b'{"v":"\xff"}'}


def rewrite(change, stream, seq, alter):
    """Alters a record and makes everything fit that can: links, hashes, leaves, columns, head."""
    rows = change.run(
        "SELECT seq, body FROM record WHERE stream = ? AND seq >= ? ORDER BY seq",
        stream_key(stream), seq,
    )  # fmt: skip
    prev, at_ms = None, None
    for row in rows:
        fields = json.loads(bytes(row.body))
        columns = {}
        if prev is None:
            body = alter(fields)
        else:
            fields["prev"] = prev.hex()
            body = None
        if body is None:
            body = json.dumps(
                fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False
            ).encode()
            for name in ("type", "actor"):
                if isinstance(fields.get(name), str):
                    columns[name] = fields[name]
            try:
                columns["recorded_at"] = at_ms = to_ms(parse_time(fields["recorded_at"]))
                columns["id"] = UUID(fields["id"]).bytes
            except (ValueError, TypeError, AttributeError):
                pass
        prev = record_hash(body)
        place = {"stream": stream, "seq": row.seq}
        change.set("record", place, body=body, hash=prev, **columns)
        change.set("unsequenced", place, hash=prev)
        change.set("log_leaf", place, hash=prev)
    told = {"hash": prev} | ({} if at_ms is None else {"recorded_at": at_ms})
    change.set("head", {"stream": stream}, **told)


def both_ways(change, scene):
    quick = LedgerAudit(change.connection, vault=scene.ledger.vault)
    slow = LedgerAudit(change.connection, vault=scene.ledger.vault)
    found = list(quick.check_all())
    assert found == list(slow.explain_span(EVERYTHING))
    assert (quick.streams, quick.records) == (slow.streams, slow.records)
    return found


def altering(alter):
    """An alteration of parsed fields, which `rewrite` then writes; of bytes, as they are."""
    if isinstance(alter, bytes):
        return lambda _: alter

    def act(fields):
        alter(fields)

    return act


ALL = CHANGES | NOT_AN_OBJECT


@pytest.mark.parametrize("name", ALL)
def test_a_record_that_is_odd_and_fits_the_log_is_judged_alike(scene, name):
    if scene.ledger.database.dialect != "sqlite" and name not in NOT_AN_OBJECT:
        pytest.skip("the same question, and a slower answer")
    for place in ((UNIT, 1), (OTHER, 2)):  # one refers, one is signed and sealed
        with scene.change() as change:
            rewrite(change, *place, altering(ALL[name]))
            found = both_ways(change, scene)
            if name == "nothing":
                assert found == []


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([UNIT, OTHER, PRODUCT]), st.integers(0, 2), st.sampled_from(sorted(ALL))
        ),
        min_size=1, max_size=3,
    )
)  # fmt: skip
def test_several_at_once_are_judged_alike(scene, alterations):
    if scene.ledger.database.dialect != "sqlite":
        pytest.skip("the same question, and a slower answer")
    with scene.change() as change:
        for stream, seq, name in alterations:
            try:
                rewrite(change, stream, seq, altering(ALL[name]))
            except (ValueError, TypeError, KeyError, AttributeError):
                continue  # an alteration of what another has left there
        both_ways(change, scene)


def test_a_proof_in_spans_says_what_one_in_a_piece_says(scene):
    keys = sorted(map(stream_key, (UNIT, OTHER, PRODUCT)))
    ends = [None, *keys, None]
    with scene.change() as change:
        change.set("record", {"stream": UNIT, "seq": 2}, type="void")
        change.delete("record", stream=OTHER, seq=1)
        change.delete("head", stream=PRODUCT)
        whole = both_ways(change, scene)
        audit = LedgerAudit(change.connection, vault=scene.ledger.vault)
        parts = [
            problem
            for after, until in pairwise(ends)
            for problem in audit.check_span(Span(after, until))
        ]
    assert parts == whole
    assert len(whole) == 3


def test_what_nobody_touched_is_never_explained(scene):
    """Else an audit would be right and slow, and nobody would see it."""
    with scene.change() as change:
        audit = LedgerAudit(change.connection, vault=scene.ledger.vault)
        audit.check_key = audit.explain_span = lambda *_: pytest.fail("explained")
        assert list(audit.check_all()) == []
        assert audit.records == 299
