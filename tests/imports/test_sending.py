"""At which cell of an order list a refusal stands, whoever found it."""

from __future__ import annotations

import pytest

from app.imports.sending import fault_of, shipment_of
from app.kit.errors import Conflict, FieldFault, Invalid
from app.trace.catalogue import ItemNotYours, LotNotYours, ProductUnknown
from app.trace.decide import CodeUnknown
from app.trace.life_table import LifecycleConflict
from tests.web.conftest import CARRIER

CODES = ["01/06901234567892/21/AAAABBBB2222", "01/06901234567892/21/CCCCDDDD3333"]
TOLD = {
    "order": "O-1", "ordered_at": "2026-11-20T02:30:00.000Z", "carrier": CARRIER,
    "waybill": "TEST0000000001", "shipped_at": "2026-11-20T08:00:00.000Z",
    "id": "5d0c2b60-9f4c-5a0e-8c55-0b6f0a2c7e11",
}  # fmt: skip
TYPED = {"ordered_at": "2026/11/20 10:30", "shipped_at": "46346.6667"}
UNITS = {**TOLD, "typed": TYPED, "gtin": "06901234567892", "quantity": 2, "lot": "L1"}
GIVEN = {**TOLD, "typed": TYPED, "codes": CODES}


def at(field: str, kind: str = "future_time") -> Invalid:
    return Invalid("invalid", errors=(FieldFault((field,), kind),))


def of_code(n: int) -> LifecycleConflict:
    fault = LifecycleConflict("already_sold")
    fault.errors = (FieldFault(("codes", n), "refused"),)
    return fault


@pytest.mark.parametrize(
    ("told", "fault", "cell"),
    [
        (GIVEN, of_code(1), ("codes", CODES[1], "already_sold")),
        (GIVEN, at("shipped_at"), ("shipped_at", "46346.6667", "future_time")),
        (UNITS, at("ordered_at"), ("ordered_at", "2026/11/20 10:30", "future_time")),
        (UNITS, LifecycleConflict("recalled"), ("goods", "06901234567892", "recalled")),
        (UNITS, LifecycleConflict("suspended"), ("", "", "suspended")),
        (UNITS, LotNotYours("lot_not_yours", lot="L1"), ("lot", "L1", "forbidden")),
        (UNITS, CodeUnknown("lot_unknown", lot="L1"), ("lot", "L1", "code-unknown")),
        (UNITS, ProductUnknown("product_unknown"), ("goods", "06901234567892", "code-unknown")),
        (UNITS, ItemNotYours("item_not_yours"), ("goods", "06901234567892", "forbidden")),
        (UNITS, Conflict("shipment_differs"), ("", "", "already-exists")),
        # As a row was kept before what was typed was kept with it.
        ({**TOLD, "codes": CODES}, at("ordered_at"), ("ordered_at", "", "future_time")),
    ],
)
def test_a_refusal_stands_at_the_cell_that_it_is_about(told, fault, cell):
    problem = fault_of(told, fault)
    assert (problem.field, problem.value, problem.kind) == cell


def test_a_row_is_the_shipment_that_it_says():
    assert shipment_of(GIVEN).codes == tuple(CODES)
    assert shipment_of(GIVEN).units is None
    units = shipment_of(UNITS).units
    assert (units.gtin, units.quantity, units.lot) == ("06901234567892", 2, "L1")
