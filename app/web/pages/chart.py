"""The score over time as a picture: a stepped line in ink over the bands of the grades, as SVG.

Attributes only, no style and no script, so a strict policy lets it pass; colours come from the
stylesheet. What it shows stands beside it as a table, which is what a screen reader is led to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from markupsafe import Markup, escape

from app.credit.history import Course, Event, Moment
from app.credit.rules import Policy
from app.i18n import Lang, text
from app.kit.clock import local_day, to_ms

_LEAST_SPAN: Final = 240
_STEP: Final = 50
_MARK: Final = 9
_MOST_MARKS: Final = 12


@dataclass(frozen=True, slots=True)
class Size:
    """A picture's size in CSS pixels. months: between two labels below it."""

    name: str
    width: int
    height: int
    months: int


PHONE: Final = Size("narrow", 344, 232, 3)
DESK: Final = Size("wide", 1040, 300, 1)
_LEFT, _RIGHT, _TOP, _BOTTOM = 4, 44, 20, 26


def draw_course(
    course: Course, numbers: Mapping[str, int], policy: Policy, lang: Lang, size: Size
) -> Markup:
    """Returns the picture. numbers: of the losses that are marked, by entry."""
    return _Picture(course, numbers, policy, lang, size).draw()


class _Picture:
    def __init__(
        self, course: Course, numbers: Mapping[str, int], policy: Policy, lang: Lang, size: Size
    ) -> None:
        self._course, self._numbers, self._policy = course, numbers, policy
        self._lang, self._size = lang, size
        moments = course.moments
        self._from, self._to = moments[0].at, moments[-1].at
        values = [v for one in moments for v in (one.score, one.score_without_holds)]
        self._low, self._high = _scale(min(values), max(values), policy)

    def draw(self) -> Markup:
        size, course = self._size, self._course
        past = [(one.at, one.score) for one in course.past]
        coming = [(one.at, one.score) for one in (course.past[-1], *course.coming)]
        drawn = [
            *self._bands(),
            *self._days(),
            *self._holds(course.moments),
            f'<path class="course-past" d="{self._steps(past)}"/>',
            f'<path class="course-coming" d="{self._steps(coming)}"/>',
            *self._now(),
            *self._marks(course.moments),
        ]
        label = escape(text(self._lang, "page.dossier.chart.label"))
        return Markup(  # noqa: S704 - numbers, our own constants and escaped sentences
            f'<svg class="course course-{size.name}" viewBox="0 0 {size.width} {size.height}" '
            f'role="img" aria-label="{label}">'
            f'<defs><pattern id="hatch-{size.name}" width="6" height="6" '
            'patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            '<path class="hatch" d="M0 0V6"/></pattern></defs>'
            f"{''.join(drawn)}</svg>"
        )

    def _x(self, at: datetime) -> float:
        whole = to_ms(self._to) - to_ms(self._from)
        room = self._size.width - _LEFT - _RIGHT
        return round(_LEFT + room * (to_ms(at) - to_ms(self._from)) / whole, 1)

    def _y(self, points: int) -> float:
        room = self._size.height - _TOP - _BOTTOM
        points = max(self._low, min(self._high, points))
        return round(_TOP + room * (self._high - points) / (self._high - self._low), 1)

    @property
    def _edge(self) -> int:
        return self._size.width - _RIGHT

    def _bands(self) -> Iterator[str]:
        top = self._high
        for step in self._policy.grades:
            bottom = max(step.lowest, self._low)
            if bottom < top:
                y, end = self._y(top), self._y(bottom)
                yield (
                    f'<rect class="band band-{step.grade}" x="{_LEFT}" y="{y}" '
                    f'width="{self._edge - _LEFT}" height="{round(end - y, 1)}"/>'
                )
                if end - y >= 18:
                    yield self._text(self._edge + 24, (y + end) / 2 + 5, step.grade, "band-name")
            if self._low < step.lowest <= self._high:
                y = self._y(step.lowest)
                yield f'<path class="band-line" d="M{_LEFT} {y}H{self._edge}"/>'
                yield self._text(self._edge + 4, y + 4, str(step.lowest), "axis")
            top = min(top, step.lowest)

    def _days(self) -> Iterator[str]:
        foot = self._size.height - 6
        before = -100.0
        for day in _firsts(local_day(self._from), local_day(self._to)):
            # A day of China begins eight hours before the same of UTC; a pixel is half a day or more.
            at = self._from + (day - local_day(self._from))
            if not self._from <= at <= self._to or (day.month - 1) % self._size.months:
                continue
            x = self._x(at)
            yield f'<path class="tick" d="M{x} {self._size.height - _BOTTOM}v4"/>'
            if before + 44 < x < self._edge - 14 and x > _LEFT + 16:
                yield self._text(
                    x, foot, f"{day:%Y-%m}" if day.month == 1 else f"{day:%m}", "axis m"
                )
                before = x

    def _holds(self, moments: Sequence[Moment]) -> Iterator[str]:
        for one, following in zip(moments, [*moments[1:], moments[-1]], strict=True):
            if one.score != one.score_without_holds:
                x, end = self._x(one.at), self._x(following.at)
                y, foot = self._y(one.score_without_holds), self._y(one.score)
                yield (
                    f'<rect fill="url(#hatch-{self._size.name})" x="{x}" y="{y}" '
                    f'width="{round(max(2.0, end - x), 1)}" height="{round(foot - y, 1)}"/>'
                    f'<path class="course-without" d="M{x} {y}H{end}"/>'
                )

    def _steps(self, points: Sequence[tuple[datetime, int]]) -> str:
        """Returns the line: level until the next moment, then up or down."""
        (at, first), *others = points
        drawn = [f"M{self._x(at)} {self._y(first)}"]
        for at, value in others:
            drawn.append(f"H{self._x(at)}V{self._y(value)}")
        return "".join(drawn)

    def _now(self) -> Iterator[str]:
        x, last = self._x(self._course.now), self._course.past[-1]
        yield f'<path class="now-line" d="M{x} {_TOP - 4}V{self._size.height - _BOTTOM}"/>'
        yield self._text(x, _TOP - 6, text(self._lang, "page.dossier.chart.now"), "axis m")
        yield f'<circle class="now-dot" cx="{x}" cy="{self._y(last.score)}" r="4.5"/>'

    def _marks(self, moments: Sequence[Moment]) -> Iterator[str]:
        taken: list[tuple[float, float]] = []
        left = _MOST_MARKS
        for one in moments:
            for happening in one.happenings:
                number = self._numbers.get(happening.of, 0)
                if not number or happening.event not in (
                    Event.EFFECT,
                    Event.REPAIR_FROM,
                    Event.END,
                ):
                    continue
                if not left:
                    return
                x = min(max(self._x(one.at), _LEFT + _MARK), self._edge - _MARK)
                y = self._y(one.score) + 2 * _MARK
                lowest = self._size.height - _BOTTOM - _MARK
                y = min(y, lowest)
                while any(abs(x - a) < 2 * _MARK and abs(y - b) < 2 * _MARK for a, b in taken):
                    y -= 2 * _MARK + 2
                taken.append((x, y))
                left -= 1
                y = round(y, 1)
                yield (
                    f'<circle class="mark-{happening.event}" cx="{x}" cy="{y}" r="{_MARK}"/>'
                    + self._text(x, y + 4, str(number), f"mark-number on-{happening.event}")
                )

    @staticmethod
    def _text(x: float, y: float, said: str, name: str) -> str:
        return f'<text class="{name}" x="{round(x, 1)}" y="{round(y, 1)}">{escape(said)}</text>'


def _scale(low: int, high: int, policy: Policy) -> tuple[int, int]:
    """Returns the lowest and highest score that the picture shows, in steps of fifty."""
    low, high = low // _STEP * _STEP - _STEP, -(-high // _STEP) * _STEP + _STEP
    while high - low < _LEAST_SPAN:
        low, high = low - _STEP, high + _STEP
    return max(policy.lowest, low), min(policy.highest, high)


def _firsts(start: date, end: date) -> Iterator[date]:
    """Yields the first days of the months between two days."""
    day = (start.replace(day=1) + timedelta(days=32)).replace(day=1)
    while day <= end:
        yield day
        day = (day + timedelta(days=32)).replace(day=1)
