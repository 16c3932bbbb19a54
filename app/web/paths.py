"""Paths with percent-encoded reserved characters: `%2F` stays inside its segment.

Servers decode a path before we see it, so a lot `A/1` would become two segments. The gate
therefore routes on the raw path, brought into one spelling: each segment is decoded, checked and
encoded again so that only unreserved characters stand plain. Handlers get their parameters decoded
exactly once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, unquote_to_bytes

from app.kit.errors import FieldFault, Malformed, invalid

_PLAIN = re.compile(rb"[A-Za-z0-9._~/-]*", re.ASCII)
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def route_path(raw_path: bytes) -> str:
    """Returns the path to route on. Raises Malformed (not UTF-8), Invalid (control characters)."""
    if _PLAIN.fullmatch(raw_path):
        return raw_path.decode("ascii")
    return "/".join(_encode_again(segment) for segment in raw_path.split(b"/"))


def decode_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Returns path parameters as their senders meant them."""
    return {
        name: unquote(value) if isinstance(value, str) and "%" in value else value
        for name, value in parameters.items()
    }


def _encode_again(segment: bytes) -> str:
    try:
        decoded = unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError as err:
        raise Malformed("path_not_utf8") from err
    if CONTROL.search(decoded):
        raise invalid(FieldFault(("path",), "control"))
    return quote(decoded, safe="")
