"""A ledger with some of everything in it, to be tampered with inside transactions that are undone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from app.kit.canonical import canonical_bytes
from app.ledger import store
from app.ledger.record import record_hash, stream_key
from app.ledger.submission import Draft
from app.ledger.verifier import Problem
from tests.ledger.ledgers import (
    OTHER,
    PARTY,
    PRODUCT,
    SHOP_KEY,
    UNIT,
    Ledger,
    Run,
    key_record,
    make_seal,
    runner,
    submission,
)

GROWN = "01/06901234567892/10/GROWN"

Found = tuple[Any, ...]
"""(kind, stream, seq) on a stream; (kind, leaf index), (kind, tile) or (kind,) on the log."""


class Undone(Exception):
    """Ends a drill's transaction."""


class Scene:
    """A ledger full of records, and one transaction in which to change them.

    UNIT and OTHER: five logged records each, of which 1 refers to the product's listing, 2 is signed
    and sealed, and 4 came after the last checkpoint; UNIT has two more (5, 6) that wait, the
    second of which refers to the first; so does the last of GROWN. All but each 4 stand in the log's
    first tile, which is full.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        ledger.record(submission(PARTY, type="registration"), key_record(), submission(PARTY))
        ledger.clock.advance(0.01)
        ledger.record(*(_counting(PRODUCT, kind) for kind in ("registration", "listing", "notice")))
        ledger.clock.advance(0.01)
        for stream in (UNIT, OTHER):
            ledger.record(
                _counting(stream, "registration"),
                _counting(stream, "sale", refs=((PRODUCT, 1),)),
                _counting(
                    stream, "dispatch", seals=(make_seal(), make_seal("recipient")),
                    signed_by=SHOP_KEY,
                ),
                _counting(stream, "notice"),
            )  # fmt: skip
            ledger.clock.advance(0.01)
        ledger.grow(280, stream=GROWN)
        ledger.publish()
        ledger.record(_counting(UNIT, "notice"), _counting(OTHER, "notice"))
        ledger.sequence()
        ledger.record(_counting(UNIT, "notice"), _counting(UNIT, "notice", refs=((UNIT, 5),)))
        ledger.record(_counting(GROWN, "notice", refs=((UNIT, 5),)))

    @contextmanager
    def change(self) -> Iterator[Change]:
        """Yields a transaction for changes; none of them stays."""
        database = self.ledger.database
        try:
            with database.write() as connection:
                run = runner(connection)
                if database.dialect == "postgresql":
                    run("SET LOCAL session_replication_role = 'replica'")
                else:
                    for (name,) in run("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
                        run(f"DROP TRIGGER {name}")
                yield Change(self.ledger, connection, run)
                raise Undone
        except Undone:
            pass


class Change:
    """SQL behind the service's back, and what an audit then finds."""

    def __init__(self, ledger: Ledger, connection: Any, run: Run) -> None:
        self.ledger = ledger
        self.connection = connection
        self.run = run

    def found(self) -> list[Found]:
        """Everything that an audit finds now, in order of place."""
        problems = self.ledger.problems(
            self.connection,
            check_state=_state_check(self.connection),
            keeps_state=lambda stream: "/21/" in stream,
        )
        for problem in problems:
            assert problem.detail or problem.kind in WITHOUT_EVIDENCE
        return sorted((place_of(p) for p in problems), key=repr)

    def record(self, stream: str, seq: int) -> Any:
        (row,) = self.run(
            "SELECT * FROM record WHERE stream = ? AND seq = ?", stream_key(stream), seq
        )
        return row

    def set(self, table: str, where: Mapping[str, Any], /, **values: Any) -> None:
        """Updates rows; where: columns and values, `stream` by name."""
        columns = ", ".join(f"{name} = ?" for name in values)
        self.run(
            f"UPDATE {table} SET {columns} WHERE {_conditions(where)}",
            *values.values(),
            *_values(where),
        )

    def delete(self, table: str, **where: Any) -> None:
        self.run(f"DELETE FROM {table} WHERE {_conditions(where)}", *_values(where))

    def leaf(self, stream: str, seq: int) -> int:
        """The index of a record in the log."""
        ((index,),) = self.run(
            "SELECT leaf_index FROM log_leaf WHERE stream = ? AND seq = ?", stream_key(stream), seq
        )
        return int(index)

    def hash_again(self, stream: str, first: int = 0, *, logged: bool = False) -> None:
        """Changes a record and everything behind it so that the stream fits itself again.

        logged: in the log's rows too.
        """
        rows = self.run(
            "SELECT seq, hash, body FROM record WHERE stream = ? AND seq >= ? ORDER BY seq",
            stream_key(stream),
            first,
        )
        prev = None
        for row in rows:
            fields = json.loads(bytes(row.body))
            if prev is None:
                fields["data"] = {"altered": True}
            else:
                fields["prev"] = prev.hex()
            body = canonical_bytes(fields)
            prev = record_hash(body)
            place = {"stream": stream, "seq": row.seq}
            self.set("record", place, body=body, hash=prev)
            self.set("unsequenced", place, hash=prev)
            if logged:
                self.set("log_leaf", place, hash=prev)
        self.set("head", {"stream": stream}, hash=prev)


WITHOUT_EVIDENCE = {"integrity.record_missing", "log.leaf_missing", "log.leaf_altered"}
WITHOUT_EVIDENCE |= {"integrity.unlogged"}


def place_of(problem: Problem) -> Found:
    if problem.stream is not None:
        return (problem.kind, problem.stream, problem.seq)
    if problem.leaf_index is not None:
        return (problem.kind, problem.leaf_index)
    return (problem.kind, *filter(None, [problem.evidence.get("tile")]))


def flipped(data: bytes, at: int = 0) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _counting(stream: str, kind: str, *, refs: Any = (), **more: Any) -> Any:
    """A submission whose state depends on its records and on what they refer to."""

    def decide(claim: Any, view: Any) -> Draft:
        state = view.heads[claim.stream].state
        listed = state.get("listed", False) or bool(refs)
        return Draft({"count": state.get("count", 0) + 1, "listed": listed}, refs=refs)

    return submission(stream, type=kind, decide=decide, **more)


def _state_check(connection: Any) -> Any:
    def check(_: str, records: list[Mapping[str, Any]], state: Mapping[str, Any]) -> bool:
        listed = False
        for fields in records:
            for ref in fields.get("refs", ()):
                told = store.load_record(connection, ref["stream"], ref["seq"])
                listed = listed or (told is not None and b'"type":"listing"' in told.body)
        return state == {"count": len(records), "listed": listed}

    return check


def _conditions(where: Mapping[str, Any]) -> str:
    return " AND ".join(f"{name} = ?" for name in where)


def _values(where: Mapping[str, Any]) -> list[Any]:
    return [stream_key(v) if name == "stream" else v for name, v in where.items()]
