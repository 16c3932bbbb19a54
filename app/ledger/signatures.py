"""Ed25519 as this log uses it: RFC 8032 without prehash, keys and signatures as raw bytes.

Stricter than the library in one thing: a public key that is not canonical, or of small order, is
refused. Under a key of small order one signature fits many messages, so it proves nothing about who
signed what; nobody has such a key by accident.

Whether a key was in force when a record was signed is judged by the times that the records bear. Of
two streams these tell the order only to 5 s, since a stream may be ahead of the clock by so much: a
key is taken to be in force from 5 s before the record that registers it until 5 s after the one that
revokes it. Nothing slips through there: a key that is revoked is refused when a record is taken,
whatever the times. Known limit: where the clock was set back by more than that between a signature
and the revocation of its key, the signature is reported.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app.kit.errors import Invalid
from app.ledger.record import MAX_AHEAD

PUBLIC_KEY_BYTES = 32

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_Y_OF_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
# The y of every point whose order divides 8; libsodium refuses the same ones.
_SMALL_ORDER_Y = frozenset((0, 1, _P - 1, _Y_OF_ORDER_8, _P - _Y_OF_ORDER_8))


class PublicKeyRefused(Invalid):
    """These bytes are no Ed25519 public key that anybody may rely on."""


class SignatureInvalid(Invalid):
    """The signature was not made over this message with this key."""

    slug = "signature-invalid"


def check_public_key(public_key: bytes) -> None:
    """Returns if `public_key` is 32 bytes that name a point of large order, in canonical form.

    Raises PublicKeyRefused.
    """
    if len(public_key) != PUBLIC_KEY_BYTES or _is_weak(public_key) or not _is_on_curve(public_key):
        raise PublicKeyRefused("public_key", expected="Ed25519", got=public_key.hex())


def verify_signature(*, public_key: bytes, signature: bytes, message: bytes) -> None:
    """Returns if `signature` is that of `public_key` over `message`.

    Raises PublicKeyRefused or SignatureInvalid.
    """
    if len(public_key) != PUBLIC_KEY_BYTES or _is_weak(public_key):
        raise PublicKeyRefused("public_key", expected="Ed25519", got=public_key.hex())
    try:
        # Bytes that name no point of the curve fail here like any wrong signature; asking first,
        # as check_public_key does, would take as long again.
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature as err:
        raise SignatureInvalid("signature_invalid") from err


def judge_time(
    at: datetime, *, since: datetime, revoked: datetime | None
) -> Literal["early", "revoked"] | None:
    """Returns why a key was not in force for what was recorded at `at`, or None if it was.

    since, revoked: when the key was registered and revoked, by its own stream.
    """
    if since - at > MAX_AHEAD:
        return "early"
    if revoked is not None and at - revoked > MAX_AHEAD:
        return "revoked"
    return None


def _is_weak(public_key: bytes) -> bool:
    y = _y_of(public_key)
    return y >= _P or y in _SMALL_ORDER_Y


def _is_on_curve(public_key: bytes) -> bool:
    """Whether a point has this y: x² = (y² − 1) / (d·y² + 1) must be a square."""
    y = _y_of(public_key)
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    return pow(square, (_P - 1) // 2, _P) == 1


def _y_of(public_key: bytes) -> int:
    return int.from_bytes(public_key, "little") & (2**255 - 1)
