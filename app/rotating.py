"""`suxin log rotate`: asks, lets the log go on under another origin, and says what was done."""

from __future__ import annotations

import json

import typer

from app.config import Settings
from app.db.lease import Standing
from app.ledger.note import encode_base64
from app.ledger.rotation import Plan, Rotated
from app.main import configure_logs
from app.rooms import close_rooms, open_rooms, open_rotation
from app.setup import serving_alone
from app.terminal import ERR, OUT, fail


def rotate_log(settings: Settings, origin: str | None, *, yes: bool, as_json: bool) -> None:
    """Rotates the log while nothing serves. origin: of the new log, None for the next yearly one."""
    configure_logs(settings.log_level)  # to stderr: standard output is the answer's
    with serving_alone(settings, exclusive=True):
        rooms = open_rooms(settings)
        try:
            rotation = open_rotation(settings, rooms)
            plan = rotation.plan(origin)
            if not (plan.done or yes):
                _ask(plan)
            done = rotation.run(plan, waiting=_tell_wait)
        finally:
            close_rooms(rooms)
    if as_json:
        told = {
            "old": {"origin": done.old, "size": done.size, "root": encode_base64(done.root)},
            "new": {"origin": done.new, "key": done.key},
            "already": plan.done,
        }
        OUT.print_json(json.dumps(told))
    else:
        _tell(plan, done)


def _ask(plan: Plan) -> None:
    again = "The rotation that was begun is completed: " if plan.resumed else ""
    ERR.print(
        f"{again}{plan.old} ends for good with about {plan.size} entries, and {plan.new} goes on "
        "from it under a new key.",
        markup=False,
    )
    try:
        agreed = typer.confirm("Go on?", err=True)
    except typer.Abort:  # nobody is there to be asked
        agreed = False
    if not agreed:
        fail("nothing was changed; --yes goes on without asking", code=2)


def _tell_wait(standing: Standing) -> None:
    if standing.holder is not None:
        ERR.print(
            f"process {standing.holder} ({standing.where}) leads; its lease ends in "
            f"{standing.left_s:.0f} s unless it lives",
            markup=False,
        )


def _tell(plan: Plan, done: Rotated) -> None:
    if plan.done:
        OUT.print(f"{done.new} has just begun; nothing was changed", markup=False)
        return
    OUT.print(f"frozen   {done.old}, {done.size} entries", markup=False)
    OUT.print(f"goes on  {done.new}", markup=False)
    OUT.print(f"key      {done.key}", markup=False)
    OUT.print("Back up the keys folder now, publish the new key, and give it to your witnesses.")
