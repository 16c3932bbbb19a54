"""Signed notes: a text and lines of signatures under it (c2sp.org/signed-note), with Ed25519.

    text, ending in a line feed
    <empty line>
    — name base64(key id[4] ‖ signature[64])

A signature by a key nobody asked about is ignored; one by a known key that does not fit makes the
whole note false. Keys travel as text: `vkey` to verify, `skey` to sign. Cosignatures, which are
lines under the same notes, are app.ledger.cosign's.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple, NoReturn, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.kit.errors import Invalid
from app.ledger.signatures import check_public_key, verify_signature

KEY_ID_BYTES = 4
MAX_NOTE_CHARACTERS = 1_000_000
MAX_SIGNATURES = 100  # as Go's note package; a log with its witnesses has a dozen

ED25519 = b"\x01"
"""The kind of a log's key, first byte of what a key id is made of; a witness's is another."""

_SIGNATURE_MARK = "— "  # U+2014 EM DASH, SPACE
_SECRET_MARK = "PRIVATE+KEY+"  # noqa: S105 - the format's own first word
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")


class NoteMalformed(Invalid):
    """These bytes are no signed note, or a part of one is not what the format says."""


class KeyMalformed(Invalid):
    """This text is no key of a signed note, or one of a kind that we do not verify."""


class NoteUnsigned(Invalid):
    """No signature under this note is by a key that we were given."""

    slug = "signature-invalid"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """Who signs, and how to know it: name, 4-byte key id, 32-byte Ed25519 public key."""

    name: str
    key_id: bytes
    public_key: bytes

    def __str__(self) -> str:
        """Returns the vkey text."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(ED25519 + self.public_key)}"


class Signer(Protocol):
    """Anything that signs notes under one name; the key may live elsewhere."""

    @property
    def vkey(self) -> VerifierKey: ...

    def sign(self, message: bytes) -> bytes:
        """Returns the 64-byte Ed25519 signature over `message`."""


class NoteSigner:
    """A signer that holds its key in memory.

    name: no space, no `+`. seed: the 32 bytes of RFC 8032 that are the private key.
    """

    def __init__(self, name: str, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.vkey = make_vkey(name, self._key.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


class SignatureLine(NamedTuple):
    """One line under a note: whose it says it is, and the bytes behind the 4 of the key id."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        """Returns the line with its line feed."""
        return f"{_SIGNATURE_MARK}{self.name} {encode_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class OpenedNote:
    """A note that was verified: its text, and the names under it that were found true."""

    text: str
    names: tuple[str, ...]


# ---------------------------------------------------------------------------------------- keys


def key_id_of(name: str, public_key: bytes, *, kind: bytes = ED25519) -> bytes:
    """Returns the 4 bytes by which signatures name their key."""
    return sha256(name.encode() + b"\n" + kind + public_key).digest()[:KEY_ID_BYTES]


def make_vkey(name: str, public_key: bytes) -> VerifierKey:
    """Returns the verifier key; `str()` of it is the vkey text.

    Raises KeyMalformed for a name with a space or `+`, PublicKeyRefused for a key that is none.
    """
    check_key(name, public_key)
    return VerifierKey(name, key_id_of(name, public_key), public_key)


def check_key(name: str, public_key: bytes) -> None:
    """Returns if a key of either kind may be called so. Raises KeyMalformed or PublicKeyRefused."""
    if not is_key_name(name):
        raise KeyMalformed("note_key", part="name", got=name[:80])
    check_public_key(public_key)


def parse_vkey(text: str) -> VerifierKey:
    """Returns the verifier key of a vkey text `name+hex8+base64`.

    Raises KeyMalformed, also when the key id is not that of name and key; PublicKeyRefused.
    """
    name, key_id, public_key = split_key(text, kind=ED25519)
    key = make_vkey(name, public_key)
    if key_id != key.key_id:
        raise KeyMalformed("note_key", part="id", got=key_id.hex())
    return key


def make_skey(name: str, seed: bytes) -> str:
    """Returns the secret text of a signing key, to be kept in a file of mode 0600."""
    signer = NoteSigner(name, seed)
    return join_skey(name, signer.vkey.key_id, ED25519 + seed)


def join_skey(name: str, key_id: bytes, secret: bytes) -> str:
    """Returns the secret text of a key of any kind. secret: the kind's byte, then the seed."""
    return f"{_SECRET_MARK}{name}+{key_id.hex()}+{encode_base64(secret)}"


def parse_skey(text: str) -> NoteSigner:
    """Returns the signer of a secret key text. Raises KeyMalformed, without quoting the text."""
    name, key_id, seed = split_skey(text, kind=ED25519)
    signer = NoteSigner(name, seed)
    if key_id != signer.vkey.key_id:
        raise KeyMalformed("note_key", part="id", got=key_id.hex())
    return signer


def split_skey(text: str, *, kind: bytes) -> tuple[str, bytes, bytes]:
    """Returns name, key id and 32-byte seed of a secret key text. Raises KeyMalformed."""
    if not text.startswith(_SECRET_MARK):
        raise KeyMalformed("note_key", part="secret", got="")
    return split_key(text.removeprefix(_SECRET_MARK), kind=kind)


def is_key_name(name: str) -> bool:
    """Whether a key, and so a log, may be called this: no Unicode space, no `+`, no control."""
    return (
        name != ""
        and "+" not in name
        and not any(char.isspace() for char in name)
        and not _CONTROL.search(name)
        and _is_utf8(name)
    )


def split_key(text: str, *, kind: bytes) -> tuple[str, bytes, bytes]:
    """Returns name, key id and 32 key bytes of a key text of that kind. Raises KeyMalformed.

    Whether name, id and key belong together is asked by who knows what the bytes are.
    """
    parts = text.split("+", 2)  # no further: base64 holds `+` itself
    if len(parts) != 3 or not re.fullmatch("[0-9a-f]{8}", parts[1]):
        raise KeyMalformed("note_key", part="form", got="")
    try:
        key = decode_base64(parts[2])
    except ValueError as err:
        raise KeyMalformed("note_key", part="base64", got="") from err
    if key[:1] != kind or len(key) != 33:
        raise KeyMalformed("note_key", part="kind", got=key[:1].hex())
    return parts[0], bytes.fromhex(parts[1]), key[1:]


# --------------------------------------------------------------------------------------- notes


def sign_note(text: str, *signers: Signer) -> str:
    """Returns the note: `text` with one signature line for each signer.

    Raises NoteMalformed if the text does not end in a line feed or holds a control character, or
    if nobody signs.
    """
    if not text.endswith("\n") or _CONTROL.search(text) or not _is_utf8(text):
        _malformed("text")
    if not signers:
        _malformed("signatures")
    message = text.encode()
    lines = (str(SignatureLine(s.vkey.name, s.vkey.key_id, s.sign(message))) for s in signers)
    return f"{text}\n{''.join(lines)}"


def open_note(note: str | bytes, vkeys: Sequence[VerifierKey]) -> OpenedNote:
    """Returns the text of a note that at least one of `vkeys` signed.

    Every signature by one of them is checked. Raises NoteMalformed, SignatureInvalid if one of
    them is wrong, NoteUnsigned if there is none.
    """
    text, lines = split_note(note)
    known = {(key.name, key.key_id): key for key in vkeys}
    message = text.encode()
    names: dict[str, None] = {}
    for line in lines:
        key = known.get((line.name, line.key_id))
        if key is None:
            continue
        verify_signature(public_key=key.public_key, signature=line.signature, message=message)
        names[line.name] = None
    if not names:
        raise NoteUnsigned("note_unsigned", expected=", ".join(key.name for key in vkeys))
    return OpenedNote(text, tuple(names))


def read_unverified(note: str | bytes) -> str:
    """Returns the text of a note without looking at its signatures.

    For showing what a note says; never for believing it. Raises NoteMalformed.
    """
    return split_note(note)[0]


def split_note(note: str | bytes) -> tuple[str, list[SignatureLine]]:
    """Returns the text of a note and the lines under it, verified by nobody. Raises NoteMalformed."""
    if isinstance(note, bytes):
        try:
            note = note.decode()
        except UnicodeDecodeError:
            _malformed("utf8")
    elif not _is_utf8(note):
        _malformed("utf8")
    if len(note) > MAX_NOTE_CHARACTERS:
        _malformed("size")
    if _CONTROL.search(note):
        _malformed("control")
    text, blank, signatures = note.rpartition("\n\n")  # the last empty line parts them
    if not blank or not signatures.endswith("\n"):
        _malformed("signatures")
    return text + "\n", parse_signatures(signatures)


def parse_signatures(lines: str) -> list[SignatureLine]:
    """Returns the signature lines of a text that holds nothing else. Raises NoteMalformed."""
    if not lines.endswith("\n") or lines.count("\n") > MAX_SIGNATURES:
        _malformed("signatures")
    return [_parse_signature(line) for line in lines[:-1].split("\n")]


def _parse_signature(line: str) -> SignatureLine:
    name, _, encoded = line.removeprefix(_SIGNATURE_MARK).partition(" ")
    if not line.startswith(_SIGNATURE_MARK) or not is_key_name(name):
        _malformed("signature")
    try:
        blob = decode_base64(encoded)
    except ValueError:
        _malformed("signature")
    if len(blob) <= KEY_ID_BYTES:
        _malformed("signature")
    return SignatureLine(name, blob[:KEY_ID_BYTES], blob[KEY_ID_BYTES:])


def _malformed(part: str) -> NoReturn:
    raise NoteMalformed("note_form", part=part)


def _is_utf8(text: str) -> bool:
    """Whether the text can be written as UTF-8: it holds no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# -------------------------------------------------------------------------------------- base64


def encode_base64(raw: bytes) -> str:
    """Returns RFC 4648 section 4 base64 with padding."""
    return base64.b64encode(raw).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Returns the bytes of canonical base64.

    Raises ValueError for a foreign character, missing padding or stray low bits: one value has one
    spelling, so a signed text cannot be spelt anew.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as err:
        raise ValueError(text[:80]) from err
    if encode_base64(raw) != text:
        raise ValueError(text[:80])
    return raw
