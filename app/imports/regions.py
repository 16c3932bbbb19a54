"""Where a parcel goes, as a region code (GB/T 2260), where names of province and city say it clearly.

Never finer than a city, and nothing where a name is masked, unknown or fits two places: a code that was
guessed would stand in the record for good.
"""

from __future__ import annotations

import re
from functools import cache

from stdnum import numdb

from app.i18n import region_name
from app.parties.identity import PROVINCES

_KIND = re.compile(
    r"(?:省|市|特别行政区|壮族自治区|回族自治区|维吾尔自治区|自治区|地区|盟|"
    r"[\u4e00-\u9fff]{1,8}自治州|林区)$"
)
# The table keeps what a code once meant: `[1983-1988]` is over, `[1988-]` holds.
_HOLDS = re.compile(r"(?:\[[0-9]*-\])?([^\[\]]+)")
_MUNICIPAL = frozenset({"11", "12", "31", "50"})


def region_of(province: str, city: str) -> str | None:
    """Returns six digits for a province and a city by name, None where they are not clear."""
    code = _provinces().get(_short(province))
    if code is None:
        return None
    if code in _MUNICIPAL or not city.strip():
        return f"{code}0000"
    found = _cities(code).get(_short(city))
    return f"{code}0000" if found is None else found


def region_of_address(address: str) -> str | None:
    """Returns six digits for an address that begins with province and city as words, else None."""
    words = address.split()
    if len(words) < 3:
        return None
    return region_of(words[0], words[1])


def _short(name: str) -> str:
    name = name.strip()
    bare = _KIND.sub("", name)
    return bare if len(bare) >= 2 else name


@cache
def _provinces() -> dict[str, str]:
    return {_short(region_name("zh", f"{code}0000")): code for code in sorted(PROVINCES)}


@cache
def _cities(province: str) -> dict[str, str]:
    """Returns the codes of a province's cities by short name; of a name that two have, none."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    table = numdb.get("cn/loc")
    for number in range(1, 91):  # from 91 on: what has no city above it
        code = f"{province}{number:02}00"
        parts = table.info(code)
        told = str(parts[1][1].get("county", "")) if len(parts) > 1 else ""
        for one in told.split(","):
            held = _HOLDS.fullmatch(one)
            if held is not None:
                twice |= {_short(held[1])} & found.keys()
                found[_short(held[1])] = code
    return {name: code for name, code in found.items() if name not in twice}
