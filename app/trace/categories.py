"""Which licences a product of which category needs before it may be listed. Data, and its check.

Any one kind of a group is enough, and every group must be met (E-commerce Law art. 15, 27; the
field's rules name the categories). Categories without a group need none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from app.kit.clock import china_day
from app.kit.errors import Denied
from app.parties.licence_book import may_list

REQUIRED_LICENCES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "edible_agricultural": (),
    "food": (("food_production", "food_business", "food_filing"),),
    "drug": (("drug", "drug_business"),),
    "medical_device": (("medical_device",),),
    "agricultural_input": (("pesticide", "veterinary_drug", "fertilizer", "seed"),),
    "hazardous": (("hazardous_chemicals",),),
    "rare_earth": (("rare_earth",),),
    "cross_border": (("customs_registration", "business"),),
    "consumer_goods": (),
    "other": (),
}


class LicenceMissing(Denied):
    """The seller has no valid licence of the kinds that the category needs."""

    slug = "licence-missing"
    words = {"category": "page.category", "expected": "licence"}


def check_licences(category: str, licences: Iterable[Mapping[str, Any]], now: datetime) -> None:
    """Raises LicenceMissing naming the kinds of which one is needed and valid today in China."""
    for group in missing_licences(category, licences, now):
        raise LicenceMissing("licence_missing", category=category, expected=", ".join(group))


def missing_licences(
    category: str, licences: Iterable[Mapping[str, Any]], now: datetime
) -> tuple[tuple[str, ...], ...]:
    """Returns the groups of kinds of which a category needs one that is valid today in China, and none is."""
    today = china_day(now)
    valid = {licence["kind"] for licence in licences if may_list(licence, today)}
    return tuple(group for group in REQUIRED_LICENCES[category] if not valid.intersection(group))
