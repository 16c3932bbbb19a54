"""The background opens documents a few at a time, and tells of one that was altered."""

from __future__ import annotations

from hashlib import sha256

import pytest

from app.credit import documents, documentstore
from app.oversight import documentwalk, store
from tests.credit.files import pdf
from tests.web.conftest import AUTHORITY


def digest_of(raw: bytes) -> str:
    return sha256(raw).hexdigest()


def new_walk(market) -> documentwalk.DocumentWalk:
    rooms = market.rooms
    return documentwalk.DocumentWalk(
        rooms.database, rooms.findings, clock=market.clock, vault=rooms.vault
    )


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """The digests of documents that are opened."""
    found: list[str] = []
    content = documents.open_content
    monkeypatch.setattr(
        documents, "open_content", lambda vault, row: [found.append(row.digest), content(vault, row)][1]
    )  # fmt: skip
    return found


def walked(market) -> None:
    """Lets the audit in the background go round all streams once."""
    with market.rooms.database.write() as connection:
        store.save_cursor(connection, "audit.walk", -1, 0)
    for _ in range(1_000):
        market.rooms.audits.walk()
        with market.rooms.database.read() as connection:
            if store.load_cursor(connection, "audit.walk") == -1:
                return
    raise AssertionError("the walk did not come round")


def named(market, party: str) -> list[str]:
    query = f"?party={party}&kind=index&status=open&limit=500"
    found = market.ask("GET", f"/api/v1/findings{query}", token=market.keys[AUTHORITY])["items"]
    return sorted(name for one in found for name in one["evidence"]["column"].split())


def test_a_few_at_a_time_and_the_altered_one_is_found_until_it_is_over(market, opened, monkeypatch):
    """Never all of a party at once, however many it keeps."""
    party = market.newcomer()
    files = [pdf(f"one of many {n}") for n in range(5)]
    for raw in files:
        market.clock.advance(1)
        market.call(
            "POST", "/api/v1/documents", token=market.keys[party], files={"file": ("a.pdf", raw)}
        )
    bad = digest_of(files[3])
    with market.rooms.database.write() as connection:
        store.save_cursor(connection, documentwalk.CURSOR, -1, 0)
    walked(market)
    assert opened == [], "the walk over the streams opens none"

    monkeypatch.setattr(documentwalk, "SLICE_S", 0)
    market.tamper("UPDATE document SET kind = 'text/html' WHERE digest = ?", bad)
    with market.rooms.database.read() as connection:
        whole = len(documentstore.kept_behind(connection, None, limit=10_000))
    walk = new_walk(market)
    for n in range(whole):
        walk.work()
        assert len(opened) == n + 1, "one a slice, where a slice has no time"
    assert set(map(digest_of, files)) <= set(opened)
    assert named(market, party) == [f"document.{bad}"]

    # What was found stays until it is over, though the walk passes by the others.
    opened.clear()
    walked(market)
    assert named(market, party) == [f"document.{bad}"]
    assert set(opened) == {bad}, "and of its party no other one"
    market.tamper("UPDATE document SET kind = 'application/pdf' WHERE digest = ?", bad)
    walked(market)
    assert named(market, party) == []


def test_a_walk_goes_on_where_the_last_one_stood(market, opened, monkeypatch):
    """As after a restart: of the moment that the cursor says nothing is passed over."""
    party = market.newcomer()
    market.clock.advance(1)
    files = [pdf(f"of one moment {n}") for n in range(3)]
    for raw in files:  # the clock stands still meanwhile
        market.call(
            "POST", "/api/v1/documents", token=market.keys[party], files={"file": ("a.pdf", raw)}
        )
    monkeypatch.setattr(documentwalk, "SLICE_S", 0)
    with market.rooms.database.write() as connection:
        store.save_cursor(connection, documentwalk.CURSOR, -1, 0)
    walk = new_walk(market)
    while not set(map(digest_of, files)) & set(opened):
        walk.work()
    opened.clear()
    walk = new_walk(market)
    for _ in files:
        walk.work()
    assert sorted(opened) == sorted(map(digest_of, files))
    walk.work()  # the round is over, and the next one begins
    walk.work()
    assert len(opened) > len(files)


def test_what_was_found_while_the_walk_was_reading_is_not_over(market, monkeypatch):
    """The walk read before: it has not opened that document, and knows nothing of it."""
    party = market.newcomer()
    raw = pdf("altered in between")
    market.call(
        "POST", "/api/v1/documents", token=market.keys[party], files={"file": ("a.pdf", raw)}
    )
    bad, audits = digest_of(raw), market.rooms.audits
    take_in = audits._take_in

    def late(part):
        if not named(market, party):
            market.tamper("UPDATE document SET kind = 'text/html' WHERE digest = ?", bad)
            walk = new_walk(market)
            while not named(market, party):
                walk.work()
        return take_in(part)

    monkeypatch.setattr(audits, "_take_in", late)
    with market.rooms.database.write() as connection:
        store.save_cursor(connection, "audit.walk", -1, 0)
    market.rooms.audits.walk()
    assert named(market, party) == [f"document.{bad}"]
    monkeypatch.undo()
    market.tamper("UPDATE document SET kind = 'application/pdf' WHERE digest = ?", bad)
    walked(market)
    assert named(market, party) == []


def test_each_altered_document_is_a_finding_beside_what_else_is_wrong_with_a_party(market):
    """Else what was met first would be all that is said, and the others be named by nobody."""
    party = market.newcomer()
    files = [pdf(f"one of three {n}") for n in range(3)]
    for raw in files:
        market.call(
            "POST", "/api/v1/documents", token=market.keys[party], files={"file": ("a.pdf", raw)}
        )
    name = market.rooms.parties.get(party).name
    market.tamper("UPDATE party SET name = 'nobody' WHERE id = ?", party)
    walked(market)
    assert named(market, party) == ["party.name"]
    walk, wrong = new_walk(market), list[str]()
    for raw in files[:2]:
        digest = digest_of(raw)
        wrong.append(f"document.{digest}")
        market.tamper("UPDATE document SET kind = 'text/html' WHERE digest = ?", digest)
        for _ in range(200):
            walk.work()
            if wrong[-1] in named(market, party):
                break
        assert named(market, party) == sorted([*wrong, "party.name"])
    market.tamper("UPDATE party SET name = ? WHERE id = ?", name, party)
    walked(market)
    assert named(market, party) == sorted(wrong)
    kind = "UPDATE document SET kind = 'application/pdf' WHERE digest = ?"
    market.tamper(kind, digest_of(files[0]))
    walked(market)
    assert named(market, party) == wrong[1:]
    market.tamper(kind, digest_of(files[1]))
    walked(market)
    assert named(market, party) == []
