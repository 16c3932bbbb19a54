"""The form of kuaidi100, read: its signature, and which of a parcel's steps are news."""

from __future__ import annotations

import json
from hashlib import md5

import pytest

from app.kit.clock import format_time
from app.kit.errors import Invalid, Malformed
from app.trace.kuaidi100 import SignWrong, check_sign, read_push, sign_of

SALT = "3a7be86c86214e0ba8a7f8c0b5d52c46"


def step(at: str, **more) -> dict:
    # The text of a step names the courier: it must go nowhere.
    return {
        "time": at,
        "ftime": at,
        "context": "张三 19900000000 正在派件",
        "areaCode": None,
        **more,
    }


def param(*steps, status: str = "polling", state: object = "0", **more) -> str:
    last = {"message": "ok", "state": state, "status": "200", "condition": "F00", "ischeck": "0",
            "com": "zhongtong", "nu": "TEST0000000001", "data": list(steps)}  # fmt: skip
    told = {"status": status, "billstatus": "got", "message": "", "autoCheck": "0",
            "comOld": "", "comNew": "", "lastResult": last | more}  # fmt: skip
    return json.dumps(told, ensure_ascii=False)


def news(text: str) -> list[tuple[str, str, str | None]]:
    return [(one.state, format_time(one.occurred_at), one.region) for one in read_push(text).items]


def test_a_form_is_signed_with_md5_over_param_and_salt():
    text = param(step("2026-11-23 15:00:00"))
    expected = md5(f"{text}{SALT}".encode(), usedforsecurity=False).hexdigest()
    assert sign_of(text, SALT) == expected.upper()
    for good in (expected.upper(), expected, f" {expected} "):
        check_sign(text, good, salt=SALT)
    for bad, key in (("", "push_sign_missing"), ("0" * 32, "push_sign_wrong"),
                     (sign_of(text, ""), "push_sign_wrong"), ("é" * 32, "push_sign_wrong"),
                     (sign_of(text + " ", SALT), "push_sign_wrong")):  # fmt: skip
        with pytest.raises(SignWrong) as refused:
            check_sign(text, bad, salt=SALT)
        assert refused.value.key == key


def test_without_codes_the_parcels_state_is_that_of_its_newest_step():
    text = param(step("2026-11-23 15:00:00"), step("2026-11-22 09:30:00"), state="3")
    assert news(text) == [("3", "2026-11-23T07:00:00.000Z", None)]
    told = read_push(text)
    assert (told.waybill, told.carrier, told.ended) == ("TEST0000000001", "zhongtong", False)
    assert "19900000000" not in repr(told)


def test_steps_with_codes_are_told_oldest_first_and_only_what_is_news():
    text = param(
        step("2026-11-23 15:00:00", statusCode="304", status="投柜或站签收", areaCode="CN440106000000"),
        step("2026-11-23 09:00:00", statusCode="5", areaCode="CN440106000000"),
        step("2026-11-23 08:00:00", statusCode="1001", areaCode="CN440106000000"),
        step("2026-11-22 23:00:00", statusCode="1002", areaCode="CN441202000000"),
        step("2026-11-22 21:00:00", statusCode="0", areaCode="CN441202000000"),
        step("2026-11-22 18:00:00", statusCode="103", areaCode="CN441202000000"),
        step("2026-11-22 17:00:00", statusCode="101"),
        state="304", status="shutdown",
    )  # fmt: skip
    assert news(text) == [
        ("101", "2026-11-22T09:00:00.000Z", None),
        ("103", "2026-11-22T10:00:00.000Z", "441200"),
        ("0", "2026-11-22T13:00:00.000Z", "441200"),
        ("1001", "2026-11-23T00:00:00.000Z", "440100"),
        ("5", "2026-11-23T01:00:00.000Z", "440100"),
        ("304", "2026-11-23T07:00:00.000Z", "440100"),
    ]


def test_a_step_is_told_by_its_name_where_it_has_no_code():
    text = param(step("2026-11-23 15:00:00", status="代签"), step("2026-11-23 09:00:00", status="派件"),
                 state=3)  # fmt: skip
    assert [one[0] for one in news(text)] == ["5", "303"]


@pytest.mark.parametrize(
    ("own", "now", "told"),
    [
        ("303", "3", "303"),
        ("3", "303", "303"),
        ("0", "3", "3"),
        ("5", "501", "501"),
        ("3", "", "3"),
    ],
)
def test_of_two_states_the_one_that_tells_more_is_taken(own, now, told):
    text = param(step("2026-11-23 15:00:00", statusCode=own), state=now)
    assert [one[0] for one in news(text)] == [told]


def test_what_is_not_understood_is_named_and_the_rest_is_told():
    text = param(step("2026-11-23 15:00:00", statusCode="3"), step("gestern", statusCode="5"),
                 step("2026-11-23 09:00:00", statusCode="777", areaCode="CN999999"),
                 step("2026-11-22 09:00:00", statusCode="1", areaCode="somewhere"), state="3")  # fmt: skip
    assert [(one[0], one[2]) for one in news(text)] == [("1", None), ("3", None)]
    assert set(read_push(text).unread) == {"gestern", "777"}


def test_of_steps_in_the_same_second_the_first_of_the_list_is_the_newest():
    at = "2026-11-23 15:00:00"
    text = param(step(at, statusCode="6"), step(at, statusCode="14"), state="6")
    assert [one[0] for one in news(text)] == ["14", "6"]


@pytest.mark.parametrize(
    "time", ["gestern", "0001-01-01 00:00:00", "2026-11-26", "2026-11-26+08:00", "", None]
)
def test_the_parcels_state_is_told_of_no_older_step_than_its_newest(time):
    text = param(step(time, statusCode="3"), step("2026-11-23 09:00:00", statusCode="5"), state="3")
    assert [one[0] for one in news(text)] == ["5"]
    told = read_push(text)
    assert (told.untimed, told.unread) == ("3", (time or "?",))
    alone = read_push(param(step(time, statusCode="3"), state="3"))
    assert (alone.items, alone.untimed) == ((), "3")


def test_an_older_step_whose_time_cannot_be_read_takes_nothing_from_the_newest():
    text = param(step("2026-11-23 15:00:00"), step("gestern", statusCode="5"), state="3")
    assert [one[0] for one in news(text)] == ["3"]
    assert read_push(text).untimed is None
    assert read_push(param(state="0")).untimed is None
    for none in (None, ""):
        assert read_push(param(state="0", data=none)).items == ()


def test_a_step_without_a_time_of_day_has_that_of_its_other_field():
    told = step("2026-11-23 15:00:00", statusCode="3") | {"ftime": "2026-11-23"}
    assert news(param(told, state="3")) == [("3", "2026-11-23T07:00:00.000Z", None)]


def test_a_feed_that_ended_says_nothing_of_the_goods():
    told = read_push(param(step("2026-11-23 15:00:00"), status="abort", state="2"))
    assert (told.items, told.ended) == ((), True)


@pytest.mark.parametrize(
    ("text", "loc"),
    [
        ("[]", ("param",)),
        ('{"status": "x"}', ("param", "status")),
        ('{"status": "polling"}', ("param", "lastResult")),
        ('{"status": "polling", "lastResult": []}', ("param", "lastResult")),
        ('{"status": "polling", "lastResult": {}}', ("param", "lastResult", "nu")),
        ('{"status": "polling", "lastResult": {"nu": "短"}}', ("param", "lastResult", "nu")),
        ('{"status": "polling", "lastResult": {"nu": "TEST0000000001", "data": "x"}}',
         ("param", "lastResult", "data")),
        ('{"status": "polling", "lastResult": {"nu": "TEST0000000001", "data": [1]}}',
         ("param", "lastResult", "data", 0)),
    ],
)  # fmt: skip
def test_what_is_no_such_push_is_refused_with_its_place(text, loc):
    with pytest.raises(Invalid) as refused:
        read_push(text)
    assert refused.value.errors[0].loc == loc


def test_what_is_of_another_type_is_told_what_was_expected():
    for text, shape in (("[]", "object"), (
        '{"status": "polling", "lastResult": {"nu": "TEST0000000001", "data": "x"}}', "list"
    )):  # fmt: skip
        with pytest.raises(Invalid) as refused:
            read_push(text)
        fault = refused.value.errors[0]
        assert (fault.kind, fault.sentence, fault.params) == (
            "type",
            "type_of",
            {"expected": shape},
        )


def test_param_must_be_json():
    with pytest.raises(Malformed):
        read_push("param")
