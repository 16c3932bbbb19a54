"""How often one address may ask without a key, or one key, and which address that is."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from functools import lru_cache

_MAX_ADDRESSES = 100_000

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class RateLimit:
    """A bucket of tokens for each who asks: `per_second` flow in, twice that fits. 0 means no limit.

    name: of what is limited, in the fields of an answer. Each process counts for itself.
    """

    def __init__(
        self, per_second: int, *, name: str = "address", monotonic_s: Callable[[], float]
    ) -> None:
        self.fields = (
            (b"ratelimit-policy", f'"{name}";q={per_second};w=1'.encode("ascii")),
            (b"ratelimit", f'"{name}";r=0;t=1'.encode("ascii")),
        )
        """What an answer beyond the limit says of it (draft-ietf-httpapi-ratelimit-headers)."""
        self._per_second = per_second
        self._monotonic_s = monotonic_s
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, who: str) -> bool:
        """Returns whether one more request of this address or key is within the limit, and counts it."""
        if not self._per_second:
            return True
        now_s = self._monotonic_s()
        most = 2.0 * self._per_second
        tokens, since_s = self._buckets.pop(who, (most, now_s))
        tokens = min(most, tokens + (now_s - since_s) * self._per_second)
        within = tokens >= 1.0
        # Put back last: the dict's order is then that of use, and the first is the longest unused.
        self._buckets[who] = (tokens - 1.0 if within else tokens, now_s)
        if len(self._buckets) > _MAX_ADDRESSES:
            self._buckets.pop(next(iter(self._buckets)))
        return within


def client_address(
    peer: str | None, forwarded_for: Sequence[str], trusted: Sequence[Network]
) -> str:
    """Returns the client's address, an IPv6 one as its /64 network, which is one subscriber.

    forwarded_for: values of X-Forwarded-For, believed from the right as long as proxies of ours
    (`trusted`) are speaking; whatever a stranger wrote into it is ignored.
    """
    address = peer or "local"
    hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
    while hops and is_ours(address, trusted):
        address = hops.pop()
    return _subscriber(address)


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Returns the networks of these texts. Raises ValueError."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def is_ours(address: str, trusted: Sequence[Network]) -> bool:
    """Whether an address is one of our own proxies'."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in trusted)


@lru_cache(maxsize=4096)
def _subscriber(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
