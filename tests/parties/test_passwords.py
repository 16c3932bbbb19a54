"""Passwords hashed and checked: nobody's is looked at as somebody's is."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from app.parties.passwords import Passwords


def test_a_password_is_right_as_it_was_and_no_other():
    kept = Passwords()
    stored = kept.hash("a sentence of mine")
    assert kept.is_right(stored, "a sentence of mine")
    assert not kept.is_right(stored, "a sentence of yours")
    assert not kept.is_outdated(stored)


def test_nobodys_password_is_hashed_to_the_end_and_never_right():
    for kept in (Passwords(), Passwords(memory_kib=64, passes=3)):
        # As much work as a true one: the same memory, passes and lanes, of a salt and a hash as long.
        assert extract_parameters(kept.nobodys) == extract_parameters(kept.hash("whatever"))
        with pytest.raises(VerifyMismatchError):  # not for its form, which is seen at once
            PasswordHasher().verify(kept.nobodys, "whatever")
        assert not kept.is_right(None, "")
        assert not kept.is_right(None, "whatever")
