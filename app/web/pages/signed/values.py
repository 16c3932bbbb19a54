"""Values of records as people read them."""

from __future__ import annotations

from typing import Any

import orjson


def as_text(value: Any) -> str:
    """Returns a text as it is, an object as its parts, anything else as JSON; Chinese stays Chinese."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return " · ".join(f"{name}: {as_text(part)}" for name, part in value.items())
    return orjson.dumps(value).decode()
