"""What waits for an authority's decision, and what a party may do for its own score."""

from __future__ import annotations

from sqlalchemy import delete, insert, select, update

from app.credit import store
from app.kit.clock import parse_time
from app.ledger.record import stream_key
from app.ledger.sealstore import SEALED
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import told
from tests.web.standing import REPORT, step
from tests.web.test_commitments_api import judge, signed
from tests.web.test_statements import counted

U = "/api/v1/credit/undecided"


def enter(market, party: str, rule: str = "spot_check_failed") -> dict:
    body = {"rule": rule, "evidence": REPORT}
    path = f"/api/v1/credit/{party}/entries"
    return market.ask("POST", path, body, token=market.keys[AUTHORITY], status=201)


def waiting(market, party: str, *, by: str = AUTHORITY, query: str = "") -> list[dict]:
    found = market.ask("GET", U + query, token=market.keys[by])["items"]
    return [one for one in found if one["party"] == party]


def test_what_is_asked_waits_with_its_words_until_it_is_decided(market):
    shop = market.newcomer()
    entry = enter(market, shop)
    assert waiting(market, shop) == []
    objected = step(market, entry["id"], "objection", by=shop)
    (one,) = waiting(market, shop, query="?opened=true")
    assert (one["of"], one["wish"], one["id"]) == ("entry", "objection", entry["id"])
    assert (one["points"], one["text"]) == (-80, "情况说明")
    assert one["decide_by"] == objected["steps"][-1]["decide_by"]
    step(market, entry["id"], "decision", by=AUTHORITY, outcome="dismissed")
    assert waiting(market, shop) == []

    market.clock.set(parse_time(entry["earliest_repair_at"]))
    step(market, entry["id"], "repair", by=shop)
    (one,) = waiting(market, shop)
    assert one["wish"] == "repair"
    step(market, entry["id"], "decision", by=AUTHORITY, outcome="granted")
    assert waiting(market, shop) == []


def test_what_is_not_opened_is_told_from_what_was_erased(market):
    shop = market.newcomer()
    entry = enter(market, shop)
    step(market, entry["id"], "objection", by=shop)
    (one,) = waiting(market, shop)
    assert (one.get("closed"), "text" in one) == (True, False)
    (one,) = waiting(market, shop, query="?opened=true")
    assert (one.get("closed"), one["text"]) == (None, "情况说明")
    with market.rooms.database.write() as connection:
        connection.execute(
            update(SEALED)
            .where(SEALED.c.stream == stream_key(f"party/{shop}"))
            .values(sealed=None, wrapped_key=None, erased_at=1)
        )
    for query in ("", "?opened=true"):
        (one,) = waiting(market, shop, query=query)
        assert not {"closed", "text"} & set(one), query


def test_whose_words_are_kept_is_asked_once_for_all(market):
    regulator = market.rooms.keys.authenticate(market.keys[AUTHORITY])

    def asked() -> int:
        with counted(market.rooms.database) as (found, _):
            _, waiting = market.rooms.undecided.page(regulator, limit=100)
            assert any(one.closed for one in market.rooms.undecided.marked(regulator, waiting))
        return len(found)

    def object_to_one() -> None:
        shop = market.newcomer()
        step(market, enter(market, shop)["id"], "objection", by=shop)

    object_to_one()
    before = asked()
    for _ in range(3):
        object_to_one()
    assert asked() == before


def test_listings_and_commitments_in_question_wait_too(market):
    shop = market.newcomer()
    body = {
        "party": shop,
        "criterion": "decision_evaded",
        "evidence": {"title": "决定书", "number": "1"},
    }
    key = market.keys[AUTHORITY]
    listed = market.ask("POST", "/api/v1/lists/black", body, token=key, status=201)
    path = f"/api/v1/lists/items/{listed['id']}/objection"
    done = market.ask("POST", path, {"text": "已履行"}, token=market.keys[shop], status=201)
    assert done["steps"][-1]["text"] == "已履行"
    promise = signed(market, shop, "seven_day_return")
    market.rooms.commitments.question(promise["id"], once="x", evidence={"outcome": "refused"})
    found = {one["wish"]: one for one in waiting(market, shop, query="?opened=true")}
    assert found["objection"]["of"] == "listing"
    assert found["objection"]["text"] == "已履行"
    assert "text" not in found["question"]
    assert "decide_by" not in found["question"]
    judged = judge(market, promise, "cleared")
    assert judged["steps"][-1]["text"] == "经核查"
    assert [one["wish"] for one in waiting(market, shop)] == ["objection"]


def test_the_queue_is_by_deadline_and_comes_in_pages(market):
    shop = market.newcomer()
    later, sooner = enter(market, shop), enter(market, shop)
    step(market, sooner["id"], "objection", by=shop)
    market.clock.advance(3 * 86_400)
    step(market, later["id"], "objection", by=shop)
    ids = [one["id"] for one in waiting(market, shop)]
    assert ids == [sooner["id"], later["id"]]
    found, cursor = [], ""
    while True:
        page = market.ask("GET", f"{U}?limit=1{cursor}", token=market.keys[AUTHORITY])
        found += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert [id_ for id_ in found if id_ in ids] == ids
    assert len(found) == len(set(found))


def test_nobodys_matter_is_out_of_sight_behind_thousands_of_others(market):
    shop, other = market.newcomer(), market.newcomer(region="440300")
    first = enter(market, other)
    step(market, first["id"], "objection", by=other)
    # Rows alone, for the queue is read from them; taken away again, since no record gives them.
    with market.rooms.database.write() as connection:
        for table, column in ((store.ENTRY, "id"), (store.STEP, "entry")):
            row = connection.execute(select(table).where(table.c[column] == first["id"])).one()
            ids = (f"00000000-0000-4000-8000-{n:012d}" for n in range(2_050))
            rows = [{**row._mapping, column: id_} for id_ in ids]
            connection.execute(insert(table), rows)
    try:
        market.clock.advance(86_400)
        entry = enter(market, shop)
        step(market, entry["id"], "objection", by=shop)
        found, cursor = [], ""
        while True:
            page = market.ask("GET", f"{U}?limit=500{cursor}", token=market.keys[AUTHORITY])
            found += page["items"]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        ids = [one["id"] for one in found]
        assert len(ids) == len(set(ids)) >= 2_052
        assert ids.index(entry["id"]) > 2_050, "it is due a day later"
        due = [one.get("decide_by", "9") for one in found]
        assert due == sorted(due)
    finally:
        with market.rooms.database.write() as connection:
            for table, column in ((store.ENTRY, "id"), (store.STEP, "entry")):
                made = table.c[column].startswith("00000000-0000-4000-8000-")
                connection.execute(delete(table).where(made))


def test_an_authority_that_trades_does_not_meet_its_own_case(market):
    both = market.newcomer("merchant", "regulator")
    entry = enter(market, both)
    step(market, entry["id"], "objection", by=both)
    assert waiting(market, both, by=both) == []
    assert [one["id"] for one in waiting(market, both)] == [entry["id"]]


def test_nobody_else_reads_the_queue(market):
    for party in (SHOP, PLATFORM, CARRIER):
        assert told(market.call("GET", U, token=market.keys[party]))[:2] == (403, "forbidden")
    assert told(market.call("GET", U))[:2] == (401, "unauthenticated")


def test_what_would_raise_a_score_is_told_to_itself_and_to_authorities(market):
    shop = market.newcomer()
    entry = enter(market, shop)
    path = f"/api/v1/credit/{shop}/advice"
    found = market.ask("GET", path, token=market.keys[shop])
    assert found == market.ask("GET", path, token=market.keys[AUTHORITY])
    ways = {one["way"]: one for one in found["gains"]}
    assert ways["avert"]["entry"] == entry["id"]
    assert (ways["avert"]["gain"], ways["avert"]["until"]) == (80, entry["effective_at"])
    assert ways["sign"]["gain"] == 20
    assert ways["sign"]["text"] == "Sign a commitment"
    signed(market, shop)
    market.work()
    after = market.ask("GET", path, token=market.keys[shop])
    assert "sign" not in {one["way"] for one in after["gains"]}
    assert after["score"] == found["score"] + 20
    assert told(market.call("GET", path, token=market.keys[SHOP]))[:2] == (403, "forbidden")


def test_a_finding_says_what_cures_it(market):
    unit = market.one()
    market.sell(unit.code, hours=-24 * 9)
    market.clock.advance(2 * 86_400)
    market.work()
    found = market.ask("GET", f"/api/v1/findings?party={SHOP}", token=market.keys[SHOP])["items"]
    (one,) = [f for f in found if f["stream"] == unit.code]
    assert one["kind"] == "continuity.missing_dispatch"
    assert "dispatch" in one["cure"]["en"]
    assert one["cure"]["zh"]
