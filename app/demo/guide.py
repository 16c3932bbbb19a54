"""What a newcomer reads after `suxin demo`: what to open, a key of each role, what to ask."""

from __future__ import annotations

from collections.abc import Mapping

from app.demo.cast import ALTERED, CARELESS, CAST, HONEST, INKSTONE, MERCHANTS, PLATFORM, REGULATOR

_PARTS = {
    HONEST: ("honest", "honest"),
    CARELESS: ("careless", "careless: missing signatures"),
    ALTERED: ("altered", "a chain of it was altered in the database"),
}


def write_guide(
    base_url: str,
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
        "python3 scripts/verify_bundle.py bundle.json --key log.key",
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
            "Everything is removed when the demo ends.",
        ]
    )
