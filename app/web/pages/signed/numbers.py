"""Whole numbers, days and times as people type them into forms."""

from __future__ import annotations

from datetime import date, datetime

from app.credit.workdays import end_of_day
from app.kit.clock import SHANGHAI
from app.kit.errors import FieldFault, invalid
from app.web.pages.signed.form import Form

_MOST_DIGITS = 18


def whole(form: Form, name: str, least: int, most: int, default: int | None = None) -> int:
    """Returns a field's number. Raises Invalid; default: of an empty field, None: it must be there."""
    told = form.text(name)
    if told:
        return read_whole(told, name, least=least, most=most)
    if default is None:
        raise invalid(FieldFault((name,), "missing"))
    return default


def read_whole(told: str, name: str, *, least: int, most: int) -> int:
    """Returns the number that was typed. Raises Invalid: `range` for a number that is not among these."""
    params = {"expected": f"{least}..{most}", "got": told[:40]}
    # isdecimal takes full-width digits too, and so does int.
    if not told.removeprefix("-").isdecimal():
        raise invalid(FieldFault((name,), "whole_number", params))
    if len(told) > _MOST_DIGITS or not least <= int(told) <= most:
        raise invalid(FieldFault((name,), "range", params))
    return int(told)


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


def end(form: Form, name: str) -> datetime | None:
    """Returns when something ends: with the day that was typed, or at a time as `moment` reads it."""
    try:
        return end_of_day(date.fromisoformat(form.text(name)))
    except ValueError:
        return moment(form, name)
