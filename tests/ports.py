"""Ports for the services of tests, which must be there again after a service was down."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

_HANDED_OUT = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """Returns a port that nobody has, below those that the system gives to whoever connects.

    One of the system's own would go to somebody's connection while its service is down.
    """
    first = int(_HANDED_OUT.read_text().split()[0]) if _HANDED_OUT.exists() else 49_152
    while True:
        # Not `random`: it is seeded alike in every process of a run.
        port = 10_000 + secrets.randbelow(max(first, 20_000) - 10_000)
        if is_free(port):
            return port


def is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
