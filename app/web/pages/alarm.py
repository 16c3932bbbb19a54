"""What a page says of goods, label or seller beside the chain, and when that is its one line. Pure."""

from __future__ import annotations

from typing import Final

from app.web.pages.seal import SealKind
from app.web.pages.views import ScanView

# What an authority says of the goods or their seller leads; a mere warning of the seller stands below.
_ALARMS: Final = ("recalled", "customs_hold", "under_measure", "clone_suspected")
# The most urgent first; `recalled` has its banner and `provisional_gap` its sentence on the card.
_WARNINGS: Final = (
    "expired", "customs_hold", "under_measure", "clone_suspected", "seller_warned", "sold_before",
    "provisional_gap",
)  # fmt: skip


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


def warnings_of(view: ScanView) -> list[str]:
    """Returns the warnings below the page's one line, but for those that it says elsewhere, and better."""
    return [kind for kind in _WARNINGS if kind in view.warnings and not _is_said(kind, view)]


def _is_said(warning: str, view: ScanView) -> bool:
    if warning == "provisional_gap":
        return bool(view.with_status("due"))
    return warning == "under_measure" and any(one.kind == "measure" for one in view.notices)
