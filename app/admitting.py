"""`suxin accounts`: the people who sign in, as the operator sees them at three in the morning."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from app.config import load_settings
from app.kit.clock import format_time, format_time_if
from app.opening import opened_rooms
from app.parties.account_rules import Role
from app.terminal import OUT, fail

accounts_cli = typer.Typer(help="People who sign in.", no_args_is_help=True)

AsJSON = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Name = Annotated[str, typer.Argument(help="The user name.")]

_ROLES: dict[str, Role] = {"owner": "owner", "staff": "staff", "operator": "operator"}


@accounts_cli.command("add")
def accounts_add(
    name: Name,
    party: Annotated[str | None, typer.Option(help="The party's id; none: the operator's.")] = None,
    role: Annotated[str | None, typer.Option(help="owner, staff or operator.")] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="Of staff; may be given several times.")
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="Of an authority's people: six digits, GB/T 2260.")
    ] = None,
    *,
    as_json: AsJSON = False,
) -> None:
    """Make an account; its one-time password is shown this once and must be changed at sign-in."""
    chosen = _ROLES.get(role or ("owner" if party else "operator"))
    if chosen is None:
        fail(f"there is no role {role}; it is owner, staff or operator", code=2)
    with opened_rooms(load_settings()) as rooms:
        accounts = rooms.people.accounts
        place = accounts.place(role=chosen, party=party, scopes=scope or (), region=region)
        password = accounts.create(name, place)
    _tell(name, password, as_json=as_json)


@accounts_cli.command("list")
def accounts_list(
    party: Annotated[str | None, typer.Option(help="Of one party alone.")] = None,
    *,
    as_json: AsJSON = False,
) -> None:
    """List accounts: user name, role, party, last sign-in."""
    with opened_rooms(load_settings()) as rooms:
        found = [
            one for one in rooms.people.accounts.all() if party is None or one.person.party == party
        ]
    if as_json:
        told = [
            {
                "name": one.person.name,
                "role": one.person.role,
                "party": one.person.party,
                "scopes": sorted(one.person.scopes),
                "region": one.person.region,
                "second_step": one.person.has_second,
                "created_at": format_time(one.created_at),
                "seen_at": format_time_if(one.seen_at),
                "disabled_at": format_time_if(one.disabled_at),
            }
            for one in found
        ]
        OUT.print_json(json.dumps(told))
        return
    for one in found:
        who = one.person
        state = "disabled" if one.disabled_at else format_time_if(one.seen_at) or "never signed in"
        OUT.print(f"{who.name:<24} {who.role:<9} {who.party or '-':<18} {state}", markup=False)


@accounts_cli.command("reset")
def accounts_reset(
    name: Name,
    *,
    drop_second_step: Annotated[
        bool, typer.Option("--drop-second-step", help="The authenticator is lost as well.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Give an account a one-time password, shown this once; all its sessions end."""
    with opened_rooms(load_settings()) as rooms:
        accounts = rooms.people.accounts
        account = accounts.find(name).person
        password = accounts.reset(account.id, drop_second=drop_second_step)
    _tell(account.name, password, as_json=as_json)


@accounts_cli.command("disable")
def accounts_disable(
    name: Name,
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Let it sign in again.")] = False,
) -> None:
    """End an account and all its sessions, at once."""
    with opened_rooms(load_settings()) as rooms:
        accounts = rooms.people.accounts
        account = accounts.find(name).person
        if undo:
            accounts.enable(account.id)
        else:
            accounts.disable(account.id)
    OUT.print(f"{account.name} {'may sign in again' if undo else 'is disabled'}", markup=False)


def _tell(name: str, password: str, *, as_json: bool) -> None:
    if as_json:
        OUT.print_json(json.dumps({"name": name, "password": password}))
        return
    OUT.print(f"user name  {name}\npassword   {password}", markup=False)
    OUT.print("The password is shown this once, and must be changed at the first sign-in.")
