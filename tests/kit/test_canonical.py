"""The canonical subset, where it depends on what Unicode knows."""

from __future__ import annotations

import pytest

from app.kit import canonical
from app.kit.canonical import parse_json
from app.kit.errors import Invalid, Malformed
from tests.sentences import only_error

UNASSIGNED = ("\u0378", "\uffff", "\U0003ffff")


@pytest.mark.parametrize("char", UNASSIGNED)
def test_an_unassigned_character_is_refused_in_the_clear_and_may_be_sealed(char):
    with pytest.raises(Invalid) as caught:
        canonical.check_clear({"name": ["端砚", f"砚{char}"]}, ("data",))
    error = only_error(caught.value)
    assert (error.loc, error.kind) == (("data", "name", 1), "charset")
    assert (error.params["position"], error.params["char"]) == (2, f"U+{ord(char):04X}")
    canonical.check_canonical({"text": f"砚{char}"})
    assert canonical.canonical_bytes(f"{char}") == f'"{char}"'.encode()


@pytest.mark.parametrize("text", ["\ue000", "\u00ad", "\u200d", "😀", "\u2028", "a"])
def test_what_is_assigned_or_for_private_use_is_clear(text):
    canonical.check_clear(text)


def test_nfc_is_judged_only_where_everything_is_known():
    for check in (canonical.check_clear, canonical.check_canonical):
        with pytest.raises(Invalid) as caught:
            check("e\u0301")
        assert only_error(caught.value).kind == "nfc"
    canonical.check_canonical("\u0378e\u0301")


@pytest.mark.parametrize(
    ("raw", "line", "column"),
    [
        (b"", 1, 1),
        (b"x", 1, 1),
        (b"{", 1, 2),
        (b'{"a":1,}', 1, 8),
        (b'{\n  "a": 1\n  "b": 2\n}', 3, 3),
        (b'{"a": 1}\r\n\r\n]', 3, 1),
        ('{"砚": 砚}'.encode(), 1, 7),  # characters, not bytes
        (b'{"a":\n"NaN", "b": NaN}', 2, 13),
        (b'["\\"Infinity", -Infinity]', 1, 16),
        (b'["' + b"9" * 5000 + b'", 0.' + b"9" * 5000 + b",\n" + b"9" * 5000 + b"]", 2, 1),
    ],
)
def test_what_is_no_json_says_where_as_people_count(raw, line, column):
    with pytest.raises(Malformed) as caught:
        parse_json(raw)
    assert (caught.value.key, caught.value.params) == ("not_json", {"line": line, "column": column})


def test_the_first_byte_that_is_no_utf_8_is_counted_from_1():
    with pytest.raises(Malformed) as caught:
        parse_json(b"\xff{}")
    assert (caught.value.key, caught.value.params) == ("not_utf8", {"position": 1})


def test_what_is_nested_too_deep_is_no_place_in_the_text():
    with pytest.raises(Malformed) as caught:
        parse_json(b"[" * 100_000)
    assert (caught.value.key, caught.value.params) == ("json_too_deep", {})
