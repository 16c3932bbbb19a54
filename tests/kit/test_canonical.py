"""The canonical subset, where it depends on what Unicode knows."""

from __future__ import annotations

import pytest

from app.kit import canonical
from app.kit.errors import Invalid
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
