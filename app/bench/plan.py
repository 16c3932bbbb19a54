"""How much is measured: for a look, for a table, or for a night."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

RUNS = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """scale: times the usual number of records; below a tenth only one short run is made of each.

    root: where folders are made. tell: is told what is being done.
    """

    scale: float
    root: Path
    tell: Callable[[str], None] = lambda _: None

    @property
    def full(self) -> bool:
        """Whether this is a measurement and no mere look."""
        return self.scale >= 0.1

    @property
    def runs(self) -> int:
        """How many runs the median is of."""
        return RUNS if self.full else 1

    @property
    def share(self) -> float:
        """The scale for what would only wear the disk if it grew with it."""
        return min(1.0, max(self.scale, 0.1))

    def count(self, usual: int) -> int:
        """Returns `usual` at this scale, at least one."""
        return max(1, round(usual * self.scale))

    def folder(self, name: str) -> Path:
        """Returns a new folder."""
        folder = self.root / name
        folder.mkdir()
        return folder
