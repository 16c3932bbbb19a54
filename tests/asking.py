"""Who asks a service on this machine: without a proxy, and without reading the certificates of the world.

Nobody here shows one, and reading them costs 30 ms a client, more than most that it then asks for.
"""

from __future__ import annotations

from typing import Any

import httpx

# The service closes a connection on which nothing was asked for five seconds (uvicorn). Who would ask on one
# at just that moment asks on a new one.
_CONNECTIONS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=2)


def plain_client(**more: Any) -> httpx.Client:
    """Returns httpx's client."""
    return httpx.Client(verify=False, trust_env=False, limits=_CONNECTIONS, **more)


def fetch(url: str, **more: Any) -> httpx.Response:
    """Returns the answer to a GET, on a connection of its own."""
    return httpx.get(url, verify=False, trust_env=False, **more)
