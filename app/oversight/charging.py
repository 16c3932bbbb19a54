"""Charging for findings: announced, moved to who answers, replaced by less, annulled; each once.

All go through app.credit with the finding as the fact, so that asked again after a stop nothing is
charged twice. A cure that fell away is a new fact: its charge has a key of its own.
"""

from __future__ import annotations

from typing import Any

from app.credit.service import Credit, NewEntry
from app.kit.clock import Clock
from app.oversight.kinds import consequence_of


class Charges:
    """What is charged for findings. Owns no transaction."""

    def __init__(self, credit: Credit, *, clock: Clock) -> None:
        self._credit = credit
        self._clock = clock

    def announce(self, row: Any, party: str | None) -> None:
        """Charges the kind's rule with notice, where the kind has one and somebody answers."""
        rule = consequence_of(row.kind).rule
        if rule is not None and party is not None:
            self._post(row, party, rule, notice=True)

    def confirm(self, row: Any, party: str | None, *, by: str) -> None:
        """Charges what the regulator `by` confirmed, with notice."""
        rule = consequence_of(row.kind).confirmed
        if rule is not None and party is not None:
            self._post(row, party, rule, notice=True, by=by)

    def forgive(self, row: Any, party: str | None, *, late: bool, reason: str) -> None:
        """Cancels a charge that is only announced; cured late, it becomes the smaller one."""
        told = consequence_of(row.kind)
        if told.rule is None or party is None:
            return
        cancelled = self._credit.cancel(
            party=party, rule=told.rule, key=charge_key(row), reason=reason
        )
        if cancelled and late and told.late is not None:
            self._post(row, party, told.late, notice=False)

    def move(self, row: Any, *, from_party: str, to_party: str | None, reason: str) -> None:
        """Charges `to_party` with what was charged for a finding, with notice, and nobody else."""
        told = consequence_of(row.kind)
        for rule in filter(None, (told.rule, told.late)):
            if not self._credit.stands(party=from_party, rule=rule, key=charge_key(row)):
                continue
            # In this order: asked again after a stop, what was annulled already would move nowhere.
            if to_party is not None:
                self._post(row, to_party, rule, notice=True)
            self._credit.annul(party=from_party, rule=rule, key=charge_key(row), reason=reason)

    def annul(self, row: Any, party: str | None, *, reason: str) -> None:
        """Cancels all that stands for a finding against a party: it was no fault at all."""
        told = consequence_of(row.kind)
        for rule in filter(None, (told.rule, told.late, told.confirmed)):
            if party is not None:
                self._credit.annul(party=party, rule=rule, key=charge_key(row), reason=reason)

    def _post(
        self, row: Any, party: str, rule: str, *, notice: bool, by: str | None = None
    ) -> None:
        evidence = {"finding": row.id}
        if row.kind.startswith("continuity.missing_"):
            evidence["step"] = row.kind.split("_")[-1]
        else:
            evidence["kind"] = row.kind
        now = self._clock.now()
        new = NewEntry(party, rule, charge_key(row), evidence, now, notice=notice)
        self._credit.post(new, confirmed_by=by)


def charge_key(row: Any) -> str:
    """Returns what makes the charge this charge: the finding, and how often its cure fell away."""
    told: str = row.id
    return f"{told} {row.round}" if row.round else told
