"""What a detector says: one thing that is wrong, who answers for it, and the typed evidence.

Evidence is frozen data of plain values, so that it can be compared, stored and shown; as JSON it is
canonical: times as text, shares in hundredths, what is unknown left out. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Protocol

from app.kit.clock import format_time


class Evidence(Protocol):
    """A frozen dataclass of plain values, moments, places and tuples of them."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A record by where it stands. id: the record's own."""

    stream: str
    seq: int
    id: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """One thing that is wrong.

    party: who answers for it, None for nobody by itself. key: what tells it from others of its kind on
    the same goods, from the facts alone and never from when it was met. confidence: in hundredths,
    of an alert that a person must judge; None where the facts contradict each other.
    """

    kind: str
    party: str | None
    evidence: Evidence
    key: str = ""
    confidence: int | None = None

    def as_data(self) -> dict[str, Any]:
        """Returns the evidence as canonical JSON: times as text, what is unknown left out."""
        shown = {
            name: _plain(value)
            for name in self.evidence.__dataclass_fields__
            if (value := getattr(self.evidence, name)) is not None
        }
        if self.confidence is not None:
            shown["confidence_percent"] = self.confidence
        return shown


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, Place):
        return {"stream": value.stream, "seq": value.seq, "id": value.id}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value


MOST_PLACES = 20
"""Records that one finding names; the number beside them counts all."""


def some_places(places: list[Place]) -> tuple[Place, ...]:
    """Returns the first places in their own order, so that arrival does not matter."""
    return tuple(sorted(places)[:MOST_PLACES])
