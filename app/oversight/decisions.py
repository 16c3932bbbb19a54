"""What a regulator decides on a finding, as a record on the stream of each party that it concerns.

`attribution` {finding, to} and `dismissal` {finding}; the reason is sealed, the record commits to it.
The finding's row changes in the record's own transaction. Of a finding that concerns nobody, the
decision stands on the regulator's own stream.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal
from uuid import UUID, uuid5

from app.kit.canonical import canonical_bytes
from app.kit.clock import Clock, to_ms
from app.kit.errors import Conflict
from app.ledger.record import Claim
from app.ledger.recorder import Recorder
from app.ledger.submission import Draft, Effect, Seal, Submission, View, all_recorded
from app.ledger.vault import SALT_BYTES
from app.oversight.finding_rows import DISMISSED
from app.parties.chain import party_claim
from app.parties.identity import is_party_id
from app.parties.roles import REGULATOR

_NAMESPACE = UUID("4f0d7c5e-8a41-5d0b-9f26-2f6f0c1f7b07")
DecisionType = Literal["attribution", "dismissal"]


class AlreadyAttributed(Conflict):
    """The finding was attributed before: to somebody else, or for another reason."""

    words: Mapping[str, str] = {"to": "casework.to"}


class AlreadyDismissed(Conflict):
    """The finding was decided to be no fault."""


class FindingMoved(Conflict):
    """Who decides did not see how the finding stands now."""


def check_undecided(
    kind: DecisionType,
    row: Any,
    moves: Sequence[Any],
    reason: str,
    *,
    same: bool,
    seen: int | None,
) -> None:
    """Raises AlreadyDismissed or AlreadyAttributed where a finding is decided, FindingMoved where it moved.

    moves: of the finding, oldest first. same: whether it stands as it would be decided now; for the same
    reason that is a decision told again, for another one a decision whose reason would be kept nowhere.
    seen: how many of the moves were known to who decides, None where nobody says. What was attributed may
    still be dismissed, which is how a wrong attribution is undone; but not by who did not see it.
    """
    if same and any(one.by is not None and one.why == reason for one in moves):
        return
    if row.status == DISMISSED:
        raise AlreadyDismissed("already_dismissed")
    undoes = kind == "dismissal" and seen in (None, len(moves))
    if row.attributed_to is not None and not undoes:
        raise AlreadyAttributed("already_attributed", to=row.attributed_to)
    if seen is not None and seen != len(moves):
        raise FindingMoved("finding_moved")


class Decisions:
    """Records decisions. Owns no transaction: the recorder does."""

    def __init__(self, recorder: Recorder, *, clock: Clock) -> None:
        self._recorder = recorder
        self._clock = clock

    def record(
        self,
        kind: DecisionType,
        finding: Any,
        *,
        data: Mapping[str, Any],
        values: Mapping[str, Any],
        reason: str,
        by: str,
        concerns: Iterable[str | None],
    ) -> None:
        """Records a decision once for each party.

        finding: its row, as it stood when this was decided. values: what is made of it. Raises
        FindingMoved where somebody else decided meanwhile.
        """
        parties = {one for one in concerns if one is not None and is_party_id(one)} or {by}
        row = {
            "finding": finding.id,
            "stood": [finding.status == DISMISSED, finding.attributed_to],
            "values": values,
            "at": to_ms(self._clock.now()),
            "why": reason,
            "by": by,
        }
        effect = Effect("finding_decided", row)

        def decide(claim: Claim, view: View) -> Draft:
            return Draft(view.heads[claim.stream].state, effects=(effect,))

        submissions = []
        for party in sorted(parties):
            seal = Seal(
                "reason", secrets.token_bytes(SALT_BYTES), canonical_bytes({"text": reason})
            )
            identifier = str(uuid5(_NAMESPACE, f"{kind} {finding.id}"))
            claim = party_claim(
                party, identifier, kind, {"finding": finding.id, **data}, actor=by,
                at=self._clock.now(), seals=(seal,),
            )  # fmt: skip
            submissions.append(
                Submission(claim, REGULATOR, decide, seals=(seal,), time_given=False)
            )
        all_recorded(self._recorder.submit_and_wait(submissions, atomic=True))
