"""Conduct of a seller beside the life of the goods: licences that ran out, listings that changed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.kit.clock import china_day
from app.trace.categories import REQUIRED_LICENCES
from app.trace.detectors.evidence import Discovery, Place


@dataclass(frozen=True, slots=True)
class ExpiredLicence:
    """Evidence: the first sale on a licence that had run out; the kinds of which one was needed."""

    category: str
    expected: tuple[str, ...]
    valid_until: str
    sold_on: str
    sale: Place


@dataclass(frozen=True, slots=True)
class ChangedListing:
    """Evidence: two listings of one seller at one place whose contents differ, and sales between."""

    place: str
    first: Place
    first_at: datetime
    first_digest: str
    then: Place
    then_at: datetime
    then_digest: str
    sold_between: int


@dataclass(frozen=True, slots=True)
class Sold:
    """A sale as its seller's licences see it."""

    sale: Place
    at: datetime
    category: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A listing as the seller showed it. place: platform or URL; digest: None where not told."""

    record: Place
    seller: str
    place: str
    at: datetime
    digest: str | None
    ended: bool = False


def find_expired_licences(
    seller: str, licences: Iterable[Mapping[str, Any]], sales: Iterable[Sold]
) -> tuple[Discovery, ...]:
    """Returns `licence.expired_selling`, one a category, if goods were sold on an expired licence.

    licences: the periods that count by now, each to `valid_until` (the last day, China) or for ever. One that
    begins after the sale says nothing of it, so a renewal that came late heals nothing.
    A seller that never had a licence of the kind is refused the listing instead.
    """
    held = [dict(licence) for licence in licences]
    first: dict[str, Discovery] = {}
    for sold in sorted(sales, key=lambda one: (one.at, one.sale)):
        if sold.category in first:
            continue
        on = china_day(sold.at)
        for group in REQUIRED_LICENCES.get(sold.category, ()):
            until = [
                one.get("valid_until", on)
                for one in held
                if one["kind"] in group and one.get("valid_from", on) <= on
            ]
            if until and max(until) < on:
                told = ExpiredLicence(sold.category, group, max(until), on, sold.sale)
                key = f"{sold.category} {max(until)}"
                first[sold.category] = Discovery("licence.expired_selling", seller, told, key)
                break
    return tuple(first.values())


def find_changed_listings(
    listings: Iterable[Listed], sold_at: Iterable[datetime]
) -> tuple[Discovery, ...]:
    """Returns `listing.content_changed` for each listing whose content differs from the one before.

    Of one seller at one place, both live, and only where goods were sold between the two: their buyers
    saw another page than the one that stands there now. For a person, since a better picture and a
    better promise look alike.
    """
    moments = sorted(sold_at)
    before: dict[tuple[str, str], Listed] = {}
    found = []
    for one in sorted(listings, key=lambda listed: (listed.at, listed.record)):
        place = (one.seller, one.place)
        if one.ended:
            before.pop(place, None)
            continue
        if one.digest is None:
            continue
        last, before[place] = before.get(place), one
        if last is None or last.digest is None or last.digest == one.digest:
            continue
        between = sum(1 for at in moments if last.at <= at < one.at)
        if between:
            evidence = ChangedListing(
                one.place,
                last.record,
                last.at,
                last.digest,
                one.record,
                one.at,
                one.digest,
                between,
            )
            key = f"{last.record.seq} {one.record.seq}"
            found.append(Discovery("listing.content_changed", one.seller, evidence, key, 30))
    return tuple(found)
