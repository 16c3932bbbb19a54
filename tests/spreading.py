"""How tests are spread over the processes of `pytest -n 2`: whoever shares a deployment stays together.

xdist would give each process a part of every file, and each would then make what the file, or the
folder, makes once. Here a process gets a whole file; where files share deployments, all of those files. The
longest come first, so that all processes end together.
"""

from __future__ import annotations

from functools import cache
from pathlib import PurePosixPath

import pytest
from xdist.scheduler import LoadScopeScheduling

_DRILLS, _BROWSER = "tests/drills", "tests/browser"
# Files of tests/browser that ask for `shown`, and for none of the others that its files share.
_OF_SHOWN, _SHOWN = f"{_BROWSER} shown", ("scan_page", "verify_page")
# Files of tests/browser that ask for none of its shared deployments.
_ALONE = frozenset(
    f"{_BROWSER}/test_{name}.py"
    for name in (
        "authority_pages", "axe", "dealing_pages", "first_hour", "licence_pages", "listing_pages",
        "looks", "merchant_pages", "modules", "own_pages", "phone", "policies", "proof_pages",
        "recall_pages", "record_pages", "shipping_pages", "signed_pages", "standing_pages",
        "three_doors", "walk_account", "walk_goods", "walk_office", "walk_voices", "walks",
    )
)  # fmt: skip
_LONG = (
    _BROWSER,
    _DRILLS,
    _OF_SHOWN,
    *sorted(_ALONE),
    "tests/web/test_schemathesis.py",
    "tests/faults/test_steps.py",
    "tests/ledger/test_quick_trade.py",
    "tests/test_readme.py",
    "tests/test_demo.py",
)


def unit_of(nodeid: str) -> str:
    """Returns the file, the folder or the part of one whose tests stay together."""
    return _unit_of_file(nodeid.partition("::")[0])


@cache
def _unit_of_file(file: str) -> str:
    path = PurePosixPath(file)
    folder = str(path.parent)
    if folder not in (_BROWSER, _DRILLS) or file in _ALONE:
        return file
    return _OF_SHOWN if path.stem.removeprefix("test_") in _SHOWN else folder


def sort_by_unit(items: list[pytest.Item]) -> None:
    """Puts what stays together side by side and what takes long first; else the order stays random."""
    ranks = {unit: rank for rank, unit in enumerate(_LONG)}
    items.sort(key=lambda item: ranks.get(unit_of(item.nodeid), len(ranks)))


class ByUnit(LoadScopeScheduling):
    def __init__(self, config: pytest.Config, log: object) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # by the number of tests, which says nothing

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
