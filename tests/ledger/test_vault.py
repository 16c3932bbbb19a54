"""Sealed sections open where they belong, as they were, under the right key, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ledger.vault import SALT_BYTES, SealBroken, Vault

PLACE = ("01/06901234567892/21/A", "0192f3a0-0000-7000-8000-000000000001", "waybill")
SALT, CONTENT = b"s" * SALT_BYTES, b'{"number":"TEST0000000001"}'
VAULT = Vault(b"\x01" * 32)


def opened(vault=VAULT, place=PLACE, **parts):
    sealed = parts.pop("of", None) or VAULT.seal(place=PLACE, salt=SALT, content=CONTENT)
    kept = {"sealed": sealed.sealed, "wrapped_key": sealed.wrapped_key} | parts
    return vault.open(place=place, **kept)


def test_what_was_sealed_opens_again():
    assert opened() == (SALT, CONTENT)
    empty = VAULT.seal(place=PLACE, salt=SALT, content=b"")
    assert opened(of=empty) == (SALT, b"")


def test_the_same_content_is_sealed_differently_each_time_and_shows_nothing():
    first, second = (VAULT.seal(place=PLACE, salt=SALT, content=CONTENT) for _ in range(2))
    parts = (first.sealed, second.sealed, first.wrapped_key, second.wrapped_key)
    assert len({part[:12] for part in parts}) == 4, "a nonce came twice"
    assert len({part[12:] for part in parts}) == 4
    assert not any(CONTENT in part or SALT in part for part in parts)


@pytest.mark.parametrize("part", range(3))
def test_a_section_does_not_open_in_another_place(part):
    elsewhere = tuple("else" if n == part else word for n, word in enumerate(PLACE))
    with pytest.raises(SealBroken):
        opened(place=elsewhere)


def test_another_key_encryption_key_opens_nothing():
    with pytest.raises(SealBroken):
        opened(vault=Vault(b"\x02" * 32))


def test_the_key_of_another_section_opens_nothing():
    other = VAULT.seal(place=(*PLACE[:2], "order"), salt=SALT, content=CONTENT)
    with pytest.raises(SealBroken):
        opened(wrapped_key=other.wrapped_key)


@settings(max_examples=60)
@given(st.sampled_from(["sealed", "wrapped_key"]), st.integers(0), st.integers(0, 7))
def test_any_flipped_bit_is_noticed(part, at, bit):
    sealed = VAULT.seal(place=PLACE, salt=SALT, content=CONTENT)
    data = bytearray(getattr(sealed, part))
    data[at % len(data)] ^= 1 << bit
    with pytest.raises(SealBroken):
        opened(of=sealed, **{part: bytes(data)})


@pytest.mark.parametrize("part", ["sealed", "wrapped_key"])
@pytest.mark.parametrize("cut", [0, 1, 11, 12, 27, -1])
def test_a_shortened_section_is_noticed(part, cut):
    sealed = VAULT.seal(place=PLACE, salt=SALT, content=CONTENT)
    with pytest.raises(SealBroken):
        opened(of=sealed, **{part: getattr(sealed, part)[:cut]})


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_salt_of_another_length_is_refused(length):
    with pytest.raises(ValueError, match="32 bytes"):
        VAULT.seal(place=PLACE, salt=b"s" * length, content=CONTENT)
