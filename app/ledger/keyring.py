"""The keys folder: log key, receipt key, key-encryption key, index key. Beside the database, never in it.

TRUST: who reads `log.key` can sign a forked log; who reads `vault.key` together with the database can
open sealed sections; who reads `index.key` can test guesses against the side index and forge claim
tokens. Files are mode 0600 and are never overwritten: each is there whole or not at all.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.kit.errors import Fault, Invalid
from app.ledger.anchor import create_file
from app.ledger.note import NoteSigner, decode_base64, encode_base64, make_skey, parse_skey

_Key = TypeVar("_Key")

_SECRET_BYTES = 32
_LOG, _RECEIPT, _VAULT, _INDEX = "log.key", "receipt.key", "vault.key", "index.key"
_FILES = (_VAULT, _LOG, _INDEX, _RECEIPT)  # the worst loss first


class KeysMissing(Fault):
    """The keys folder, or a key in it, is not there or not readable."""


class KeyLost(Fault):
    """A key of a set is not there; `key_lost_…` says what that means."""


class KeysLost(Fault):
    """The database holds records, and the folder none of the keys that they need."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of one deployment. vault_key and index_key are 32 bytes."""

    log: NoteSigner
    receipt: NoteSigner
    vault_key: bytes
    index_key: bytes

    def subkey(self, purpose: str) -> bytes:
        """Returns a 32-byte key of its own for one purpose, derived from the index key."""
        return HKDF(SHA256(), 32, salt=None, info=b"suxin/" + purpose.encode("ascii")).derive(
            self.index_key
        )


def create_keys(keys_dir: Path, *, origin: str) -> bool:
    """Creates a set of keys where there is none; returns whether it did. Raises KeyLost.

    origin: the log's name, which is the log key's name too. Whoever calls this knows that no record
    needs keys that were there before.
    """
    if has_keys(keys_dir):
        return False
    keys_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = (
        _create(keys_dir / _LOG, lambda: make_skey(origin, secrets.token_bytes(32))),
        _create(
            keys_dir / _RECEIPT, lambda: make_skey(f"{origin}/receipt", secrets.token_bytes(32))
        ),
        _create(keys_dir / _VAULT, lambda: encode_base64(secrets.token_bytes(32))),
        _create(keys_dir / _INDEX, lambda: encode_base64(secrets.token_bytes(32))),
    )
    return any(made)


def has_keys(keys_dir: Path) -> bool:
    """Returns whether the set is there. Raises KeyLost where it is there in part. Read-only.

    What a lost key signed or sealed needs the old one; a new one in its place would hide the loss.
    """
    missing = [name for name in _FILES if not (keys_dir / name).exists()]
    if missing and len(missing) < len(_FILES):
        name = missing[0]
        raise KeyLost(f"key_lost_{name.removesuffix('.key')}", path=str(keys_dir / name))
    return not missing


def load_keys(keys_dir: Path) -> Keyring:
    """Returns the deployment's keys. Raises KeyLost, or KeysMissing, naming the file. Read-only."""
    has_keys(keys_dir)
    return Keyring(
        log=_load(keys_dir / _LOG, parse_skey),
        receipt=_load(keys_dir / _RECEIPT, parse_skey),
        vault_key=_load(keys_dir / _VAULT, _parse_secret),
        index_key=_load(keys_dir / _INDEX, _parse_secret),
    )


def _create(path: Path, make: Callable[[], str]) -> bool:
    return create_file(path, f"{make()}\n".encode("ascii"))


def _load(path: Path, parse: Callable[[str], _Key]) -> _Key:
    try:
        return parse(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError, Invalid) as err:
        # Damaged is as bad as gone, and must not be made anew: what it signed or sealed needs it.
        raise KeysMissing("keys_missing", path=str(path)) from err


def _parse_secret(text: str) -> bytes:
    secret = decode_base64(text)
    if len(secret) != _SECRET_BYTES:
        raise ValueError(len(secret))
    return secret
