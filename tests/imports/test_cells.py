"""Excel's habits, cell by cell: what can be proved is mended, what cannot is refused with the way out."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.imports.cells import (
    CellWrong,
    clean,
    read_code,
    read_count,
    read_day,
    read_gtin,
    read_moment,
)
from app.imports.regions import region_of, region_of_address
from app.kit.tables import safe_cell, write_csv
from app.trace.gtin import gtin_check_digit

_DAYS = st.dates(date(2000, 1, 1), date(2090, 12, 31))


def kind(read, text: str) -> str:
    with pytest.raises(CellWrong) as caught:
        read(text)
    return caught.value.kind


@given(st.integers(10**8, 10**11 - 1))
def test_lost_zeros_are_put_back_where_the_check_digit_proves_them(number):
    upc = f"{number:011}"
    upc += gtin_check_digit(upc)
    lost = upc.lstrip("0")
    if upc.startswith(("2", "4", "0000")):
        return  # in-store numbers, and what is a GTIN-8
    found = read_gtin(lost)
    assert found.value == upc.zfill(14)
    assert bool(found.warning) == (len(lost) < 12)


def test_a_gtin_as_excel_leaves_it():
    assert read_gtin("6901234567892") == ("06901234567892", "")
    assert read_gtin("６９０１２３４５６７８９２").value == "06901234567892"
    assert read_gtin("6901234567892.0").value == "06901234567892"
    assert kind(read_gtin, "6.90123E+12") == "excel_exponent"
    assert kind(read_gtin, "6.9012345678920E+12") == "excel_exponent"
    assert kind(read_gtin, "12345678901") == "gtin_short"
    assert kind(read_gtin, "6901234567893") == "check_digit"
    assert kind(read_gtin, "abc") == "not_gtin"


@given(
    _DAYS,
    st.sampled_from(
        ["{0}-{1:02}-{2:02}", "{0}/{1}/{2}", "{0}.{1}.{2}", "{0}年{1}月{2}日", "{0}{1:02}{2:02}"]
    ),
)
def test_a_day_is_read_in_each_of_its_ways(day, form):
    assert read_day(form.format(day.year, day.month, day.day)).value == day.isoformat()


@given(_DAYS)
def test_a_serial_is_the_day_that_excel_means(day):
    serial = (day - date(1899, 12, 30)).days
    assert read_day(str(serial)) == (day.isoformat(), "excel_serial")
    moment, warning = read_moment(f"{serial}.5")
    assert (moment, warning) == (
        datetime(day.year, day.month, day.day, 4, tzinfo=UTC),
        "excel_serial",
    )


def test_a_day_is_never_guessed():
    assert kind(read_day, "5/9/2026") == "day_order"
    assert kind(read_day, "05-09-26") == "day_order"
    assert kind(read_day, "2026-02-30") == "no_such_day"
    assert kind(read_day, "昨天") == "day_form"
    assert kind(read_day, "2026-09-05 at noon") == "day_form"
    assert read_day("2026-09-05 00:00:00").value == "2026-09-05"


@pytest.mark.parametrize(
    ("text", "hours"),
    [("2026-09-05 10:30", 2.5), ("2026/9/5 10:30:00", 2.5), ("2026年9月5日10时30分", 2.5),
     ("2026-09-05T10:30:00+08:00", 2.5), ("2026-09-05 10:30:00 +0000", 10.5),
     ("2026-09-05 10:30:00 Z", 10.5)],
)  # fmt: skip
def test_a_time_is_chinas_unless_it_says_another_zone(text, hours):
    assert read_moment(text) == (datetime(2026, 9, 5, tzinfo=UTC) + timedelta(hours=hours), "")


def test_a_time_that_is_none():
    assert read_moment("2026-09-05")[1] == "day_alone"
    for text in ("2026-09-05 25:00", "2026-09-05 10:30 +99:99", "10:30"):
        assert kind(read_moment, text) == "moment_form"


def test_counts_and_codes():
    assert [read_count(text, most=5_000) for text in ("1", "1,000", "２", "3.0")] == [1, 1000, 2, 3]
    assert kind(lambda text: read_count(text, most=500), "501") == "range"
    for text in ("1.5", "-1", "两", "1,00", "9" * 30):
        assert kind(lambda told: read_count(told, most=500), text) == "whole_number"
    assert read_code("ＳＦ１２３４") == "SF1234"


@pytest.mark.parametrize(
    ("told", "meant"),
    [('="0690"', "0690"), ("'0690", "0690"), ("\t9001 ", "9001"), ("\ufeff甲\u200b", "甲"),
     ("\u00a0甲\u00a0", "甲"), ("e\u0301", "\u00e9"), ("=", "=")],
)  # fmt: skip
def test_what_a_person_meant_to_write(told, meant):
    assert clean(told) == meant


def test_errors_and_formulas_are_no_values():
    assert kind(clean, "#N/A") == "excel_error"
    assert kind(clean, "=SUM(A1)") == "excel_formula"


@given(st.text(max_size=20))
def test_no_cell_that_goes_out_is_a_formula(text):
    assert not safe_cell(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    raw = b"".join(write_csv([[text, 5]]))
    assert next(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline="")), [])[1:] == ["5"]


def test_a_region_is_told_only_where_it_is_clear():
    assert region_of("广东省", "肇庆市") == region_of("广东", "肇庆") == "441200"
    assert region_of("内蒙古自治区", "") == "150000"
    assert region_of("上海", "上海市") == "310000"
    assert region_of("广东省", "不知") == "440000"
    assert region_of("****", "肇庆市") is None
    assert region_of_address("广东省 肇庆市 端州区 某路 1 号") == "441200"
    assert region_of_address("广东省肇庆市端州区某路 1 号") is None
