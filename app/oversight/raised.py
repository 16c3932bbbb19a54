"""New findings in the operator's log: one line a kind for a round of work, however many goods have it.

The findings stand in the database, each by itself. One waybill on a container's goods is one sentence to
whoever reads the log, and not thousands.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog

log = structlog.get_logger(__name__)

_round: ContextVar[dict[str, list[str]] | None] = ContextVar("raised", default=None)
"""The goods by kind of the round under way, None between rounds."""


def note_raised(kind: str, stream: str) -> None:
    """Tells of a new finding: at the end of the round, or at once where there is none."""
    raised = _round.get()
    if raised is None:
        _tell(kind, [stream])
    else:
        raised.setdefault(kind, []).append(stream)


@contextmanager
def told_together() -> Iterator[None]:
    """A round: what is raised meanwhile is told when it ends, also where it fails."""
    raised: dict[str, list[str]] = {}
    before = _round.set(raised)
    try:
        yield
    finally:
        _round.reset(before)
        for kind, streams in raised.items():
            _tell(kind, streams)


def _tell(kind: str, streams: list[str]) -> None:
    """stream: the first of them."""
    log.warning("finding.raised", kind=kind, count=len(streams), stream=streams[0])
