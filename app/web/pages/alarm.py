"""When a page's one line is `something is wrong`, whatever the chain is worth. Pure."""

from __future__ import annotations

from typing import Final

from app.web.pages.views import ScanView

_ALARMS: Final = ("recalled", "clone_suspected")


def alarm_of(view: ScanView) -> str:
    """Returns the warning that makes the page's one line `something is wrong`; "" for none.

    The chain may be sound all the same, which the sentences below it then say. A broken one says worse.
    """
    if view.verdict.kind == "broken":
        return ""
    return next((kind for kind in _ALARMS if kind in view.warnings), "")
