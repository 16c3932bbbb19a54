"""The keys folder: log key, receipt key, key-encryption key, index key. Beside the database, never in it.

`log.key` is the key of the log that goes on. Of the logs before it (app.ledger.rotation) only the
verifier keys stay, as `log.<number>.vkey`: what nobody holds nobody can sign with. `log.next.key` is
there while a rotation is under way.

TRUST: who reads `log.key` can sign a forked log; who reads `vault.key` together with the database can
open sealed sections; who reads `index.key` can test guesses against the side index and recovery codes,
forge claim tokens and speak to other credit stores as us. Files are mode 0600; each is there whole or
not at all, and only a rotation replaces one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.kit.errors import Fault, Invalid
from app.ledger.anchor import create_file, move_file
from app.ledger.note import (
    NoteSigner,
    VerifierKey,
    decode_base64,
    encode_base64,
    make_skey,
    parse_skey,
    parse_vkey,
)

_Key = TypeVar("_Key")

_SECRET_BYTES = 32
_LOG, _RECEIPT, _VAULT, _INDEX = "log.key", "receipt.key", "vault.key", "index.key"
_NEXT = "log.next.key"
# There while a set is made: what is missing then was never there, and nothing needs it.
_MAKING = ".making"
_FILES = (_VAULT, _LOG, _INDEX, _RECEIPT)  # the worst loss first


class KeysMissing(Fault):
    """The keys folder, or a key in it, is not there or not readable."""


class KeyLost(Fault):
    """A key of a set is not there; `key_lost_…` says what that means."""


class KeysLost(Fault):
    """The database holds records, and the folder none of the keys that they need."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of one deployment. vault_key and index_key are 32 bytes.

    log: signs for the log that goes on. frozen: keys of the logs before it, oldest first.
    """

    log: NoteSigner
    receipt: NoteSigner
    vault_key: bytes
    index_key: bytes
    frozen: tuple[VerifierKey, ...] = ()

    @property
    def logs(self) -> tuple[VerifierKey, ...]:
        """The keys of all logs by number, the one that goes on last."""
        return (*self.frozen, self.log.vkey)

    def credit_signer(self, host: str) -> NoteSigner:
        """Returns what signs for us towards other credit stores, as `<host>/credit`.

        Derived, so that it is there wherever the set is, and stays when the log goes on under another
        key. host: of the base URL.
        """
        return NoteSigner(f"{host}/credit", self.subkey("credit-exchange"))

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
        (keys_dir / _MAKING).unlink(missing_ok=True)
        return False
    keys_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    create_file(keys_dir / _MAKING, b"")
    made = (
        _create(keys_dir / _LOG, lambda: make_skey(origin, secrets.token_bytes(32))),
        _create(
            keys_dir / _RECEIPT, lambda: make_skey(f"{origin}/receipt", secrets.token_bytes(32))
        ),
        _create(keys_dir / _VAULT, lambda: encode_base64(secrets.token_bytes(32))),
        _create(keys_dir / _INDEX, lambda: encode_base64(secrets.token_bytes(32))),
    )
    (keys_dir / _MAKING).unlink(missing_ok=True)  # another `init` may be through already
    return any(made)


def has_keys(keys_dir: Path) -> bool:
    """Returns whether the set is there. Raises KeyLost where it is there in part. Read-only.

    What a lost key signed or sealed needs the old one; a new one in its place would hide the loss. False for
    a set that somebody died over making, of which nothing was used yet.
    """
    missing = [name for name in _FILES if not (keys_dir / name).exists()]
    if missing and len(missing) < len(_FILES) and not (keys_dir / _MAKING).exists():
        name = missing[0]
        raise KeyLost(f"key_lost_{name.removesuffix('.key')}", path=str(keys_dir / name))
    return not missing


def load_keys(keys_dir: Path) -> Keyring:
    """Returns the deployment's keys. Raises KeyLost, or KeysMissing, naming the file. Read-only."""
    has_keys(keys_dir)
    log = _load(keys_dir / _LOG, parse_skey)
    return Keyring(
        log=log,
        receipt=_load(keys_dir / _RECEIPT, parse_skey),
        vault_key=_load(keys_dir / _VAULT, _parse_secret),
        index_key=_load(keys_dir / _INDEX, _parse_secret),
        # A rotation under way may have put the key in force here already.
        frozen=tuple(vkey for vkey in _frozen_vkeys(keys_dir) if vkey != log.vkey),
    )


def keep_vkey(keys_dir: Path, number: int, vkey: VerifierKey) -> None:
    """Keeps the verifier key of log `number` for when its signing key is gone. Writes a file once."""
    create_file(_frozen_path(keys_dir, number), f"{vkey}\n".encode("ascii"))


def create_next_key(keys_dir: Path, origin: str) -> NoteSigner:
    """Returns the key under which the next log will sign, made anew unless it is there."""
    path = keys_dir / _NEXT
    _create(path, lambda: make_skey(origin, secrets.token_bytes(32)))
    return _load(path, parse_skey)


def next_key(keys_dir: Path) -> NoteSigner | None:
    """Returns the key of a rotation that has begun, or None. Read-only. Raises KeysMissing."""
    path = keys_dir / _NEXT
    return _load(path, parse_skey) if path.exists() else None


def drop_next_key(keys_dir: Path) -> None:
    """Forgets the next key: for a rotation of which nothing was recorded yet."""
    (keys_dir / _NEXT).unlink(missing_ok=True)


def take_next_key(keys_dir: Path) -> None:
    """Puts the next key in the place of the one that signed until now, which is gone then."""
    move_file(keys_dir / _NEXT, keys_dir / _LOG)


def _frozen_path(keys_dir: Path, number: int) -> Path:
    return keys_dir / f"log.{number}.vkey"


def _frozen_vkeys(keys_dir: Path) -> Iterator[VerifierKey]:
    count = sum(1 for _ in keys_dir.glob("log.*.vkey"))
    for number in range(count):
        # The one that is missing is named: then another one's number is too high.
        yield _load(_frozen_path(keys_dir, number), parse_vkey)


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
