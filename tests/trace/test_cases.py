"""Cases in the life of a unit: one at a time, and what names a case moves only what is in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.errors import Invalid
from app.trace.caserows import case_effects
from app.trace.gtin import gtin_check_digit
from app.trace.life_table import case_of
from app.trace.lifecycle import fold
from app.trace.sscc import is_sscc, new_sscc, parse_sscc
from tests.sentences import explain
from tests.trace.lives import (
    CASE,
    GRACES,
    HOUR,
    NOON,
    OTHER_CASE,
    PLATFORM,
    event,
    live,
    reason_of,
)

AT = [NOON + n * HOUR for n in range(9)]


def packed():
    return live(event("pack", AT[1], seq=1))


# --- numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [CASE, f"00{CASE}", f"(00){CASE}", f"(00) {CASE}", f"]C100{CASE}", f"\x1d00{CASE}", f"00/{CASE}",
     f"/00/{CASE}", f"https://id.example/x/00/{CASE}", f"https://id.example/00/{CASE}?linkType=all",
     f" {CASE[:3]} {CASE[3:10]}-{CASE[10:]}\n"],
)  # fmt: skip
def test_every_form_of_an_sscc_is_read(form):
    assert parse_sscc(form) == CASE
    assert is_sscc(form)


@pytest.mark.parametrize(
    ("text", "kind"),
    [(CASE[:-1] + "5", "check_digit"), (CASE[:-1], "not_sscc"), (CASE + "0", "not_sscc"), ("", "not_sscc"),
     ("０" * 18, "not_sscc"), ("0" * 18, "not_sscc"), ("01/06901234567892/21/A", "not_sscc"),
     ("(01)06901234567892(21)A", "not_sscc"), (f"(01){CASE}", "not_sscc")],
)  # fmt: skip
def test_what_is_none_is_refused_by_kind(text, kind):
    with pytest.raises(Invalid) as refusal:
        parse_sscc(text)
    assert refusal.value.errors[0].kind == kind
    explain(refusal.value)


def test_a_number_that_begins_with_zeros_is_not_taken_for_its_own_identifier():
    body = "00691234500000001"
    number = body + gtin_check_digit(body)
    assert parse_sscc(number) == parse_sscc("00" + number) == number


@given(st.text("0123456789", min_size=7, max_size=10), st.binary(min_size=8, max_size=8))
def test_a_new_number_is_an_sscc_under_its_prefix(prefix, drawn):
    made = new_sscc(prefix, lambda _: drawn)
    assert len(made) == 18
    assert made[1:].startswith(prefix)
    if made.strip("0"):
        assert parse_sscc(made) == made


@pytest.mark.parametrize("prefix", ["", "123456", "12345678901", "1234567x", "１２３４５６７"])
def test_a_prefix_that_is_none_is_refused(prefix):
    with pytest.raises(Invalid) as refusal:
        new_sscc(prefix, bytes)
    assert refusal.value.errors[0].kind == "company_prefix"
    explain(refusal.value)


# --- lives -----------------------------------------------------------------------------------------


def test_a_unit_is_in_one_case_until_it_is_taken_out():
    state = packed()
    assert case_of(state) == CASE
    for case in (CASE, OTHER_CASE):
        assert (
            reason_of(state, event("pack", AT[2], seq=2, data={"case": case})) == "already_packed"
        )
    assert (
        reason_of(state, event("unpack", AT[2], seq=2, data={"case": OTHER_CASE})) == "not_in_case"
    )
    out = fold(state, event("unpack", AT[2], seq=2), GRACES)
    assert case_of(out) is None
    assert reason_of(out, event("unpack", AT[3], seq=3)) == "not_in_case"
    assert (
        case_of(fold(out, event("pack", AT[3], seq=3, data={"case": OTHER_CASE}), GRACES))
        == OTHER_CASE
    )


@pytest.mark.parametrize("type_", ["sale", "dispatch", "signature", "refusal", "return"])
def test_what_names_a_case_moves_only_what_is_in_it(type_):
    path = {"sale": (), "dispatch": ("sale",), "return": ("sale",)}.get(type_, ("sale", "dispatch"))
    events = [event(t, AT[n + 1], seq=n + 1) for n, t in enumerate(("pack", *path))]
    inside, seq = live(*events), len(events) + 1
    told = event(type_, AT[6], seq=seq, data={**event(type_).data, "case": CASE})
    alone = live(*(event(t, AT[n + 1], seq=n + 1) for n, t in enumerate(path)))
    assert reason_of(alone, told) == "not_in_case"
    assert fold(alone, told, GRACES) == alone
    other = told._replace(data={**told.data, "case": OTHER_CASE})
    assert reason_of(inside, other) == "not_in_case"
    moved = fold(inside, told, GRACES)
    plain = fold(inside, told._replace(data=event(type_).data), GRACES)
    assert moved == plain  # the case says who moves, and nothing of how
    assert moved["state"] != inside["state"]


def test_a_packed_unit_lacks_nothing_that_its_case_was_sent_with():
    way = ["pack", "sale", "dispatch", "signature"]
    state = live(*(
        event(t, AT[n + 1], seq=n + 1, data={**event(t).data, "case": CASE}) for n, t in enumerate(way)
    ))  # fmt: skip
    assert (state["state"], state["gaps"], "completed" in state) == ("signed", {}, True)
    assert case_of(state) is None  # it has arrived


def test_a_refused_case_comes_back_as_it_was_and_a_void_unit_is_in_none():
    back = live(
        *(
            event(t, AT[n + 1], seq=n + 1)
            for n, t in enumerate(["pack", "sale", "dispatch", "refusal"])
        )
    )
    assert (back["state"], case_of(back)) == ("returned", CASE)
    void = live(event("pack", AT[1], seq=1), event("void", AT[2], seq=2))
    assert case_of(void) is None


def test_a_late_sale_by_case_fills_the_gap_of_what_is_in_it():
    sent = live(event("pack", AT[1], seq=1), event("dispatch", AT[3], seq=2))
    assert "sale" in sent["gaps"]
    late = event("sale", AT[2], seq=3, recorded_at=AT[4], data={"case": CASE})
    assert "sale" not in fold(sent, late, GRACES)["gaps"]
    stranger = late._replace(data={"case": OTHER_CASE})
    assert reason_of(sent, stranger) == "not_in_case"


@pytest.mark.parametrize("data", [{}, {"case": 5}, {"case": None}])
def test_a_damaged_record_of_packing_does_nothing(data):
    state = live()
    assert fold(state, event("pack", AT[1], data=data), GRACES) == state


# --- rows ------------------------------------------------------------------------------------------


def test_the_rows_follow_the_life():
    def told(old, new):
        return [(e.kind, e.row["sscc"], e.row.get("party")) for e in case_effects(7, old, new)]

    alone, inside = live(), packed()
    holder = inside["holder"]
    assert told(alone, inside) == [("case_unit", CASE, holder)]
    assert told(inside, fold(inside, event("sale", AT[2], seq=2), GRACES)) == []
    out = fold(inside, event("unpack", AT[2], seq=2), GRACES)
    assert told(inside, out) == [("case_unit", CASE, None)]
    assert told(inside, {**inside, "holder": PLATFORM}) == [("case_unit", CASE, PLATFORM)]
    other = fold(out, event("pack", AT[3], seq=3, data={"case": OTHER_CASE}), GRACES)
    assert told(inside, other) == [("case_unit", CASE, None), ("case_unit", OTHER_CASE, holder)]
