"""How well the detectors do on made-up lives: precision and recall of each, the same for the same seed.

`suxin bench --only detectors` prints it, docs/detectors.md holds it, a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from app.bench.made_lives import LIVES, Case
from app.bench.made_reviews import ASSUMED, KINDS, make_months

SEED = 20_261_125


@dataclass(frozen=True, slots=True)
class Row:
    """Of one detector. hits: planted and found; alarms: found where nothing was planted."""

    kind: str
    cases: int
    planted: int
    hits: int
    alarms: int

    @property
    def precision(self) -> str:
        """The share of what was found that was planted, in two decimals; "-" where nothing was found."""
        found = self.hits + self.alarms
        return f"{self.hits / found:.2f}" if found else "-"

    @property
    def recall(self) -> str:
        """The share of what was planted that was found, in two decimals."""
        return f"{self.hits / self.planted:.2f}" if self.planted else "-"

    @property
    def markdown(self) -> str:
        """Its line of the table in docs/detectors.md."""
        told = (self.cases, self.planted, self.hits, self.alarms, self.precision, self.recall)
        return f"| `{self.kind}` | {' | '.join(map(str, told))} |"


HEADER = "| detector | cases | planted | found of these | false alarms | precision | recall |"


def measure_detectors(seed: int = SEED) -> tuple[Row, ...]:
    """Returns a row for each detector; each has random numbers of its own."""
    rows = [_row(kind, made.make(Random(f"{seed} {kind}"))) for kind, made in LIVES.items()]
    months = list(make_months(Random(f"{seed} brushing")))
    rows += [
        _row(f"brushing.{kind}", ((brushed, kind in found) for brushed, found in months))
        for kind in KINDS
    ]
    rows.append(_row("brushing: any", ((brushed, bool(found)) for brushed, found in months)))
    rows.append(
        _row("brushing: two or more", ((brushed, len(found) > 1) for brushed, found in months))
    )
    return tuple(rows)


def _row(kind: str, cases: Iterable[Case]) -> Row:
    told = list(cases)
    return Row(
        kind,
        len(told),
        sum(planted for planted, _ in told),
        sum(planted and found for planted, found in told),
        sum(found and not planted for planted, found in told),
    )


def describe_detectors(rows: Iterable[Row]) -> str:
    """Returns the generated part of docs/detectors.md: what was assumed, and the table."""
    lives = "\n".join(f"- `{kind}`: {made.assumed}" for kind, made in LIVES.items())
    table = "\n".join((HEADER, "|---|---|---|---|---|---|---|", *(row.markdown for row in rows)))
    return f"{lives}\n- `brushing.…`: {ASSUMED}\n\n{table}\n"
