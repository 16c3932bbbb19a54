"""The garbage collector, set for a process that serves."""

from __future__ import annotations

import gc

# New containers until the young are looked at, and how many such looks until the older ones are.
_THRESHOLDS = (10_000, 20, 50)


def spare_what_stays() -> None:
    """Lets the collector pass over everything there is now, and come less often.

    To be called once, when all is loaded. A full collection stops every thread while it walks over
    the frameworks' objects, which live for ever: measured as 150 ms, several times a second under
    load, and nearly nothing with this. Reference counts free most of what a request makes anyway.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
