"""The keys folder: log key, receipt key, key-encryption key, index key. Beside the database, never in it.

TRUST: who reads `log.key` can sign a forked log; who reads `vault.key` together with the database can
open sealed sections; who reads `index.key` can test guesses against the side index and forge claim
tokens. Files are mode 0600 and are never overwritten.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.kit.errors import Fault
from app.ledger.note import NoteSigner, decode_base64, encode_base64, make_skey, parse_skey

_LOG, _RECEIPT, _VAULT, _INDEX = "log.key", "receipt.key", "vault.key", "index.key"


class KeysMissing(Fault):
    """The keys folder, or a key in it, is not there or not readable."""


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
    """Creates the keys that are not there yet; returns whether any was created.

    origin: the log's name, which is the log key's name too.
    """
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


def load_keys(keys_dir: Path) -> Keyring:
    """Returns the deployment's keys. Raises KeysMissing, naming the file. Read-only."""
    return Keyring(
        log=parse_skey(_read(keys_dir / _LOG)),
        receipt=parse_skey(_read(keys_dir / _RECEIPT)),
        vault_key=decode_base64(_read(keys_dir / _VAULT)),
        index_key=decode_base64(_read(keys_dir / _INDEX)),
    )


def _create(path: Path, make: Callable[[], str]) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(make() + "\n")
        file.flush()
        os.fsync(descriptor)
    return True


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError as err:
        raise KeysMissing("keys_missing", path=str(path)) from err
