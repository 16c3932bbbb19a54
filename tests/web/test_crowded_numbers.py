"""A sealed number that thousands of records have: a reader's own goods are found wherever they stand."""

from __future__ import annotations

import itertools

import pytest

from app.bench.crowds import fill_crowd
from app.i18n import text
from app.kit.clock import to_ms
from app.ledger.record import stream_key
from app.oversight import numbers, numberstore
from app.oversight.numbers import PLACES, STEP
from app.trace.secret_index import SecretIndex
from tests.web.authority import HERE, key_of_person, keys_of, open_two_provinces, seek
from tests.web.conftest import AUTHORITY
from tests.web.market import CUSTOMS, GTIN
from tests.web.people import signed_in

WHY = "container 2026-9"
DECLARATION, LOT = "516620261000000012", f"01/{GTIN}/10/IMP-1"
THREE = {"order": "SHIP-1", "payment": "SHIP-PAY-1", "waybill": "SHIPLOAD0001"}
FEW, MANY = 1_300, 6_000
OWN = 5
_looks = itertools.count(1)


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    """Numbers of more goods than were ever read at once; in each of them the oldest are of a shop here."""
    with open_two_provinces(tmp_path_factory.mktemp("crowds")) as running:
        running.crowd = {}
        for count in (FEW, MANY):
            sellers = [running.near] * OWN + [running.far] * (count - OWN)
            running.crowd[count] = fill_crowd(
                running.rooms, GTIN, {"waybill": number(count)}, sellers, carrier=running.far,
                first_ms=to_ms(running.clock.now()) - 10_000,
            )  # fmt: skip
        told = {"declaration": DECLARATION, "mode": "9610", "port": "广州南沙", "origin": "IT"}
        body = {"gtin": GTIN, "lot": "IMP-1", "import": told}
        running.ask("POST", "/api/v1/lots", body, token=running.keys[running.far], status=201)
        running.work()
        running.declared = fill_crowd(
            running.rooms, GTIN, {"declaration": DECLARATION, **THREE}, [running.far] * FEW,
            carrier=running.far, first_ms=to_ms(running.clock.now()) + 1,
        )  # fmt: skip
        running.keys["customs"] = key_of_person(running, CUSTOMS, region=HERE)
        yield running


def number(count) -> str:
    return f"CROWD{count:08d}"


def parts(market, text, *, by, purpose=WHY, **more):
    """Yields the answers one after the other, each going on from where the one before left off."""
    onward = ""
    while onward is not None:
        found = seek(market, text, by=by, purpose=purpose, limit=500, onward=onward, **more)
        yield found
        onward = found["onward"]


def every(market, text, *, by, **more) -> list[str]:
    """Returns all units of all parts, each part read page by page."""
    told, here = [], ""
    for part in parts(market, text, by=by, group="units", **more):
        units = part["groups"]["units"]
        told += keys_of(part, "units")
        while units["next"]:
            page = {"cursor": units["next"], "onward": here, "group": "units", "limit": 500}
            rest = seek(market, text, by=by, purpose=WHY, **page, **more)
            told += keys_of(rest, "units")
            units = rest["groups"]["units"]
        assert not units["more"], "nothing is cut off"
        here = part["onward"]
    return told


@pytest.mark.parametrize("count", [FEW, MANY])
def test_an_office_finds_all_its_own_behind_thousands_of_others(market, count):
    told = every(market, number(count), by="regional")
    assert sorted(told) == sorted(market.crowd[count][:OWN])


def test_a_row_of_the_index_that_names_nothing_hides_nobodys_goods(market):
    """Of 250 that were read one is none of ours: that is not the end of them."""
    first = stream_key(min(market.crowd[FEW], key=stream_key))
    market.tamper(
        "INSERT INTO side_index (stream, seq, kind, digest) SELECT 0, 0, kind, digest"
        " FROM side_index WHERE kind = 'waybill' AND stream = ?", first,
    )  # fmt: skip
    try:
        told = every(market, number(FEW), by="regional")
    finally:
        market.tamper("DELETE FROM side_index WHERE stream = 0 AND seq = ?", 0)
    assert sorted(told) == sorted(market.crowd[FEW][:OWN])


def test_who_is_in_office_everywhere_reads_all_of_them_part_by_part(market):
    told = every(market, number(FEW), by=AUTHORITY)
    assert len(told) == FEW, "each once"
    assert set(told) == set(market.crowd[FEW])


def test_a_place_that_holds_more_than_a_thousand_goods_is_told_whole(market, monkeypatch):
    """As if one of the places of a number of two million records held all these; it is the last one, too."""
    monkeypatch.setattr(numbers, "PLACES", 1)
    monkeypatch.setattr(numbers, "_WIDTH", 2**63)
    told = every(market, number(FEW), by=AUTHORITY)
    assert len(told) == FEW, "each once"
    assert set(told) == set(market.crowd[FEW])


def test_an_answer_says_that_it_is_not_the_whole_and_how_much_it_is(market):
    answers = list(parts(market, number(MANY), by="regional"))
    assert len(answers) == 2
    first, last = answers
    assert 50 < first["percent"] < 100
    assert (last["percent"], last["onward"]) == (100, None)
    assert first["onward"].startswith("waybill:"), "order and payment were looked through"
    whole = seek(market, number(FEW), by="regional", purpose=WHY)
    assert (whole["percent"], whole["onward"]) == (100, None)


def test_each_part_is_logged_with_its_purpose_and_asks_for_one(market):
    purpose = f"container {next(_looks)}"
    answers = list(parts(market, number(MANY), by="regional", purpose=purpose))
    path = "/api/v1/access-log?limit=500"
    log = market.ask("GET", path, token=market.keys[AUTHORITY])["items"]
    logged = [(one["section"], one["code"]) for one in log if one["purpose"] == purpose]
    hits = [key for one in answers for key in keys_of(one, "units")]
    nothing = [one for one in answers if not keys_of(one, "units")]
    assert sorted(logged) == sorted(
        [("waybill", key) for key in hits]
        + [("waybill", "")] * len(nothing)
        + [("order", ""), ("payment", "")]
    )
    told = seek(market, number(MANY), by="regional", onward=answers[0]["onward"], status=422)
    assert told["errors"][0]["loc"] == ["purpose"]


def test_what_is_no_place_is_refused_and_a_made_up_one_finds_only_the_own(market):
    for wrong in ("waybill", "waybill:x", f"waybill:{PLACES}", "waybill:-1", "waybill:²"):
        told = seek(market, number(MANY), by="regional", purpose=WHY, onward=wrong, status=422)
        assert [(one["loc"], one["kind"]) for one in told["errors"]] == [(["onward"], "cursor")]
    place = stream_key(market.crowd[MANY][-1]) * PLACES // 2**63
    found = seek(market, number(MANY), by="regional", purpose=WHY, onward=f"waybill:{place}")
    assert set(keys_of(found, "units")) <= set(market.crowd[MANY][:OWN])
    assert (
        seek(market, number(MANY), by="regional", purpose=WHY, onward="order:7")["onward"] is None
    )


def test_a_place_names_no_goods_of_others(market):
    """It is a part of all keys, and no key: what stands at its edge cannot be told from it."""
    (first, _) = parts(market, number(MANY), by="regional")
    place = int(first["onward"].partition(":")[2])
    within = [one for one in market.crowd[MANY] if stream_key(one) * PLACES // 2**63 < place]
    assert 4_000 <= len(within) < 4_500


def test_a_time_bounds_what_is_looked_through(market):
    for since, hits in (("2020-01-01", OWN), ("2099-01-01", 0)):
        assert len(every(market, number(FEW), by="regional", since=since)) == hits


def test_a_part_with_a_time_looks_at_no_more_than_one_without(market):
    """All are of another time: that takes as many parts to say, and the place is told."""
    for dates in ({"since": "2099-01-01"}, {"until": "2000-01-01"}):
        answers = list(parts(market, number(MANY), by="regional", **dates))
        assert len(answers) == 2
        assert not any(keys_of(one, "units") for one in answers)
        assert 50 < answers[0]["percent"] < 100
        assert (answers[1]["percent"], answers[1]["onward"]) == (100, None)


def test_all_parts_with_a_time_are_complete_and_read_no_more_than_a_step_each(market, monkeypatch):
    """A unit a millisecond: of these 6,000 every one of some time is told once, and no other."""
    told, read = numberstore.told, list[int]()

    def counted(*args, **more):
        rows = told(*args, **more)
        read.append(len(rows))
        return rows

    monkeypatch.setattr(numberstore, "told", counted)
    kind, given = "waybill", number(MANY)
    digests = {kind: SecretIndex(market.rooms.keyring.subkey("side-index")).digest(kind, given)}
    with market.rooms.database.read() as connection:
        first = min(row.recorded_at for row in told(connection, kind, digests[kind]))
        for start, end in ((0, 10), (2_990, 3_010), (5_990, None), (None, 4_500), (None, None)):
            since_ms = None if start is None else first + start
            until_ms = None if end is None else first + end
            found, after = [], {}
            while True:
                read.clear()
                part = numbers.look_through(
                    connection, digests, lambda names: names, after=after, most=1_000,
                    since_ms=since_ms, until_ms=until_ms,
                )  # fmt: skip
                assert sum(read) <= STEP + 300
                found += [one.name for one in part.goods]
                after = part.onward
                if not after:
                    break
            assert sorted(found) == sorted(market.crowd[MANY][start or 0 : end])


def test_the_page_says_that_there_is_more_and_goes_on_without_script(market):
    browser = signed_in(market, "staff", AUTHORITY, scopes=["audit", "events"], region=HERE)
    browser.get("/desk/search")
    page = browser.post("/desk/search", 200, q=number(MANY), purpose=WHY).text
    assert "Not everything was looked through yet" in page
    seen = {one for one in market.crowd[MANY] if f"/desk/chains/{one}" in page}
    after = page.partition('name="after" value="')[2].partition('"')[0]
    assert after.startswith("waybill:")
    page = browser.post("/desk/search", 200, q=number(MANY), purpose=WHY, after=after).text
    assert "Everything was looked through" in page
    seen |= {one for one in market.crowd[MANY] if f"/desk/chains/{one}" in page}
    assert seen == set(market.crowd[MANY][:OWN])
    assert "已经查完" in browser.post(
        "/desk/search", 200, q=number(MANY), purpose=WHY, after=after, lang="zh"
    ).text  # fmt: skip
    browser.post("/desk/search", 422, q=number(MANY), purpose=WHY, after="waybill:99999")
    page = browser.post("/desk/search", 200, q=number(FEW), purpose=WHY).text
    assert "looked through" not in page


# --- a declaration of a container ----------------------------------------------------------------


def look(market, *, status=200, **more):
    body = {"number": DECLARATION, "purpose": WHY, **more}
    path = "/api/v1/customs/declarations"
    return market.ask("POST", path, body, token=market.keys["customs"], status=status)


def test_customs_read_all_goods_of_a_declaration_part_by_part(market):
    told, onward, percent = [], "", 0
    while onward is not None:
        part = look(market, onward=onward)
        assert len(part["goods"]) <= 200
        told += [one["code"] for one in part["goods"]]
        assert part["percent"] > percent
        onward, percent = part["onward"], part["percent"]
    assert percent == 100
    assert sorted(told) == sorted([LOT, *market.declared])


def test_three_documents_of_thousands_of_goods_are_compared_with_all_of_them(market):
    told = look(market, **THREE)
    assert [one["standing"] for one in told["documents"]] == ["agrees"] * 3
    assert told["outcome"] == "agree"
    for one in told["documents"]:
        assert one["more"]
        assert set(one["told_of"]) < set(market.declared)
    told = look(market, **THREE | {"waybill": "NOBODYS0001"})
    assert [one["standing"] for one in told["documents"]] == ["agrees", "agrees", "absent"]
    told = look(market, **THREE | {"waybill": number(FEW)})
    assert [one["standing"] for one in told["documents"]] == ["agrees", "agrees", "differs"]


def test_a_document_is_told_of_all_the_own_goods_that_stand_among_others(market):
    """Of the first 200 that were read one is before this office: that is not the end of them."""
    (_, _, told) = look(market, waybill=number(FEW))["documents"]
    assert told["told_of"] == sorted(market.crowd[FEW][:OWN])
    assert not told["more"]


def test_a_part_is_as_full_as_its_places_allow_and_all_parts_are_complete(market):
    """Every second of the goods is the reader's: a part has as many as it may, but those of one place."""
    mine = set(market.crowd[FEW][::2])
    kind = "waybill"
    secret = SecretIndex(market.rooms.keyring.subkey("side-index"))
    digests = {kind: secret.digest(kind, number(FEW))}
    found, after = [], {}
    with market.rooms.database.read() as connection:
        while True:
            part = numbers.look_through(
                connection, digests, lambda names: mine.intersection(names), after=after, most=100
            )
            found += [one.name for one in part.goods]
            after = part.onward
            if not after:
                break
            assert 95 <= len(part.goods) <= 100
    assert sorted(found) == sorted(mine)


def test_a_number_of_more_other_goods_than_can_be_asked_is_refused_and_not_misjudged(market):
    told = look(market, waybill=number(MANY), status=422)
    assert [(one["loc"], one["kind"]) for one in told["errors"]] == [(["waybill"], "range")]
    assert "4000" in told["errors"][0]["msg"]


def test_it_is_logged_with_its_purpose_all_the_same(market):
    """That so many have a number is said of it, too."""
    purpose = f"container {next(_looks)}"
    look(market, waybill=number(MANY), purpose=purpose, status=422)
    log = market.ask("GET", "/api/v1/access-log?limit=500", token=market.keys[CUSTOMS])["items"]
    assert {one["section"] for one in log if one["purpose"] == purpose} == {
        "declaration",
        "waybill",
    }


def test_goods_that_stand_behind_a_thousand_others_are_released(market):
    """The lot was registered first: of the newest thousand records it is none."""
    decided = {"number": DECLARATION, "code": LOT, "decision": "release", "port": "广州南沙"}
    market.ask("POST", "/api/v1/customs/decisions", decided | {"purpose": WHY, **THREE},
               token=market.keys["customs"], status=201)  # fmt: skip
    market.ask("POST", "/api/v1/customs/decisions", decided | {"purpose": WHY, "code": market.crowd[FEW][0]},
               token=market.keys["customs"], status=404)  # fmt: skip


def test_a_decision_is_logged_at_the_goods_that_it_is_about_wherever_they_stand(market):
    shown = {one["code"] for one in look(market)["goods"]}
    unit = next(one for one in market.declared if one not in shown)
    purpose = f"container {next(_looks)}"
    decided = {"number": DECLARATION, "code": unit, "decision": "release", "port": "广州南沙",
               "purpose": purpose, "order": THREE["order"], "waybill": number(FEW)}  # fmt: skip
    told = market.ask("POST", "/api/v1/customs/decisions", decided,
                      token=market.keys["customs"], status=422)  # fmt: skip
    assert [one["loc"] for one in told["errors"]] == [["despite"]]
    log = market.ask("GET", "/api/v1/access-log?limit=500", token=market.keys[CUSTOMS])["items"]
    logged = [(one["section"], one["code"], one["seq"]) for one in log if one["purpose"] == purpose]
    assert sorted(logged) == [
        ("declaration", unit, 0), ("order", unit, 1), ("waybill", unit, None),
    ]  # fmt: skip


def test_the_page_of_customs_goes_on_to_further_goods(market):
    browser = signed_in(market, "staff", CUSTOMS, scopes=["audit", "events"], region=HERE)
    browser.get("/desk/customs")
    sent = {"do": "look", "number": DECLARATION, "purpose": WHY, **THREE}
    page = browser.post("/desk/customs", 200, **sent).text
    assert "These are not all goods of the declaration" in page
    assert "others. There may be more." in page
    assert text("en", "customs.told.others", count=1) == "… and one other."
    after = page.partition('name="after" value="')[2].partition('"')[0]
    further = browser.post("/desk/customs", 200, **sent, after=after).text
    assert "Back to the first goods" in further
    goods = [
        {one for one in market.declared if f'<h3><a class="inline" href="/desk/chains/{one}' in shown}
        for shown in (page, further)
    ]  # fmt: skip
    assert all(goods)
    assert not goods[0] & goods[1]
    assert f'name="after" value="{after}"' in further, "a decision leads back to these"
