"""Sending one message to somebody else's address, as Standard Webhooks have it, and nowhere else.

Who registers a webhook names an address; without care he could let this service speak to machines
that only it can reach. So a name is resolved once, every address that it has must be a public one, and
the connection goes to the address that was looked at. Redirects are not followed, the answer's body
is not read, proxies of the environment are not used, and the whole of it has an end (app.outgoing).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import socket
from urllib.parse import urlsplit

import httpx

from app import outgoing

TIMEOUT_S = 5.0  # of one read or write
DEADLINE_S = 10.0  # of the whole
SECRET_PREFIX = "whsec_"  # noqa: S105 - what stands before each
_MAX_URL = 500
_EMBEDDING = tuple(
    ipaddress.IPv6Network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)  # fmt: skip
_UNICAST = ipaddress.IPv6Network("2000::/3")


class Undeliverable(Exception):
    """It was not delivered. `why`: a word for the sender's eyes; gone: it is no use to try again."""

    def __init__(self, why: str, *, gone: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.gone = gone


def check_url(url: str, *, private: bool) -> str | None:
    """Returns what is wrong with an address as it is written, None if nothing is.

    private: whether plain HTTP and private addresses are allowed.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "not an address"
    if len(url) > _MAX_URL or not url.isascii() or not host or port == 0:
        return "not an address"
    if parts.scheme not in (("https", "http") if private else ("https",)):
        return "https:// expected"
    if parts.username or parts.password or parts.fragment:
        return "no user, password or fragment"
    if private:
        return None
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return "not a public address"
    try:
        allowed = is_public(host)
    except ValueError:
        return None  # a name: it is looked up before each sending
    return None if allowed else "not a public address"


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open Internet. Raises ValueError for what is none."""
    ip = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        # Those that carry an IPv4 address inside could carry a private one.
        if ip not in _UNICAST or any(ip in net for net in _EMBEDDING):
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def sign(secret: bytes, *, message_id: str, timestamp_s: int, body: bytes) -> str:
    """Returns the value of `webhook-signature` (Standard Webhooks, symmetric: v1)."""
    signed = f"{message_id}.{timestamp_s}.".encode("ascii") + body
    digest = hmac.new(secret, signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode("ascii")


def shown_secret(secret: bytes) -> str:
    """Returns a secret as it is handed out, once."""
    return SECRET_PREFIX + base64.b64encode(secret).decode("ascii")


def send(
    http: httpx.Client, url: str, *, secret: bytes, message_id: str, timestamp_s: int, body: bytes,
    private: bool,
) -> None:  # fmt: skip
    """Delivers one message. Raises Undeliverable unless the answer is 2xx."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "suxin-webhook/1",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": sign(
            secret, message_id=message_id, timestamp_s=timestamp_s, body=body
        ),
    }
    request = _request(http, "POST", url, headers, private=private, body=body)
    try:
        answer = http.send(request, stream=True)
    except (httpx.HTTPError, OSError) as err:
        raise Undeliverable(type(err).__name__) from err
    answer.close()
    if not answer.is_success:
        raise Undeliverable(f"HTTP {answer.status_code}", gone=answer.status_code == 410)


def fetch(http: httpx.Client, url: str, *, private: bool, most: int) -> bytes:
    """Returns the first `most` bytes of what is there. Raises Undeliverable unless the answer is 200."""
    headers = {"User-Agent": "suxin-badge/1", "Accept": "text/plain", "Accept-Encoding": "identity"}
    request = _request(http, "GET", url, headers, private=private)
    found = b""
    try:
        answer = http.send(request, stream=True)
        try:
            if answer.status_code != httpx.codes.OK:
                raise Undeliverable(f"HTTP {answer.status_code}")
            for part in answer.iter_raw():
                found += part
                if len(found) >= most:
                    break
        finally:
            answer.close()
    except (httpx.HTTPError, OSError) as err:
        raise Undeliverable(type(err).__name__) from err
    return found[:most]


def _request(
    http: httpx.Client, method: str, url: str, headers: dict[str, str], *, private: bool,
    body: bytes | None = None,
) -> httpx.Request:  # fmt: skip
    """Returns a request that goes to the address that was looked at. Raises Undeliverable."""
    wrong = check_url(url, private=private)
    if wrong is not None:
        raise Undeliverable(wrong)
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    address = _resolve(host, port, private=private)
    at = f"[{address}]" if ":" in address else address
    target = httpx.URL(f"{parts.scheme}://{at}:{port}{parts.path or '/'}").copy_with(
        query=parts.query.encode("ascii") or None
    )
    return http.build_request(
        method, target, content=body, timeout=TIMEOUT_S,
        headers={"Host": parts.netloc.rpartition("@")[2], **headers},
        extensions={"sni_hostname": host, "deadline_s": DEADLINE_S},
    )  # fmt: skip


def new_client() -> httpx.Client:
    """Returns the client that `send` wants: no redirects, nothing of the environment.

    No connection is kept: it would be taken again by address, for a name whose certificate nobody asked.
    """
    return outgoing.new_client(most_kept=0)


def _resolve(host: str, port: int, *, private: bool) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as err:
        raise Undeliverable("name not found") from err
    addresses = [str(info[4][0]) for info in found]
    # One public address among private ones would be enough to be led inside.
    if not addresses or not (private or all(is_public(one) for one in addresses)):
        raise Undeliverable("not a public address")
    return addresses[0]
