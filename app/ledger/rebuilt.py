"""What comes of making rows again from records, whichever room's rows they are."""

from __future__ import annotations

from typing import NamedTuple


class Rebuilt(NamedTuple):
    """made: rows. damaged: `stream#seq` of what was passed over; without a seq all of a stream."""

    made: int
    damaged: tuple[str, ...]
