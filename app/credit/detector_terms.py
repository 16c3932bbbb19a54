"""Reads the part of a policy file about detectors; see app.credit.loader. Pure."""

from __future__ import annotations

from datetime import timedelta

from app.credit.fields import Fields
from app.credit.rules import DetectorTerms
from app.trace.detectors.thresholds import BrushingTerms, CloneThreshold, Thresholds

_MOST = 1_000
_MINUTES = 100_000


def read_detectors(fields: Fields) -> DetectorTerms:
    """Returns from where on detectors speak up. Raises BadPolicy."""
    clone = tuple(_clone(item) for item in fields.subs("clone"))
    if not clone:
        fields.refuse("clone", "expected at least one")
    terms = DetectorTerms(
        thresholds=Thresholds(
            clone=clone,
            early_devices=fields.integer("early_devices", 1, _MOST),
            scattered_cities=fields.integer("scattered_cities", 2, _MOST),
            scattered_within=timedelta(days=fields.integer("scattered_days", 1, _MOST)),
            fastest=timedelta(minutes=fields.integer("fastest_minutes", 1, _MINUTES)),
            brushing=_brushing(fields.sub("brushing")),
        ),
        text=fields.texts("text"),
    )
    fields.done()
    return terms


def _clone(fields: Fields) -> CloneThreshold:
    found = CloneThreshold(
        fields.integer("devices", 2, _MOST), timedelta(hours=fields.integer("hours", 1, _MINUTES))
    )
    fields.done()
    return found


def _brushing(fields: Fields) -> BrushingTerms:
    terms = BrushingTerms(
        burst_within=timedelta(minutes=fields.integer("burst_minutes", 1, _MINUTES)),
        burst_least=fields.integer("burst_least", 2, _MOST),
        fast_within=timedelta(minutes=fields.integer("fast_minutes", 1, _MINUTES)),
        fast_least=fields.integer("fast_least", 1, _MOST),
        fast_percent=fields.integer("fast_percent", 1, 100),
        similar_percent=fields.integer("similar_percent", 50, 100),
        similar_least=fields.integer("similar_least", 2, _MOST),
        five_stars_least=fields.integer("five_stars_least", 1, _MOST),
        five_stars_percent=fields.integer("five_stars_percent", 50, 100),
        unseen_least=fields.integer("unseen_least", 1, _MOST),
        seen_usually_percent=fields.integer("seen_usually_percent", 1, 100),
        usual_of=fields.integer("usual_of", 1, 500),
        same_buyer_most=fields.integer("same_buyer_most", 1, _MOST),
    )
    fields.done()
    return terms
