"""What a person types or scans for a waybill: its number, or the barcode of its face sheet.

Files and programs say what they say: `parse_waybill` alone reads theirs.
"""

from __future__ import annotations

import re

from app.kit.errors import FieldFault, Invalid, invalid
from app.parties.identity import parse_waybill
from app.trace.identifiers import parse_code

# JD's face sheets have which parcel of how many behind the number of the waybill: `JDV012345678901-1-1-`.
_OF_SEVERAL = re.compile(r"(JD[A-Z0-9]{6,})-[0-9]+-[0-9]+-")


def read_waybill(told: str) -> str:
    """Returns a waybill number as a face sheet's barcode or a person tells it. Raises Invalid."""
    try:
        goods = parse_code(told)
    except Invalid:
        goods = None
    try:
        number = parse_waybill(told)
    except Invalid as refused:
        if goods is not None:
            raise _goods_told(refused.errors[0].kind, told) from refused
        raise
    # A scanner's bare text of a goods label is spelled as waybills are, and longer than any; digits alone
    # that might be a GTIN may be a waybill as well.
    if goods is not None and goods.level != "product":
        raise _goods_told("charset", told)
    parcel = _OF_SEVERAL.fullmatch(number)
    return parcel[1] if parcel is not None else number


def _goods_told(kind: str, told: str) -> Invalid:
    return invalid(FieldFault(("waybill",), kind, {"got": told[:40]}, "waybill_goods"))
