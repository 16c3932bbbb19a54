"""The way of the goods as places: where they left, what they passed, where they are awaited or came. Pure.

Cities alone, as the records of dispatch, transit and signature name them; a place that no record names
is not guessed. Of a unit that came back only the present journey is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from app.web.pages.views import Step

# A drawing of more places than these is no drawing; all of them stand in the chain.
_MOST: Final = 6
_TOLD: Final = ("ok", "corrected")


@dataclass(frozen=True, slots=True)
class Stop:
    """A place on the way. place: six-digit code. at: None where the goods are not there yet."""

    place: str
    state: Literal["left", "passed", "arrived", "awaited"]
    at: datetime | None


def stops_of(steps: Sequence[Step]) -> tuple[Stop, ...]:
    """Returns the places of the present journey in order, () where there is none to draw."""
    stops: list[Stop] = []
    for stop in _stops(_present(steps)):
        if stops and _city(stops[-1].place) == _city(stop.place):
            # Still there: what happened last there counts, but nobody leaves by arriving.
            stops[-1] = stop if stops[-1].state != "left" or len(stops) > 1 else stops[-1]
        else:
            stops.append(stop)
    if len(stops) < 2:
        return ()
    if len(stops) > _MOST:
        stops = [stops[0], *stops[1 - _MOST :]]
    return tuple(stops)


def days_between(stops: Sequence[Stop]) -> int | None:
    """Returns how many whole days the journey took, None while it lasts."""
    if not stops or stops[-1].state != "arrived":
        return None
    left, came = stops[0].at, stops[-1].at
    if left is None or came is None or came < left:
        return None
    return (came - left).days


def _present(steps: Sequence[Step]) -> list[Step]:
    """Returns what tells the present journey: of two signatures the one that stands."""
    return [
        step for step in steps if not step.earlier and not step.outweighed and step.status in _TOLD
    ]


def _stops(steps: Sequence[Step]) -> Iterator[Stop]:
    destination = ""
    told = [(step.occurred_at, step) for step in steps if step.occurred_at is not None]
    for at, step in sorted(told, key=lambda one: one[0]):
        match step.type:
            case "sale" if step.regions:
                destination = step.regions[-1]
            case "dispatch" if step.regions:
                destination = step.regions[-1]
                if len(step.regions) > 1:
                    yield Stop(step.regions[0], "left", at)
            case "transit" if step.regions:
                yield Stop(step.regions[0], "passed", at)
            case "signature" if destination:
                yield Stop(destination, "arrived", at)
                return
            case _:
                continue
    if destination:
        yield Stop(destination, "awaited", None)


def _city(code: str) -> str:
    return code[:4]


def late_days(step: Step) -> int:
    """Returns by how many whole days a record came after what it tells; 0 within a day."""
    if step.occurred_at is None or step.recorded_at is None:
        return 0
    return max(0, (step.recorded_at - step.occurred_at).days)
