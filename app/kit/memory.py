"""How much memory this process has needed."""

from __future__ import annotations

from pathlib import Path


def peak_memory_mb() -> float:
    """Returns the most memory this process has had resident, in 10^6 bytes; 0 where no /proc tells.

    Not getrusage's ru_maxrss: a child begins with its parent's peak there.
    """
    try:
        lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    except OSError:
        return 0.0
    peaks = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(next(peaks, "0")) * 1024 / 1e6
