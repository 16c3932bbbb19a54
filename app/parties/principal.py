"""Who is asking, and whether the table of roles lets them. Pure.

A principal is what an API key proves, or a session of somebody who signed in. The admin key and the
operator's people belong to no party: they administer and never speak in a chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.kit.errors import Denied
from app.parties.account_rules import STAFF_SCOPES, covers
from app.parties.roles import ACTIONS, ADMIN, SCOPES, may_within, reach


class ScopeMissing(Denied):
    """The key was not given the scope that this call needs."""


class RightMissing(ScopeMissing):
    """Who has signed in was not given the scope, which others of the same party have."""

    words: Mapping[str, str] = {"scope": "scope"}


class RoleMissing(Denied):
    """No role of the caller may do this. Says which roles may."""

    words: Mapping[str, str] = {"action": "action", "who": "role"}


class NotYours(Denied):
    """The caller may do this to its own alone."""


class OutsideRegion(Denied):
    """It is about a party or goods of a region in which the caller is not in office."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of a key, or who signed in. party is None for the operator, whose role is `admin`.

    account: id of who signed in, None for a key; key_id is then `account/<id>`. region: where an
    authority's account is in office (GB/T 2260), or whoever made the key; None: everywhere.
    """

    key_id: str
    party: str | None
    roles: frozenset[str]
    scopes: frozenset[str]
    account: str | None = None
    region: str | None = None

    @property
    def admin(self) -> bool:
        """Whether this is the operator."""
        return self.party is None

    def own_party(self) -> str:
        """Returns the party that the caller speaks for. Raises Denied for the operator."""
        if self.party is None:
            raise Denied("admin_cannot_speak")
        return self.party

    def may(self, action: str) -> bool:
        """Whether the caller may do `action` (a name of roles.ACTIONS) at all, be it to its own alone."""
        return may_within(self.roles, self.scopes, action)

    def check_may(self, action: str, *, owner: str | None = None) -> None:
        """Returns if the caller may do `action` (a name of roles.ACTIONS) to something of `owner`.

        owner None: the thing is nobody's yet, or whose it is will be decided later.
        Raises ScopeMissing, RoleMissing or NotYours.
        """
        scope = ACTIONS[action].scope
        granted = reach(self.roles, action)
        if scope not in self.scopes:
            # A person is told what to ask an owner for, where it would help.
            if self.account is not None and granted is not None:
                key = "right_missing" if scope in STAFF_SCOPES else "right_of_owners"
                raise RightMissing(key, scope=scope)
            if self.account is None:
                raise ScopeMissing("scope_missing", scope=scope)
        if granted is None:
            raise role_missing(action)
        if granted == "own" and owner is not None and owner != self.party:
            raise NotYours("not_yours")

    def in_office(self, *places: str | None) -> bool:
        """Whether the caller is in office in one of these regions; None among them is no place."""
        return self.region is None or any(covers(self.region, place) for place in places)

    def check_office(self, *places: str | None) -> None:
        """Raises OutsideRegion unless the caller is in office in one of these regions."""
        if not self.in_office(*places):
            raise OutsideRegion("outside_region", office=self.region)


def role_missing(action: str) -> RoleMissing:
    """Returns the refusal of an action (a name of roles.ACTIONS) that no role of the caller may do."""
    return RoleMissing("role_missing", action=action, who=", ".join(ACTIONS[action].reach))


OPERATOR = Principal("operator", None, frozenset({ADMIN}), frozenset(SCOPES))
"""The one at the command line: whoever can read the keys folder needs no key."""
