"""Red and black list, monthly grades and warnings: each step a record, dated, and what it does to ranking."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from app.credit.alerts import warning_row
from app.credit.matters import replay_matters
from app.credit.snapshots import snapshot_row
from app.kit.clock import local_day, parse_time, to_ms
from app.ledger.store import load_stream
from tests.web.conftest import AUTHORITY, PLATFORM, SHOP
from tests.web.market import GTIN, Market, told
from tests.web.test_audits_api import audit
from tests.web.test_ranking_api import complete, trader

C = "/api/v1/credit"
DAY = 86_400
MS = timedelta(milliseconds=1)


def enter(market: Market, party: str, rule: str, *, by: str = AUTHORITY) -> dict:
    body = {"rule": rule, "evidence": {"title": "决定书", "number": "2026-7"}}
    path = f"{C}/{party}/entries"
    return market.ask("POST", path, body, token=market.keys[by], status=201)


def black(market: Market, party: str, *, status: int = 201, by: str = AUTHORITY, **more) -> dict:
    body = {
        "party": party,
        "criterion": "decision_evaded",
        "evidence": {"title": "行政处罚决定书", "number": "肇市监罚〔2026〕1号"},
        **more,
    }
    return market.ask("POST", "/api/v1/lists/black", body, token=market.keys[by], status=status)


def say(market: Market, item: dict, what: str, by: str, *, status: int = 201, **body) -> dict:
    path = f"/api/v1/lists/items/{item['id']}/{what}"
    return market.ask("POST", path, body, token=market.keys[by], status=status)


def on_list(market: Market, name: str) -> list[str]:
    return [one["party"] for one in market.ask("GET", f"/api/v1/lists/{name}?limit=500")["items"]]


def ranked(market: Market, party: str) -> dict:
    body = {"candidates": [{"id": "x", "gtin": GTIN, "seller": party, "base": 1}]}
    token = market.keys[PLATFORM]
    (item,) = market.ask("POST", "/api/v1/ranking", body, token=token)["items"]
    return item


def factors(item: dict) -> dict[str, float]:
    return {one["factor"]: one["value"] for one in item["why"]}


def next_month(market: Market) -> None:
    """Goes to the 2nd of the next month and lets the worker look."""
    day = local_day(market.clock.now()).replace(day=1)  # months end in China, not at 0:00 UTC
    second = (day + timedelta(days=32)).replace(day=2)
    market.clock.set(datetime.combine(second, time(12), UTC))
    market.work()


def history(market: Market, party: str) -> list[dict]:
    return market.ask("GET", f"{C}/{party}/history?limit=500")["items"]


def test_a_black_listing_is_announced_then_takes_the_boost_then_can_be_removed(market):
    shop = trader(market)
    complete(market, shop, 10)
    market.work()
    assert ranked(market, shop)["boost"] > 0

    item = black(market, shop)
    assert item["status"] == "notice"
    assert (shop in on_list(market, "black"), ranked(market, shop)["boost"] > 0) == (False, True)
    assert market.ask("GET", f"{C}/{shop}/lists")["items"] == [], "announced to the party alone"
    (own,) = market.ask("GET", f"{C}/{shop}/lists", token=market.keys[shop])["items"]
    assert own["id"] == item["id"]

    objected = say(market, item, "objection", shop, text="已经履行")
    assert (objected["status"], objected["steps"][-1]["decide_by"] > market.at()) == (
        "objected", True,
    )  # fmt: skip
    refused = say(market, item, "decision", AUTHORITY, outcome="dismissed", reason="未见凭证")
    assert refused["status"] == "notice"

    market.clock.set(parse_time(item["listed_at"]) - MS)
    assert shop not in on_list(market, "black")
    market.clock.set(parse_time(item["listed_at"]))
    assert shop in on_list(market, "black")
    listed = ranked(market, shop)
    assert (listed["boost"], factors(listed)["black_list"]) == (0, 0)
    market.work()
    assert [s["step"] for s in say_nothing(market, shop)["steps"]] == [
        "object", "dismiss", "take_effect",
    ]  # fmt: skip

    early = market.call(
        "POST", f"/api/v1/lists/items/{item['id']}/removal", {"text": "已履行"},
        token=market.keys[shop],
    )  # fmt: skip
    assert told(early) == (409, "lifecycle-conflict", "too_early")
    market.clock.set(parse_time(item["removal_from"]))
    assert say(market, item, "removal", shop, text="已履行")["status"] == "removal_asked"
    assert shop in on_list(market, "black"), "until it is granted"
    done = say(market, item, "decision", AUTHORITY, outcome="granted", reason="已履行完毕")
    assert done["status"] == "removed"
    again = market.call(
        "POST", f"/api/v1/lists/items/{item['id']}/objection", {"text": "已履行"},
        token=market.keys[shop], headers={"Accept-Language": "zh"},
    )  # fmt: skip
    assert told(again) == (409, "lifecycle-conflict", "wrong_state")
    assert "已移出" in again.json()["detail"], "as its page calls it"
    assert shop not in on_list(market, "black")
    assert "black_list" not in factors(ranked(market, shop))
    assert audit(market, {"party": shop})["findings"] == 0


def say_nothing(market: Market, party: str) -> dict:
    (item,) = market.ask("GET", f"{C}/{party}/lists", token=market.keys[AUTHORITY])["items"]
    return item


def test_a_black_listing_ends_at_its_term_by_itself(market):
    shop = market.newcomer()
    item = black(market, shop)
    market.clock.set(parse_time(item["until"]))
    assert shop not in on_list(market, "black")
    market.work()
    assert say_nothing(market, shop)["status"] == "ended"


def test_who_may_list_and_on_what_ground(market):
    shop = market.newcomer()
    black(market, shop, by=SHOP, status=403)
    own = black(market, AUTHORITY, status=403)
    assert own["type"] == "/problems/forbidden"
    unmet = black(market, shop, status=422, criterion="serious_dishonesty",
                  evidence={"title": "决定", "entry": "x"})  # fmt: skip
    assert unmet["errors"][0]["loc"][-2:] == ["evidence", "entry"]
    entry = enter(market, shop, "counterfeit")
    more = {"criterion": "serious_dishonesty", "evidence": {"title": "决定", "entry": entry["id"]}}
    black(market, shop, status=422, **more)  # announced, and not in effect
    market.clock.set(parse_time(entry["effective_at"]))
    id_ = "0192f3a0-0000-7000-8000-00000000bb01"
    made = black(market, shop, id=id_, **more)
    market.clock.advance(60)
    assert black(market, shop, id=id_, status=200, **more)["until"] == made["until"]
    again = black(market, shop, status=409, **more)
    assert again["type"] == "/problems/already-exists"
    for lang, word in (("zh", "已经生效"), ("en", "in force already")):
        body = {"party": shop, **more}
        answer = market.call("POST", "/api/v1/lists/black", body, token=market.keys[AUTHORITY],
                             headers={"Accept-Language": lang})  # fmt: skip
        assert word in answer.json()["detail"]
    computed = {"party": shop, "criterion": "grade_a_kept",
                "evidence": {"title": "x", "number": "1"}}  # fmt: skip
    answer = market.call("POST", "/api/v1/lists/red", computed, token=market.keys[AUTHORITY])
    assert told(answer)[:2] == (422, "invalid")


def excellent(market: Market) -> str:
    """A shop of grade A with enough data."""
    shop = trader(market)
    complete(market, shop, 10)
    market.work()
    for _ in range(6):
        enter(market, shop, "spot_check_clean")
    for rule in ("licence_verified", "disclosure_complete"):
        enter(market, shop, rule)
    return shop


def test_each_month_has_one_grade_and_six_good_ones_lead_to_the_red_list(market):
    shop = excellent(market)
    before = market.ask("GET", f"{C}/{shop}")
    assert before["grade"] == "A", before
    for _ in range(5):
        next_month(market)
        market.work()
    grades = history(market, shop)
    assert [one["grade"] for one in grades] == ["A"] * 5, "one a month, however often looked"
    assert [one["month"] for one in grades] == sorted({one["month"] for one in grades})
    assert (grades[-1]["policy"], grades[-1]["entries"] > 8) == (1, True)
    assert market.ask("GET", f"{C}/{shop}/lists", token=market.keys[shop])["items"] == []

    next_month(market)
    (item,) = market.ask("GET", f"{C}/{shop}/lists", token=market.keys[shop])["items"]
    assert (item["list"], item["status"], item["entered_by"]) == ("red", "notice", "system")
    assert len(item["evidence"]["months"]) == 6
    market.clock.set(parse_time(item["listed_at"]))
    assert shop in on_list(market, "red")
    shown = ranked(market, shop)
    assert factors(shown)["red_list"] == 1
    assert shown["boost"] <= 0.15

    # One failed check: as long as it is only announced nothing happens, then it is no more on the list.
    failed = enter(market, shop, "spot_check_failed")
    market.work()
    assert shop in on_list(market, "red")
    market.clock.set(parse_time(failed["effective_at"]))
    market.work()
    assert shop not in on_list(market, "red")
    assert say_nothing(market, shop)["status"] == "removed"
    assert "red_list" not in factors(ranked(market, shop))
    rebuilt(market, shop)


def rebuilt(market: Market, party: str) -> None:
    """The party's records alone give every row of its matters, grades and warnings again."""
    with market.rooms.database.read() as connection:
        records = [one.fields for one in load_stream(connection, f"party/{party}")]
        kept = {
            name: [dict(row._mapping) for row in connection.exec_driver_sql(
                f"SELECT * FROM {name} WHERE party = '{party}'"
            )]
            for name in ("matter", "matter_step", "credit_snapshot", "credit_warning")
        }  # fmt: skip
    told_again = replay_matters(records)
    at = {one["seq"]: to_ms(parse_time(one["recorded_at"])) for one in records}
    grades = [
        snapshot_row(one["data"], party=party, seq=one["seq"], at_ms=at[one["seq"]])
        for one in records
        if one["type"] == "credit_snapshot"
    ]
    warned = [
        warning_row(
            one["data"], party=party, identifier=one["id"], seq=one["seq"], at_ms=at[one["seq"]]
        )
        for one in records
        if one["type"] == "credit_warning"
    ]

    def order(rows):
        return sorted(rows, key=lambda row: row["seq"])

    assert kept["matter"]
    assert kept["credit_snapshot"]
    assert order(kept["matter"]) == order(told_again.rows.values())
    assert order(kept["matter_step"]) == order(told_again.steps)
    assert order(kept["credit_snapshot"]) == order(grades)
    assert order(kept["credit_warning"]) == order(warned)
    assert audit(market, {"party": party})["findings"] == 0


def warnings(market: Market, party: str) -> list[dict]:
    return market.ask("GET", f"{C}/{party}/warnings", token=market.keys[party])["items"]


def test_a_party_is_warned_once_when_its_score_crosses_a_line(market):
    shop = market.newcomer()
    enter(market, shop, "licence_verified")
    market.clock.advance(40 * DAY)
    market.work()
    assert warnings(market, shop) == [], "a new shop at 730 is near no border"
    entry = enter(market, shop, "complaint_upheld")
    market.clock.set(parse_time(entry["effective_at"]))
    market.work()
    (near,) = warnings(market, shop)
    assert (near["kind"], near["score"], near["before"], near["line"]) == (
        "near_border", 710, 730, 720,
    )  # fmt: skip
    market.work()
    assert len(warnings(market, shop)) == 1, "once a kind, while the line is the same"
    entry = enter(market, shop, "spot_check_failed")
    market.clock.set(parse_time(entry["effective_at"]))
    market.work()
    assert {one["kind"] for one in warnings(market, shop)} == {"near_border", "grade_fell", "drop"}
    path = f"{C}/{shop}/warnings"
    assert market.call("GET", path).status_code == 401
    assert market.call("GET", path, token=market.keys[SHOP]).status_code == 403
    assert len(market.ask("GET", path, token=market.keys[AUTHORITY])["items"]) == 3


def test_an_altered_row_of_a_list_is_a_finding(market):
    shop = market.newcomer()
    item = black(market, shop)
    market.tamper(
        "UPDATE matter SET status = 'cancelled' WHERE id = :id".replace(":id", f"'{item['id']}'")
    )
    assert audit(market, {"party": shop})["findings"] == 1
