"""Fills what a dossier says beside points: ratings, commitments, lists, monthly grades. Read-only.

As a stranger gets it from the API, and nothing more.
"""

from __future__ import annotations

from app.credit.ratings import DAYS
from app.i18n import Lang
from app.web.deps import Rooms
from app.web.pages.standing_views import Graded, Listing, Promise, Rated

MOST_GRADES = 24
_ALL_GRADES = 1_200
"""A hundred years of months."""


def fill_rated(rooms: Rooms, party: str) -> tuple[Rated, ...]:
    """Returns what each side that rated the party in the last DAYS says of it."""
    return tuple(
        Rated(
            kind=line.kind,
            side=line.side,
            stars=line.stars.of,
            count=line.stars.count,
            mean=line.stars.mean,
            at_least=line.stars.at_least,
            inner_only=line.inner_only,
        )
        for line in rooms.ratings.summary(party, days=DAYS).lines
        if line.stars.count or line.inner_only
    )


def fill_promises(rooms: Rooms, party: str, lang: Lang) -> tuple[Promise, ...]:
    """Returns a party's commitments, the newest first."""
    return tuple(
        Promise(
            title=one.template.title[lang],
            status=one.status,
            signed_at=one.signed_at,
            until=one.until,
            ended_at=one.ended_at,
        )
        for one in reversed(rooms.commitments.of_party(party, None))
    )


def fill_listings(rooms: Rooms, party: str, lang: Lang) -> tuple[Listing, ...]:
    """Returns the lists that a party is on now."""
    found = []
    for one in rooms.lists.of_party(party, None):
        terms = rooms.credit.policies.get(one.policy).lists[one.list]
        criterion = terms.criteria.get(one.criterion)
        found.append(
            Listing(
                list=one.list,
                title=terms.title[lang],
                text=one.criterion if criterion is None else criterion.title[lang],
                listed_at=one.listed_at,
                until=one.until,
            )
        )
    return tuple(found)


def fill_grades(rooms: Rooms, party: str) -> tuple[Graded, ...]:
    """Returns a party's newest monthly grades, the newest first."""
    rows = rooms.lists.grades(party, after="", limit=_ALL_GRADES)
    return tuple(
        Graded(month=row.month, score=row.score, grade=row.grade, data_enough=bool(row.data_enough))
        for row in reversed(rows[-MOST_GRADES:])
    )
