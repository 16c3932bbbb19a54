"""Goods on their way by their seller, what a party still owes by its date, and what is in which case."""

from __future__ import annotations

from typing import Any

import orjson
import sqlalchemy as sa
from alembic import op

from app.db.migrations import online

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_PAGE = 2_000
_STEP = {"sold": "sale", "in_transit": "dispatch"}

_SOLD = sa.table(
    "sold_unit",
    sa.column("stream", sa.BigInteger),
    sa.column("subject", sa.Text),
    sa.column("cycle", sa.BigInteger),
    sa.column("completed_at", sa.BigInteger),
    sa.column("underway", sa.Text),
    sa.column("moved_at", sa.BigInteger),
)
_HEAD = sa.table("head", sa.column("stream", sa.BigInteger), sa.column("state", sa.LargeBinary))
_FACT = sa.table(
    "fact",
    sa.column("stream", sa.BigInteger),
    sa.column("key", sa.Text),
    sa.column("value", sa.LargeBinary),
)
_FINDING = sa.table(
    "finding",
    sa.column("id", sa.Text),
    sa.column("stream", sa.BigInteger),
    sa.column("subject", sa.Text),
    sa.column("kind", sa.Text),
    sa.column("status", sa.Text),
    sa.column("party", sa.Text),
)
_DUE = sa.table(
    "due",
    sa.column("stream", sa.BigInteger),
    sa.column("subject", sa.Text),
    sa.column("step", sa.Text),
    sa.column("raised", sa.Boolean),
    sa.column("party", sa.Text),
)


def upgrade() -> None:
    with online.beside_the_service():
        online.add_column("sold_unit", sa.Column("underway", sa.Text(), nullable=True))
        online.add_column("sold_unit", sa.Column("moved_at", sa.BigInteger(), nullable=True))
        with online.filling():
            _place_goods(op.get_bind())
            _name_parties(op.get_bind())
        online.create_index(
            "sold_unit_underway",
            "sold_unit",
            ["seller", "underway", "moved_at", "stream"],
            only="underway IS NOT NULL",
        )
        online.create_index("due_waiting", "due", ["party", "kind", "due_at", "stream"])
        online.create_table(
            "case_unit",
            sa.Column("stream", sa.BigInteger(), autoincrement=False, nullable=False),
            sa.Column("sscc", sa.Text(), nullable=False),
            sa.Column("party", sa.Text(), nullable=False),
            sa.Column("packed_at", sa.BigInteger(), autoincrement=False, nullable=False),
            sa.Column("inside", sa.Boolean(), nullable=False),
            sa.PrimaryKeyConstraint("stream", "sscc"),
        )
        online.create_index("case_unit_sscc", "case_unit", ["sscc"])
        online.create_index("case_unit_party", "case_unit", ["party", "inside", "sscc"])


def _place_goods(connection: sa.Connection) -> None:
    """Tells of goods sold before where they are.

    Row by row: on PostgreSQL each commits by itself, so that none is held while another is waited for.
    What the release before moves meanwhile `suxin reindex` puts right.
    """
    place = (_SOLD.c.stream, _SOLD.c.subject, _SOLD.c.cycle)
    after: tuple[Any, ...] | None = None
    while True:
        query = (
            sa.select(*place, _HEAD.c.state, _FACT.c.value)
            .join(_HEAD, _HEAD.c.stream == _SOLD.c.stream)
            .outerjoin(
                _FACT, sa.and_(_FACT.c.stream == _SOLD.c.stream, _FACT.c.key == _SOLD.c.subject)
            )
            .where(_SOLD.c.completed_at.is_(None), _SOLD.c.underway.is_(None))
            .order_by(*place)
            .limit(_PAGE)
        )
        if after is not None:
            query = query.where(sa.tuple_(*place) > sa.tuple_(*after))
        rows = list(connection.execute(query))
        for stream, subject, cycle, head, fact in rows:
            found = _underway(fact if subject else head, cycle)
            if found is not None:
                connection.execute(
                    sa.update(_SOLD)
                    .where(
                        _SOLD.c.stream == stream,
                        _SOLD.c.subject == subject,
                        _SOLD.c.cycle == cycle,
                        _SOLD.c.completed_at.is_(None),  # signed for since it was read
                    )
                    .values(underway=found[0], moved_at=found[1])
                )
        if len(rows) < _PAGE:
            return
        after = tuple(rows[-1][:3])


def _name_parties(connection: sa.Connection) -> None:
    """Tells of what was raised before who answers for it."""
    after = ""
    while True:
        raised = (
            sa.select(_FINDING)
            .where(
                _FINDING.c.status == "open",
                _FINDING.c.kind.like("continuity.missing_%"),
                _FINDING.c.id > after,
            )
            .order_by(_FINDING.c.id)
            .limit(_PAGE)
        )
        rows = list(connection.execute(raised))
        for row in rows:
            connection.execute(
                sa.update(_DUE)
                .where(
                    _DUE.c.stream == row.stream,
                    _DUE.c.subject == row.subject,
                    _DUE.c.step == row.kind.removeprefix("continuity.missing_"),
                    _DUE.c.raised.is_(sa.true()),
                )
                .values(party=row.party)
            )
        if len(rows) < _PAGE:
            return
        after = rows[-1].id


def _underway(raw: Any, cycle: int) -> tuple[str, int] | None:
    """Returns where the goods are, and since when; None for none of it, or for what no reader knows."""
    try:
        state = orjson.loads(raw)
        step = _STEP[state["state"]]
        return (state["state"], int(state[step]["at"])) if state["cycle"] == cycle else None
    except (ValueError, TypeError, KeyError):
        return None
