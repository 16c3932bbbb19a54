"""What an entry or a listing rests on: a title, and beside it at least one thing to look up. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from app.kit.errors import FieldFault, invalid

TO_LOOK_UP: Final = ("number", "url", "record", "finding", "attachments")
"""Fields of the evidence that lead to something."""


def check_ground(evidence: Mapping[str, Any], names: tuple[str, ...] = TO_LOOK_UP) -> None:
    """Raises Invalid where evidence names nothing that can be looked up. names: that would do."""
    if not any(evidence.get(name) for name in names):
        params = {"expected": ", ".join(names)}
        raise invalid(FieldFault(("evidence",), "missing", params, sentence="nothing_to_look_up"))
