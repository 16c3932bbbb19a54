"""What pages and API do alike: the words of a check, the limit on reports."""

from __future__ import annotations

from collections.abc import Mapping

from app.i18n import Lang, text
from app.kit.errors import TooMany
from app.web.deps import Rooms
from app.web.visit import Visit

_OF_A_PART = frozenset({"hash", "link"})
"""Checks that say something else where not all records of a chain were read."""


def check_detail(lang: Lang, name: str, params: Mapping[str, object], *, ok: bool | None) -> str:
    """Returns the sentence of one check in the reader's language."""
    standing = {True: "ok", False: "broken", None: "pending"}[ok]
    if ok is False and params.get("rewritten"):
        standing = "rewritten"
    if ok and params.get("part") and name in _OF_A_PART:
        standing = "part"
    return text(lang, f"check.{name}.{standing}", **params)


class ReportsTooOften(TooMany):
    """This address reported something a moment ago."""


def check_report_limit(rooms: Rooms, visit: Visit) -> None:
    """Raises ReportsTooOften beyond one report a second from one address."""
    if not rooms.report_limit.take(visit.address):
        raise ReportsTooOften("reports_too_often", retry_after_s=1)
