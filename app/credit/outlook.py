"""What a party may do for its score, told to itself and to authorities. Read-only."""

from __future__ import annotations

from app.credit.commitments import Commitments
from app.credit.matters import ACTIVE, QUESTIONED
from app.credit.raising import Raising, raise_score
from app.credit.service import Credit
from app.db.engine import Database
from app.kit.clock import Clock
from app.parties.offices import check_office
from app.parties.principal import Principal


class Outlook:
    """Asks the score function what would raise a score."""

    def __init__(
        self, database: Database, credit: Credit, commitments: Commitments, *, clock: Clock
    ) -> None:
        self._database = database
        self._credit = credit
        self._commitments = commitments
        self._clock = clock

    def of(self, principal: Principal, party: str) -> Raising:
        """Returns what would raise a party's score.

        Raises what `check_may` raises, OutsideRegion, PartyUnknown.
        """
        principal.check_may("warning.read", owner=party)
        check_office(self._database, principal, party)
        with self._database.one_snapshot():
            entries, card = self._credit.entries(party)
            signed = self._commitments.of_party(party, principal)
            return raise_score(
                entries,
                card.holds,
                self._credit.policy,
                party=party,
                at=self._clock.now(),
                may_sign=all(one.status not in (ACTIVE, QUESTIONED) for one in signed),
            )
