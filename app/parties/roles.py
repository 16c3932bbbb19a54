"""What a role may do: one table, asked by every room and shown at /docs.

Two halves. ACTIONS: calls of the API, each with the scope a key needs and the roles that may make
it, on anything or on their own objects only. EVENTS: record types, each with the roles that may
send it and the `source` the record then carries. Pure data and questions about it: whether an
object is the caller's own, whether a mandate exists, who holds a unit, is known elsewhere.

`admin` is the role of the admin key. It administers and never speaks in a chain: it has no party
to be the actor. `consumer` and `system` are voices without a key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Literal

from app.parties.identity import CONSUMER, SYSTEM

MERCHANT = "merchant"
SUPPLIER = "supplier"
RECALL_AGENT = "recall_agent"
PLATFORM = "platform"
CARRIER = "carrier"
AGGREGATOR = "aggregator"
REGULATOR = "regulator"
CUSTOMS = "customs"
ADMIN = "admin"

PARTY_ROLES = (
    MERCHANT,
    SUPPLIER,
    RECALL_AGENT,
    PLATFORM,
    CARRIER,
    AGGREGATOR,
    REGULATOR,
    CUSTOMS,
)
"""Roles that a party can be given."""

SELLER_ROLES = frozenset({MERCHANT, SUPPLIER})
"""Roles that a platform may register parties with; every other role is the admin's to give."""

OFFICIAL_ROLES = frozenset({REGULATOR, CUSTOMS})
"""Authorities: what they say in office cannot be said for them under a mandate."""

_IN_TRADE = tuple(role for role in PARTY_ROLES if role not in OFFICIAL_ROLES)
"""Who has something to promise; an authority judges what others promise."""
_WITH_A_VOICE = tuple(role for role in _IN_TRADE if role != AGGREGATOR)
"""Who can lend its own: an aggregator speaks for others alone. As `grantable_types` finds."""

SCOPES = ("parties", "products", "codes", "events", "credit", "ranking", "audit", "admin")
"""Scopes of API keys. A key may do what its party's roles may do and its scopes name."""

SOURCES = (
    MERCHANT,
    PLATFORM,
    CARRIER,
    AGGREGATOR,
    CONSUMER,
    REGULATOR,
    CUSTOMS,
    SYSTEM,
)
"""Values of a record's `source`."""

Reach = Literal["any", "own"]
"""How far a permission goes: any object, or the caller's own alone."""


@dataclass(frozen=True, slots=True)
class Action:
    """One guarded call: the scope it needs and the reach each role has."""

    name: str
    scope: str
    reach: Mapping[str, Reach]


def _action(
    name: str, scope: str, *, any_of: Iterable[str] = (), own: Iterable[str] = ()
) -> Action:
    reach: dict[str, Reach] = dict.fromkeys(own, "own")
    reach.update(dict.fromkeys(any_of, "any"))
    return Action(name, scope, reach)


ACTIONS: Mapping[str, Action] = {
    action.name: action
    for action in (
        _action("party.register_seller", "parties", any_of=(ADMIN, PLATFORM)),
        _action("party.register", "parties", any_of=(ADMIN,)),
        # A platform knows the sellers it registered, and may not strike out another's.
        _action("party.verify", "parties", any_of=(ADMIN, REGULATOR), own=(PLATFORM,)),
        # What a party tells of itself; it counts once somebody of `party.verify` has seen it.
        _action("licence.tell", "parties", any_of=(ADMIN,), own=PARTY_ROLES),
        _action("party.read_private", "parties", any_of=(ADMIN, REGULATOR), own=PARTY_ROLES),
        _action("key.manage", "parties", any_of=(ADMIN,), own=PARTY_ROLES),
        # Not even the admin: the operator must not be able to put a key under a party's name.
        _action("signing_key.manage", "parties", own=PARTY_ROLES),
        _action("mandate.manage", "parties", own=_WITH_A_VOICE),
        _action("product.register", "products", any_of=(MERCHANT, SUPPLIER)),
        _action("product.claim", "products", any_of=(MERCHANT, SUPPLIER)),
        _action("product.confirm_owner", "products", any_of=(ADMIN, REGULATOR)),
        _action("lot.register", "products", own=(MERCHANT, SUPPLIER)),
        _action("code.issue", "codes", own=(MERCHANT, SUPPLIER)),
        _action("code.print", "codes", any_of=(REGULATOR, CUSTOMS), own=(MERCHANT, SUPPLIER)),
        _action("event.send", "events", own=PARTY_ROLES),
        # Where an aggregator that can send no key pushes to: its salt is as good as a key.
        _action("push.manage", "parties", own=(MERCHANT, PLATFORM, CARRIER, AGGREGATOR)),
        _action("shipment.send", "events", own=(MERCHANT, PLATFORM)),
        # What buyers wrote about goods; of a complaint the words open for a stated purpose alone.
        _action("voice.read", "events", any_of=(REGULATOR,), own=(MERCHANT, SUPPLIER, PLATFORM)),
        # How far a recall has come: an authority's looks are logged with their purpose.
        _action("recall.read", "events", any_of=OFFICIAL_ROLES, own=(*SELLER_ROLES, RECALL_AGENT)),
        _action("sealed.read", "events", any_of=OFFICIAL_ROLES, own=PARTY_ROLES),
        _action("credit.enter", "credit", any_of=(REGULATOR, ADMIN)),
        _action("credit.object", "credit", own=PARTY_ROLES),
        _action("credit.decide", "credit", any_of=(REGULATOR,)),
        # A file goes with what somebody says: for its sender, whom it is about, and regulators in office.
        _action("document.keep", "credit", own=PARTY_ROLES),
        _action("document.read", "credit", any_of=(REGULATOR,), own=PARTY_ROLES),
        _action("credit.exchange", "credit", any_of=(REGULATOR, ADMIN)),
        _action("commitment.sign", "credit", own=_IN_TRADE),
        _action("commitment.judge", "credit", any_of=(REGULATOR,)),
        _action("list.enter", "credit", any_of=(REGULATOR,)),
        _action("warning.read", "credit", any_of=(REGULATOR, ADMIN), own=PARTY_ROLES),
        # Of a person: not even an authority reads it here (sealed sections, for a stated purpose).
        _action("rating.read_buyers", "credit", own=SELLER_ROLES),
        _action("webhook.manage", "credit", own=PARTY_ROLES),
        _action("badge.manage", "credit", own=(MERCHANT, SUPPLIER, PLATFORM)),
        _action("ranking.query", "ranking", any_of=(PLATFORM, REGULATOR, ADMIN)),
        _action("orders.report", "ranking", own=(PLATFORM,)),
        _action("ranking.advise", "ranking", any_of=(REGULATOR,), own=SELLER_ROLES),
        _action("audit.start", "audit", any_of=(REGULATOR, ADMIN), own=PARTY_ROLES),
        _action("finding.read", "audit", any_of=(REGULATOR, CUSTOMS, ADMIN), own=PARTY_ROLES),
        _action("finding.attribute", "audit", any_of=(REGULATOR,)),
        _action("customs.decide", "events", any_of=(CUSTOMS,)),
        _action("desk.search", "audit", any_of=(REGULATOR, CUSTOMS)),
        # The supervisor of an authority's people: of a key or an owner, since staff has no `parties`.
        _action("access.read", "parties", any_of=(ADMIN,), own=(REGULATOR, CUSTOMS)),
        _action("finding.work", "audit", any_of=(REGULATOR, CUSTOMS)),
        # What anybody reported; its words open for a stated purpose alone.
        _action("report.read", "audit", any_of=(REGULATOR, ADMIN)),
        # The operator too, as E-commerce law asks of whoever publishes reviews; with a reason, on record.
        _action("text.hide", "audit", any_of=(REGULATOR, ADMIN)),
        _action("service.administer", "admin", any_of=(ADMIN,)),
    )
}
"""Every guarded call by name; reading what is public needs no entry here."""


@dataclass(frozen=True, slots=True)
class Sender:
    """One role's right to send one event type.

    source: the `source` of the record. by_mandate: only for an actor who gave a mandate.
    """

    role: str
    source: str
    by_mandate: bool = False


_SELLER_SELF = Sender(MERCHANT, MERCHANT)
# A supplier and a recall agent speak for goods of their own too: the same self-reported source.
_SUPPLIER_SELF = Sender(SUPPLIER, MERCHANT)
_RECALL_AGENT = Sender(RECALL_AGENT, MERCHANT)
_PLATFORM = Sender(PLATFORM, PLATFORM)
_PLATFORM_MANDATE = Sender(PLATFORM, PLATFORM, by_mandate=True)
_CARRIER = Sender(CARRIER, CARRIER)
_AGGREGATOR = Sender(AGGREGATOR, AGGREGATOR, by_mandate=True)
_REGULATOR = Sender(REGULATOR, REGULATOR)
_CUSTOMS = Sender(CUSTOMS, CUSTOMS)
_CONSUMER = Sender(CONSUMER, CONSUMER)
_SYSTEM = Sender(SYSTEM, SYSTEM)

# Senders stand weakest voice first: who is both the shop and its carrier vouches for itself, and
# is shown as doing so (see sources_of).
EVENTS: Mapping[str, tuple[Sender, ...]] = {
    "registration": (_SYSTEM,),
    "listing": (_SELLER_SELF, _PLATFORM),
    "pack": (_SELLER_SELF, _SUPPLIER_SELF, _PLATFORM_MANDATE),
    "unpack": (_SELLER_SELF, _SUPPLIER_SELF, _PLATFORM_MANDATE),
    "transfer": (_SELLER_SELF, _SUPPLIER_SELF),
    "acceptance": (_SELLER_SELF, _SUPPLIER_SELF),
    "sale": (_SELLER_SELF, _PLATFORM_MANDATE),
    "dispatch": (_SELLER_SELF, _PLATFORM_MANDATE, _CARRIER),
    "transit": (_AGGREGATOR, _CARRIER),
    "signature": (_SELLER_SELF, _PLATFORM, _AGGREGATOR, _CARRIER, _CONSUMER),
    "refusal": (_SELLER_SELF, _PLATFORM, _AGGREGATOR, _CARRIER, _CONSUMER),
    "review": (_CONSUMER,),
    "follow_up": (_CONSUMER,),
    "carrier_rating": (_SELLER_SELF, _PLATFORM_MANDATE, _CONSUMER),
    "buyer_rating": (_SELLER_SELF, _PLATFORM_MANDATE, _CARRIER),
    "complaint": (_CONSUMER, _REGULATOR),
    "message": (_SELLER_SELF, _PLATFORM, _CONSUMER),
    "referral": (_SELLER_SELF, _PLATFORM),
    "return": (_SELLER_SELF, _PLATFORM, _CARRIER),
    "recall": (_SELLER_SELF, _RECALL_AGENT, _REGULATOR),
    "recall_lifted": (_SELLER_SELF, _RECALL_AGENT, _REGULATOR),
    "measure": (_REGULATOR,),
    "measure_lifted": (_REGULATOR,),
    "publication": (_REGULATOR,),
    "void": (_SELLER_SELF, _SUPPLIER_SELF),
    "correction": (
        _SELLER_SELF,
        _SUPPLIER_SELF,
        _RECALL_AGENT,
        _PLATFORM,
        _AGGREGATOR,
        _CARRIER,
        _REGULATOR,
        _CUSTOMS,
    ),
    "reply": (_SELLER_SELF,),
    "notice": (_SELLER_SELF, _REGULATOR),
    "inspection": (_REGULATOR,),
    "customs_release": (_CUSTOMS,),
    "customs_hold": (_CUSTOMS,),
}
"""Who sends each event type (API: "type | who sends")."""


def may(roles: Iterable[str], action: str) -> bool:
    """Returns whether any of `roles` may do `action` at all, be it on own objects alone.

    Raises KeyError for an action that is not in ACTIONS.
    """
    return reach(roles, action) is not None


def may_within(roles: Iterable[str], scopes: Collection[str], action: str) -> bool:
    """Returns whether `roles` may do `action` at all with these scopes alone. Raises KeyError as `may`."""
    return ACTIONS[action].scope in scopes and may(roles, action)


def reach(roles: Iterable[str], action: str) -> Reach | None:
    """Returns how far `roles` reach with `action`: `any`, `own`, or None where they may not."""
    granted = ACTIONS[action].reach
    found = {granted[role] for role in roles if role in granted}
    if "any" in found:
        return "any"
    return "own" if found else None


def actions_of_use(roles: Iterable[str], scope: str) -> tuple[str, ...]:
    """Returns what a scope opens to `roles`: the names of actions, be it on own objects alone."""
    held = frozenset(roles)
    return tuple(
        action.name
        for action in ACTIONS.values()
        if action.scope == scope and held & action.reach.keys()
    )


def scopes_of_use(roles: Iterable[str]) -> tuple[str, ...]:
    """Returns the scopes within which `roles` may do anything at all, in the order of SCOPES."""
    held = frozenset(roles)
    return tuple(scope for scope in SCOPES if actions_of_use(held, scope))


def sources_of(
    roles: Iterable[str],
    event_type: str,
    *,
    actor_roles: Iterable[str] | None = None,
    own_goods: bool = True,
) -> tuple[str, ...]:
    """Returns the `source`s a record of this type may have from a sender with `roles`.

    Weakest first; none where it is refused. Which of several it has is decided by the goods: a
    platform that is also the carrier signs for its parcel as the carrier.

    actor_roles: the roles of the actor for whom the sender speaks under a mandate (the caller has
    checked that it stands); None when the sender is the actor. The actor must be allowed to send
    the type itself: nobody can lend a voice it does not have, and no authority lends its own. A
    sender that has a right of its own by role keeps its own source; any other agent is a mere
    messenger and its record carries the actor's source.

    own_goods: whether the goods may be the actor's own. While they may, its self-reported source
    comes first; False leaves that one out where another is left.
    """
    actor_held = None if actor_roles is None else frozenset(actor_roles)
    return _sources(frozenset(roles), event_type, actor_held, own_goods)


# So few combinations come up that each is worked out once.
@lru_cache(maxsize=1024)
def _sources(
    held: frozenset[str],
    event_type: str,
    actor_held: frozenset[str] | None,
    own_goods: bool,  # noqa: FBT001 - a cache goes by place
) -> tuple[str, ...]:
    senders = EVENTS.get(event_type, ())
    rights = [sender for sender in senders if sender.role in held]
    if actor_held is None:
        rights = [sender for sender in rights if not sender.by_mandate]
        return _weakest_first(rights, own_goods=own_goods)
    lent = [
        sender
        for sender in senders
        if sender.role in actor_held and not sender.by_mandate and sender.role not in OFFICIAL_ROLES
    ]
    if not lent:
        return ()
    rights = [sender for sender in rights if sender.role not in OFFICIAL_ROLES]
    return _weakest_first(rights, own_goods=False) or _weakest_first(lent, own_goods=own_goods)


def _weakest_first(rights: list[Sender], *, own_goods: bool) -> tuple[str, ...]:
    if not own_goods:
        others = [sender for sender in rights if sender.source != MERCHANT]
        rights = others or rights
    return tuple(dict.fromkeys(sender.source for sender in rights))


def grantable_types(roles: Iterable[str]) -> frozenset[str]:
    """Returns the event types for which a party with `roles` may give a mandate."""
    held = frozenset(roles) - OFFICIAL_ROLES
    return frozenset(
        event_type
        for event_type, senders in EVENTS.items()
        if any(sender.role in held and not sender.by_mandate for sender in senders)
    )


@dataclass(frozen=True, slots=True)
class Mandate:
    """An actor's leave for one agent to send some event types in its name.

    until: the moment at which it ends, exclusive; None: until it is taken back.
    """

    agent: str
    types: frozenset[str]
    until: datetime | None = None

    def covers(self, event_type: str, *, at: datetime) -> bool:
        """Returns whether the agent may send this type when the record is made at `at`."""
        return event_type in self.types and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table as /docs shows it.

    cells: role -> what it may: `any`, `own`; for events the source it gets, with `mandate:` before
    it where a mandate is needed. Roles that may not are left out.
    """

    half: Literal["action", "event"]
    name: str
    scope: str
    cells: Mapping[str, str]


def table_rows() -> tuple[Row, ...]:
    """Returns the whole table in its order, actions first."""
    actions = tuple(
        Row("action", action.name, action.scope, dict(action.reach)) for action in ACTIONS.values()
    )
    events = tuple(
        Row(
            "event",
            event_type,
            "events",
            {s.role: f"mandate:{s.source}" if s.by_mandate else s.source for s in senders},
        )
        for event_type, senders in EVENTS.items()
    )
    return actions + events
