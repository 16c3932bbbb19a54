"""What is wrong with a life, with the looks at its code, or with a seller's reviews: typed evidence.

Each detector reads plain values and returns what it found now, nothing for "all is well"; whether a
finding is new, still open or healed is for whoever keeps them (app.oversight). Continuity has a party
whose step it was; identity and brushing are charged to nobody until a person has looked.
Pure; thresholds are parameters, since they belong to the policy.
"""

from app.trace.detectors.brushing import (
    Reviewed,
    Usual,
    find_brushing,
    find_burst,
    find_fast_reviews,
    find_five_stars,
    find_same_buyer,
    find_similar_reviews,
    find_unseen,
)
from app.trace.detectors.conduct import (
    Listed,
    Sold,
    find_changed_listings,
    find_expired_licences,
)
from app.trace.detectors.continuity import (
    CLOCK_TOLERANCE,
    ImpossibleOrder,
    LotSale,
    MissingStep,
    Oversold,
    Parcel,
    SharedWaybill,
    TooFast,
    correct,
    find_impossible_order,
    find_missing_steps,
    find_oversold,
    find_shared_waybill,
    find_too_fast,
    present_cycle,
)
from app.trace.detectors.evidence import Discovery, Evidence, Place
from app.trace.detectors.identity import (
    EarlyScan,
    ManyDevices,
    Scan,
    find_clone_suspicion,
    find_early_scan,
    find_scattered_scans,
    find_unsent_scan,
)
from app.trace.detectors.thresholds import BrushingTerms, CloneThreshold, Thresholds

__all__ = [
    "CLOCK_TOLERANCE",
    "BrushingTerms",
    "CloneThreshold",
    "Discovery",
    "EarlyScan",
    "Evidence",
    "ImpossibleOrder",
    "Listed",
    "LotSale",
    "ManyDevices",
    "MissingStep",
    "Oversold",
    "Parcel",
    "Place",
    "Reviewed",
    "Scan",
    "SharedWaybill",
    "Sold",
    "Thresholds",
    "TooFast",
    "Usual",
    "correct",
    "find_brushing",
    "find_burst",
    "find_changed_listings",
    "find_clone_suspicion",
    "find_early_scan",
    "find_expired_licences",
    "find_fast_reviews",
    "find_five_stars",
    "find_impossible_order",
    "find_missing_steps",
    "find_oversold",
    "find_same_buyer",
    "find_scattered_scans",
    "find_shared_waybill",
    "find_similar_reviews",
    "find_too_fast",
    "find_unseen",
    "find_unsent_scan",
    "present_cycle",
]
