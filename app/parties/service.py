"""Registering and verifying parties, and showing them: to themselves, and to the public.

Every decision stands in `rules` and every change goes through the recorder. Signing keys and
mandates are in `powers`, API keys in `access`.
"""

from __future__ import annotations

import functools
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.db.engine import Database
from app.db.hot import ask_ahead
from app.kit.canonical import canonical_bytes, check_canonical
from app.kit.clock import from_ms
from app.kit.errors import Denied, FieldFault, invalid
from app.ledger import store as ledger
from app.ledger.submission import Read, StreamHead, no_head
from app.parties import rules, store
from app.parties.chain import PartyChain
from app.parties.identity import SYSTEM, is_party_id, new_exempt_id
from app.parties.principal import Principal
from app.parties.registration import Registration, read_date
from app.parties.roles import SELLER_ROLES, reach
from app.parties.rules import PENDING, AlreadyRegistered, PartyUnknown, party_stream

MAX_EVIDENCE = 2_000


class SelfVerification(Denied):
    """A party asks to verify itself."""


@dataclass(frozen=True, slots=True)
class PartyView:
    """A party as somebody may see it.

    name: masked in the public view of an exempt person, "" once erased. measures: in force or to
    come, by record id. head: of its stream, as it was read with the rest. licences: the periods that
    count or did (`licence_book`). created_by: the platform that registered it; None in the public
    view too.
    """

    id: str
    name: str
    roles: tuple[str, ...]
    region: str | None
    status: str
    exempt: bool
    licences: tuple[Mapping[str, Any], ...]
    next_check: str | None
    created_at: datetime
    measures: Mapping[str, Mapping[str, Any]]
    head: StreamHead
    created_by: str | None = None


class Parties:
    """Who acts. `content_key`: 32 bytes, with which a repeat is told from a conflict."""

    def __init__(self, database: Database, chain: PartyChain, *, content_key: bytes) -> None:
        self._database = database
        self._chain = chain
        self._content_key = content_key

    def register(
        self, principal: Principal, told: Registration, *, exempt_id: str | None = None
    ) -> tuple[PartyView, bool]:
        """Returns the party as first registered, and whether it was there before (a repeat).

        exempt_id: drawn before for an exempt person; None: a new one.
        Raises AlreadyRegistered where other facts were registered, or what `check_may` raises.
        """
        sellers = SELLER_ROLES.issuperset(told.roles)
        action = "party.register_seller" if sellers else "party.register"
        principal.check_may(action)
        party = told.uscc or exempt_id or new_exempt_id(self._chain.random)
        # Nobody can repeat an exempt person's registration, since its id is new each time.
        content = b"" if told.exempt else self._content_of(told)
        row = {
            "id": party,
            "name": told.name,
            "roles": told.roles,
            "region": told.region,
            "licences": [dict(licence) for licence in told.licences],
            "exempt": told.exempt,
            "content": content,
            "created_by": principal.party,
        }
        replayed = False
        try:
            self._chain.append(
                principal,
                party,
                "registration",
                told.public(),
                functools.partial(rules.decide_registration, row=row),
                action=action,
                # What is chained can never be taken back: a person's name is only committed to.
                sealed={"name": {"name": told.name}} if told.exempt else None,
            )
        except AlreadyRegistered:
            if not hmac.compare_digest(self._row(party).content, content):
                raise
            replayed = True
        view = self._view(self._row(party), as_registered=True, private=True)
        return replace(view, licences=told.licences), replayed

    def verify(
        self,
        principal: Principal,
        party: str,
        *,
        status: str,
        evidence: str,
        next_check: str | None = None,
    ) -> PartyView:
        """Returns the party after recording that it is `verified`, or `rejected`.

        evidence: what was seen; the record only commits to it. next_check: a day. A platform judges
        only whom it registered. Raises Invalid, PartyUnknown, OutsideRegion, SelfVerification,
        PartyUnverified, or what `check_may` raises.
        """
        principal.check_may("party.verify")
        if party == principal.party:
            raise SelfVerification("self_verification")
        data = {"status": status}
        if next_check is not None:
            data["next_check"] = read_date(next_check, ("next_check",))
        evidence = evidence.strip()
        if not 1 <= len(evidence) <= MAX_EVIDENCE:
            params = {"expected": f"1..{MAX_EVIDENCE}", "got": len(evidence)}
            raise invalid(FieldFault(("evidence",), "length", params))
        check_canonical(evidence, ("evidence",))
        row = self._row(party)
        principal.check_may("party.verify", owner=row.created_by or SYSTEM)
        principal.check_office(row.region)
        self._chain.append(
            principal,
            party,
            "verification",
            data,
            rules.decide_verification,
            action="party.verify",
            reads=(Read(party_stream(principal.party)),) if principal.party else (),
            sealed={"evidence": {"evidence": evidence}},
        )
        return self._view(self._row(party), private=True)

    def get(self, party: str, viewer: Principal | None = None) -> PartyView:
        """Returns the party, its public facts only unless the viewer may see more. Read-only.

        Raises PartyUnknown.
        """
        row = self._row(party)
        return self._view(row, private=viewer is not None and may_see(viewer, row))

    def get_some(self, parties: Iterable[str]) -> dict[str, PartyView]:
        """Returns the public views of those that can be read without fault; `get` says why others not.

        In as many statements as for one. Read-only.
        """
        streams = {party: party_stream(party) for party in parties if is_party_id(party)}
        if not streams:
            return {}
        with self._database.read() as connection:
            ask_ahead(connection, lambda: store.ask_heads_with_names(connection, streams.values()))
            rows = store.find_parties(connection, list(streams))
            heads, names = store.heads_with_names(connection, streams.values())
        views = {}
        for row in rows:
            stream = streams[row.id]
            head = heads.get(stream)
            if head is None or head.name == stream:
                told = no_head(stream) if head is None else ledger.read_head(head)
                named = None if row.exempt else names.get(stream)
                views[row.id] = _public_view(row, told, named)
        return views

    def _row(self, party: str) -> store.PartyRow:
        with self._database.read() as connection:
            row = store.find_party(connection, party) if is_party_id(party) else None
        if row is None:
            raise PartyUnknown("party_unknown", party=party[:40])
        return row

    def _view(
        self, row: store.PartyRow, *, private: bool, as_registered: bool = False
    ) -> PartyView:
        stream = party_stream(row.id)
        head, named = no_head(stream), None
        with self._database.read() as connection:
            if not as_registered:
                head = ledger.load_heads(connection, [stream])[stream]
            if not row.exempt:
                named = store.registered_names(connection, [stream]).get(stream)
        if not private:
            return _public_view(row, head, named)
        return replace(
            _public_view(row, head, named),
            name=named or row.name,
            # A repeat is answered as the first time was, whatever has happened since.
            status=PENDING if as_registered else row.status,
            next_check=None if as_registered else row.next_check,
            created_by=row.created_by,
        )

    def _content_of(self, told: Registration) -> bytes:
        return hmac.digest(self._content_key, canonical_bytes(told.public()), "sha256")


def _public_view(row: store.PartyRow, head: StreamHead, named: str | None) -> PartyView:
    """Returns a party as anybody may see it. named: in its registration, where that can be told."""
    return PartyView(
        id=row.id,
        name=named or (store.mask_name(row.name) if row.exempt else row.name),
        roles=row.roles,
        region=row.region,
        status=row.status,
        exempt=row.exempt,
        licences=row.licences,
        next_check=row.next_check,
        created_at=from_ms(row.created_at),
        measures=rules.measures_of(head.state),
        head=head,
    )


def may_see(viewer: Principal, row: store.PartyRow) -> bool:
    """Whether somebody sees what is not public of a party."""
    if viewer.party == row.id:
        return True
    sees_all = reach(viewer.roles, "party.read_private") == "any"
    return "parties" in viewer.scopes and sees_all and viewer.in_office(row.region)
