"""What would raise the places of a seller's products in rankings. Read-only."""

from __future__ import annotations

from dataclasses import dataclass

from app.credit.advice import advise
from app.i18n import Lang, text
from app.parties.principal import Principal
from app.web.deps import Rooms

MOST_OFFERS = 5


@dataclass(frozen=True, slots=True)
class OfferAdvice:
    """One product. boost, possible: percent, two decimals. says: what to do, the largest gain first."""

    gtin: str
    name: str
    boost: float
    possible: float
    says: tuple[str, ...]


def fill_offers(
    rooms: Rooms, lang: Lang, principal: Principal, party: str
) -> tuple[OfferAdvice, ...]:
    """Returns advice on the newest products of a party; none where it may not ask for any."""
    if not principal.may("ranking.advise"):
        return ()
    rows = rooms.catalogue.find_products(
        text=None, seller=party, category=None, after=None, limit=MOST_OFFERS
    )
    found = []
    for row in rows:
        known = rooms.ranking.find(party, row.gtin)
        if known is None:
            continue
        offer, card = known
        told = advise(
            offer, rooms.credit.policy, score=card.score, completed_chains=card.completed_chains
        )
        says = tuple(text(lang, step.key, **dict(step.params)) for step in told.steps)
        found.append(
            OfferAdvice(row.gtin, row.name, _percent(told.boost), _percent(told.possible), says)
        )
    return tuple(found)


def _percent(share: object) -> float:
    return round(float(str(share)) * 100, 2)
