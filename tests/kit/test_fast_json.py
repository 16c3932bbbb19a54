"""The two decoders of a body agree on every text: what the fast one takes, and what it must leave."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.kit import canonical
from app.kit.canonical import parse_json
from app.kit.errors import Malformed

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)
# Pieces of which texts are made that are nearly JSON: repeated keys, long numbers, odd blanks.
PIECES = st.lists(
    st.sampled_from(
        ["{", "}", "[", "]", ",", ":", '"a"', '"a":1', '"a" :2', '":a"', '""', '"\\""', " ", "-0", "1e400",
         "9" * 18, "9" * 19, "9" * 21, "0." + "3" * 25, "null", "NaN", '"\\u0022:"', '"é"', "\x7f", "\x01"]
    ),
    max_size=12,
)  # fmt: skip


def told(parse, raw: bytes) -> object:
    try:
        value = parse(raw)
    except Malformed as fault:
        return fault.key, dict(fault.params)
    # As text: 1 and 1.0 and True are equal, and are not the same.
    return repr(value)


@settings(max_examples=400, deadline=None)
@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_json_of_any_kind(value, escaped, indent):
    raw = json.dumps(value, ensure_ascii=escaped, indent=indent).encode("utf-8", "surrogatepass")

    assert told(parse_json, raw) == told(canonical._parse_carefully, raw)


@settings(max_examples=1500, deadline=None)
@given(PIECES)
def test_texts_that_are_nearly_json(pieces):
    raw = "".join(pieces).encode()

    assert told(parse_json, raw) == told(canonical._parse_carefully, raw)


@pytest.mark.parametrize("depth", [200, 300, 2_000])
def test_deep_texts(depth):
    raw = b"[" * depth + b"]" * depth

    assert told(parse_json, raw) == told(canonical._parse_carefully, raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":2}',
        b'{"a" :1,"a":2}',
        b'{"x":{"a":":","a":1},"y":":"}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":1,"a":2,"s":"\\u0022:"}',
    ],
)
def test_a_key_that_is_lost_is_missed(raw):
    with pytest.raises(Malformed) as caught:
        parse_json(raw)

    assert caught.value.key == "duplicate_key"


def test_plain_texts_go_the_fast_way():
    raw = '{"code": "01/06901234567892/21/A", "data": {"platform": "示例", "n": [1, 2.5, null]}}'.encode()

    assert canonical._parse_plain(raw) == json.loads(raw)
