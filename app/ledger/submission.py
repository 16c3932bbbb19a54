"""What goes into the recorder and what comes out: plain values, and one pure function.

A Submission carries a claim and the function that decides it. What the function may see it names
beforehand (`reads`), so that the recorder can read everything for a whole batch at once.

Named tuples, because each event makes some twenty of them: a frozen dataclass takes four times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from app.kit.errors import Fault
from app.ledger.record import ZERO_HASH, Claim, Signed

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class StreamHead(NamedTuple):
    """Where a stream stands. seq is -1, hash zero and recorded_at_ms 0 where there is no such stream.

    state: the fold of the room that owns the stream, opaque to the ledger; never changed in place.
    """

    stream: str
    seq: int
    hash: bytes
    recorded_at_ms: int
    state: Mapping[str, Any]

    @property
    def exists(self) -> bool:
        """Whether the stream has a record."""
        return self.seq >= 0


def no_head(stream: str) -> StreamHead:
    """Returns the head of a stream that does not exist yet."""
    return StreamHead(stream, -1, ZERO_HASH, 0, {})


class Read(NamedTuple):
    """A thing that `decide` wants to see: a stream's head (key ""), or one of its facts."""

    stream: str
    key: str = ""


class View(NamedTuple):
    """What `decide` sees, read inside the transaction and under this batch's overlay.

    now: the record's own recorded_at. heads: the claim's stream and every Read with key "".
    facts: the facts that exist among the Reads; a missing one is absent.
    """

    now: datetime
    heads: Mapping[str, StreamHead]
    facts: Mapping[tuple[str, str], Any]


class Effect(NamedTuple):
    """An index row to be written in the record's own transaction, by the writer of its kind."""

    kind: str
    row: Mapping[str, Any]


class Draft(NamedTuple):
    """What a decision adds to the claim: the stream's new state, facts (None removes), references.

    facts: keys belong to the claim's own stream. refs: (stream, seq) of committed records, or of
    earlier ones of this batch; the recorder fills in their hashes. outbox: (topic, payload) for the
    worker. side: (kind, digest) rows of the keyed side index. source: where only the decision knows
    it, in place of the submission's.
    """

    state: Mapping[str, Any]
    facts: Mapping[str, Any] = _NOTHING
    refs: tuple[tuple[str, int], ...] = ()
    effects: tuple[Effect, ...] = ()
    outbox: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    side: tuple[tuple[str, bytes], ...] = ()
    source: str | None = None


class Seal(NamedTuple):
    """A section to be sealed: its name, 32-byte salt and canonical content."""

    name: str
    salt: bytes
    content: bytes


class Submission(NamedTuple):
    """A claim on its way into the ledger.

    reads_after: further things to see that only the stream's own head can name, such as its lot.
    time_given: whether the sender named occurred_at; where not, a repeat need not agree on it.
    guard: asked last in the record's own transaction; a Fault that it raises is the answer, and
    nothing is recorded.
    """

    claim: Claim
    source: str
    decide: Callable[[Claim, View], Draft]
    via: str | None = None
    signed: Signed | None = None
    seals: tuple[Seal, ...] = ()
    reads: tuple[Read, ...] = ()
    reads_after: Callable[[StreamHead], tuple[Read, ...]] | None = None
    time_given: bool = True
    guard: Callable[[Any], object] | None = None


def with_effects(submission: Submission, *effects: Effect) -> Submission:
    """Returns the submission, which writes these rows too if it is recorded; a repeat writes none."""

    def decide(claim: Claim, view: View) -> Draft:
        draft = submission.decide(claim, view)
        return draft._replace(effects=(*draft.effects, *effects))

    return submission._replace(decide=decide)


class Recorded(NamedTuple):
    """A record that is committed. `replayed`: it was there before, and this is its first answer."""

    stream: str
    seq: int
    id: str
    type: str
    hash: bytes
    prev: bytes
    recorded_at: datetime
    body: bytes
    replayed: bool


Answer = Recorded | Fault


def all_recorded(answers: Iterable[Answer]) -> list[Recorded]:
    """Returns the records, for who wants all of them. Raises the first fault."""
    found: list[Recorded] = []
    for answer in answers:
        if isinstance(answer, Fault):
            raise answer
        found.append(answer)
    return found


class Abandoned(Fault):
    """Not recorded because another claim of the same all-or-none request was refused."""

    slug = "lifecycle-conflict"
