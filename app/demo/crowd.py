"""Who signs in to the demo, and one merchant who has applied and waits."""

from __future__ import annotations

import secrets

from app.demo.cast import CARELESS, CUSTOMS, FAST, HONEST, PLATFORM, REGULATOR
from app.kit.tokens import random_symbols
from app.parties.accounts import NOWHERE, Place
from app.parties.applications import Wish
from app.parties.identity import uscc_check_digit
from app.parties.registration import LicenceGiven
from app.web.deps import Rooms

_APPLICANT = "91441203MA4TE5T08"


def admit_people(rooms: Rooms) -> dict[str, tuple[str, str]]:
    """Returns what each is -> user name and password. New passwords each time: a port may be open."""
    places = {
        "operator": ("operator", Place("operator", None, (), None)),
        "merchant, owner": ("duanyan", Place("owner", HONEST.party, (), None)),
        "merchant, staff": (
            "duanyan.ck",
            Place("staff", HONEST.party, ("products", "codes", "events"), None),
        ),
        "careless merchant": ("baiwei", Place("owner", CARELESS.party, (), None)),
        "platform": ("pingtai", Place("owner", PLATFORM.party, (), None)),
        "carrier": ("kuaidi", Place("owner", FAST.party, (), None)),
        "regulator": ("jianguan", Place("owner", REGULATOR.party, (), None)),
        "customs": ("haiguan", Place("owner", CUSTOMS.party, (), None)),
    }
    told = {}
    accounts = rooms.people.accounts
    for who, (name, place) in places.items():
        password = _password()
        hashed = accounts.hash_new(password, name=name)
        with rooms.database.write() as connection:
            accounts.insert(connection, name, hashed, place)
        told[who] = (name, password)
    password = _password()
    uscc = _APPLICANT + uscc_check_digit(_APPLICANT)
    wish = Wish(
        uscc=uscc,
        name="高要果园（虚构）",
        contact="陈女士，高要区示例路 8 号（虚构）",
        licences=(LicenceGiven("business", uscc),),
    )
    rooms.applications.apply(wish, name="guoyuan", password=password, client=NOWHERE)
    told["applicant, not verified"] = ("guoyuan", password)
    return told


def _password() -> str:
    symbols = random_symbols(secrets.token_bytes, 16).lower()
    return "-".join(symbols[n : n + 4] for n in range(0, 16, 4))
