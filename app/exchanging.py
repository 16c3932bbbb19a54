"""`suxin credit`, the other part: exchange of credit with other stores, as its operator sees it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Annotated

import typer

from app.config import load_settings
from app.crediting import credit_cli
from app.exchange.comparison import compare
from app.exchange.folder import RECEIPT
from app.exchange.port import StoreDown
from app.exchange.remote import HTTPStore
from app.joining import credit_signer, open_store
from app.kit.clock import format_ms_if
from app.ledger.anchor import write_file
from app.ledger.keyring import load_keys
from app.opening import opened_rooms
from app.setup import check_set_up
from app.terminal import OUT, fail, show_progress

__all__ = ["credit_cli"]

AsJSON = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Name = Annotated[str, typer.Argument(help="The sender's name here: lower-case, for life.")]

_PAGE = 500


@credit_cli.command("key")
def credit_key() -> None:
    """Print the key (vkey) with which this deployment signs towards other credit stores."""
    settings = load_settings()
    check_set_up(settings)
    OUT.print(str(credit_signer(settings, load_keys(settings.keys_dir)).vkey), markup=False)


@credit_cli.command("sending")
def credit_sending(*, as_json: AsJSON = False) -> None:
    """Say how the sending goes: the circuit breaker, what waits, what is dead, the last error."""
    with opened_rooms(load_settings()) as rooms:
        told = rooms.backroom.standing()
    link, waiting = told.link, told.backlog
    shown = {
        "kind": told.kind,
        "state": told.state.value,
        "failures": link.failures,
        "waiting": waiting.waiting,
        "failing": waiting.failing,
        "dead": waiting.dead,
        "oldest_at": format_ms_if(waiting.oldest_at_ms),
        "next_at": format_ms_if(link.next_at_ms or None),
        "last_ok_at": format_ms_if(link.last_ok_at_ms),
        "last_error": link.last_error,
    }
    if as_json:
        OUT.print_json(json.dumps(shown))
        return
    for name, value in shown.items():
        if value is not None:
            OUT.print(f"{name:<11} {value}", markup=False)


@credit_cli.command("dead-letters")
def credit_dead_letters(*, as_json: AsJSON = False) -> None:
    """List what the other store refused for good, and why. Exit: 0 nothing, 1 something."""
    with opened_rooms(load_settings()) as rooms:
        letters = []
        after = None
        while page := rooms.backroom.dead_letters(after=after, limit=_PAGE):
            letters += page
            after = page[-1].place
    if as_json:
        told = [{"key": one.key, "error": one.error} for one in letters]
        OUT.print_json(json.dumps({"dead_letters": told}))
    else:
        for one in letters:
            OUT.print(f"{one.key}  {one.error}", markup=False)
        OUT.print(f"{len(letters)} dead letters; `suxin credit resend` sends them again")
    raise typer.Exit(1 if letters else 0)


@credit_cli.command("resend")
def credit_resend(
    key: Annotated[list[str] | None, typer.Argument(help="Keys of dead letters.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All dead letters.")] = False,
) -> None:
    """Send dead letters once more, in their turn."""
    if every is bool(key):
        fail("name the keys of dead letters, or say --all", code=2)
    with opened_rooms(load_settings()) as rooms:
        count = rooms.backroom.resend(None if every else key)
    OUT.print(f"{count} dead letters will be sent again")


@credit_cli.command("send-all")
def credit_send_all() -> None:
    """Queue every change of the ledger again: for a store that is new, or lost what it had."""
    settings = load_settings()
    with opened_rooms(settings) as rooms, show_progress("changes") as advance:
        if rooms.sender is None:
            fail(
                f"credit is kept in no other store; SUXIN_CREDIT_STORE is {settings.credit_store}",
                code=2,
            )
        count = rooms.backroom.queue_all(progress=advance)
    OUT.print(f"{count} changes are queued; what the store has it answers as before")


@credit_cli.command("compare")
def credit_compare(*, as_json: AsJSON = False) -> None:
    """Compare our ledger with what the store holds. Exit: 0 the same, 1 not, 2 not answered."""
    settings = load_settings()
    with opened_rooms(settings) as rooms:
        remote = open_store(settings, rooms.keyring, clock=rooms.clock)
        if not isinstance(remote, HTTPStore):
            fail("only a store behind https:// can be listed", code=2)
        with contextlib.closing(remote):
            try:
                found = compare(rooms.database, remote)
            except StoreDown as err:
                fail(f"the store does not answer: {err.why}; try again", code=2)
    if as_json:
        told = {
            "equal": found.equal,
            **found.counts,
            "keys": {
                "missing": found.missing,
                "extra": found.extra,
                "differing": found.differing,
            },
        }
        OUT.print_json(json.dumps(told))
    else:
        for kind in ("missing", "extra", "differing"):
            for key in getattr(found, kind):
                OUT.print(f"{kind}  {key}", markup=False)
        counts = ", ".join(f"{count} {kind}" for kind, count in found.counts.items())
        OUT.print(f"{found.equal} equal, {counts}")
    raise typer.Exit(0 if found.same else 1)


@credit_cli.command("senders")
def credit_senders(*, as_json: AsJSON = False) -> None:
    """List who may keep its credit here."""
    with opened_rooms(load_settings()) as rooms:
        rows = rooms.receiver.senders()
    told = [
        {
            "name": r.name,
            "key": r.vkey,
            "since": format_ms_if(r.since_at_ms),
            "ended": format_ms_if(r.ended_at_ms),
        }
        for r in rows
    ]
    if as_json:
        OUT.print_json(json.dumps({"senders": told}))
        return
    for one in told:
        ended = "" if one["ended"] is None else f"  ended {one['ended']}"
        OUT.print(f"{one['name']}  {one['key']}{ended}", markup=False)


@credit_cli.command("let-in")
def credit_let_in(
    name: Name, key: Annotated[str, typer.Argument(help="Its key, from `suxin credit key`.")]
) -> None:
    """Let a sender keep its credit here, or give one another key. Again changes nothing."""
    with opened_rooms(load_settings()) as rooms:
        vkey = rooms.receiver.let_in(name, key)
    OUT.print(f"{name} may send, signed by {vkey}", markup=False)


@credit_cli.command("shut-out")
def credit_shut_out(name: Name) -> None:
    """Take nothing more from a sender; what it sent stays."""
    with opened_rooms(load_settings()) as rooms:
        rooms.receiver.end(name)
    OUT.print(f"{name} may send no more", markup=False)


@credit_cli.command("import-package")
def credit_import_package(
    package: Annotated[Path, typer.Argument(help="A package, as it was carried here.")],
    receipts: Annotated[
        Path | None, typer.Option(help="Where to put the receipt; beside the package unless told.")
    ] = None,
) -> None:
    """Take in a package of changes and write its receipt. Again gives the same. Exit: 0, 1 some refused."""
    settings = load_settings()
    with opened_rooms(settings) as rooms:
        signer = credit_signer(settings, rooms.keyring)
        taken, receipt = rooms.receiver.take_package(package.read_bytes(), signer)
    place = (receipts or package.parent) / f"{taken.name}{RECEIPT}"
    write_file(place, receipt.encode())
    told = json.loads(receipt.split("\n")[1])
    OUT.print(f"{told['stored']} stored, {told['refused']} refused; receipt {place}", markup=False)
    raise typer.Exit(0 if told["stored"] == len(told["results"]) else 1)
