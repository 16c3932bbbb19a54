"""Whole numbers, days and times as people type them into forms."""

from __future__ import annotations

from datetime import date, datetime

from app.kit.clock import SHANGHAI
from app.kit.errors import FieldFault, invalid
from app.web.pages.signed.form import Form


def whole(form: Form, name: str, least: int, most: int, default: int | None = None) -> int:
    """Returns a field's number. Raises Invalid; default: of an empty field, None: it must be there."""
    told = form.text(name)
    if not told:
        if default is None:
            raise invalid(FieldFault((name,), "missing"))
        return default
    # isdecimal takes full-width digits too, and so does int.
    if told.isdecimal() and len(told) <= 18 and least <= int(told) <= most:
        return int(told)
    params = {"expected": f"{least}..{most}", "got": told[:40]}
    raise invalid(FieldFault((name,), "whole_number", params))


def day(form: Form, name: str) -> str | None:
    """Returns a field's day YYYY-MM-DD, None where it is empty. Raises Invalid."""
    told = form.text(name)
    if not told:
        return None
    try:
        return date.fromisoformat(told).isoformat()
    except ValueError as err:
        raise invalid(FieldFault((name,), "day_form", {"got": told[:40]})) from err


def moment(form: Form, name: str) -> datetime | None:
    """Returns a field's time, read in Asia/Shanghai as everywhere on pages; None where it is empty.

    As `datetime-local` gives it, `YYYY-MM-DDTHH:MM`; typed with a blank it is understood too. Raises
    Invalid.
    """
    told = form.text(name)
    if not told:
        return None
    try:
        return datetime.strptime(told[:16].replace(" ", "T"), "%Y-%m-%dT%H:%M").replace(
            tzinfo=SHANGHAI
        )
    except ValueError as err:
        raise invalid(FieldFault((name,), "moment_form", {"got": told[:40]})) from err
