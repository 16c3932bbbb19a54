"""Working through findings: who sees which, who works on them, notes, and what is decided.

A party sees its own; an authority those about parties of its region (`within` its account's office). Who
was concerned by a finding before it moved to another party keeps sight of it, and so does their region.
A decision is a record in the authority's name (findings.attribute, dismiss); which of its people made it
stands in `finding_note`, as notes and assignments do, which are the authority's own affair.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import uuid_utils

from app.db.engine import Database
from app.kit.canonical import canonical_bytes, check_canonical
from app.kit.clock import Clock, from_ms, to_ms
from app.kit.errors import FieldFault, invalid
from app.ledger.vault import SALT_BYTES, SealBroken, Vault
from app.oversight import casestore
from app.oversight.casestore import Wanted
from app.oversight.finding_rows import OPEN, concerned_by
from app.oversight.findings import Findings, FindingUnknown
from app.oversight.store import waiting_on
from app.parties import accountstore
from app.parties.principal import Principal
from app.parties.roles import reach
from app.parties.sessions import Person, person_of
from app.parties.store import find_parties
from app.trace.offices import acts_on

MAX_NOTE = 2_000
MOST_COUNTED = 1_000
MOST_ON_CHAIN = 50
_SECTION = "note"
_ACCOUNT = "account/"

NoteKind = Literal["note", "assigned", "released", "attributed", "dismissed", "measure"]


@dataclass(frozen=True, slots=True)
class Note:
    """One line of an authority's own log of a finding. by: who, an account's name or an API key's id.

    about: whom it was assigned to, the word of a decision. text: None where it was erased.
    """

    at: datetime
    by: str
    kind: str
    about: str
    text: str | None


@dataclass(frozen=True, slots=True)
class Work:
    """What an authority's people did about a finding. assignee: a login name, None for nobody."""

    assignee: str | None
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """A finding in a list, with the name of who works on it."""

    row: Any
    assignee: str | None


@dataclass(frozen=True, slots=True)
class OnChain:
    """A finding that is not settled, on a chain that somebody reads. mine: of the reader's own office.

    Others are there where the goods are before the reader in office, and where anybody may read them.
    """

    row: Any
    mine: bool


class Casework:
    """Findings as those who may see them work on them. Owns its short transactions."""

    def __init__(
        self, database: Database, findings: Findings, *, clock: Clock, vault: Vault
    ) -> None:
        self._database = database
        self._findings = findings
        self._clock = clock
        self._vault = vault

    # --- seeing --------------------------------------------------------------------------------

    def list(
        self,
        principal: Principal,
        wanted: Wanted,
        *,
        after: tuple[int, str] | None,
        limit: int,
        order: casestore.Order = "newest",
    ) -> Sequence[Listed]:
        """Returns findings that the caller sees, with who works on each. Read-only.

        wanted.assignee: a login name of one's own authority, "" for nobody. Raises Invalid where there
        is none of that name.
        """
        wanted = self._bounded(principal, wanted)
        with self._database.read() as connection:
            rows = casestore.list_findings(
                connection, wanted, after=after, limit=limit, order=order
            )
            names = casestore.names_of_accounts(
                connection, sorted({row.assignee for row in rows if row.assignee})
            )
        return [Listed(row, names.get(row.assignee) if row.assignee else None) for row in rows]

    def count(self, principal: Principal, wanted: Wanted) -> int:
        """Returns how many there are, MOST_COUNTED + 1 where there are more. Read-only."""
        wanted = self._bounded(principal, wanted)
        with self._database.read() as connection:
            return casestore.count_findings(connection, wanted, most=MOST_COUNTED + 1)

    def get(self, principal: Principal, finding: str) -> Any:
        """Returns a finding. Raises FindingUnknown, also where it is not the caller's to see. Read-only."""
        principal.check_may("finding.read")
        row = self._findings.get(finding)
        concerned = concerned_by(row)
        if not _sees_all(principal):
            if principal.party not in concerned:
                raise FindingUnknown("finding_unknown", id=finding[:80])
        elif principal.region is not None:
            with self._database.read() as connection:
                parties = find_parties(connection, sorted(concerned))
            if not principal.in_office(*(one.region for one in parties)):
                raise FindingUnknown("finding_unknown", id=finding[:80])
        return row

    def on_chain(
        self, principal: Principal, streams: Collection[str]
    ) -> tuple[Sequence[OnChain], int]:
        """Returns what is found on these chains and not settled, the gravest first, at most MOST_ON_CHAIN.

        And how many of these are other offices' affair and told to nobody else: whoever reads a chain must
        know that something waits on it, not what. What is open is public (`…/verification`). Read-only.
        """
        principal.check_may("desk.search")
        with self._database.read() as connection:
            rows = waiting_on(connection, streams, limit=MOST_ON_CHAIN)
            concerned = {row.id: concerned_by(row) for row in rows}
            named = sorted(frozenset().union(*concerned.values()))
            regions = {one.id: one.region for one in find_parties(connection, named)}
            acts = {
                name: principal.region is None or acts_on(connection, principal, name)
                for name in {row.stream_name for row in rows}
            }
        found = [
            OnChain(row, self._is_in_office(principal, concerned[row.id], regions)) for row in rows
        ]
        told = [
            one for one in found if one.mine or one.row.status == OPEN or acts[one.row.stream_name]
        ]
        return told, len(found) - len(told)

    @staticmethod
    def _is_in_office(
        principal: Principal, concerned: Iterable[str], regions: Mapping[str, str | None]
    ) -> bool:
        if principal.region is None:
            return True
        return principal.in_office(*(regions[one] for one in concerned if one in regions))

    # --- deciding --------------------------------------------------------------------------------

    def attribute(
        self,
        principal: Principal,
        finding: str,
        to: str,
        reason: str,
        *,
        named: str | None = None,
        seen: int | None = None,
    ) -> Any:
        """Returns the finding as attributed, see Findings.attribute; who did it is noted."""
        principal.check_may("finding.attribute")
        party = principal.own_party()
        before = self.get(principal, finding)
        row = self._findings.attribute(finding, to, reason, by=party, named=named, seen=seen)
        if before.attributed_to is None:
            self._note(principal, finding, "attributed", about=to, text=reason)
        return row

    def dismiss(
        self, principal: Principal, finding: str, reason: str, *, seen: int | None = None
    ) -> Any:
        """Returns the finding as dismissed, see Findings.dismiss; who did it is noted."""
        principal.check_may("finding.attribute")
        party = principal.own_party()
        before = self.get(principal, finding)
        row = self._findings.dismiss(finding, reason, by=party, seen=seen)
        if before.status != row.status:
            self._note(principal, finding, "dismissed", text=reason)
        return row

    def note_measure(self, principal: Principal, finding: str, *, kind: str, record: str) -> None:
        """Notes that a measure was recorded because of a finding. Writes `finding_note`."""
        principal.check_may("finding.work")
        self.get(principal, finding)
        self._note(principal, finding, "measure", about=f"{kind} {record}")

    # --- the authority's own -----------------------------------------------------------------------

    def work(self, principal: Principal, finding: str) -> Work:
        """Returns what the caller's own authority did about a finding. Read-only."""
        principal.check_may("finding.work")
        party = principal.own_party()
        self.get(principal, finding)
        with self._database.read() as connection:
            rows = casestore.notes_of(connection, finding, party)
            assignee = casestore.assignee_of(connection, finding, party)
            told = [row.by.removeprefix(_ACCOUNT) for row in rows]
            told += [row.about for row in rows if row.kind == "assigned"]
            names = casestore.names_of_accounts(
                connection, sorted({*told, *([assignee] if assignee else [])})
            )
        notes = tuple(self._read_note(row, names) for row in rows)
        return Work(None if assignee is None else names.get(assignee, assignee), notes)

    def note(self, principal: Principal, finding: str, text: str) -> None:
        """Adds a note for one's own authority; its words are sealed. Raises Invalid."""
        principal.check_may("finding.work")
        self.get(principal, finding)
        told = text.strip()
        if not 1 <= len(told) <= MAX_NOTE:
            params = {"expected": f"1..{MAX_NOTE}", "got": len(told)}
            raise invalid(FieldFault(("text",), "length", params))
        check_canonical(told, ("text",))
        self._note(principal, finding, "note", text=told)

    def assign(self, principal: Principal, finding: str, assignee: str | None) -> bool:
        """Gives a finding to somebody of one's own authority, by login name; None: to nobody.

        Returns whether that changed anything: to who has it already nothing is given, and nothing noted.
        Raises Invalid where there is none of that name, or where that one may not see the finding.
        """
        principal.check_may("finding.work")
        party = principal.own_party()
        self.get(principal, finding)
        account = None
        if assignee is not None:
            person = self._colleague(party, assignee, loc="assignee")
            try:
                self.get(person.principal(), finding)
            except FindingUnknown as fault:
                params = {"office": person.region or "", "got": assignee[:40]}
                raise invalid(FieldFault(("assignee",), "assignee_office", params)) from fault
            account = person.id
        kind: NoteKind = "released" if account is None else "assigned"
        row = self._note_row(principal, finding, kind, about=account or "")
        with self._database.write() as connection:
            if casestore.assignee_of(connection, finding, party) == account:
                return False
            casestore.insert_note(connection, row)
            casestore.assign(connection, finding, party, account, at_ms=row["at"])
        return True

    def colleagues(self, principal: Principal) -> Sequence[str]:
        """Returns the login names of one's own authority to whom findings can be given. Read-only."""
        principal.check_may("finding.work")
        with self._database.read() as connection:
            rows = accountstore.list_accounts(connection, party=principal.own_party())
        return [row.name for row in rows if _works(row)]

    def _colleague(self, party: str, name: str, *, loc: str) -> Person:
        with self._database.read() as connection:
            row = accountstore.find_by_name(connection, name.strip().lower())
        if row is None or row.party != party or not _works(row):
            raise invalid(FieldFault((loc,), "assignee", {"got": name[:40]}))
        return person_of(row)

    def _bounded(self, principal: Principal, wanted: Wanted) -> Wanted:
        principal.check_may("finding.read", owner=wanted.party)
        if not _sees_all(principal):
            return replace(wanted, party=principal.party, region=None, within=None, assignee=None)
        if wanted.assignee:
            colleague = self._colleague(principal.party or "", wanted.assignee, loc="assignee")
            wanted = replace(wanted, assignee=colleague.id)
        return replace(wanted, within=principal.region, office=principal.party)

    def _note(
        self,
        principal: Principal,
        finding: str,
        kind: NoteKind,
        *,
        about: str = "",
        text: str = "",
    ) -> None:
        row = self._note_row(principal, finding, kind, about=about, text=text)
        with self._database.write() as connection:
            casestore.insert_note(connection, row)

    def _note_row(
        self,
        principal: Principal,
        finding: str,
        kind: NoteKind,
        *,
        about: str = "",
        text: str = "",
    ) -> dict[str, Any]:
        identifier = str(uuid_utils.uuid7())
        sealed = None
        if text:
            sealed = self._vault.seal(
                place=(finding, identifier, _SECTION),
                salt=secrets.token_bytes(SALT_BYTES),
                content=canonical_bytes({"text": text}),
            )
        return {
            "id": identifier,
            "finding": finding,
            "party": principal.party,
            "by": principal.key_id,
            "at": to_ms(self._clock.now()),
            "kind": kind,
            "about": about,
            "sealed": None if sealed is None else sealed.sealed,
            "wrapped_key": None if sealed is None else sealed.wrapped_key,
        }

    def _read_note(self, row: Any, names: Mapping[str, str]) -> Note:
        text: str | None = ""
        if row.sealed is not None:
            try:
                _, content = self._vault.open(
                    place=(row.finding, row.id, _SECTION),
                    sealed=row.sealed,
                    wrapped_key=row.wrapped_key,
                )
                text = json.loads(content)["text"]
            except SealBroken:
                text = None
        by = names.get(row.by.removeprefix(_ACCOUNT), row.by)
        about = names.get(row.about, row.about) if row.kind == "assigned" else row.about
        return Note(from_ms(row.at), by, row.kind, about, text)


def _works(row: Any) -> bool:
    return row.disabled_at is None and "audit" in person_of(row).scopes


def _sees_all(principal: Principal) -> bool:
    return reach(principal.roles, "finding.read") == "any"
