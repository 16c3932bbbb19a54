"""What npm brings for the browser: missing without npm it is skipped, missing with it a failure."""

from __future__ import annotations

import shutil

import pytest


def need(there: object, what: str) -> None:
    """Goes on where it is there. `scripts/test` has npm bring it, and says so where there is no npm."""
    if there:
        return
    if shutil.which("npm") is None:
        pytest.skip(f"npm is missing, which brings {what}: apt-get install npm")
    pytest.fail(f"{what} is missing and npm is there: `scripts/test` fetches it (npm ci)")
