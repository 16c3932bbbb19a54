"""What is kept of a row of events, and at which cell a refusal of one stands."""

from __future__ import annotations

import pytest

from app.imports.happenings import event_of, fault_of, plan_events
from app.imports.mapping import Layout
from app.imports.reading import read_grid
from app.imports.sheet import find_sheet
from app.kit.errors import FieldFault, Invalid
from tests.imports.sheets import as_csv

LATE = Invalid("invalid", errors=(FieldFault(("occurred_at",), "future_time"),))


@pytest.fixture
def row():
    raw = as_csv([["运单号", "状态", "时间"], ["TEST0000000001", "签收", "2026/11/20 10:30"]])
    (found,) = plan_events(find_sheet(read_grid(raw), "events", Layout()))
    return found


def test_a_row_is_kept_in_the_names_that_the_release_before_reads(row):
    # While hosts are changed one by one that release may lead, and it takes no other name.
    assert row.payload.keys() == {
        "type", "data", "occurred_at", "code", "waybill", "order", "consignment",
    }  # fmt: skip


def test_what_a_newer_release_keeps_of_a_row_does_no_harm(row):
    assert event_of({**row.payload, "typed": "2026/11/20 10:30"}) == event_of(row.payload)


def test_a_wrong_time_is_told_as_it_stood_while_the_file_is_there(row):
    told = [fault_of(row.payload, LATE, typed=row.typed), fault_of(row.payload, LATE)]
    assert [(one.field, one.value) for one in told] == [
        ("occurred_at", "2026/11/20 10:30"),
        ("occurred_at", ""),
    ]
