"""Sealed sections: what a record only commits to, kept apart so that it can be erased.

Each section is AES-256-GCM(data key; salt ‖ content) with AAD stream ‖ record id ‖ name; its data
key is wrapped by the key-encryption key, which lives in a file outside the database and its
backups. Erasing removes ciphertext and wrapped key: the commitment stays, and so does the chain.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SALT_BYTES = 32
_NONCE_BYTES = 12


class SealBroken(Exception):
    """A sealed section does not open: altered, or moved from where it belongs."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What is stored: both are nonce ‖ ciphertext ‖ tag."""

    sealed: bytes
    wrapped_key: bytes


class Vault:
    """Seals and opens sections under one key-encryption key of 32 bytes."""

    def __init__(self, key_encryption_key: bytes) -> None:
        self._wrapper = AESGCM(key_encryption_key)

    def seal(self, *, place: tuple[str, str, str], salt: bytes, content: bytes) -> Sealed:
        """Returns the section sealed for `place` = (stream, record id, section name).

        Raises ValueError for a salt that is not 32 bytes: opening could not tell it from content.
        """
        if len(salt) != SALT_BYTES:
            raise ValueError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
        aad = _aad(place)
        data_key = os.urandom(32)
        nonce, key_nonce = os.urandom(_NONCE_BYTES), os.urandom(_NONCE_BYTES)
        return Sealed(
            nonce + AESGCM(data_key).encrypt(nonce, salt + content, aad),
            key_nonce + self._wrapper.encrypt(key_nonce, data_key, aad),
        )

    def open(
        self, *, place: tuple[str, str, str], sealed: bytes, wrapped_key: bytes
    ) -> tuple[bytes, bytes]:
        """Returns (salt of 32 bytes, canonical content). Raises SealBroken if either part was altered."""
        aad = _aad(place)
        try:
            data_key = self._wrapper.decrypt(
                wrapped_key[:_NONCE_BYTES], wrapped_key[_NONCE_BYTES:], aad
            )
            plain = AESGCM(data_key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], aad)
        except (InvalidTag, ValueError) as err:
            raise SealBroken(place) from err
        return plain[:SALT_BYTES], plain[SALT_BYTES:]


def _aad(place: tuple[str, str, str]) -> bytes:
    return "\x00".join(place).encode("utf-8")
