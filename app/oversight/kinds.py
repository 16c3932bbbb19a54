"""What follows from a finding by its kind: which rule is charged by itself, which once confirmed.

Nobody is ever charged by itself for what only looks wrong (identity, brushing, a changed listing): a
regulator who attributes such a finding to the merchant confirms it, and then the rule says how much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

UNCURED = "continuity_uncured"
LATE = "late_event"
INTEGRITY = "integrity_attributed_merchant"


Severity = Literal["grave", "serious", "ordinary"]
SEVERITIES: tuple[Severity, ...] = ("grave", "serious", "ordinary")
# What the bytes contradict; what looks like deceit; all else is a step that is missing or late.
FAMILIES_OF: Mapping[Severity, tuple[str, ...]] = {
    "grave": ("integrity", "log", "index"),
    "serious": ("identity", "brushing", "licence", "listing"),
}


@dataclass(frozen=True, slots=True)
class Consequence:
    """rule: charged with notice after the grace. late: in its place where it was cured in notice.

    confirmed: charged with notice where a regulator attributes it to the merchant.
    """

    rule: str | None = None
    late: str | None = None
    confirmed: str | None = None


_NOTHING = Consequence()
_BY_FAMILY = {
    "continuity": Consequence(rule=UNCURED, late=LATE),
    # A renewal may not have been told yet, and there is no call for it: a person asks first.
    "licence": Consequence(confirmed="licence_expired_selling"),
    "brushing": Consequence(confirmed="brushing_confirmed"),
    "listing": Consequence(confirmed="listing_mismatch"),
    "integrity": Consequence(confirmed=INTEGRITY),
}

LIFE_KINDS = (
    "continuity.impossible_order",
    "continuity.too_fast",
    "continuity.waybill_reused",
    "brushing.too_fast",
    "brushing.waybill_shared",
)
SCAN_KINDS = (
    "identity.clone_suspected",
    "identity.scanned_before_sale",
    "identity.scanned_before_dispatch",
    "identity.scanned_across_cities",
)
LOT_KINDS = ("continuity.oversold",)
MONTH_KINDS = (
    "brushing.burst",
    "brushing.fast_reviews",
    "brushing.similar_reviews",
    "brushing.five_stars",
    "brushing.unseen",
    "brushing.same_buyer",
)
LICENCE_KINDS = ("licence.expired_selling",)
LISTING_KINDS = ("listing.content_changed",)


def severity_of(kind: str) -> Severity:
    """Returns how grave a finding of this kind is for those who work through many."""
    family = kind.split(".", 1)[0]
    for severity, families in FAMILIES_OF.items():
        if family in families:
            return severity
    return "ordinary"


def consequence_of(kind: str) -> Consequence:
    """Returns what follows from a finding of this kind."""
    return _BY_FAMILY.get(kind.split(".", 1)[0], _NOTHING)
