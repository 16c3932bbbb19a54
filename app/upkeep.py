"""Commands for whoever looks after a deployment: schema, anchor folder, index of the search."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from app.config import load_settings
from app.credit import documentstore
from app.credit.graces import graces_in_force
from app.db.engine import Database
from app.db.schema import (
    LOCK_TIMEOUT_S,
    STATEMENT_TIMEOUT_S,
    Step,
    missing_steps,
    revision_of,
)
from app.db.schema import migrate as migrate_schema
from app.ledger.adopting import adopt_anchor as adopt
from app.ledger.anchor import Anchor
from app.ledger.keyring import load_keys
from app.oversight import figurestore
from app.oversight.figures import CURSOR
from app.parties import retellstore
from app.setup import check_set_up, check_there
from app.terminal import OUT
from app.trace import casestore, resoldstore, soldstore
from app.trace.ratingstore import rebuild_ratings
from app.trace.voicestore import rebuild_voices
from app.trace.wordstore import rebuild_words

AsJSON = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


def migrate(
    lock_timeout: Annotated[
        float, typer.Option(min=0.001, help="Seconds a step may wait for a lock (PostgreSQL).")
    ] = LOCK_TIMEOUT_S,
    statement_timeout: Annotated[
        float, typer.Option(min=0.001, help="Seconds a statement may run (PostgreSQL).")
    ] = STATEMENT_TIMEOUT_S,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Bring the database to this release's schema, step by step, beside a running service.

    Forward only; a database of a later release is refused. The release before goes on serving.
    """
    settings = load_settings()
    check_there(settings)
    database = Database(settings.database_url)
    try:
        before = revision_of(database)
        if dry_run:
            steps = missing_steps(database)
        else:
            steps = migrate_schema(
                database, lock_timeout_s=lock_timeout, statement_timeout_s=statement_timeout
            )
    finally:
        database.close()
    _tell(before, steps, dry_run=dry_run, as_json=as_json)


def adopt_anchor(*, as_json: AsJSON = False) -> None:
    """Sign under this host's anchor folder from now on: only where the one before is lost for good.

    Where the database may be an old copy, do not: that is the fork which the anchor prevents.
    """
    settings = load_settings()
    check_set_up(settings)
    keys = load_keys(settings.keys_dir)
    database = Database(settings.database_url)
    try:
        served = adopt(database, Anchor(settings.anchor_dir), keys.logs)
    finally:
        database.close()
    size = 0 if served is None else served.size
    if as_json:
        OUT.print_json(json.dumps({"anchor_dir": str(settings.anchor_dir), "size": size}))
    else:
        OUT.print(f"the log goes on from {size} entries, anchored in {settings.anchor_dir}")


def reindex(*, as_json: AsJSON = False) -> None:
    """Make the index of the search, the rows of ratings and of voices again from the records, at once.

    What was sold, and where it is, is told again by the records of the goods, what is in which case by their
    lives; what was sold on a day is counted again, and so are licences of parties and measures; which files
    the records name is found anew.

    The figures by month are forgotten; the worker counts them again along the log.

    After an upgrade from a release without them, or where an audit names `search_word`, `rating`, `voice`,
    `sold_unit`, `sold_day`, `case_unit`, `licence`, `party.licences`, `measure` or `document_use`.
    A record that was damaged is passed over and named; `suxin audit` says what is wrong with it.
    Nothing can be recorded meanwhile: about a minute for 100,000 products.
    """
    settings = load_settings()
    check_set_up(settings)
    database = Database(settings.database_url, command="reindex")
    try:
        with database.write() as connection:
            rows = rebuild_words(connection)
            ratings = rebuild_ratings(connection)
            voices = rebuild_voices(connection)
            sold = resoldstore.put_right(connection, graces_in_force())
            places = casestore.put_right(connection)
            days = soldstore.put_right(connection)
            parties = retellstore.put_right(connection)
            named = documentstore.put_right(connection)
            figurestore.forget(connection, CURSOR)
    finally:
        database.close()
    several = (ratings, voices, sold, parties, named)
    damaged = sorted({one for rebuilt in several for one in rebuilt.damaged})
    if as_json:
        OUT.print_json(
            json.dumps(
                {
                    "words": rows,
                    "ratings": ratings.made,
                    "voices": voices.made,
                    "sold": sold.made,
                    "places": places,
                    "days": days,
                    "parties": parties.made,
                    "documents": named.made,
                    "damaged": damaged,
                }
            )
        )
        return
    OUT.print(
        f"the search has {rows} words of products and lots; {ratings.made} ratings are counted, "
        f"{voices.made} reviews and complaints found, {sold.made} sales told again, "
        f"{places} units put into the cases where their lives say, {days} days of sales counted again, "
        f"{parties.made} licences and measures told again, {named.made} documents found in the records"
    )
    for one in damaged:
        OUT.print(f"passed over, it is damaged: {one}", markup=False)


def _tell(before: str | None, steps: list[Step], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        told = {
            "before": before,
            "steps": [{"revision": step.revision, "title": step.title} for step in steps],
            "done": not dry_run,
        }
        OUT.print_json(json.dumps(told))
        return
    for step in steps:
        OUT.print(
            f"{'would do' if dry_run else 'done'}  {step.revision}  {step.title}", markup=False
        )
    if not steps:
        OUT.print("the schema is this release's already; nothing was changed")
