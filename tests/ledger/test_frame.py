"""A frame never says of a record what its fields and columns do not say."""

from __future__ import annotations

import json
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.kit.canonical import canonical_bytes_unchecked
from app.kit.clock import parse_time, to_ms
from app.ledger.frame import FrameReader, name_part

NAME = "01/06901234567892/21/A1"
FIELDS = {
    "actor": "91441200MA4T00000L",
    "data": {"platform": "示例平台", "x": {"recorded_at": "no", "id": '","prev":"'}},
    "id": "01a2144c-b233-74b6-b5fb-7cf3ec1486b0",
    "occurred_at": "2026-11-25T19:51:40.396Z",
    "prev": "bf" * 32,
    "recorded_at": "2026-11-25T20:01:40.454Z",
    "refs": [{"hash": "96" * 32, "seq": 1, "stream": "01/06901234567892"}],
    "seq": 1,
    "source": "merchant",
    "stream": NAME,
    "type": "sale",
    "v": 1,
}
BARE = {name: value for name, value in FIELDS.items() if name != "refs"}
VIA = BARE | {"via": "91441204MA4TE5T02Q"}
COLUMNS = {
    "name": name_part(NAME),
    "seq": 1,
    "id_": bytes.fromhex(FIELDS["id"].replace("-", "")),
    "type_": "sale",
    "actor": FIELDS["actor"],
    "at_ms": to_ms(parse_time(FIELDS["recorded_at"])),
    "link": b"bf" * 32,
}
ALL = pytest.mark.parametrize("fields", [FIELDS, BARE, VIA], ids=["refs", "bare", "via"])


def read(body, reader=None, **changed):
    columns = COLUMNS | changed
    return (reader or FrameReader(lambda _: True)).read(body, *columns.values())


def is_told(body, frame):
    """Whether a record's parsed fields are what its frame and its columns say."""
    fields = json.loads(body)
    type_, actor, source, sender, occurred_ms, at_ms, id_, raw, data, refs = frame
    assert json.loads(raw) == data
    told = {
        "actor": actor, "data": data, "id": id_.decode("ascii"), "prev": "bf" * 32, "seq": 1,
        "source": source, "stream": NAME, "type": type_, "v": 1,
    } | ({"refs": refs} if refs else {}) | ({"via": sender} if sender != actor else {})  # fmt: skip
    times = {"occurred_at": occurred_ms, "recorded_at": at_ms}
    for name, ms in times.items():
        assert to_ms(parse_time(fields[name])) == ms
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", fields.pop(name))
    if not refs:
        fields.pop("refs", None)
    return fields == told


@ALL
def test_a_record_as_we_write_it_has_a_frame(fields):
    body = canonical_bytes_unchecked(fields)
    assert is_told(body, read(body))


OTHER = {
    "name": name_part("01/06901234567892/21/A2"), "seq": 2, "id_": bytes(16), "type_": "void",
    "actor": "91441204MA4TE5T02Q", "at_ms": 0, "link": b"00" * 32,
}  # fmt: skip
ODD = [None, True, 1.0, "1", b"1", "", "é", '"', "\\", [], {}, b"", bytes(15), bytes(17)]


@ALL
@pytest.mark.parametrize("column", OTHER)
def test_no_other_column_fits(fields, column):
    body = canonical_bytes_unchecked(fields)
    for value in [OTHER[column], *ODD]:
        if column not in ("name", "link"):  # these are of our own making
            assert read(body, **{column: value}) is None, value
    assert read(body, **{column: OTHER[column]}) is None


@ALL
def test_a_damaged_body_has_no_frame_or_says_so(fields):
    """Every byte once by another, every byte left out, and pieces of the body put elsewhere in it."""
    body = canonical_bytes_unchecked(fields)
    seeded = random.Random(20261125)
    alike = 0
    for at in range(len(body)):
        for altered in (
            body[:at] + body[at + 1 :],
            body[:at] + bytes([body[at] ^ 1 << seeded.randrange(8)]) + body[at + 1 :],
            body[:at] + seeded.choice([b'"', b",", b"{", b"}", b"\\", b" ", b"0"]) + body[at:],
        ):
            frame = read(altered)
            if frame is not None:
                alike += 1
                assert is_told(altered, frame), altered
    assert alike > 0, "data, source and time of occurrence stand in no column"


PIECES = [
    b'"v":1', b'"seq":1', b'"seq":2', b'"source":"x"', b'"refs":[]', b'"via":"x"', b'"x":1',
    b'"data":{}', b'"actor":"x"', b'"prev":"' + b"bf" * 32 + b'"', b'"type":"sale"', b'"id":"x"',
    b'"recorded_at":"2026-11-25T20:01:40.454Z"', b'"sealed":{}', b'"signed":{}',
    b'"stream":"' + NAME.encode() + b'"',
]  # fmt: skip


@ALL
@pytest.mark.parametrize("piece", PIECES)
def test_what_is_said_twice_is_never_taken_for_what_is_said_once(fields, piece):
    body = canonical_bytes_unchecked(fields)
    for comma in (at for at in range(len(body)) if body[at : at + 1] == b","):
        altered = body[:comma] + b"," + piece + body[comma:]
        frame = read(altered)
        if frame is not None:
            assert is_told(altered, frame), altered


def test_references_that_were_not_proven_are_left_to_who_can_prove_them():
    body = canonical_bytes_unchecked(FIELDS)
    assert read(body, FrameReader(lambda _: False)) is None
    for refs in ({}, [1], ["x"], [{}], "x", None):
        odd = canonical_bytes_unchecked(FIELDS | {"refs": refs})
        assert read(odd, FrameReader(lambda ref: ref["seq"] == 1)) is None


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.one_of(st.booleans(), st.integers(-9, 9), st.text(max_size=8)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from([*FIELDS, "via", "x"]), inner, max_size=4),
        ),
        max_leaves=8,
    )
)
def test_any_data_is_read_as_it_stands(data):
    body = canonical_bytes_unchecked(BARE | {"data": data})
    frame = read(body)
    assert (frame is not None) == (type(data) is dict)
    assert frame is None or is_told(body, frame)
