"""Who may sign and speak for a party: its signing keys and the mandates it gave. All are records.

A signing key proves that nobody but the party said something; a mandate lets somebody else say it
in the party's name. Neither can be given by the operator: the party's own API key asks.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from app.db.engine import Database
from app.kit.clock import format_time, from_ms
from app.kit.errors import FieldFault, Invalid, NotFound, invalid
from app.ledger import store as ledger
from app.ledger.signatures import SignatureInvalid, check_public_key, verify_signature
from app.ledger.submission import Read
from app.parties import rules, store
from app.parties.chain import PartyChain
from app.parties.identity import is_party_id
from app.parties.principal import Principal
from app.parties.rules import PartyUnknown, key_fact, mandate_fact, party_stream
from app.parties.standing import covers

MAX_MANDATE_TYPES = 32
SIGNING_KEY_ID_CHARACTERS = 16


class SigningKeyMissing(NotFound):
    """The party has no such signing key."""


class MandateUnknown(NotFound):
    """The party gave no such mandate."""


@dataclass(frozen=True, slots=True)
class SigningKeyView:
    """A signing key: base64 of its 32 public bytes; good for what is recorded until it is revoked."""

    key_id: str
    public_key: str
    since: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class MandateView:
    """A mandate. Ended ones leave the list when the same agent is given the next."""

    mandate_id: str
    agent: str
    types: tuple[str, ...]
    until: datetime | None
    revoked_at: datetime | None


class Powers:
    """Signing keys and mandates of all parties."""

    def __init__(self, database: Database, chain: PartyChain) -> None:
        self._database = database
        self._chain = chain

    def add_signing_key(
        self, principal: Principal, party: str, *, public_key: str, proof: str
    ) -> tuple[str, bool]:
        """Returns the key's id, and whether the party had it before (a repeat).

        public_key, proof: base64 of 32 and 64 bytes. Raises Invalid, SignatureInvalid,
        rules.SigningKeyKnown for a key that was revoked, or what `check_may` raises.
        """
        principal.check_may("signing_key.manage", owner=party)
        raw = _read_base64(public_key, ("public_key",), 32)
        signature = _read_base64(proof, ("proof",), 64)
        try:
            check_public_key(raw)
        except Invalid as err:
            params = {"expected": "Ed25519", "got": public_key}
            raise invalid(FieldFault(("public_key",), "public_key", params)) from err
        message = f"suxin-key/1\n{party}\n{public_key}".encode("ascii")
        try:
            verify_signature(public_key=raw, signature=signature, message=message)
        except SignatureInvalid as err:
            wrong = FieldFault(("proof",), "proof", {"party": party})
            raise SignatureInvalid(err.key, errors=(wrong,)) from err
        key_id = sha256(raw).hexdigest()[:SIGNING_KEY_ID_CHARACTERS]
        known = self._facts(party, key_fact(key_id)).get(key_fact(key_id))
        if known is not None and known.get("revoked_ms") is None:
            return key_id, True
        self._chain.append(
            principal,
            party,
            "signing_key",
            {"key_id": key_id, "public_key": public_key, "proof": proof},
            rules.decide_signing_key,
            action="signing_key.manage",
            reads=(Read(party_stream(party), key_fact(key_id)),),
        )
        return key_id, False

    def revoke_signing_key(self, principal: Principal, party: str, key_id: str) -> None:
        """Ends a signing key: it signs nothing that is recorded from now on. Again is no harm.

        Raises SigningKeyMissing, or what `check_may` raises.
        """
        principal.check_may("signing_key.manage", owner=party)
        known = self._facts(party, key_fact(key_id)).get(key_fact(key_id))
        if known is None:
            raise SigningKeyMissing("signing_key_missing", signing_key=key_id[:40])
        if known.get("revoked_ms") is not None:
            return
        self._chain.append(
            principal,
            party,
            "signing_key_revoked",
            {"key_id": key_id},
            rules.decide_signing_key_revoked,
            action="signing_key.manage",
            reads=(Read(party_stream(party), key_fact(key_id)),),
        )

    def signing_keys(self, party: str) -> list[SigningKeyView]:
        """Returns a party's signing keys, oldest first: anyone may check a signature. Read-only."""
        self._check_exists(party)
        views = [
            SigningKeyView(
                fact.removeprefix("key/"),
                key["public_key"],
                from_ms(key["since_ms"]),
                _moment(key.get("revoked_ms")),
            )
            for fact, key in self._facts(party, "key/").items()
        ]
        return sorted(views, key=lambda view: (view.since, view.key_id))

    def grant_mandate(
        self,
        principal: Principal,
        party: str,
        *,
        agent: str,
        types: Sequence[str],
        until: datetime | None = None,
        id_: str | None = None,
    ) -> tuple[str, bool]:
        """Returns the id of a mandate, and whether it was given before (a repeat of `id_`).

        `agent` may send these types in the party's name. until: exclusive. Raises Invalid, IdConflict, or
        what `check_may` raises.
        """
        principal.check_may("mandate.manage", owner=party)
        faults: list[FieldFault] = []
        if not is_party_id(agent) or agent == party:
            faults.append(FieldFault(("agent",), "unknown_party", {"got": agent[:40]}))
        if not 1 <= len(types) <= MAX_MANDATE_TYPES:
            params = {"expected": f"1..{MAX_MANDATE_TYPES}", "got": len(types)}
            said = "" if types else "none_chosen"
            faults.append(FieldFault(("types",), "length", params, said))
        if faults:
            raise invalid(*faults)
        data: dict[str, Any] = {"agent": agent, "types": list(dict.fromkeys(types))}
        if until is not None:
            data["until"] = format_time(until)
        recorded = self._chain.append(
            principal,
            party,
            "mandate",
            data,
            rules.decide_mandate,
            action="mandate.manage",
            reads=(Read(party_stream(agent)), Read(party_stream(party), mandate_fact(agent))),
            id_=id_,
        )
        return recorded.id, recorded.replayed

    def revoke_mandate(self, principal: Principal, party: str, mandate_id: str) -> bool:
        """Takes a mandate back; returns whether it stood. Again, or after its end, is no harm.

        Raises MandateUnknown, or what `check_may` raises.
        """
        principal.check_may("mandate.manage", owner=party)
        agent, mandate_id = self._find_mandate(party, mandate_id)
        try:
            self._chain.append(
                principal,
                party,
                "mandate_revoked",
                {"agent": agent, "mandate": mandate_id},
                rules.decide_mandate_revoked,
                action="mandate.manage",
                reads=(Read(party_stream(party), mandate_fact(agent)),),
            )
        except rules.MandateEnded:
            return False
        return True

    def mandates(self, principal: Principal, party: str) -> list[MandateView]:
        """Returns the mandates a party gave, by agent. Read-only."""
        principal.check_may("mandate.manage", owner=party)
        return [
            MandateView(
                mandate_id,
                fact.removeprefix("mandate/"),
                tuple(terms["types"]),
                _moment(terms["until_ms"]),
                _moment(terms["revoked_ms"]),
            )
            for fact, given in sorted(self._facts(party, "mandate/").items())
            for mandate_id, terms in sorted(given.items())
        ]

    def may_speak(self, agent: str, event_type: str, *, actor: str, now: datetime) -> bool:
        """Whether a party may send a type in another's name now, or in its own. Read-only."""
        if agent == actor:
            return True
        fact = mandate_fact(agent)
        return covers(self._facts(actor, fact).get(fact, {}), event_type, now=now)

    def _check_exists(self, party: str) -> None:
        with self._database.read() as connection:
            if not is_party_id(party) or store.find_party(connection, party) is None:
                raise PartyUnknown("party_unknown", party=party[:40])

    def _facts(self, party: str, prefix: str) -> dict[str, Any]:
        with self._database.read() as connection:
            return ledger.list_facts(connection, party_stream(party), prefix)

    def _find_mandate(self, party: str, mandate_id: str) -> tuple[str, str]:
        """Returns a mandate's agent and its id in its one spelling, from the record itself."""
        unknown = MandateUnknown("mandate_unknown", mandate=mandate_id[:40])
        place = (party_stream(party), mandate_id)
        try:
            with self._database.read() as connection:
                found = ledger.find_by_id(connection, [place])
        except ValueError as err:  # not a UUID
            raise unknown from err
        if place not in found:
            raise unknown
        fields = ledger.StoredRecord(party_stream(party), *found[place], None).fields
        if fields["type"] != "mandate":
            raise unknown
        return fields["data"]["agent"], fields["id"]


def _read_base64(given: str, loc: tuple[str | int, ...], size: int) -> bytes:
    """Returns `size` bytes from their one base64 spelling. Raises Invalid, kind `base64`."""
    try:
        raw = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    # Unused bits in the last character would give one key several spellings, and several proofs.
    if len(raw) != size or base64.b64encode(raw).decode("ascii") != given:
        raise invalid(FieldFault(loc, "base64", {"expected": size}))
    return raw


def _moment(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else from_ms(milliseconds)
