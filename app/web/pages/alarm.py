"""When a page's one line is about the goods or their label, whatever the chain is worth. Pure."""

from __future__ import annotations

from typing import Final

from app.web.pages.seal import SealKind
from app.web.pages.views import ScanView

# What an authority says of the goods or their seller leads; a mere warning of the seller stands below.
_ALARMS: Final = ("recalled", "customs_hold", "under_measure", "clone_suspected")


def alarm_of(view: ScanView) -> str:
    """Returns what makes the page's one line another than the chain's: `void`, or a warning; "" for none.

    The chain may be sound all the same, which the sentences below it then say. A broken one says worse.
    """
    if view.verdict.kind == "broken":
        return ""
    if view.sold is not None and view.sold.state == "void":
        return "void"
    return next((kind for kind in _ALARMS if kind in view.warnings), "")


def shown_of(view: ScanView) -> SealKind:
    """Returns the seal of the page, and so its colour."""
    alarm = alarm_of(view)
    if alarm == "void":
        return "void"
    return "abnormal" if alarm else view.verdict.kind


def headline_of(view: ScanView) -> str:
    """Returns the key of the page's one line."""
    alarm = alarm_of(view)
    if alarm == "void":
        return "page.verdict.void"
    return f"page.verdict.abnormal.{alarm}" if alarm else view.verdict.title
