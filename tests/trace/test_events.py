from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.i18n import LANGUAGES, text
from app.kit.canonical import check_canonical
from app.kit.errors import Invalid
from app.parties.identity import uscc_check_digit
from app.parties.roles import EVENTS, SOURCES
from app.trace.events import (
    COMPLAINT_CATEGORIES,
    EVENT_TYPES,
    MEASURE_KINDS,
    PROOFS,
    SIGNATURE_KINDS,
    check_changes,
    check_event,
    check_time,
    waybill_tail,
)
from app.trace.lifecycle import LIFE, STATES, STEPS
from tests.sentences import explain

NOW = datetime(2026, 11, 23, 7, tzinfo=UTC)
RECORD = "0192f3a0-0000-7000-8000-000000000001"
DIGEST = "ab" * 32
SHOP = "91441200MA4TE5T00Q"

CASE = "306912345000000018"

# The contract's types: where each may stand, the least it must say, what it may seal.
GOODS, LIVING = ("product", "lot", "unit"), ("unit", "lot")
CONTRACT = {
    "registration": (GOODS, {}, ("quantity", "declaration")),
    "listing": (GOODS, {"platform": SHOP}, ()),
    "pack": (("unit",), {"case": CASE}, ()),
    "unpack": (("unit",), {"case": CASE}, ()),
    "transfer": (LIVING, {"to": SHOP}, ()),
    "acceptance": (LIVING, {"from": SHOP}, ()),
    "sale": (LIVING, {}, ("order", "buyer", "terms")),
    "dispatch": (LIVING, {"carrier": "顺风快递"}, ("waybill", "recipient")),
    "transit": (LIVING, {"region": "440100"}, ()),
    "signature": (LIVING, {"kind": "locker"}, ()),
    "refusal": (LIVING, {"reason": "damaged"}, ()),
    "return": (LIVING, {"reason": "cancelled"}, ()),
    "review": (LIVING, {"rating": 5}, ("text",)),
    "follow_up": (LIVING, {"rating": 1}, ("text",)),
    "carrier_rating": (LIVING, {"of": RECORD, "carrier": SHOP, "rating": 5}, ("text",)),
    "buyer_rating": (LIVING, {"of": RECORD}, ("rating",)),
    "complaint": (LIVING, {"category": "food_safety"}, ("detail",)),
    "message": (LIVING, {"of": RECORD}, ("detail",)),
    "recall": (GOODS, {"reason": "glass"}, ()),
    "recall_lifted": (GOODS, {"reason": "checked"}, ()),
    "measure": (("party",), {"kind": "suspend", "basis": "art. 1"}, ()),
    "measure_lifted": (("party",), {"kind": "suspend", "basis": "art. 1"}, ()),
    "publication": (("party",), {"of": RECORD, "on": "2026-11-20"}, ()),
    "referral": (LIVING, {"of": RECORD, "to": "regulator"}, ("detail",)),
    "void": (("unit",), {"reason": "damaged"}, ()),
    "correction": ((*GOODS, "party"), {"of": RECORD}, ("waybill",)),
    "reply": (GOODS, {"of": RECORD}, ("text",)),
    "notice": (GOODS, {"text": "boil first"}, ()),
    "inspection": (GOODS, {"result": "合格"}, ()),
    "customs_release": (LIVING, {"port": "5166"}, ("declaration",)),
    "customs_hold": (LIVING, {"port": "5166"}, ("declaration", "reason")),
}
BY_CONSIGNMENT = {
    "sale",
    "dispatch",
    "transit",
    "signature",
    "refusal",
    "return",
    "review",
    "follow_up",
    "carrier_rating",
    "buyer_rating",
    "complaint",
    "message",
    "referral",
}
REGISTERED = {
    "product": {"issuer": SHOP, "name": "端砚", "category": "consumer_goods"},
    "lot": {"issuer": SHOP, "produced_on": "2026-10-01"},
    "unit": {"issuer": SHOP, "lot": "L1", "brand_owner": True},
}
PLACES = [
    pytest.param(t, level, id=f"{t}-{level}")
    for t, (levels, _, _) in CONTRACT.items()
    for level in levels
]


def least(type_, level):
    if type_ == "registration":
        return REGISTERED[level]
    consigned = {"consignment": "C1"} if level == "lot" and type_ in BY_CONSIGNMENT else {}
    return CONTRACT[type_][1] | consigned


def faults_of(type_, level, data, sealed=(), **options):
    with pytest.raises(Invalid) as refusal:
        check_event(type_, level, data, sealed, **options)
    assert refusal.value.slug == "invalid"
    explain(refusal.value)
    return {(error.loc, error.kind) for error in refusal.value.errors}


def fault_in(type_, name, value, level="unit", **options):
    """The kind of fault that one field's value gives beside the least data."""
    ((loc, kind),) = faults_of(type_, level, least(type_, level) | {name: value}, **options)
    assert loc[:2] == ("data", name)
    return kind


def test_the_table_holds_the_contracts_types_and_those_that_roles_may_send():
    assert set(EVENT_TYPES) == set(CONTRACT) == set(EVENTS)


@pytest.mark.parametrize(("type_", "level"), PLACES)
def test_the_least_data_is_enough_and_comes_out_as_it_went_in(type_, level):
    data = least(type_, level)
    assert check_event(type_, level, data, CONTRACT[type_][2]) == data


@pytest.mark.parametrize(("type_", "level"), PLACES)
def test_every_required_field_is_missed_where_it_is_absent(type_, level):
    data = least(type_, level)
    given_one_of = {"listing": "platform", "transit": "region"}
    optional = {"produced_on", "lot", "brand_owner"} if type_ == "registration" else set()
    for name in data.keys() - optional:
        rest = {key: value for key, value in data.items() if key != name}
        assert faults_of(type_, level, rest) == {(("data", name), "missing")}
    assert given_one_of.get(type_, next(iter(data), None)) in {*data, None}


@pytest.mark.parametrize("type_", sorted(CONTRACT))
def test_a_type_is_refused_on_every_other_level(type_):
    for level in {"product", "lot", "unit", "party"} - set(CONTRACT[type_][0]):
        assert (("code",), "level") in faults_of(type_, level, CONTRACT[type_][1])


@pytest.mark.parametrize("type_", sorted(CONTRACT))
def test_unknown_fields_and_sections_are_refused_by_name(type_):
    level = CONTRACT[type_][0][0]
    found = faults_of(type_, level, least(type_, level) | {"colour": "red"}, ("colour",))
    assert found == {(("data", "colour"), "unknown_field"), (("sealed", "colour"), "unknown_field")}


def test_a_consignment_is_for_lots_alone():
    assert fault_in("sale", "consignment", "C1") == "unknown_field"
    assert fault_in("sale", "consignment", "x" * 65, level="lot") == "length"
    assert fault_in("inspection", "consignment", "C1", level="lot") == "unknown_field"


def test_a_lots_correction_may_name_the_consignment():
    for data in ({"of": RECORD}, {"of": RECORD, "consignment": "C1"}):
        assert check_event("correction", "lot", data, ()) == data


@pytest.mark.parametrize(
    "name",
    [
        SHOP, "EX2345677ABCDEF234", "914412000045",
        "示例速运集团有限公司肇庆端州营业部",
        "KUAYUEEXPRESSGROUP", "BEARCREEKFREIGHTER", "EXPRESS 24 2026 ABC", "shop-2026-11-27-0001",
        "20261127-0001-00012", "202611270001", "20261127000100012", "202611270001000123",
        "91441200-2026-11-27-01", "店铺2026112700010001",
    ],
)  # fmt: skip
def test_a_carrier_or_platform_is_a_party_or_whatever_it_is_called(name):
    assert check_event("dispatch", "unit", {"carrier": name}, ())["carrier"] == name
    assert check_event("sale", "unit", {"platform": name}, ())["platform"] == name
    assert check_event("listing", "product", {"platform": name}, ())["platform"] == name


@pytest.mark.parametrize(
    "first_17", [SHOP[:17], "91350100M000100Y4", "121000004000018399", "N2440100MF0012345"]
)
def test_a_code_with_one_character_wrong_missing_or_too_many_is_no_name(first_17):
    """Whatever the character: what is kept as a name is somebody that nobody can speak for."""
    code = first_17[:17] + uscc_check_digit(first_17[:17])
    others = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZab"
    wrong = {code[:n] + one + code[n + 1 :] for n in range(18) for one in others} - {code}
    wrong |= {code[:n] + code[n + 1 :] for n in range(18)}
    wrong |= {code[:n] + one + code[n:] for n in range(19) for one in others}
    wrong |= {code[:8] + between + code[8:] for between in (" ", "-", "  ")}
    wrong |= {code.lower(), code.replace("0", "O")}
    for typed in wrong - {code}:
        kind = fault_in("dispatch", "carrier", typed)
        assert kind in ("authority", "charset", "check_digit", "length"), typed


def test_an_unknown_type_is_the_only_fault_told():
    assert faults_of("teleport", "unit", {"x": 1}, ("y",)) == {(("type",), "unknown_type")}


def test_all_wrong_fields_are_told_at_once():
    data = {"carrier": 7, "from": "4412", "real_name": "yes", "colour": 1, "waybill_tail": "0001"}
    assert faults_of("dispatch", "product", data, ("order",)) == {
        (("code",), "level"),
        (("sealed", "order"), "unknown_field"),
        (("data", "carrier"), "type"),
        (("data", "from"), "region"),
        (("data", "real_name"), "type"),
        (("data", "colour"), "unknown_field"),
        (("data", "waybill_tail"), "reserved"),
    }


@pytest.mark.parametrize("data", [None, [], "x", 1])
def test_data_that_is_no_object_is_one_fault(data):
    assert faults_of("sale", "unit", data) == {(("data",), "type")}


@pytest.mark.parametrize(
    ("type_", "name", "value", "kind"),
    [
        ("dispatch", "carrier", "", "length"),
        ("dispatch", "carrier", " \t", "length"),
        ("dispatch", "carrier", "快" * 65, "length"),
        ("dispatch", "carrier", None, "type"),
        ("dispatch", "carrier", ["x"], "type"),
        ("dispatch", "carrier", "a\nb", "control"),
        ("dispatch", "carrier", "e\u0301", "nfc"),
        ("dispatch", "carrier", "速运\u0378", "charset"),
        ("dispatch", "carrier", "\ud800", "surrogate"),
        ("dispatch", "carrier", "91441200MA4TE5T00R", "check_digit"),
        ("sale", "platform", "91441200MA4TE5T00R", "check_digit"),
        ("listing", "platform", "91441200MA4TE5T00R", "check_digit"),
        ("sale", "platform", "91441200 MA4TE5T00Q", "charset"),
        ("sale", "platform", "91441200MA4TE5T00", "length"),
        ("dispatch", "carrier", "91441200ma4te5t00r", "charset"),
        ("dispatch", "carrier", "9144120OMA4TE5T00Q", "charset"),
        ("dispatch", "carrier", "9I441200MA4TE5T00Q", "charset"),
        ("dispatch", "carrier", "91441200 MA4TE5T00Q", "charset"),
        ("dispatch", "carrier", "91441200-MA4TE5T00Q", "charset"),
        ("dispatch", "carrier", "９１４４１２００ＭＡ４ＴＥ５Ｔ００Ｑ", "charset"),
        ("dispatch", "carrier", "91441200MA4TE5T00", "length"),
        ("dispatch", "carrier", "91441200MA4TE5T000Q", "length"),
        ("dispatch", "carrier", "91441200ma4te5t00q", "charset"),
        ("dispatch", "carrier", "B1441200MA4TE5T00Q", "authority"),
        ("dispatch", "to", "440", "region"),
        ("dispatch", "to", "990100", "region"),
        ("dispatch", "to", "44010０", "region"),
        ("dispatch", "to", 440100, "type"),
        ("dispatch", "real_name", 1, "type"),
        ("signature", "kind", "teleported", "enum"),
        ("signature", "kind", 1, "type"),
        ("complaint", "category", "Quality", "enum"),
        ("review", "rating", 0, "range"),
        ("review", "rating", 6, "range"),
        ("review", "rating", 2**70, "range"),
        ("review", "rating", True, "type"),
        ("review", "rating", 4.0, "type"),
        ("review", "rating", "5", "type"),
        ("listing", "url", "javascript:alert(1)", "url"),
        ("listing", "url", "//shop.example/x", "url"),
        ("listing", "url", "https://", "url"),
        ("listing", "url", "https://[x", "url"),
        ("listing", "url", "https://bank@shop.example/", "url"),
        ("listing", "url", "https://shop.example/a b", "url"),
        ("listing", "url", "https://shop.example/" + "a" * 2048, "length"),
        ("listing", "content_digest", "ab" * 31, "digest"),
        ("listing", "content_digest", "xy" * 32, "digest"),
        ("listing", "ended", "true", "type"),
        ("correction", "of", "7", "record_id"),
        ("correction", "of", RECORD + "\n", "record_id"),
        ("correction", "changes", {}, "length"),
        ("correction", "changes", {"to": ["x"]}, "type"),
        ("correction", "changes", {"目": "x"}, "key"),
        ("correction", "changes", {f"f{n}": 1 for n in range(17)}, "length"),
        ("recall", "level", 0, "range"),
        ("recall", "level", False, "type"),
        ("registration", "brand_owner", "no", "type"),
    ],
)
def test_one_wrong_value_is_one_fault_of_its_kind(type_, name, value, kind):
    assert fault_in(type_, name, value) == kind


@pytest.mark.parametrize(
    ("until", "kind"), [("2026-11-23", "time"), ("2026-13-01T00:00:00Z", "time"), (5, "type")]
)
def test_the_end_of_a_measure_is_a_time(until, kind):
    assert fault_in("measure", "until", until, level="party") == kind


@pytest.mark.parametrize("day", ["2026-02-30", "20261001", "2026-10-1"])
def test_the_dates_of_a_lot_are_days_that_exist(day):
    assert fault_in("registration", "produced_on", day, level="lot") == "date"


def test_a_product_registration_needs_a_category_of_the_contract():
    assert fault_in("registration", "category", "toys", level="product") == "enum"


def test_the_import_section_of_a_lot_is_checked_inside():
    section = {"mode": "1210", "port": "南沙", "origin": "新西兰"}
    kept = check_event("registration", "lot", REGISTERED["lot"] | {"import": section}, ())
    assert kept["import"] == section
    wrong = {"mode": "9999", "port": "南沙", "declaration": "516620251000000012"}
    assert faults_of("registration", "lot", REGISTERED["lot"] | {"import": wrong}) == {
        (("data", "import", "mode"), "enum"),
        (("data", "import", "origin"), "missing"),
        (("data", "import", "declaration"), "unknown_field"),
    }


def test_a_listing_needs_a_platform_or_an_address_and_transit_a_place_or_a_state():
    assert faults_of("listing", "product", {"ended": True}) == {(("data", "platform"), "missing")}
    assert check_event("listing", "product", {"url": "https://shop.example/p"}, ())
    assert faults_of("transit", "unit", {}) == {(("data", "region"), "missing")}
    assert check_event("transit", "unit", {"status": "揽收"}, ())


@pytest.mark.parametrize("level", [1, 3, "一级", "Class I"])
def test_the_level_of_a_recall_is_a_number_or_a_word(level):
    data = {"reason": "glass", "level": level}
    assert check_event("recall", "lot", data, ()) == data


def test_digests_ids_and_times_take_their_one_form():
    listing = {"platform": SHOP, "content_digest": DIGEST.upper()}
    assert check_event("listing", "unit", listing, ())["content_digest"] == DIGEST
    assert check_event("correction", "unit", {"of": RECORD.upper()}, ())["of"] == RECORD
    measure = {"kind": "warn", "basis": "art. 1", "until": "2026-11-23T15:00:00+08:00"}
    assert check_event("measure", "party", measure, ())["until"] == "2026-11-23T07:00:00.000Z"


# What is ours, and what a signature covers


@pytest.mark.parametrize("type_", ["review", "follow_up", "complaint", "signature", "refusal"])
@pytest.mark.parametrize("signed", [False, True])
def test_nobody_names_its_own_proof(type_, signed):
    assert fault_in(type_, "proof", "platform", signed=signed) == "reserved"
    data = least(type_, "unit") | {"proof": "inner"}
    assert check_event(type_, "unit", data, (), system=True) == data


@pytest.mark.parametrize("name", ["inner_digest", "inner_code", "proof", "waybill_tail"])
def test_our_fields_are_refused_as_ours_wherever_they_are_sent(name):
    assert fault_in("sale", name, "x") == "reserved"


def test_only_who_signs_gives_the_tail_of_the_waybill():
    data = {"carrier": SHOP, "waybill_tail": "0001"}
    assert fault_in("dispatch", "waybill_tail", "0001") == "reserved"
    assert check_event("dispatch", "unit", data, ("waybill",), signed=True) == data
    for wrong in ("001", "00011", "00-1", "０００１"):
        assert fault_in("dispatch", "waybill_tail", wrong, signed=True) == "tail"


def test_what_is_signed_must_already_have_its_form():
    assert fault_in("correction", "of", RECORD.upper(), signed=True) == "signed_form"
    assert check_event("correction", "unit", {"of": RECORD}, (), signed=True) == {"of": RECORD}


def test_changes_are_checked_by_the_rules_of_the_record_they_correct():
    assert check_changes("dispatch", "unit", {"to": "440300"}) == {"to": "440300"}
    with pytest.raises(Invalid) as refusal:
        check_changes("dispatch", "unit", {"to": "x", "rating": 5, "waybill_tail": "0001"})
    explain(refusal.value)
    assert {(e.loc, e.kind) for e in refusal.value.errors} == {
        (("data", "changes", "to"), "region"),
        (("data", "changes", "rating"), "unknown_field"),
        (("data", "changes", "waybill_tail"), "reserved"),
    }


# Times and tails


@pytest.mark.parametrize(
    ("occurred_at", "kind"),
    [
        (NOW + timedelta(minutes=5), None),
        (NOW + timedelta(minutes=5, milliseconds=1), "future_time"),
        (NOW - timedelta(days=3650), None),
        (datetime(2000, 1, 1, tzinfo=UTC), None),
        (datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC), "range"),
    ],
)
def test_a_time_may_be_five_minutes_ahead_and_not_of_another_century(occurred_at, kind):
    if kind is None:
        check_time(occurred_at, NOW)
        return
    with pytest.raises(Invalid) as refusal:
        check_time(occurred_at, NOW)
    explain(refusal.value)
    assert [(e.loc, e.kind) for e in refusal.value.errors] == [(("occurred_at",), kind)]


@pytest.mark.parametrize(
    ("number", "tail"),
    [
        ("TEST0000000001", "0001"),
        ("yt-1234-5678-a", "678A"),
        ("SF 1234 567", "4567"),
        ("1234567", None),
        ("", None),
        ("１２３４５６７８", None),
    ],
)
def test_the_tail_is_the_last_four_of_a_number_long_enough_to_hide_in(number, tail):
    assert waybill_tail(number) == tail


def test_every_word_that_people_read_has_both_languages():
    groups = {
        "event": EVENT_TYPES,
        "state": STATES,
        "step": STEPS,
        "source": SOURCES,
        "complaint": COMPLAINT_CATEGORIES,
        "signature": SIGNATURE_KINDS,
        "measure": MEASURE_KINDS,
        "proof": PROOFS,
        "gap": ("late", "overdue"),
        "warning": (
            "recalled",
            "expired",
            "under_measure",
            "clone_suspected",
            "sold_before",
            "provisional_gap",
        ),
    }
    assert set(LIFE) <= set(EVENT_TYPES)
    for group, words in groups.items():
        for word in words:
            assert len({text(lang, f"{group}.{word}") for lang in LANGUAGES}) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
FIELD_NAMES = sorted(
    {name for kind in EVENT_TYPES.values() for name in kind.fields_on("lot")} | {"x"}
)


@given(
    st.sampled_from(sorted(EVENT_TYPES)),
    st.sampled_from(["product", "lot", "unit", "party"]),
    st.dictionaries(st.sampled_from(FIELD_NAMES), JSON, max_size=5),
    st.booleans(),
    st.booleans(),
)
def test_whatever_is_sent_is_canonical_or_refused_with_a_sentence(
    type_, level, data, signed, system
):
    try:
        kept = check_event(type_, level, data, (), signed=signed, system=system)
    except Invalid as refusal:
        sentences = explain(refusal)
        assert len(sentences) >= 4  # the whole and at least one field, in two languages
    else:
        check_canonical(kept)
        if signed:
            assert kept == data
