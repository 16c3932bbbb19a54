"""Cosignatures: what a witness says under a log's checkpoint (c2sp.org/tlog-cosignature, type 0x04).

    — name base64(key id[4] ‖ time, seconds since 1970, 8 bytes big endian ‖ signature[64])

The signature is over `cosignature/v1`, a line with the time, and the checkpoint's whole text. It
says: at that time the largest tree that I had seen of this log had this root. A key of this kind
never signs a plain note: its id is made with another byte, so one is not taken for the other.

What it does not do: judge whether enough witnesses signed (app.ledger.policy), or ML-DSA (0x06).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.ledger.note import (
    KeyMalformed,
    SignatureLine,
    check_key,
    encode_base64,
    join_skey,
    key_id_of,
    parse_signatures,
    split_key,
    split_note,
    split_skey,
)
from app.ledger.signatures import SignatureInvalid, verify_signature

MAX_TIME_S = 253_402_300_799  # the end of the year 9999; the format's own bound is 2^63 - 1

_COSIGNER = b"\x04"
_TIME_BYTES = 8


@dataclass(frozen=True, slots=True)
class CosignerKey:
    """Which witness, and how to know it: name, 4-byte key id, 32-byte Ed25519 public key."""

    name: str
    key_id: bytes
    public_key: bytes

    def __str__(self) -> str:
        """Returns the vkey text."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(_COSIGNER + self.public_key)}"


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A cosignature that was verified. time_s: when it was given, in seconds since 1970."""

    key: CosignerKey
    time_s: int
    line: str

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.time_s, UTC)


class Cosigner:
    """A witness's key, held in memory. seed: the 32 bytes of RFC 8032 that are the private key."""

    def __init__(self, name: str, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.vkey = make_cosigner_vkey(name, self._key.public_key().public_bytes_raw())

    def cosign(self, text: str, *, at: datetime) -> str:
        """Returns the line under a checkpoint with this text, which its caller has checked."""
        time_s = int(at.timestamp())
        signature = self._key.sign(_message(text, time_s))
        blob = time_s.to_bytes(_TIME_BYTES, "big") + signature
        return str(SignatureLine(self.vkey.name, self.vkey.key_id, blob))


def make_cosigner_vkey(name: str, public_key: bytes) -> CosignerKey:
    """Returns the key of a witness. Raises KeyMalformed or PublicKeyRefused."""
    check_key(name, public_key)
    return CosignerKey(name, key_id_of(name, public_key, kind=_COSIGNER), public_key)


def parse_cosigner_vkey(text: str) -> CosignerKey:
    """Returns the key of a witness's vkey text. Raises KeyMalformed, PublicKeyRefused."""
    name, key_id, public_key = split_key(text, kind=_COSIGNER)
    key = make_cosigner_vkey(name, public_key)
    if key_id != key.key_id:
        raise KeyMalformed("note_key", part="id", got=key_id.hex())
    return key


def make_cosigner_skey(name: str, seed: bytes) -> str:
    """Returns the secret text of a witness's key, to be kept in a file of mode 0600."""
    return join_skey(name, Cosigner(name, seed).vkey.key_id, _COSIGNER + seed)


def parse_cosigner_skey(text: str) -> Cosigner:
    """Returns the witness's signer. Raises KeyMalformed, without quoting the text."""
    name, key_id, seed = split_skey(text, kind=_COSIGNER)
    signer = Cosigner(name, seed)
    if key_id != signer.vkey.key_id:
        raise KeyMalformed("note_key", part="id", got=key_id.hex())
    return signer


def verify_cosignature(text: str, line: SignatureLine, key: CosignerKey) -> Cosignature:
    """Returns what the witness said under a checkpoint's text. Raises SignatureInvalid."""
    time_s = int.from_bytes(line.signature[:_TIME_BYTES], "big")
    if len(line.signature) != _TIME_BYTES + 64 or time_s > MAX_TIME_S:
        raise SignatureInvalid("signature_invalid")
    verify_signature(
        public_key=key.public_key,
        signature=line.signature[_TIME_BYTES:],
        message=_message(text, time_s),
    )
    return Cosignature(key, time_s, str(line))


def read_cosignatures(note: str, keys: Iterable[CosignerKey]) -> list[Cosignature]:
    """Returns the cosignatures of these witnesses under a note, in its order, one of each at most.

    Lines of others are passed over, the log's own too. Raises NoteMalformed; SignatureInvalid where
    a line of one of these witnesses is wrong, which makes the whole note false.
    """
    text, lines = split_note(note)
    return _verify(text, lines, keys)


def read_answer(text: str, answer: str, keys: Iterable[CosignerKey]) -> list[Cosignature]:
    """Returns the cosignatures that a witness answered for a checkpoint's text.

    Raises NoteMalformed where the answer is anything but signature lines, SignatureInvalid.
    """
    return _verify(text, parse_signatures(answer), keys)


def _verify(
    text: str, lines: Sequence[SignatureLine], keys: Iterable[CosignerKey]
) -> list[Cosignature]:
    known = {(key.name, key.key_id): key for key in keys}
    found: dict[CosignerKey, Cosignature] = {}
    for line in lines:
        key = known.get((line.name, line.key_id))
        if key is not None:
            found.setdefault(key, verify_cosignature(text, line, key))
    return list(found.values())


def _message(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()
