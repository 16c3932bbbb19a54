"""Whether a party is one of those for whom an authority's account is in office.

A party belongs to the region in which it is registered. Whoever is in office everywhere is asked
nothing, so this costs other callers no statement.
"""

from __future__ import annotations

from app.db.engine import Database
from app.parties import store
from app.parties.principal import OutsideRegion, Principal
from app.parties.roles import reach


def is_in_office(database: Database, principal: Principal, party: str) -> bool:
    """Whether the caller is in office where `party` is registered, or is that party. Read-only."""
    if principal.region is None or principal.party == party:
        return True
    with database.read() as connection:
        row = store.find_party(connection, party)
    return row is not None and principal.in_office(row.region)


def check_office(database: Database, principal: Principal, party: str) -> None:
    """Raises OutsideRegion where the caller is not in office for `party`. Read-only."""
    if not is_in_office(database, principal, party):
        raise OutsideRegion("outside_region", office=principal.region)


def sees_whole(database: Database, viewer: Principal | None, party: str, action: str) -> bool:
    """Whether a viewer sees a party's own: it is theirs, or `action` reaches it. Read-only."""
    if viewer is None:
        return False
    if viewer.party == party:
        return True
    return reach(viewer.roles, action) == "any" and is_in_office(database, viewer, party)
