"""The `suxin credit` commands: what another policy would change."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.config import load_settings
from app.credit import store
from app.credit.loader import BadPolicy, Policies, check_successor, parse_policy
from app.credit.rules import Policy
from app.credit.whatif import Comparison, compare
from app.db.engine import Database
from app.kit.canonical import parse_json
from app.kit.clock import SystemClock, to_ms
from app.kit.errors import Fault
from app.setup import check_set_up
from app.terminal import OUT, ending_at_once, fail, show_progress

credit_cli = typer.Typer(help="The ledger of credit.", no_args_is_help=True)

_AT_A_TIME = 200

AsJSON = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


@credit_cli.callback()
def _credit() -> None:
    """The ledger of credit."""


@credit_cli.command()
def replay(
    policy: Annotated[str, typer.Option(help="A version's number, or a policy file.")],
    *,
    everybody: Annotated[
        bool, typer.Option("--all", help="Also the parties for whom nothing changes.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Show what a policy would change, party by party, before it is in force. Reads only.

    Entries keep the points they were made with: `switched` is the day of the change, `replayed` as if
    the policy had always been in force. Exit: 0, or 2 for a policy that cannot be used.
    """
    settings = load_settings()
    check_set_up(settings)
    from app.rooms import policies_of  # noqa: PLC0415 - with the whole program behind it

    policies, now = policies_of(settings), SystemClock().now()
    current = policies.at(now)
    other = _read_policy(policy, policies)
    refused = _refusal(other, policies)
    database = Database(settings.database_url)
    found: list[Comparison] = []
    try:
        with ending_at_once(), database.read() as connection, show_progress("parties") as advance:
            parties = store.parties_with_entries(connection)
            for start in range(0, len(parties), _AT_A_TIME):
                part = parties[start : start + _AT_A_TIME]
                holds = store.load_holds_of(connection, part)
                chains = store.completed_counts(connection, part, now_ms=to_ms(now))
                for party in part:
                    compared = compare(
                        party, store.entry_rows(connection, party), holds[party],
                        at=now, current=current, other=other,
                        completed_chains=chains.get(party, 0),
                    )  # fmt: skip
                    if everybody or compared.differs:
                        found.append(compared)
                advance(start + len(part))
    finally:
        database.close()
    _tell(found, len(parties), current, other, refused, as_json=as_json)


def _read_policy(given: str, policies: Policies) -> Policy:
    try:
        if given.isascii() and given.isdigit():
            return policies.get(int(given))
        return parse_policy(parse_json(Path(given).read_bytes()))
    except (BadPolicy, Fault) as err:
        fail(f"{given}: {err}", code=2)
    except OSError as err:
        fail(f"{given}: {err.strerror}; name a version or a policy file", code=2)


def _refusal(other: Policy, policies: Policies) -> str | None:
    """Returns why this policy could not come after the newest one; None where it could, or is one."""
    newest = policies.get(policies.versions[-1])
    if other.version in policies.versions and policies.get(other.version).digest == other.digest:
        return None
    try:
        check_successor(newest, other)
    except BadPolicy as err:
        return str(err)
    return None


def _tell(
    found: list[Comparison],
    parties: int,
    current: Policy,
    other: Policy,
    refused: str | None,
    *,
    as_json: bool,
) -> None:
    if as_json:
        told = {
            "current": current.version,
            "policy": other.version,
            "digest": other.digest,
            "refused": refused,
            "parties": parties,
            "changed": [one.as_json() for one in found],
        }
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
        return
    for one in found:
        cards = (one.now, one.switched, one.replayed)
        scores = " -> ".join(f"{card.score} {card.grade}" for card in cards)
        OUT.print(f"{one.party}  {scores}", markup=False)
        for entry in one.entries:
            points = f"{entry.points[0]} -> {entry.points[1]}"
            weight = f"weighs {entry.weight[0]} -> {entry.weight[1]}"
            OUT.print(f"    {entry.rule}  {points}  {weight}  {entry.id}", markup=False)
    OUT.print(f"{parties} parties; now -> on the day of the change -> had it always been in force")
    if refused is not None:
        OUT.print(
            f"this policy could not follow version {current.version}: {refused}", markup=False
        )
