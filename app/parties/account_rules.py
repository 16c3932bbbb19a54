"""What an account may be called, which passwords are taken, how long failures wait, what a role may. Pure.

Passwords as NIST SP 800-63B-4 section 3.1.1.2 asks: at least 15 characters where a password stands alone,
any characters, no rules of composition, no change by the calendar, compared with a list of those that
everybody guesses. Failures as section 3.2.2 asks: each next try waits longer, for a name as for an
address, whether or not there is such an account.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from app.kit.errors import FieldFault, invalid
from app.parties.identity import parse_region
from app.parties.roles import ADMIN, SCOPES, scopes_of_use

MIN_PASSWORD, MAX_PASSWORD = 15, 128
"""Code points after NFC. The upper bound is far above the 64 that must be taken."""

Role = Literal["owner", "staff", "operator", "applicant"]
Stage = Literal["code", "password", "full"]
"""What a session still owes: the second factor, a new password, nothing."""

PARTY_SCOPES: tuple[str, ...] = tuple(scope for scope in SCOPES if scope != ADMIN)
"""Scopes that a party's key or owner can have; the last one is the operator's."""

STAFF_SCOPES: tuple[str, ...] = tuple(scope for scope in PARTY_SCOPES if scope != "parties")
"""What staff may be given. Not `parties`: who can make keys and people is an owner."""


def staff_scopes(roles: Iterable[str]) -> tuple[str, ...]:
    """Returns what staff of a party with `roles` may be given: what is of use to them."""
    of_use = scopes_of_use(roles)
    return tuple(scope for scope in STAFF_SCOPES if scope in of_use)


_NAME = re.compile(r"[a-z][a-z0-9]*([._-][a-z0-9]+)*", re.ASCII)
_MIN_NAME, _MAX_NAME = 3, 40

# Of the usual lists, what has 15 characters or more or is how people make shorter ones longer.
_COMMON = (
    "password", "passw0rd", "qwertyuiop", "asdfghjkl", "zxcvbnm", "1qaz2wsx", "qazwsxedc",
    "123456789", "987654321", "iloveyou", "letmein", "welcome", "administrator", "admin",
    "changeme", "default", "woaini", "5201314", "1314520", "aini1314", "mima", "suxin", "溯信",
)  # fmt: skip


def read_name(given: str) -> str:
    """Returns a login name as it is kept: 3-40 of a-z, 0-9 and single . _ - between, in lower case.

    Raises Invalid, kind `account_name`. ASCII alone, so that no two names look the same.
    """
    name = given.strip()
    name = name.lower() if name.isascii() else name
    if not _MIN_NAME <= len(name) <= _MAX_NAME or not _NAME.fullmatch(name):
        raise invalid(
            FieldFault(("name",), "account_name", {"expected": f"{_MIN_NAME}..{_MAX_NAME}"})
        )
    return name


def normal_password(given: str) -> str:
    """Returns a password as it is hashed: NFC, so that keyboards that compose otherwise agree."""
    return unicodedata.normalize("NFC", given)


def read_password(given: str, *, name: str) -> str:
    """Returns a new password as it is hashed. name: of the account, which it must not be made of.

    Raises Invalid, kinds `length` and `password_common`; never with the password in it.
    """
    password = normal_password(given)
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        params = {"expected": f"{MIN_PASSWORD}..{MAX_PASSWORD}", "got": len(password)}
        raise invalid(FieldFault(("password",), "length", params))
    if is_common(password, name=name):
        raise invalid(FieldFault(("password",), "password_common"))
    return password


def is_common(password: str, *, name: str = "") -> bool:
    """Returns whether a password is one that is tried first.

    That is: made of common words, the account's name and digits alone, a run of the keyboard or of
    the alphabet, or a short piece again and again.
    """
    told = password.casefold()
    if len(set(told)) < 5 or _is_run(told) or _repeats(told):
        return True
    left = told
    for word in sorted((*_COMMON, name.casefold()), key=len, reverse=True):
        left = left.replace(word, "") if word else left
    # What is left of "Password2026!!!" is a year and some signs.
    return not re.sub(r"[\W\d_]", "", left)


def _is_run(text: str) -> bool:
    steps = [ord(b) - ord(a) for a, b in itertools.pairwise(text)]
    return sum(step in (0, 1, -1) for step in steps) > len(steps) * 0.8


def _repeats(text: str) -> bool:
    return any(text == (text[:n] * len(text))[: len(text)] for n in range(1, 5))


# --- failures ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Patience:
    """free: tries before any waiting; first, most: the wait after that one, and the longest."""

    free: int
    first: timedelta
    most: timedelta

    def wait(self, failures: int) -> timedelta:
        """Returns how long after so many failures nothing more is tried: doubled by each."""
        if failures < self.free:
            return timedelta(0)
        doublings = min(failures - self.free, 20)
        return min(self.first * (1 << doublings), self.most)


OF_NAME = Patience(5, timedelta(seconds=15), timedelta(minutes=15))
"""Nobody is shut out for good: a stranger could do it to anybody. 100 guesses take a day."""

OF_ADDRESS = Patience(20, timedelta(seconds=15), timedelta(minutes=15))
"""Many people may share one address."""

OF_APPLYING = Patience(5, timedelta(minutes=10), timedelta(hours=4))
"""Of an address that applies: each success counts too."""

OF_ASKING = Patience(30, timedelta(seconds=10), timedelta(minutes=15))
"""Of a party that has tests and messages sent again to its webhooks."""

FORGOTTEN_AFTER = timedelta(days=1)
"""A failure this old counts no more."""


# --- what a role may -----------------------------------------------------------------------------


def read_scopes(given: Sequence[str], known: tuple[str, ...]) -> tuple[str, ...]:
    """Returns scopes in the order of `known`. Raises Invalid, kinds `length`, `enum`."""
    if not given:
        raise invalid(FieldFault(("scopes",), "length", sentence="none_chosen"))
    for index, scope in enumerate(given):
        if scope not in known:
            params = {"expected": ", ".join(known), "got": scope[:40]}
            raise invalid(FieldFault(("scopes", index), "enum", params))
    return tuple(scope for scope in known if scope in given)


def scopes_of(role: str, chosen: Iterable[str]) -> frozenset[str]:
    """Returns what an account of this role may: an owner all of its party, staff what was chosen."""
    match role:
        case "operator":
            return frozenset(SCOPES)
        case "owner":
            return frozenset(PARTY_SCOPES)
        case "staff":
            return frozenset(chosen) & frozenset(STAFF_SCOPES)
        case _:
            return frozenset()


def region_prefix(region: str) -> str:
    """Returns the digits that every region (GB/T 2260) inside this one begins with."""
    for tail in ("0000", "00"):
        if region.endswith(tail):
            return region.removesuffix(tail)
    return region


def covers(region: str, other: str | None) -> bool:
    """Returns whether `region` is or contains `other`; nothing contains an unknown place."""
    return other is not None and other.startswith(region_prefix(region))


def read_office(given: str, *, within: str | None) -> str:
    """Returns where an authority's account is in office. within: the party's own region, None: all.

    Raises Invalid, kinds `region` and `region_beyond`.
    """
    region = parse_region(given.strip(), loc=("region",))
    if within is not None and not covers(within, region):
        raise invalid(FieldFault(("region",), "region_beyond", {"expected": within, "got": region}))
    return region
