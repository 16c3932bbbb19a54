"""From where on detectors speak up: the credit policy's numbers (`detectors`), never the code's. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class CloneThreshold:
    """Distinct devices from which on one code looks like several labels, and the time for it."""

    devices: int
    within: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class BrushingTerms:
    """Signs in one seller's reviews of one month. Shares are hundredths.

    usual_of: reviews of other sellers of the category from which on something is usual there.
    """

    burst_within: timedelta
    burst_least: int
    fast_within: timedelta
    fast_least: int
    fast_percent: int
    similar_percent: int
    similar_least: int
    five_stars_least: int
    five_stars_percent: int
    unseen_least: int
    seen_usually_percent: int
    usual_of: int
    same_buyer_most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Of detectors whose answer is a matter of degree.

    early_devices: before the sale, or between sale and dispatch; a shop tries its labels with one.
    scattered_cities within scattered_within: after the signature. fastest: between two provinces.
    """

    clone: tuple[CloneThreshold, ...]
    early_devices: int
    scattered_cities: int
    scattered_within: timedelta
    fastest: timedelta
    brushing: BrushingTerms
