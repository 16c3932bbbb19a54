"""Many events that are being recorded: in runs and parts, and their answers in the order of the events.

A part is made ready while those before it are recorded, and answered while those behind it are: the two
are different processes, and a client who sends a thousand waits for their sum otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future

from app.kit.errors import Fault
from app.ledger.submission import Answer, Submission
from app.trace.claims import record_id
from app.trace.leaving import names_case
from app.trace.naming import NAMES_ANOTHER
from app.trace.requests import EventRequest

# Events of a part: few enough that the first is soon on its way, and a transaction costs each little.
_PART = 250


class Underway:
    """Events that were handed over. Iterated, as often as one likes: their answers as they come."""

    def __init__(self) -> None:
        self._parts: list[tuple[Sequence[Submission | Fault], Future[list[Answer]] | None]] = []

    def add(
        self,
        prepared: Sequence[Submission | Fault],
        hand_over: Callable[[], Future[list[Answer]]],
    ) -> None:
        """Hands over what could be prepared. Raises its fault where nothing was handed over yet."""
        if all(isinstance(one, Fault) for one in prepared):
            self._parts.append((prepared, None))
            return
        try:
            self._parts.append((prepared, hand_over()))
        except Fault as fault:
            if not self._parts:
                raise
            # Others stand already: each event has its own answer.
            refused = [one if isinstance(one, Fault) else fault for one in prepared]
            self._parts.append((refused, None))

    def wait(self) -> None:
        """Returns when everything handed over is answered."""
        for _, answered in self._parts:
            if answered is not None:
                answered.result()

    def __iter__(self) -> Iterator[Answer]:
        """Yields an answer for each event, in order."""
        for prepared, answered in self._parts:
            yield from in_order(prepared, [] if answered is None else answered.result())


def parts_of(run: Sequence[EventRequest]) -> Iterator[Sequence[EventRequest]]:
    """Yields the requests in parts that are handed over one after the other."""
    for start in range(0, len(run), _PART):
        yield run[start : start + _PART]


def runs_of(requests: Sequence[EventRequest], *, atomic: bool) -> list[list[EventRequest]]:
    """Returns the requests cut wherever one needs another before it, which must be recorded by then.

    Because it names it, or is the carrier's word about a case that a signature took the goods out of. What
    is recorded all or none cannot be cut.
    """
    runs: list[list[EventRequest]] = [[]]
    given: set[str] = set()
    signed: set[str] = set()
    for request in requests:
        of = request.data.get("of") if request.type in NAMES_ANOTHER else None
        is_next = request.code in signed and names_case(request)
        if not atomic and (is_next or (isinstance(of, str) and of.lower() in given)):
            runs.append([])
            given, signed = set(), set()
        runs[-1].append(request)
        if request.id is not None:
            given.add(_spelled(request.id))
        if request.type == "signature":
            signed.add(request.code)
    return runs


def in_order(
    prepared: Sequence[Submission | Fault], recorded: Sequence[Answer]
) -> Iterator[Answer]:
    """Yields an answer for each: its fault, or the next of what was recorded."""
    answers = iter(recorded)
    for one in prepared:
        yield one if isinstance(one, Fault) else next(answers)


def _spelled(record_id_given: str) -> str:
    try:
        return record_id(record_id_given)
    except Fault:  # refused when it is prepared, and then nobody can name it
        return ""
