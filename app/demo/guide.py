"""What a newcomer reads after `suxin demo`: what to open, keys of each role, what to ask, how to check it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from app.config import PREFIX, Settings
from app.demo.cast import ALTERED, CARELESS, CAST, HONEST, INKSTONE, MERCHANTS, PLATFORM, REGULATOR

_PARTS = {
    HONEST: ("honest", "honest"),
    CARELESS: ("careless", "careless: missing signatures"),
    ALTERED: ("altered", "a chain of it was altered in the database"),
}


_PLACES = ("data_dir", "keys_dir", "anchor_dir", "database_url")
"""Settings that say which deployment a command is about. All, since `.env` may set others."""


def write_guide(
    settings: Settings,
    admin_key: str,
    keys: Mapping[str, str],
    shown: Mapping[str, str],
    people: Mapping[str, tuple[str, str]],
    numbers: Mapping[str, str],
    bought: tuple[str, str],
) -> str:
    """Returns the text. keys: party -> token; shown: kind -> stream of a unit.

    people: what somebody is -> user name and password. numbers: of the import, for customs.
    bought: stream of a unit, and its buyer's proof of purchase.
    """
    base_url = settings.base_url
    pages = [f"  {kind:<26}{base_url}/{stream}" for kind, stream in shown.items()]
    pages += [
        f"  {'start page':<26}{base_url}/",
        f"  {'credit, held points':<26}{base_url}/credit/{ALTERED.party}",
        f"  {'credit policy':<26}{base_url}/policy",
        f"  {'zone':<26}{base_url}/zone",
        f"  {'API, roles, problems':<26}{base_url}/docs",
    ]
    roles = [f"  {'operator (admin)':<26}{admin_key}"]
    for player in CAST:
        part = f" · {_PARTS[player][1]}" if player in _PARTS else ""
        roles.append(f"  {player.role:<26}{keys[player.party]}")
        roles.append(f"  {'':<26}{player.party} {player.name}{part}")
    candidates = ",".join(
        f'{{"id":"{_PARTS[one][0]}","gtin":"{INKSTONE}","seller":"{one.party}","base":1}}'
        for one in MERCHANTS
    )
    intact = shown["intact"].removeprefix("01/").replace("/21/", "/")
    asks = [
        "# one product, three sellers: why they stand in this order",
        f"curl -s {base_url}/api/v1/ranking -H 'Authorization: Bearer {keys[PLATFORM.party]}' \\",
        f"  -H 'Content-Type: application/json' -d '{{\"candidates\":[{candidates}]}}'",
        "# credit of the merchant whose chain was altered: 50 points held, shown apart",
        f"curl -s {base_url}/api/v1/credit/{ALTERED.party}",
        "# what the audit found",
        f"curl -s '{base_url}/api/v1/findings?kind=integrity' \\",
        f"  -H 'Authorization: Bearer {keys[REGULATOR.party]}'",
        "# evidence of the intact unit, checked without this server",
        f"curl -s {base_url}/log/key >log.key",
        f"curl -s {base_url}/api/v1/codes/{intact}/evidence >bundle.json",
        "python3 -I scripts/verify_bundle.py bundle.json --key log.key",
    ]
    return "\n".join(
        [
            "Suxin 溯信 demo. Every party, product and person in it is made up (虚构).",
            "",
            "Open",
            *pages,
            "  One record of the broken unit was altered in the database file. The audit meets it by",
            "  itself within half a minute of serving; opening its page finds it at once.",
            "",
            f"Sign in at {base_url}/sign-in",
            *(f"  {who:<26}{name:<12}{password}" for who, (name, password) in people.items()),
            "",
            "Review or complain as a buyer: open the unit, and give the proof that the platform gave",
            f"  {'unit':<26}{base_url}/{bought[0]}",
            f"  {'proof of purchase':<26}{bought[1]}",
            "",
            "Numbers to look for, as customs at /desk/customs or an authority at /desk/search; say for what",
            *(f"  {name:<26}{number}" for name, number in numbers.items()),
            "",
            "API keys of this demo",
            *roles,
            "",
            "Ask",
            *(f"  {line}" for line in asks),
            "",
            f"Its data is in {settings.data_dir}, its keys in {settings.keys_dir}.",
            "Check both from another terminal while it serves",
            *(f"  {line}" for line in _checks(settings)),
            "",
            "Everything is removed when the demo ends.",
        ]
    )


def _checks(settings: Settings) -> list[str]:
    """Returns what checks this very deployment, to be pasted into any shell in any folder."""
    places = " ".join(
        shlex.quote(f"{PREFIX}{name.upper()}={getattr(settings, name)}") for name in _PLACES
    )
    suxin = shlex.quote(str(Path(sys.executable).with_name("suxin")))
    return [
        f"export {places}",
        "# every chain and the whole log: one finding, the altered record; exit code 1",
        f"{suxin} audit",
        "# every leaf, tile and root once more from the records: the same one, by its leaf; 1 too",
        f"{suxin} log fsck",
    ]
