"""Figures for authorities: records, findings and complaints by month and by place.

Records and complaints are counted along the log, each once: the count and the position up to which it
goes are written together. A record counts where its sender is, a complaint where the seller of the goods
is; findings are counted when asked, where the party is that answers. The place is that of the party now:
who moves takes its past along. They are figures to look at, not evidence; records are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Final, Literal

from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.clock import SHANGHAI, Clock, local_day, to_ms
from app.oversight import figurestore, store
from app.parties.account_rules import covers
from app.parties.identity import is_party_id
from app.parties.principal import Principal
from app.trace.soldstore import day_named, day_of

What = Literal["records", "findings", "complaints"]
WHATS: Final[tuple[What, ...]] = ("records", "findings", "complaints")
MOST_MONTHS: Final = 36

CURSOR: Final = "figures.follow"
_BATCH = 2_000
_NOBODYS = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """months: of China, oldest first. regions: by their codes, the one with most records first.

    A region "" is of what no party with a place did; who is in office for a region does not see it.
    """

    months: tuple[str, ...]
    regions: tuple[str, ...]
    counts: Mapping[tuple[str, str, What], int]
    as_of: datetime

    def of_month(self, month: str, what: What) -> int:
        """Returns a month's count over all regions."""
        return sum(self.counts.get((month, region, what), 0) for region in self.regions)

    def of_region(self, region: str, what: What) -> int:
        """Returns a region's count over all months."""
        return sum(self.counts.get((month, region, what), 0) for month in self.months)

    def total(self, what: What) -> int:
        """Returns the count of all."""
        return sum(self.of_month(month, what) for month in self.months)


class Figures:
    """Counts; `follow` is a loop of the worker."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def follow(self) -> bool:
        """Counts the log's next records; returns whether there may be more. Writes `month_figure`."""
        with self._database.read() as connection:
            after = store.load_cursor(connection, CURSOR)
            rows = figurestore.new_records(connection, after, _BATCH)
            counts = _count(connection, rows)
        if not rows:
            return False
        with self._database.write() as connection:
            # First of all: whoever counts the same records meanwhile waits here, and finds them counted.
            if not store.advance_cursor(
                connection,
                CURSOR,
                before=after,
                position=rows[-1].leaf_index,
                now_ms=to_ms(self._clock.now()),
            ):
                return True
            figurestore.add(connection, counts)
        return len(rows) == _BATCH

    def counted(self, principal: Principal, *, months: int = 12) -> Counted:
        """Returns the figures of so many months, the present one last, up to MOST_MONTHS.

        Who is in office for a region gets that region's. Raises Denied for who may not see all findings.
        Read-only.
        """
        principal.check_may("finding.read", owner=_NOBODYS)
        now = self._clock.now()
        spans = list(_months(local_day(now), max(1, min(months, MOST_MONTHS))))
        counts: Counter[tuple[str, str, What]] = Counter()
        with self._database.read() as connection:
            for month, region, what, count in figurestore.by_region(connection, since=spans[0][0]):
                if month <= spans[-1][0]:
                    counts[(month, region or "", what)] += int(count)
            for month, since, until in spans:
                found = figurestore.findings_by_region(connection, since_ms=since, until_ms=until)
                for region, count in found:
                    counts[(month, region or "", "findings")] += int(count)
        office = principal.region
        if office is not None:
            counts = Counter({k: n for k, n in counts.items() if covers(office, k[1] or None)})
        sums: Counter[str] = Counter()
        for (_, region, what), count in counts.items():
            sums[region] += count if what == "records" else 0
        regions = sorted(sums, key=lambda region: (region == "", -sums[region], region))
        return Counted(tuple(span[0] for span in spans), tuple(regions), counts, now)


def _count(connection: Connection, rows: list[Any]) -> Counter[tuple[str, str, str]]:
    # The whole log goes through here while others wait for the processor: what days and senders come to
    # is found out once for each of them.
    by_day: Counter[tuple[int, str]] = Counter()
    complaints = []
    for _, stream, type_, actor, recorded_at in rows:
        if not isinstance(recorded_at, int) or not isinstance(actor, str):
            continue  # a hand has been there; the audit says so
        by_day[(day_of(recorded_at), actor)] += 1
        if type_ == "complaint":
            complaints.append((stream, _month(day_of(recorded_at))))
    counts: Counter[tuple[str, str, str]] = Counter()
    for (day, actor), count in by_day.items():
        party = actor if is_party_id(actor) else _NOBODYS
        counts[(_month(day), party, "records")] += count
    if complaints:
        sellers = figurestore.sellers_of(connection, sorted({stream for stream, _ in complaints}))
        for stream, month in complaints:
            counts[(month, sellers.get(stream, _NOBODYS), "complaints")] += 1
    return counts


@lru_cache(maxsize=64)
def _month(day: int) -> str:
    return day_named(day)[:7]


def _months(today: date, count: int) -> Iterator[tuple[str, int, int]]:
    """Yields month, its beginning and its end in milliseconds, the present month last."""
    number = today.year * 12 + today.month - 1
    for n in range(number - count + 1, number + 1):
        yield f"{n // 12}-{n % 12 + 1:02}", _begins(n), _begins(n + 1)


def _begins(number: int) -> int:
    first = datetime(number // 12, number % 12 + 1, 1, tzinfo=SHANGHAI)
    return to_ms(first.astimezone(UTC))
