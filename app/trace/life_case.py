"""Being in a case: what `pack` and `unpack` do to a unit's life, and what may be said of it as packed.

A unit is in one case at a time, from `pack` until it is unpacked, signed for or void; a record that names
a case moves the unit only while it is in that very case. So who sends a case off speaks of what is in it
then, and every unit's own chain says so. Pure.
"""

from __future__ import annotations

from typing import Any

from app.trace.life_facts import fact_of
from app.trace.life_table import Happening


def take_pack(new: dict[str, Any], event: Happening, _graces: object) -> None:
    """The unit is in the case from now on. A record that names none, which we never write, does nothing."""
    named = event.data.get("case")
    if isinstance(named, str):
        new["case"] = {**fact_of(event), "sscc": named}


def take_unpack(new: dict[str, Any], _event: Happening, _graces: object) -> None:
    """The unit is in no case any more."""
    new.pop("case", None)
