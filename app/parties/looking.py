"""Why somebody looks at what others sealed, or for it, written down before anything is shown."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import uuid_utils

from app.db.engine import Database
from app.kit.clock import Clock, to_ms
from app.kit.errors import FieldFault, invalid
from app.ledger.record import stream_key
from app.parties import store
from app.parties.principal import Principal

MIN_PURPOSE, MAX_PURPOSE = 2, 200  # two characters can say it: 稽查
NOWHERE, NO_RECORD = 0, -1
"""In place of a stream's key and a seq: a look by a number that found nothing, or nothing in that stream."""


def read_purpose(given: str | None, *, loc: tuple[str, ...]) -> str:
    """Returns a stated purpose. loc: where it was given. Raises Invalid, kind `length`."""
    told = " ".join((given or "").split())
    if not MIN_PURPOSE <= len(told) <= MAX_PURPOSE:
        params = {"expected": f"{MIN_PURPOSE}..{MAX_PURPOSE}", "got": len(told)}
        raise invalid(FieldFault(loc, "length", params))
    return told


def log_look(
    database: Database,
    principal: Principal,
    stream: str,
    looked_at: Iterable[tuple[int, str]],
    purpose: str,
    *,
    clock: Clock,
) -> None:
    """Notes who looks at which sections (seq, name) of a stream, and why. Writes `access_log`."""
    key = stream_key(stream)
    told = [(key, seq, section) for seq, section in looked_at]
    log_looks(database, principal, told, purpose, clock=clock)


def log_looks(
    database: Database,
    principal: Principal,
    looked_at: Iterable[tuple[int, int, str]],
    purpose: str,
    *,
    clock: Clock,
) -> None:
    """Notes who looks at which sections (stream's key, seq, name), each once. Writes `access_log`."""
    told = ((*place, purpose) for place in looked_at)
    write_looks(database, principal, told, clock=clock)


def log_numbers(
    database: Database,
    principal: Principal,
    kinds: Iterable[str],
    found: Collection[tuple[int, int, str]],
    purpose: str,
    *,
    clock: Clock,
) -> None:
    """Notes who looked for numbers of these kinds, and what was found (stream's key, seq, kind).

    A kind without any is noted as one that led to nothing. It is one, too, where it leads to goods that the
    caller has no say in: the log is no way to learn of those. Writes `access_log`.
    """
    met = {kind for _, _, kind in found}
    missed = [(NOWHERE, NO_RECORD, kind) for kind in kinds if kind not in met]
    log_looks(database, principal, [*missed, *found], purpose, clock=clock)


def write_looks(
    database: Database,
    principal: Principal,
    looks: Iterable[tuple[int, int, str, str]],
    *,
    clock: Clock,
) -> None:
    """Notes looks, each with a purpose of its own (stream's key, seq, name, purpose). Writes `access_log`."""
    rows = [
        {
            "id": str(uuid_utils.uuid7()),
            "at": to_ms(clock.now()),
            "key_id": principal.key_id,
            "party": principal.party,
            "stream": stream,
            "seq": seq,
            "section": section,
            "purpose": purpose,
            "region": principal.region,
        }
        for stream, seq, section, purpose in dict.fromkeys(looks)
    ]
    if rows:
        with database.write() as connection:
            store.insert_looks(connection, rows)
