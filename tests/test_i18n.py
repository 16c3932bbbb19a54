from __future__ import annotations

import re
from datetime import UTC, date, datetime

import pytest

from app import i18n


@pytest.mark.parametrize(
    ("accept", "explicit", "lang"),
    [
        (None, None, "zh"),
        ("", None, "zh"),
        ("en", None, "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", None, "zh"),
        ("en-GB,en;q=0.9,zh;q=0.8", None, "en"),
        ("zh;q=0.3, en;q=0.7", None, "en"),
        ("en;q=0.5,zh;q=0.5", None, "en"),
        ("fr, de;q=0.5", None, "zh"),
        ("fr, en;q=0.1", None, "en"),
        ("en;q=0, *", None, "zh"),
        ("en;q=nonsense, fr", None, "zh"),
        ("en;q=nan", None, "zh"),
        (";;;,,,q=", None, "zh"),
        ("zh", "en", "en"),
        ("en", "zh-CN", "zh"),
        ("en", "EN_gb", "en"),
        ("en", "fr", "en"),
        (None, "enough", "zh"),
    ],
)
def test_the_reader_is_answered_in_a_language_that_both_know(accept, explicit, lang):
    assert i18n.pick_language(accept, explicit) == lang


def test_a_sentence_is_filled_in_and_one_is_not_many():
    assert i18n.text("en", "page.late", count=2) == "recorded 2 days late"
    assert i18n.text("en", "page.late", count=1) == "recorded one day late"
    assert i18n.text("en", "page.late", count="1") == "recorded one day late", "as a page writes it"
    assert "2" in i18n.text("zh", "page.late", count=2)


def test_what_a_person_typed_is_never_read_as_a_place_to_fill_in():
    assert "{count}" in i18n.text(
        "en", "page.detail.reason", reason="{count} {0} {reason.__class__}"
    )


@pytest.mark.parametrize("lang", i18n.LANGUAGES)
def test_a_missing_sentence_or_param_raises(lang):
    with pytest.raises(KeyError):
        i18n.text(lang, "page.no_such_sentence")
    with pytest.raises(KeyError):
        i18n.text(lang, "page.detail.reason")
    assert not i18n.has("page.no_such_sentence")
    assert i18n.has("page.detail.reason")


def test_a_key_in_two_files_is_an_error(tmp_path):
    (tmp_path / "a.json").write_text('{"x.y": "1"}')
    (tmp_path / "b.json").write_text('{"x.z": "2"}')
    assert i18n.load(tmp_path) == {"x.y": "1", "x.z": "2"}
    (tmp_path / "c.json").write_text('{"x.y": "3"}')
    with pytest.raises(ValueError, match=r"x\.y stands in a\.json and in c\.json"):
        i18n.load(tmp_path)


def test_a_sentence_that_is_no_text_is_an_error(tmp_path):
    (tmp_path / "a.json").write_text('{"x.y": 1}')
    with pytest.raises(ValueError, match="not a text"):
        i18n.load(tmp_path)


def test_times_are_shown_in_china():
    late = datetime(2026, 12, 31, 16, 5, tzinfo=UTC)
    assert i18n.format_moment("zh", late) == "2027-01-01 00:05"
    assert i18n.format_moment("en", late) == "1 Jan 2027, 00:05"
    assert i18n.format_date("zh", late) == "2027-01-01"
    assert i18n.format_date("en", date(2026, 11, 20)) == "20 Nov 2026"


@pytest.mark.parametrize(
    ("written", "zh", "en"),
    [
        ("8..32", "8 到 32", "8 to 32"),
        ("0..0", "0", "0"),
        ("≤ 64", "不大于 64", "at most 64"),
        ("≥ 1", "不小于 1", "at least 1"),
        ("> 0, ≤ 9.5", "大于 0，不大于 9.5", "more than 0; at most 9.5"),
        ("≥ 2026-09-05", "不早于 2026-09-05", "not before 5 Sep 2026"),
        ("2026-09-05..2027-01-01", "2026-09-05 到 2027-01-01", "5 Sep 2026 to 1 Jan 2027"),
        ("> 2026-12-31T16:05:00.000Z", "晚于 2027-01-01 00:05", "after 1 Jan 2027, 00:05"),
        ("≤ 2026-09", "不晚于 2026-09", "not after 2026-09"),
        ("food, drug", "food, drug", "food, drug"),
        ("SC10144120000008", "SC10144120000008", "SC10144120000008"),
    ],
)
def test_a_bound_is_said_in_words(written, zh, en):
    said = {
        lang: i18n.in_words(lang, {"expected": written, "got": written}) for lang in ("zh", "en")
    }
    assert {lang: told["expected"] for lang, told in said.items()} == {"zh": zh, "en": en}
    assert {told["got"] for told in said.values()} == {written}


@pytest.mark.parametrize(
    ("expected", "got", "en"),
    [
        ("≥ 2026-09-05", "2026-09-04", "4 Sep 2026"),
        ("≥ 2026-09-05", "2026-09-31", "2026-09-31"),
        ("> 2026-12-31T16:05:00.000Z", "2026-12-31T16:04:00.000Z", "1 Jan 2027, 00:04"),
        ("food, drug", "2026-09-04", "2026-09-04"),
        ("≤ 9", "10", "10"),
    ],
)
def test_a_day_that_was_sent_is_said_as_the_bound_that_it_missed(expected, got, en):
    assert i18n.in_words("en", {"expected": expected, "got": got})["got"] == en


@pytest.mark.parametrize(
    ("expected", "zh", "en"),
    [
        ("≤ 100", "超出范围：应不大于 100，收到 x。", "Out of range: expected at most 100, got x."),
        ("1..5", "超出范围：应为 1 到 5，收到 x。", "Out of range: expected 1 to 5, got x."),
        ("> 0, ≤ 9", "超出范围：应大于 0，不大于 9，收到 x。", None),
        ("≥ 2026-09-05", "超出范围：应不早于 2026-09-05，收到 x。", None),
        (18, "超出范围：应为 18，收到 x。", "Out of range: expected 18, got x."),
    ],
)
def test_what_ought_to_be_reads_as_one_would_say_it(expected, zh, en):
    for lang, said in (("zh", zh), ("en", en)):
        told = i18n.in_words(lang, {"expected": expected, "got": "x"})
        assert said in (None, i18n.text(lang, "field.range", **told))


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="zone"):
        i18n.format_moment("zh", datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("code", "zh", "en"),
    [
        ("441202", "广东 肇庆", "Zhaoqing, Guangdong"),  # a district is shown as its city
        ("440100", "广东 广州", "Guangzhou, Guangdong"),
        ("440000", "广东", "Guangdong"),
        ("110105", "北京", "Beijing"),
        ("500101", "重庆", "Chongqing"),
        ("810000", "香港", "Hong Kong"),
        ("321100", "江苏 镇江", "Jiangsu (321100)"),
        ("321181", "江苏 镇江", "Jiangsu (321100)"),
        ("429004", "湖北 仙桃", "Hubei (429004)"),  # directly under the province
        ("222401", "吉林 延边朝鲜族自治州", "Jilin (222400)"),
        ("449900", "广东", "Guangdong (449900)"),
        ("990000", "990000", "990000"),
    ],
)
def test_a_place_is_named_as_a_city_and_no_finer(code, zh, en):
    assert i18n.region_name("zh", code) == zh
    assert i18n.region_name("en", code) == en


def test_a_route_names_cities_alone():
    assert i18n.region_name("zh", "441202", short=True) == "肇庆"
    assert i18n.region_name("en", "440100", short=True) == "Guangzhou"
    assert i18n.region_name("zh", "440000", short=True) == "广东"


@pytest.mark.parametrize("text", ["", "广州市天河路1号", "4401", "４４０１００", "440100\n"])
def test_what_is_no_code_is_not_shown(text):
    assert i18n.region_name("zh", text) == ""


def test_every_province_of_the_standard_has_a_name_in_both_languages():
    from stdnum import numdb

    provinces = [f"{n}" for n in range(11, 83) if len(numdb.get("cn/loc").info(f"{n}0000")) == 2]
    assert len(provinces) >= 34
    assert not [n for n in provinces if not i18n.has(f"region.{n}")]


def test_an_office_of_a_district_is_not_told_as_the_city():
    from app.i18n import office_name, region_name

    assert office_name("zh", "441202") == "广东 肇庆 端州区 441202"
    assert office_name("en", "441202").endswith(", district 441202")
    assert office_name("zh", "110105") == "北京 朝阳区 110105"
    assert office_name("zh", "441284") == "广东 肇庆 四会市 441284"
    assert office_name("zh", "441299") == "广东 肇庆 · 区县 441299"  # of no name that is known
    assert office_name("zh", "441200") == "广东 肇庆"
    assert office_name("zh", "429004") == region_name("zh", "429004")


# A count, and what stands beside one on a page: then a word that says there are several.
_SEVERAL = re.compile(r"\{count\} (?:[a-z]+ ){0,2}?[a-z]+s\b")
_BESIDE = re.compile(r"desk\.works\.\w+|desk\.applications|decide\.waiting|goods\.[\w.]+\.count")
# One thing cannot be there alone, or the same words say both.
_AS_ONE = {
    "desk.works.sold", "check.hash.part", "check.extent.pending", "chain.found.more",
    "page.verdict.intact.part",
}  # fmt: skip


def test_no_english_sentence_says_that_there_are_one_things():
    several = {
        key
        for key in i18n.keys("en")
        if _SEVERAL.search(i18n.text_as_written("en", key)) or _BESIDE.fullmatch(key)
    }
    assert len(several) > 50
    assert not [
        key for key in several - _AS_ONE if not key.endswith(".one") and not i18n.has(f"{key}.one")
    ]
