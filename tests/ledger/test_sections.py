"""What several records have sealed is read at once, and told of each as if it were read alone."""

from __future__ import annotations

import pytest

from app.ledger import sealstore
from app.ledger.attachments import Attachments
from app.ledger.store import load_stream
from tests.ledger.ledgers import UNIT, make_seal, submission


@pytest.fixture
def sealing(ledger):
    """A stream of four records, of which three have sealed something."""
    for n in range(4):
        seals = [make_seal(name, {"number": str(n)}) for name in ("order", "text") if n]
        ledger.record(submission(seals=seals))
    return ledger


def read(ledger) -> list:
    with ledger.database.read() as connection:
        return load_stream(connection, UNIT)


def test_sections_of_each_are_those_of_every_one(sealing):
    ids = [record.fields["id"] for record in read(sealing)]
    with sealing.database.read() as connection:
        alone = {(UNIT, one): sealstore.sealed_sections(connection, UNIT, one) for one in ids}
        assert sealstore.sections_of_each(connection, alone) == alone
    assert [len(sections) for sections in alone.values()] == [0, 2, 2, 2]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("UPDATE sealed_section SET sealed = ?", "does_not_open"),
        ("DELETE FROM sealed_section WHERE sealed IS NOT NULL AND ? = ?", "missing"),
    ],
)
def test_what_is_wrong_with_one_is_found_among_several_read_at_once(sealing, how, reason):
    records = read(sealing)
    sealing.sql(how, *[b"x"] * how.count("?"))
    with sealing.database.read() as connection:
        attachments = Attachments(
            connection, vault=sealing.vault, true_leaf=lambda _: None, is_sound=lambda _: True
        )
        attachments.read_sections(records)
        found = [
            (problem.seq, problem.evidence["section"], problem.evidence["reason"])
            for record in records
            for problem in attachments.check(
                record.fields, name=UNIT, seq=record.seq, leaf_index=record.leaf_index
            )
        ]
    assert found == [(n, name, reason) for n in (1, 2, 3) for name in ("order", "text")]
