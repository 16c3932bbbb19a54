"""What an audit may be asked about, and by whom: a party may have audited what it answers for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from app.ledger.store import has_leaves, load_heads
from app.parties import store as party_store
from app.parties.principal import Principal
from app.parties.rules import PartyUnknown
from app.trace import store as trace_store
from app.trace.catalogue import ProductUnknown
from app.trace.decide import CodeUnknown
from app.trace.gtin import parse_gtin
from app.trace.identifiers import parse_code
from app.trace.sides import seller_of

_NOBODY = ""


def read_scope(
    connection: Connection, principal: Principal, scope: Mapping[str, str] | None
) -> Mapping[str, str] | None:
    """Returns the scope in its one spelling; None for everything. Read-only.

    Raises Invalid, PartyUnknown, ProductUnknown, CodeUnknown, or what `check_may` raises.
    """
    principal.check_may("audit.start")
    owners: set[str | None] = {_NOBODY}
    if scope and "party" in scope:
        owners.add(scope["party"])
        if party_store.find_party(connection, scope["party"]) is None:
            raise PartyUnknown("party_unknown", party=scope["party"])
    elif scope and "gtin" in scope:
        gtin = parse_gtin(scope["gtin"], allow_item_code=True)
        product = trace_store.find_product(connection, gtin)
        if product is None:
            raise ProductUnknown("product_unknown", gtin=gtin)
        owners.add(product.registrant)
        scope = {"gtin": gtin}
    elif scope:
        stream = parse_code(scope["code"]).stream
        head = load_heads(connection, [stream])[stream]
        if not head.exists and not has_leaves(connection, stream):
            raise CodeUnknown("code_unknown", code=stream)
        owners |= _answerable(head.state)
        scope = {"code": stream}
    owner = principal.party if principal.party in owners else _NOBODY
    principal.check_may("audit.start", owner=owner)
    return scope


def _answerable(state: Mapping[str, Any]) -> set[str | None]:
    found = {state.get(name) for name in ("holder", "issuer", "party", "registrant")}
    if "gaps" in state:
        found.add(seller_of(state))
    return found
