"""Streams made long: by records of the service's own, which are quickly made and change no life."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from app.ledger.record import Claim
from app.ledger.submission import Draft, Submission, View, all_recorded
from app.parties.identity import SYSTEM

_PART = 500


def lengthen(market: Any, stream: str, count: int, type_: str = "hiding") -> None:
    """Gives a stream so many more records, each about something that nobody wrote."""

    def decide(claim: Claim, view: View) -> Draft:
        return Draft(state=view.heads[claim.stream].state)

    for start in range(0, count, _PART):
        data = [
            {"of": str(uuid4()), "reason": "insult", "sections": ["text"]}
            for _ in range(min(_PART, count - start))
        ]
        now = market.clock.now()
        claims = (Claim(stream, str(uuid4()), type_, SYSTEM, now, one, {}) for one in data)
        submissions = [Submission(one, SYSTEM, decide, time_given=False) for one in claims]
        all_recorded(market.rooms.recorder.submit_and_wait(submissions))
    market.publish()
