"""Requests to a credit store, signed as RFC 9421 says, with Ed25519 and a Content-Digest (RFC 9530).

Covered: `@method`, `@authority`, `@path`, `@query`, `content-digest`; parameters `created`, `keyid`,
`alg`, `tag`. A request is taken for MAX_AGE either way of our clock. One that is repeated within that
time does nothing, since every change in it has an idempotency key; so there is no nonce to remember.

Known gap: `@authority` is what the request names as its host. A store that took a request could show
it to another store that does not look at the host, and would tell it what the sender signed: true
changes, which it may read already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
)
from http_message_signatures.algorithms import ED25519

from app.kit.errors import Unauthenticated
from app.ledger.note import Signer, VerifierKey

MAX_AGE = timedelta(minutes=5)
TAG = "suxin-credit/1"
COVERED = ("@method", "@authority", "@path", "@query", "content-digest")
_LABEL = "suxin"


class RequestUnsigned(Unauthenticated):
    """Nobody whom we know signed this request."""


class RequestStale(Unauthenticated):
    """Signed at a time that is not now: old, or one of the two clocks is wrong."""


@dataclass
class Message:
    """An HTTP request as the signature sees it. url: absolute, as the client asks for it."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)


def key_id_of(vkey: VerifierKey) -> str:
    """Returns the `keyid` of a key: the beginning of its vkey."""
    return f"{vkey.name}+{vkey.key_id.hex()}"


def sign_request(
    signer: Signer, *, method: str, url: str, body: bytes, at: datetime
) -> dict[str, str]:
    """Returns the headers that sign a request: Content-Digest, Signature-Input, Signature."""
    message = Message(method, url)
    maker = HTTPMessageSigner(signature_algorithm=ED25519)
    prepared = maker.prepare(
        message,
        key_id=key_id_of(signer.vkey),
        created=at,
        label=_LABEL,
        tag=TAG,
        covered_component_ids=COVERED[:-1],
        body=body,
    )
    maker.apply(message, prepared, signer.sign(prepared.signature_base))
    return message.headers


def signed_by(headers: Mapping[str, str]) -> bool:
    """Whether a request claims to be signed."""
    return "signature-input" in headers


def verify_request(
    *,
    method: str,
    url: str,
    headers: Iterable[tuple[str, str]],
    body: bytes,
    keys: Mapping[str, VerifierKey],
    now: datetime,
) -> str:
    """Returns the key id under which a request was signed, of those in `keys`.

    Raises RequestUnsigned, RequestStale.
    """
    joined: dict[str, str] = {}
    for name, value in headers:
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    verifier = _Verifier(signature_algorithm=ED25519, key_resolver=_Keys(keys))
    try:
        (found,) = verifier.verify(
            Message(method, url, joined),
            max_age=None,
            expect_tag=TAG,
            require_components=COVERED,
            body=body,
        )
    except (InvalidSignature, ValueError) as err:
        raise RequestUnsigned("request_unsigned") from err
    created = datetime.fromtimestamp(int(found.parameters["created"]), UTC)
    if abs(now - created) > MAX_AGE:
        skew_s = round((now - created).total_seconds())
        raise RequestStale("request_stale", seconds=skew_s, most=int(MAX_AGE.total_seconds()))
    return str(found.parameters["keyid"])


class _Verifier(HTTPMessageVerifier):
    """Leaves the judgement of times to us: the library asks the machine's clock."""

    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:  # noqa: ARG002 - the library's own signature
        created = sig_input.params.get("created")
        if type(created) is not int or not 0 <= created < 1 << 40:
            raise InvalidSignature("created")


class _Keys(HTTPSignatureKeyResolver):
    def __init__(self, keys: Mapping[str, VerifierKey]) -> None:
        self._keys = keys

    def resolve_public_key(self, key_id: str) -> Ed25519PublicKey | None:
        vkey = self._keys.get(key_id)
        return None if vkey is None else Ed25519PublicKey.from_public_bytes(vkey.public_key)
