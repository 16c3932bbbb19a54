"""The stream `log/heads`: what the log says of itself, as records like any other.

Here stand the hand-overs from one log to the next (app.ledger.rotation), and what else speaks of all
streams at once. The service writes it through the recorder and nobody else can: no route leads here.
Its head's state belongs to whoever writes: each keeps what it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.ledger.headmap import HEADS_STREAM
from app.ledger.record import Claim
from app.ledger.recorder import Recorder
from app.ledger.store import StreamKeyTaken, load_heads
from app.ledger.submission import Draft, Recorded, Submission, View, all_recorded

HEADS = HEADS_STREAM
_SYSTEM = "system"

ROTATING = "rotating"
"""In the head's state: the origin of the log to which a rotation under way leads."""

State = Mapping[str, Any]


def submit_head(
    recorder: Recorder,
    *,
    id_: str,
    type_: str,
    data: Mapping[str, Any],
    at: datetime,
    change: Callable[[State], State] = lambda state: state,
    guard: Callable[[Connection], object] | None = None,
) -> Recorded:
    """Returns the committed record of `log/heads`, the one of before where this id is there already.

    id_: a UUID, the same for the same fact, so that asking twice records it once. change: from the
    head's state to the one after. guard: as in Submission. Raises what the recorder answers:
    Unavailable, Conflict.
    """

    def decide(_: Claim, view: View) -> Draft:
        return Draft(change(view.heads[HEADS].state))

    claim = Claim(
        stream=HEADS, id=id_, type=type_, actor=_SYSTEM, occurred_at=at, data=data, sealed={}
    )
    submission = Submission(claim, _SYSTEM, decide, time_given=False, guard=guard)
    (recorded,) = all_recorded(recorder.submit_and_wait([submission]))
    return recorded


def rotating_to(connection: Connection) -> str | None:
    """Returns the origin to which a rotation under way leads, None where none is. Read-only."""
    try:
        told = load_heads(connection, [HEADS])[HEADS].state.get(ROTATING)
    except StreamKeyTaken:  # a head that was altered: a finding, which stops nobody
        return None
    return None if told is None else str(told)
