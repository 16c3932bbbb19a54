"""Documents: what is taken, who may read them, how long they are kept, what an audit says of them."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

import pytest
from sqlalchemy import func, select

from app.credit import documents as service
from app.credit import documentstore
from app.credit.document_kinds import MOST_BYTES
from app.kit.clock import parse_time
from app.oversight.rowcheck import check_rows
from app.rooms import graces_in_force
from tests.credit.files import HTML, JPEG, PDF, PNG, WEBP, large_pdf, pdf, png_of
from tests.web.authority import key_of_person
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import CUSTOMS, RIVAL, told
from tests.web.people import open_people_market
from tests.web.test_credit_replay import fields_of
from tests.web.test_undecided_api import enter

D = "/api/v1/documents"
C = "/api/v1/credit"
DAY = 86_400
HERE, FAR = "441200", "440300"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("documents")
    with open_people_market(folder, documents_mb=11) as running:
        yield running


def digest_of(raw: bytes) -> str:
    return sha256(raw).hexdigest()


def hand_in(market, raw: bytes, *, by: str = SHOP, name: str = "a.pdf", status: int | None = 201):
    token = market.keys.get(by, by)
    answer = market.call("POST", D, token=token, files={"file": (name, raw)})
    assert status is None or answer.status_code == status, answer.text
    return answer


def read(market, digest: str, *, by: str, status: int = 200):
    answer = market.call("GET", f"{D}/{digest}", token=market.keys.get(by, by))
    assert answer.status_code == status, answer.text
    return answer


def object_to(market, entry: dict, *, by: str, status: int = 201, **more):
    path = f"{C}/entries/{entry['id']}/objection"
    body = {"text": "情况说明", **more}
    return market.ask("POST", path, body, token=market.keys[by], status=status)


def entries_of(market, party: str, *, by: str | None) -> list[dict]:
    token = None if by is None else market.keys[by]
    return market.ask("GET", f"{C}/{party}/entries?limit=500", token=token)["items"]


def rows_of(market, party: str) -> int:
    with market.rooms.database.read() as connection:
        query = select(func.count()).where(documentstore.DOCUMENT.c.party == party)
        return connection.execute(query).scalar_one()


def problems_of(market, party: str) -> list[str]:
    with market.rooms.database.read() as connection:
        found = check_rows(
            connection, f"party/{party}", fields_of(market, party), graces=graces_in_force(),
            vault=market.rooms.vault,
        )  # fmt: skip
        return [problem.evidence["column"] for problem in found]


def forget(market) -> None:
    while market.rooms.documents.forget():
        pass


def charge(market, party: str, raw: bytes, *, by: str = AUTHORITY) -> dict:
    evidence = {"title": "抽检报告", "attachments": [digest_of(raw)]}
    body = {"rule": "spot_check_failed", "evidence": evidence}
    token = market.keys.get(by, by)
    return market.ask("POST", f"{C}/{party}/entries", body, token=token, status=201)


# --- what is taken --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "name", "shown", "kind"),
    [
        (PDF, "凭证.pdf", "凭证.pdf", "application/pdf"),
        (PNG, "b.png", "b.png", "image/png"),
        (JPEG, "c.JPG", "c.jpg", "image/jpeg"),
        (WEBP, "d.webp", "d.webp", "image/webp"),
        (pdf("named png"), "e.png", "e.png.pdf", "application/pdf"),
    ],
)
def test_a_document_is_what_its_bytes_say_and_comes_back_as_it_was(market, raw, name, shown, kind):
    party = market.newcomer()
    made = hand_in(market, raw, by=party, name=name)
    body = made.json()
    assert (body["digest"], body["name"], body["media_type"], body["size"]) == (
        digest_of(raw), shown, kind, len(raw),
    )  # fmt: skip
    assert made.headers["Location"] == body["links"]["self"] == f"{D}/{digest_of(raw)}"
    assert body["waits_until"] > body["kept_at"]
    answer = read(market, body["digest"], by=party)
    assert answer.content == raw
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")


def test_what_is_kept_cannot_be_read_from_the_database(market):
    raw = pdf("nobody reads this in a backup")
    hand_in(market, raw, name="某人的身份证.pdf")
    stored = market.stored_bytes()
    assert b"nobody reads this" not in stored
    assert "某人的身份证".encode() not in stored


@pytest.mark.parametrize(
    ("raw", "kind", "said"),
    [
        (b"", "file_empty", ("“x.pdf”", "empty")),
        (HTML, "file_kind", ("“x.pdf”", "PDF, JPEG, PNG, WebP")),
        (HTML + PDF, "file_kind", ("“x.pdf”",)),
        (large_pdf(MOST_BYTES + 1), "file_too_large", ("“x.pdf”", "5.0 MB", "5 MB")),
        (b"%PDF-1.7\nrubbish", "file_damaged", ("“x.pdf”", "no whole PDF")),
        (PNG[:8] + HTML * 9, "file_damaged", ("“x.pdf”", "no whole PNG")),
        (JPEG[:-40], "file_damaged", ("“x.pdf”", "no whole JPEG")),
        (png_of(30_000, b""), "file_pixels", ("“x.pdf”", "at most 50 million")),
    ],
)  # fmt: skip
def test_another_file_is_refused_with_field_reason_and_what_was_expected(market, raw, kind, said):
    before = market.count_rows()
    answer = hand_in(market, raw, name="x.pdf", status=422)
    (error,) = answer.json()["errors"]
    assert (error["loc"], error["kind"]) == (["file"], kind)
    assert all(part in error["msg"] for part in said), error["msg"]
    assert market.count_rows() == before


def test_what_was_kept_before_a_rule_came_is_kept_when_it_is_handed_in_again(market, monkeypatch):
    damaged, other = JPEG[:-40] + b"before", JPEG[:-40] + b"after"
    with monkeypatch.context() as before:
        before.setattr("app.credit.documents.fault_of_body", lambda *_: None)
        first = hand_in(market, damaged).json()
    assert hand_in(market, damaged, status=200).json()["digest"] == first["digest"]
    assert hand_in(market, other, status=422).json()["errors"][0]["kind"] == "file_damaged"


def test_the_largest_is_taken(market):
    party = market.newcomer()
    hand_in(market, large_pdf(MOST_BYTES), by=party)


def test_a_party_has_room_for_so_much_and_what_it_has_costs_nothing(market):
    party = market.newcomer()
    large = [large_pdf(MOST_BYTES, bytes([n])) for n in (1, 2, 3)]
    for raw in large[:2]:
        hand_in(market, raw, by=party)
    (error,) = hand_in(market, large[2], by=party, status=422).json()["errors"]
    assert error["kind"] == "documents_full"
    assert "11 MB" in error["msg"]
    assert "10.0 MB" in error["msg"]
    hand_in(market, large[0], by=party, status=200)
    hand_in(market, pdf("still fits"), by=party)
    hand_in(market, large[2], by=market.newcomer())


def test_the_same_content_is_kept_once_under_its_first_name_and_waits_anew(market):
    party = market.newcomer()
    first = hand_in(market, PDF, by=party, name="first.pdf").json()
    market.clock.advance(DAY / 2)
    again = hand_in(market, PDF, by=party, name="second.pdf", status=200).json()
    assert again["waits_until"] > first["waits_until"]
    assert {**again, "waits_until": ""} == {**first, "waits_until": ""}
    assert rows_of(market, party) == 1


# --- who may read them ----------------------------------------------------------------------------


def test_the_party_and_regulators_in_office_read_what_a_record_names_and_nobody_else(market):
    party = market.newcomer(region=HERE)
    raw = pdf("rights")
    digest = digest_of(raw)
    hand_in(market, raw, by=party, name="揽收.pdf")
    entry = enter(market, party)
    near, far = (key_of_person(market, AUTHORITY, region=region) for region in (HERE, FAR))
    read(market, digest, by=party)
    for token in (market.keys[AUTHORITY], near, far, market.keys[RIVAL]):
        read(market, digest, by=token, status=404)  # no record names it yet

    told_back = object_to(market, entry, by=party, attachments=[digest])
    (step,) = told_back["steps"]
    link = {"self": f"{D}/{digest}"}
    assert step["documents"] == [
        {"digest": digest, "kept": True, "name": "揽收.pdf", "media_type": "application/pdf",
         "size": len(raw), "links": link}
    ]  # fmt: skip
    looks = lambda: market.ask("GET", "/api/v1/access-log?limit=500", token=market.admin)["items"]  # noqa: E731
    before = len(looks())
    for token in (market.keys[party], market.keys[AUTHORITY], near):
        assert read(market, digest, by=token).content == raw
    assert [
        (one["code"], one["section"], one["purpose"]) for one in looks()[: -before or None]
    ] == [(f"party/{party}", "document", f"work on case {entry['id']}")] * 2, (
        "who handed it in looks at its own"
    )
    for token in (far, *(market.keys[one] for one in (RIVAL, PLATFORM, CARRIER))):
        assert told(read(market, digest, by=token, status=404)) == (404, "not-found", None)
    for token in (market.keys[CUSTOMS], market.admin):
        # Customs decide nothing here, the operator reads nothing: whatever digest they ask for.
        statuses = {
            market.call("GET", f"{D}/{one}", token=token).status_code for one in (digest, "0" * 64)
        }
        assert statuses in ({403}, {404})
    assert market.call("GET", f"{D}/{digest}").status_code == 401
    without = market.key_of(party, "events", "audit")
    assert told(read(market, digest, by=without, status=403))[1] == "forbidden"

    (seen,) = entries_of(market, party, by=AUTHORITY)
    # The document is there for who decides; what was said beside it opens for a purpose.
    closed = {**step, "closed": True}
    assert seen["steps"] == [{name: told for name, told in closed.items() if name != "text"}]
    market.clock.set(parse_time(entry["effective_at"]))
    for by in (None, RIVAL, CUSTOMS):
        (public,) = entries_of(market, party, by=by)
        assert "documents" not in str(public), by


def test_to_name_somebodys_digest_opens_nothing(market):
    """Or who knows a digest could have an authority, or itself, read what another one handed in."""
    owner, other = market.newcomer(region=FAR), market.newcomer(region=HERE)
    raw = pdf("of another one")
    digest = digest_of(raw)
    hand_in(market, raw, by=owner)
    entry = enter(market, other)
    (step,) = object_to(market, entry, by=other, attachments=[digest])["steps"]
    assert step["documents"] == [{"digest": digest, "kept": False}]
    read(market, digest, by=other, status=404)
    near = key_of_person(market, AUTHORITY, region=HERE)
    read(market, digest, by=near, status=404)
    read(market, digest, by=AUTHORITY, status=404)


def test_what_an_authority_hands_in_is_for_authorities_in_office(market):
    party = market.newcomer(region=HERE)
    raw, letter = pdf("inspection report"), pdf("decision letter")
    hand_in(market, raw, by=AUTHORITY, name="report.pdf")
    hand_in(market, letter, by=AUTHORITY, name="letter.pdf")
    entry = charge(market, party, raw)
    assert entry["documents"][0]["name"] == "report.pdf"
    object_to(market, entry, by=party)
    decision = {"outcome": "dismissed", "reason": "不符", "attachments": [digest_of(letter)]}
    decided = market.ask(
        "POST", f"{C}/entries/{entry['id']}/decision", decision, token=market.keys[AUTHORITY],
        status=201,
    )  # fmt: skip
    assert decided["steps"][-1]["documents"][0]["name"] == "letter.pdf"
    second = market.newcomer("regulator", region=HERE)
    for raw_ in (raw, letter):
        assert read(market, digest_of(raw_), by=second).content == raw_


@pytest.mark.parametrize("role", ["merchant", "regulator"])
def test_who_is_charged_reads_what_is_laid_against_it_and_its_rival_does_not(market, role):
    """Nobody can answer to what is kept from it; an authority that is charged neither."""
    charged = market.newcomer(role, region=HERE)
    report, letter, other = (
        pdf(f"{name} about a {role}") for name in ("report", "letter", "other")
    )
    for raw in (report, letter, other):
        hand_in(market, raw, by=AUTHORITY, name="report.pdf")
    entry = charge(market, charged, report)
    charge(market, market.newcomer(), other)
    looks = lambda: market.ask("GET", "/api/v1/access-log?limit=500", token=market.admin)["items"]  # noqa: E731
    before = looks()
    assert read(market, digest_of(report), by=charged).content == report
    # Not named yet; about somebody else, who is an authority's business.
    for raw in (letter,) if role == "regulator" else (letter, other):
        read(market, digest_of(raw), by=charged, status=404)
    object_to(market, entry, by=charged)
    decision = {"outcome": "dismissed", "reason": "不符", "attachments": [digest_of(letter)]}
    path = f"{C}/entries/{entry['id']}/decision"
    market.ask("POST", path, decision, token=market.keys[AUTHORITY], status=201)
    assert read(market, digest_of(letter), by=charged).content == letter
    assert looks() == before, "what is addressed to oneself is no look at another's"
    (own,) = entries_of(market, charged, by=charged)
    assert own["documents"][0]["name"] == "report.pdf"
    assert own["steps"][-1]["documents"][0]["links"] == {"self": f"{D}/{digest_of(letter)}"}
    for raw in (report, letter):
        read(market, digest_of(raw), by=RIVAL, status=404)
    read(market, digest_of(report), by=market.key_of(charged, "events", "audit"), status=403)


def test_offices_of_one_authority_read_what_is_of_their_region_alone(market):
    near, far = (key_of_person(market, AUTHORITY, region=region) for region in (HERE, FAR))
    raw = pdf("of one office")
    hand_in(market, raw, by=near)
    # Nobody but who handed it in knows its digest: no record has it.
    read(market, digest_of(raw), by=near)
    charged = market.newcomer(region=HERE)
    charge(market, charged, raw, by=near)
    for token in (near, market.keys[AUTHORITY]):
        assert read(market, digest_of(raw), by=token).content == raw
    read(market, digest_of(raw), by=far, status=404)
    charge(market, market.newcomer(region=FAR), raw)
    assert read(market, digest_of(raw), by=far).content == raw


def test_a_row_that_no_record_bears_out_opens_nothing_and_is_found(market):
    party = market.newcomer()
    raw = pdf("a made-up use")
    hand_in(market, raw, by=party)
    enter(market, party)
    market.tamper("INSERT INTO document_use VALUES (?, ?, ?, 1, 'x')", party, digest_of(raw), party)
    read(market, digest_of(raw), by=AUTHORITY, status=404)
    assert problems_of(market, party) == ["document_use.1"]
    with market.rooms.database.write() as connection:
        documentstore.put_right(connection)
    assert problems_of(market, party) == []


def test_a_look_reads_no_further_than_the_first_record_that_opens_it(market, monkeypatch):
    """However many name it; and goes on behind those that no record bears out."""
    loaded, load = [], service.ledger_store.load_record

    def counted(connection, stream, seq):
        loaded.append(stream)
        return load(connection, stream, seq)

    monkeypatch.setattr(service.ledger_store, "load_record", counted)
    monkeypatch.setattr(service, "_PAGE", 2)
    raw, one, other = pdf("named by many"), market.newcomer(region=HERE), market.newcomer()
    digest = digest_of(raw)
    hand_in(market, raw, by=AUTHORITY)
    for charged in (other, one, one, one):
        charge(market, charged, raw)
    for by in (AUTHORITY, one, market.newcomer("regulator", region=HERE)):
        loaded.clear()
        assert read(market, digest, by=by).content == raw
        assert len(loaded) == 1, by
    loaded.clear()
    read(market, digest, by=RIVAL, status=404)
    assert loaded == []
    for seq in range(-3, 0):
        market.tamper(
            "INSERT INTO document_use VALUES (?, ?, ?, ?, 'x')", AUTHORITY, digest, one, seq
        )
    assert read(market, digest, by=one).content == raw
    assert loaded == [f"party/{one}"] * 4
    with market.rooms.database.write() as connection:
        documentstore.put_right(connection)


def test_a_listing_takes_documents_too(market):
    party = market.newcomer()
    raw, letter = pdf("listing"), pdf("of the decision")
    body = {"party": party, "criterion": "decision_evaded",
            "evidence": {"title": "决定书", "number": "1"}}  # fmt: skip
    key = market.keys[AUTHORITY]
    listed = market.ask("POST", "/api/v1/lists/black", body, token=key, status=201)
    hand_in(market, raw, by=party, name="缴款.pdf")
    hand_in(market, letter, by=AUTHORITY)
    path = f"/api/v1/lists/items/{listed['id']}"
    said = {"text": "已履行", "attachments": [digest_of(raw)]}
    made = market.ask("POST", f"{path}/objection", said, token=market.keys[party], status=201)
    assert made["steps"][-1]["documents"][0]["name"] == "缴款.pdf"
    assert read(market, digest_of(raw), by=AUTHORITY).content == raw
    decision = {"outcome": "upheld", "reason": "查明", "attachments": [digest_of(letter)]}
    market.ask("POST", f"{path}/decision", decision, token=key, status=201)
    (own,) = market.ask("GET", f"{C}/{party}/lists", token=market.keys[party])["items"]
    assert own["steps"][-1]["documents"][0]["links"] == {"self": f"{D}/{digest_of(letter)}"}
    assert read(market, digest_of(letter), by=party).content == letter
    assert problems_of(market, party) == []


# --- altered, forgotten ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "sealed = (SELECT sealed FROM document WHERE digest = '{other}')",
        "wrapped_key = (SELECT wrapped_key FROM document WHERE digest = '{other}')",
        "sealed = (SELECT sealed FROM document WHERE digest = '{other}'),"
        " wrapped_key = (SELECT wrapped_key FROM document WHERE digest = '{other}')",
        "kind = 'text/html'",
    ],
)
def test_bytes_that_do_not_fit_their_digest_are_never_served_and_are_found(market, change):
    party = market.newcomer()
    raw, other = pdf(f"altered {change}"), pdf(f"the other one {change}")
    hand_in(market, raw, by=party)
    hand_in(market, other, by=party)
    set_ = change.format(other=digest_of(other))
    market.tamper(f"UPDATE document SET {set_} WHERE digest = ?", digest_of(raw))
    answer = read(market, digest_of(raw), by=party, status=500)
    assert told(answer)[1] == "document-altered"
    assert "operator" in answer.json()["detail"]
    assert problems_of(market, party) == [f"document.{digest_of(raw)}"]
    read(market, digest_of(other), by=party)


def test_another_content_sealed_under_the_right_place_is_not_served_either(market):
    """As somebody with the keys could: what counts is the digest that the record has."""
    party = market.newcomer()
    raw = pdf("sealed well, but another one")
    hand_in(market, raw, by=party)
    false = market.rooms.vault.seal(
        place=(f"document/{party}", digest_of(raw), "content"), salt=bytes(32), content=PDF
    )
    market.tamper(
        "UPDATE document SET sealed = ?, wrapped_key = ? WHERE party = ?",
        false.sealed, false.wrapped_key, party,
    )  # fmt: skip
    read(market, digest_of(raw), by=party, status=500)


def test_a_crash_between_upload_and_record_leaves_nothing_for_long(market):
    party = market.newcomer()
    lost, named = pdf("lost"), pdf("named in time")
    for raw in (lost, named):
        hand_in(market, raw, by=party)
    object_to(market, enter(market, party), by=party, attachments=[digest_of(named)])
    market.clock.advance(DAY - 60)
    forget(market)
    assert rows_of(market, party) == 2
    market.clock.advance(61)
    forget(market)
    read(market, digest_of(lost), by=party, status=404)
    assert read(market, digest_of(named), by=AUTHORITY).content == named
    assert problems_of(market, party) == []


def test_a_document_may_come_after_the_record_that_named_it(market):
    party = market.newcomer()
    raw = pdf("handed in later")
    entry = enter(market, party)
    (step,) = object_to(market, entry, by=party, attachments=[digest_of(raw)])["steps"]
    assert step["documents"] == [{"digest": digest_of(raw), "kept": False}]
    assert "waits_until" not in hand_in(market, raw, by=party).json()
    market.clock.advance(2 * DAY)
    forget(market)
    assert read(market, digest_of(raw), by=AUTHORITY).content == raw


def test_who_names_it_at_the_moment_of_its_removal_keeps_it(market):
    party = market.newcomer()
    raw = pdf("at the last moment")
    hand_in(market, raw, by=party)
    entry = enter(market, party)
    market.clock.advance(DAY + 1)
    now_ms = int(market.clock.now().timestamp() * 1000)
    with market.rooms.database.read() as connection:
        old = documentstore.overdue(connection, now_ms=now_ms)
    assert (party, digest_of(raw)) in [tuple(one) for one in old]
    object_to(market, entry, by=party, attachments=[digest_of(raw)])
    with market.rooms.database.write() as connection:
        documentstore.drop(connection, old, now_ms=now_ms, before_ms=0)
    read(market, digest_of(raw), by=AUTHORITY)


def test_it_is_kept_for_three_years_after_its_last_matter_has_ended(market):
    party = market.newcomer()
    raw = pdf("three years")
    hand_in(market, raw, by=party)
    first, second = enter(market, party), enter(market, party)
    for entry in (first, second):
        object_to(market, entry, by=party, attachments=[digest_of(raw)])

    def uphold(entry: dict) -> None:
        market.ask(
            "POST", f"{C}/entries/{entry['id']}/decision", {"outcome": "upheld", "reason": "x"},
            token=market.keys[AUTHORITY], status=201,
        )  # fmt: skip

    uphold(first)
    market.clock.advance(20 * DAY)
    uphold(second)
    ended = max(parse_time(one["ended_at"]) for one in entries_of(market, party, by=party))
    market.clock.set(ended + service.AFTER_END - timedelta(hours=1))
    forget(market)
    assert rows_of(market, party) == 1
    market.clock.set(ended + service.AFTER_END + timedelta(hours=1))
    forget(market)
    assert rows_of(market, party) == 0
    told_now = entries_of(market, party, by=party)[-1]["steps"][0]["documents"]
    assert told_now == [{"digest": digest_of(raw), "kept": False}]
    assert problems_of(market, party) == []


# --- an upgrade -----------------------------------------------------------------------------------


def test_a_reindex_finds_what_records_named_before_and_keeps_it(market):
    party = market.newcomer()
    raw = pdf("named before the upgrade")
    object_to(market, enter(market, party), by=party, attachments=[digest_of(raw)])
    market.tamper("DELETE FROM document_use WHERE about = ?", party)
    hand_in(market, raw, by=party)
    read(market, digest_of(raw), by=AUTHORITY, status=404)
    (columns,) = problems_of(market, party)
    assert columns == "document_use.2 document_use.3"  # the entry's evidence names one as well
    with market.rooms.database.write() as connection:
        assert documentstore.put_right(connection).damaged == ()
    assert problems_of(market, party) == []
    market.clock.advance(2 * DAY)
    forget(market)
    read(market, digest_of(raw), by=AUTHORITY)
