"""Products and lots: registered once, shared by all who sell them.

Their public facts stand in the `registration` record of their stream; quantity and declaration
number are sealed. Its id is derived from the stream, so registering again is a repeat: the same
content is answered as before, other content is a conflict.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson
from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.canonical import check_canonical
from app.kit.clock import Clock, to_ms
from app.kit.errors import Conflict, Denied, Fault, FieldFault, Invalid, NotFound, invalid
from app.ledger.record import Claim, stream_key
from app.ledger.recorder import Recorder
from app.ledger.stage import IdConflict
from app.ledger.store import load_heads
from app.ledger.submission import Draft, Effect, Recorded, StreamHead, View
from app.parties.identity import SYSTEM, is_party_id, parse_declaration
from app.parties.offices import check_office
from app.parties.principal import Principal
from app.parties.roles import MERCHANT, REGULATOR
from app.parties.standing import check_verified
from app.trace import store
from app.trace.code import Code, parse_lot
from app.trace.decide import CodeUnknown
from app.trace.events import check_event
from app.trace.gtin import item_code, parse_gtin
from app.trace.registering import ProductDiffers, registration
from app.trace.requests import SealedInput
from app.trace.secret_index import SecretIndex

_ITEM_CODES = 10**8
_SHOWN = ("name", "category", "brand", "spec", "origin", "standard", "licence")


class OwnerConfirmed(Conflict):
    """Another party is this product's confirmed brand owner."""


class ProductUnknown(NotFound):
    """No product was registered under this GTIN."""

    slug = "code-unknown"


class LotNotYours(Denied):
    """The lot is in another party's hands."""


class ItemNotYours(Denied):
    """The item code was given to another party, for goods of its own."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A product or lot as registered. replayed: it was there before.

    differs: the fields told otherwise, where the product is another party's; else None.
    """

    row: Any
    replayed: bool
    differs: tuple[str, ...] | None = None


class Catalogue:
    """Registers products and lots, and reads them."""

    def __init__(
        self, database: Database, recorder: Recorder, *, clock: Clock, index: SecretIndex
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._clock = clock
        self._index = index

    def register_product(
        self, principal: Principal, facts: Mapping[str, Any], *, gtin: str | None, claim: bool
    ) -> Registered:
        """Returns the product; a known one of another party unchanged, with what `differs`.

        gtin None: goods without one get an item code of ours. claim: asks to be the brand owner.
        """
        principal.check_may("product.register")
        party = principal.own_party()
        told = check_facts("product", {"issuer": party, **facts}, ())
        known = self._known_product(party, told, gtin)
        if known is not None:
            return self._register_again(principal, known, told, claim=claim)
        if gtin is None:
            number = item_code(secrets.randbelow(_ITEM_CODES))
            told["item_code"] = True
        else:
            number = parse_gtin(gtin)
        decide = ProductDecision(number, party, claim=claim)
        try:
            recorded = self._submit(Code(number), told, decide, party, {})
        except IdConflict:
            # Registered by another since we looked, or an item code drawn twice.
            known = self._known_product(party, told, gtin)
            if known is None:
                raise
            return self._register_again(principal, known, told, claim=claim)
        return Registered(self.product(number), replayed=recorded.replayed)

    def _known_product(self, party: str, told: Mapping[str, Any], gtin: str | None) -> Any | None:
        with self._database.read() as connection:
            return find_known(connection, party, told, gtin)

    def _register_again(
        self, principal: Principal, row: Any, told: Mapping[str, Any], *, claim: bool
    ) -> Registered:
        party = principal.own_party()
        differs = check_known(row, told, party)
        if claim and row.brand_owner != party:
            self.claim_product(principal, row.gtin)
            row = self.product(row.gtin)
        theirs = row.registrant != party
        return Registered(row, replayed=True, differs=differs if theirs else None)

    def claim_product(self, principal: Principal, gtin: str) -> None:
        """Asks to be the product's brand owner. Raises OwnerConfirmed where there is one."""
        principal.check_may("product.claim")
        party = principal.own_party()
        row = self.product(gtin)
        if row.brand_owner is not None:
            raise OwnerConfirmed("brand_owner_confirmed", gtin=gtin)
        if row.owner_claim == party:
            return
        self._submit(
            Code(gtin), {"party": party}, _OwnerDecision(gtin, party), party, {}, what="claim"
        )

    def confirm_owner(self, principal: Principal, gtin: str, party: str, evidence: str) -> Any:
        """Returns the product with its brand owner confirmed by admin or regulator."""
        principal.check_may("product.confirm_owner")
        if not is_party_id(party):
            raise invalid(FieldFault(("party",), "unknown_party", {"got": party[:40]}))
        check_office(self._database, principal, party)
        check_canonical(evidence, ("evidence",))
        row = self.product(gtin)
        if row.brand_owner == party:
            return row
        if row.brand_owner is not None:
            raise OwnerConfirmed("brand_owner_confirmed", gtin=gtin)
        decide = _OwnerDecision(gtin, party, confirmed=True)
        # Who confirms is who speaks; what was seen may name people, and is only committed to.
        self._submit(
            Code(gtin),
            {"party": party},
            decide,
            party,
            {"evidence": SealedInput({"text": evidence})},
            what="owner",
            source=REGULATOR if REGULATOR in principal.roles else SYSTEM,
            actor=principal.party or SYSTEM,
        )
        return self.product(gtin)

    def register_lot(
        self,
        principal: Principal,
        *,
        gtin: str,
        lot: str,
        facts: Mapping[str, Any],
        sealed: Mapping[str, SealedInput],
    ) -> Registered:
        """Returns the lot as registered by this party."""
        principal.check_may("lot.register")
        party = principal.own_party()
        code = Code(parse_gtin(gtin, allow_item_code=True), lot=parse_lot(lot))
        data = check_facts("lot", {"issuer": party, **facts}, sealed.keys())
        decide = LotDecision(code, party, self._index.digests(sealed))
        recorded = self._submit(code, data, decide, party, sealed)
        return Registered(self.lot(code), replayed=recorded.replayed)

    def product(self, gtin: str) -> Any:
        """Returns a product's row. Raises ProductUnknown. Read-only."""
        with self._database.read() as connection:
            row = store.find_product(connection, gtin)
        if row is None:
            raise ProductUnknown("product_unknown", gtin=gtin)
        return row

    def lot(self, code: Code) -> Any:
        """Returns a lot's row. Raises CodeUnknown. Read-only."""
        with self._database.read() as connection:
            row = store.find_lot(connection, code.stream)
        if row is None:
            raise CodeUnknown("code_unknown", code=code.stream)
        return row

    def lots_of(self, party: str, gtin: str, *, limit: int = 100) -> list[Any]:
        """Returns a party's lots of a product, the newest first. Read-only."""
        with self._database.read() as connection:
            return store.lots_of(connection, party, gtin, limit=limit)

    def unit(self, code: Code) -> Code:
        """Returns an issued unit with the lot that it belongs to, if any. Raises CodeUnknown. Read-only."""
        with self._database.read() as connection:
            head = load_heads(connection, [code.stream])[code.stream]
        if not head.exists:
            raise CodeUnknown("code_unknown", code=code.stream)
        return replace(code, lot=head.state.get("lot"))

    def find_products(
        self,
        *,
        text: str | None,
        seller: str | None,
        category: str | None,
        after: str | None,
        limit: int,
    ) -> list[Any]:
        """Returns products in order of GTIN behind `after`. Read-only."""
        with self._database.read() as connection:
            return store.list_products(
                connection, text=text, seller=seller, category=category, after=after, limit=limit
            )

    def products(self, gtins: Collection[str]) -> list[Any]:
        """Returns the rows of those of these products that are registered, by GTIN. Read-only."""
        with self._database.read() as connection:
            return store.products_of(connection, gtins)

    def offers(self, gtin: str, *, seller: str | None = None) -> list[Any]:
        """Returns a product's live offers, of one seller or of all. Read-only."""
        with self._database.read() as connection:
            return store.offers_of(connection, gtin, seller=seller)

    def read_declaration(self, number: str) -> str:
        """Returns a customs declaration number in its one spelling. Raises Invalid."""
        year = self._clock.now().year
        return parse_declaration(number, year_now=year, loc=("import", "declaration")).number

    def _submit(
        self,
        code: Code,
        data: Mapping[str, Any],
        decide: Any,
        party: str,
        sealed: Mapping[str, SealedInput],
        *,
        what: str = "registration",
        source: str = MERCHANT,
        actor: str | None = None,
    ) -> Recorded:
        submission = registration(
            code, data, decide, party, sealed,
            now=self._clock.now(), what=what, source=source, actor=actor,
        )  # fmt: skip
        answer = self._recorder.submit_and_wait([submission])[0]
        if isinstance(answer, Fault):
            raise answer
        return answer


@dataclass(frozen=True, slots=True)
class ProductDecision:
    gtin: str
    party: str
    claim: bool

    def __call__(self, claim: Claim, view: View) -> Draft:
        check_verified(view, self.party)
        data = claim.data
        owner_claim = self.party if self.claim else None
        state = {
            "category": data["category"],
            "registrant": self.party,
            "recalls": {},
            "item_code": data.get("item_code") is True,
        }
        row = {
            "gtin": self.gtin,
            "name": data["name"],
            "category": data["category"],
            "facts": product_facts(data),
            "item_code": data.get("item_code") is True,
            "registrant": self.party,
            "brand_owner": None,
            "owner_claim": owner_claim,
            "created_at": to_ms(view.now),
        }
        return Draft(state, effects=(Effect("product", row),))


@dataclass(frozen=True, slots=True)
class _OwnerDecision:
    gtin: str
    party: str
    confirmed: bool = False

    def __call__(self, claim: Claim, view: View) -> Draft:
        head = view.heads[claim.stream]
        check_verified(view, self.party)
        state = dict(head.state)
        if state.get("brand_owner") not in (None, self.party):
            raise OwnerConfirmed("brand_owner_confirmed", gtin=self.gtin)
        if self.confirmed:
            state["brand_owner"] = self.party
        row = {
            "gtin": self.gtin,
            "brand_owner": state.get("brand_owner"),
            "owner_claim": None if self.confirmed else self.party,
        }
        return Draft(state, effects=(Effect("brand_owner", row),))


@dataclass(frozen=True, slots=True)
class LotDecision:
    code: Code
    party: str
    side: tuple[tuple[str, bytes], ...]

    def __call__(self, claim: Claim, view: View) -> Draft:
        check_verified(view, self.party)
        check_product(view.heads[Code(self.code.gtin).stream], self.code.gtin, self.party)
        data = claim.data
        state: dict[str, Any] = {"party": self.party, "holder": self.party, "recalls": {}}
        if "expires_on" in data:
            state["expires_on"] = data["expires_on"]
        agent = data.get("import", {}).get("recall_agent")
        if agent is not None:
            state["recall_agent"] = agent
        row = {
            "stream": stream_key(self.code.stream),
            "gtin": self.code.gtin,
            "lot": self.code.lot,
            "party": self.party,
            "facts": lot_facts(data),
            "created_at": to_ms(view.now),
        }
        return Draft(state, effects=(Effect("lot", row),), side=self.side)


def check_product(head: StreamHead, gtin: str, party: str) -> None:
    """Raises ProductUnknown, or ItemNotYours, unless the party may make lots and units of it."""
    if not head.exists:
        raise ProductUnknown("product_unknown", gtin=gtin)
    if head.state.get("item_code") and head.state.get("registrant") != party:
        raise ItemNotYours("item_not_yours", gtin=gtin)


def check_facts(
    level: Literal["product", "lot"], facts: Mapping[str, Any], sealed_names: Collection[str]
) -> dict[str, Any]:
    """Returns the registration's data. Raises Invalid, fields named as their sender wrote them."""
    try:
        return check_event("registration", level, facts, sealed_names, system=True)
    except Invalid as refused:
        raise invalid(*(replace(error, loc=error.loc[1:]) for error in refused.errors)) from refused


def lot_facts(data: Mapping[str, Any]) -> str:
    """Returns what a lot's row keeps of its registration's data, as JSON."""
    kept = {name: value for name, value in data.items() if name != "issuer"}
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS).decode()


def find_known(
    connection: Connection, party: str, told: Mapping[str, Any], gtin: str | None
) -> Any | None:
    """Returns the row that a product has already, or a party's goods without a GTIN. Read-only."""
    if gtin is not None:
        return store.find_product(connection, parse_gtin(gtin, allow_item_code=True))
    return store.find_item(connection, party, str(told["name"]), product_facts(told))


def check_known(row: Any, told: Mapping[str, Any], party: str) -> tuple[str, ...]:
    """Returns the fields in which a registration differs from what another party registered.

    Raises ItemNotYours, and ProductDiffers where it was the same party.
    """
    if row.item_code and row.registrant != party:
        raise ItemNotYours("item_not_yours", gtin=row.gtin)
    stored = {"name": row.name, "category": row.category, **json.loads(row.facts)}
    differs = tuple(name for name in _SHOWN if stored.get(name) != told.get(name))
    if differs and row.registrant == party:
        raise ProductDiffers("product_differs", gtin=row.gtin, fields=", ".join(differs))
    return differs


def product_facts(data: Mapping[str, Any]) -> str:
    """Returns what a product's row keeps of its registration's data beside columns, as JSON."""
    kept = {n: data[n] for n in _SHOWN if n in data and n not in ("name", "category")}
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS).decode()
