"""What is measured: figures, and the machine that they are true of."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app import __version__
from app.kit.clock import SystemClock, format_time

# A piece takes about as long as a page.
_SWING_S, _SWING_HASHES = 5.0, 15_000
_SYNCS = 100


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing. value: the median of the runs, in `unit`; n: how many it is about.

    ceiling: the same in the same run with nothing of ours in the way; the ratio is that of medians.
    also: whatever else was seen, named with its unit. cpu_us, ceiling_cpu_us: processor time for one
    of what is counted, by process and thread.
    """

    name: str
    value: float
    unit: str
    n: int
    ceiling: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    memory_mb: float | None = None
    also: Mapping[str, float | str] = field(default_factory=dict)
    cpu_us: Mapping[str, float] = field(default_factory=dict)
    ceiling_cpu_us: Mapping[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Returns value / ceiling, None where there is no ceiling."""
        return None if not self.ceiling else self.value / self.ceiling

    def as_json(self) -> dict[str, Any]:
        """Returns the figure without what it does not have."""
        told = {
            "name": self.name,
            "value": _short(self.value),
            "unit": self.unit,
            "ceiling": _short(self.ceiling),
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "p50_ms": _short(self.p50_ms),
            "p99_ms": _short(self.p99_ms),
            "memory_mb": _short(self.memory_mb),
            "n": self.n,
            "also": {
                name: _short(v) if isinstance(v, float) else v for name, v in self.also.items()
            },
            "cpu_us": {name: round(us, 1) for name, us in self.cpu_us.items()},
            "ceiling_cpu_us": {name: round(us, 1) for name, us in self.ceiling_cpu_us.items()},
        }
        return {name: value for name, value in told.items() if value not in (None, {})}


def median(values: Iterable[float]) -> float:
    """Returns the middle value."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """Returns the smallest value that is not below `share` (0 to 1) of all."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def describe_machine(folder: Path, database: str) -> dict[str, Any]:
    """Returns what the figures depend on. Writes and removes a small file in `folder`.

    database: its name and version.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "at": format_time(SystemClock().now()),
        "suxin": __version__,
        "cpu": _first_of("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": cores,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "database": database,
        "load": load_now(),
        "sync_ms": _short(_sync_ms(folder)),
        **_swing(),
    }


def load_now() -> float:
    """Returns the load average of the last minute."""
    return round(os.getloadavg()[0], 2)


class Peak:
    """The most memory that some processes have had together, in 10^6 bytes, as far as was looked.

    resident_mb: each one's own; what they share counts for each. shared_once_mb: it counts once.
    """

    def __init__(self) -> None:
        self.resident_mb = 0.0
        self.shared_once_mb = 0.0
        self._next = 0.0

    def look(self, pids: Iterable[int]) -> None:
        """Looks, at most twice a second: the kernel walks all pages to answer."""
        if time.monotonic() < self._next:
            return
        resident = shared_once = 0.0
        for pid in pids:
            resident += _megabytes(f"/proc/{pid}/smaps_rollup", "Rss")
            shared_once += _megabytes(f"/proc/{pid}/smaps_rollup", "Pss")
        self.resident_mb = max(self.resident_mb, resident)
        self.shared_once_mb = max(self.shared_once_mb, shared_once)
        self._next = time.monotonic() + 0.5


def _megabytes(path: str, name: str) -> float:
    told = _first_of(path, f"{name}:")
    return int(told.split()[0]) * 1024 / 1e6 if told else 0.0


def _sync_ms(folder: Path) -> float:
    """Returns how long the disk takes to keep 4 KiB: no single transaction can be faster."""
    taken = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_SYNCS):
            began = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            taken.append((time.perf_counter() - began) * 1000)
    return median(taken)


def _swing() -> dict[str, float | None]:
    """Returns how long the same small piece of work takes, again and again, in ms.

    Nothing of ours is in it. So the distance between its percentiles is the machine's alone, and no
    figure that needs the processor can have its own any closer together.
    """
    taken = []
    until = time.monotonic() + _SWING_S
    while time.monotonic() < until:
        began = time.perf_counter()
        told = b""
        for _ in range(_SWING_HASHES):
            told = hashlib.sha256(told).digest()
        taken.append((time.perf_counter() - began) * 1000)
    shares = {"least": 0.0, "p50": 0.5, "p90": 0.9, "p99": 0.99}
    return {f"work_{name}_ms": _short(percentile(taken, share)) for name, share in shares.items()}


def _first_of(path: str, name: str) -> str | None:
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except OSError:
        return None
    found = (line.split(":", 1)[1].strip() for line in lines if line.startswith(name))
    return next(found, None)


def _short(value: float | None) -> float | None:
    """Returns the value with the digits that mean something."""
    if value is None:
        return None
    return round(value, 1) if abs(value) >= 100 else float(f"{value:.3g}")


def cpu_s() -> float:
    """Returns the processor time of this process and of those that it has seen end."""
    return sum(os.times()[:4])
