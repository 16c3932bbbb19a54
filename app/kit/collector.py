"""The garbage collector, set for a process that serves."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import TypeVar

Given = TypeVar("Given")
Told = TypeVar("Told")

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


def weakly(method: Callable[[Given], Told]) -> Callable[[Given], Told]:
    """Returns a bound method that does not keep its object: for whoever is held by that object itself.

    In a circle everything waits for the collector: of a page some eighty objects, and every hundredth
    page was stopped in its middle. Not to be called after the object is gone.
    """
    kept = weakref.WeakMethod(method)

    def call(given: Given) -> Told:
        found = kept()
        assert found is not None, "whoever calls is part of it"
        return found(given)

    return call
