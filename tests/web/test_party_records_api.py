"""What the records of `party/{id}` tell: decisions about people are chained, their reasons are not.

A record can never be taken back. So nothing personal, nothing confidential and nothing by which a
buyer or a unit could be known may stand in one, whoever caused it.
"""

from __future__ import annotations

import json

import pytest

from app.ledger import sealstore, store
from app.ledger.record import seal_commitment
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import GTIN, PRODUCT

PERSON, PHONE, WAYBILL = "李小明", "19900000000", "TEST000000WXYZ"
# Its last four are letters: digits would be found by chance in what is hashed.
DAY = 86400

FIELDS = {
    "registration": {"exempt", "licences", "name", "region", "roles", "uscc"},
    "verification": {"next_check", "status"},
    "licence": {"kind", "number", "url", "valid_from", "valid_until"},
    "licence_verification": {"kind", "number", "reason", "status", "told"},
    "licence_ended": {"kind", "number", "told"},
    "mandate": {"agent", "types", "until"},
    "mandate_revoked": {"agent", "mandate"},
    "measure": {"basis", "kind", "until"},
    "measure_lifted": {"basis", "kind"},
    "attribution": {"finding", "to"},
    "credit_entry": {
        "approximate", "chains", "day", "earliest_repair_at", "effective_at", "entry", "evidence",
        "expires_at", "object_until", "points", "policy", "rule", "status",
    },
    "credit_status": {"entry", "reason", "status", "step"},
    "credit_hold": {"finding", "lifts_at", "points", "policy"},
    "credit_hold_lifted": {"finding", "reason"},
    "credit_snapshot": {
        "as_of", "data_enough", "entries", "grade", "month", "policy", "score",
        "score_without_holds",
    },
}  # fmt: skip
EVIDENCE = {"finding", "kind", "record", "step"}
SEALED = {
    "verification": {"evidence"}, "licence_verification": {"evidence"}, "attribution": {"reason"},
}  # fmt: skip
REASONS = {"healed", "ended", "restored", "attributed to operator", "attributed to carrier"}


def records_of(market, party: str) -> list[dict]:
    with market.rooms.database.read() as connection:
        return [r.fields for r in store.load_stream(connection, f"party/{party}")]


def attribute(market, finding: str, to: str, **named: str) -> None:
    body = {"to": to, "reason": f"{PERSON} {PHONE} at the counter of {WAYBILL}", **named}
    path = f"/api/v1/findings/{finding}/attribution"
    market.ask("POST", path, body, token=market.keys[AUTHORITY])


def find(market, party: str, kind: str) -> dict:
    query = f"?status=open&party={party}&kind={kind}"
    (found,) = market.ask("GET", f"/api/v1/findings{query}", token=market.keys[AUTHORITY])["items"]
    return found


@pytest.fixture(scope="module")
def eventful(market):
    """A merchant to whom everything happened that a regulator or platform can cause; its units."""
    party = market.newcomer(token=market.keys[PLATFORM])
    path = f"/api/v1/parties/{party}"
    seen = {"status": "verified", "evidence": f"{PERSON}, ID card 44120019900101, {PHONE}"}
    market.ask("POST", f"{path}/verification", seen, token=market.keys[PLATFORM], status=201)
    seen["next_check"] = "2027-03-01"
    market.ask("POST", f"{path}/verification", seen, token=market.keys[AUTHORITY], status=201)
    licence = {"kind": "seed", "number": "2026-1", "valid_until": "2098-12-31"}
    told = market.ask("POST", f"{path}/licences", licence, token=market.keys[party], status=201)
    place = f"{path}/licences/{told['id']}"
    looked = {
        "status": "rejected",
        "reason": "not_found",
        "evidence": seen["evidence"],
        "told": told["told"],
    }
    market.ask("POST", f"{place}/verification", looked, token=market.keys[AUTHORITY], status=201)
    market.ask("DELETE", place, token=market.keys[party], status=204)
    mandate = market.mandate(party, PLATFORM, "sale", "dispatch", until=market.at(9000))
    market.mandate(party, PLATFORM, "listing")
    market.send(party, PRODUCT, "listing", {"platform": PLATFORM}, hours=-500)
    whole, unsent, late, returned, first, second = market.issue(6, by=party)
    buyer = {"buyer": {"content": {"id": f"buyer {PHONE}", "name": PERSON}}}
    for unit in (whole, unsent, late, returned, first, second):
        market.send(
            PLATFORM, unit.code, "sale", {"platform": PLATFORM, "region": "440100"}, hours=-3,
            actor=party, sealed=buyer,
        )  # fmt: skip
    parcel = {"waybill": {"content": {"number": WAYBILL}}}
    dispatch = {"carrier": CARRIER, "from": "441200", "to": "440100"}
    market.send(party, whole.code, "dispatch", dispatch, hours=-2, sealed=parcel)
    market.sign(whole.code)
    market.clock.advance(8 * DAY)
    market.work()
    market.send(party, late.code, "dispatch", dispatch, hours=-180, sealed=parcel)
    market.send(party, returned.code, "return", {"reason": "cancelled"}, hours=-1)
    for unit in (first, second):
        market.send(party, unit.code, "dispatch", dispatch, hours=-180, sealed=parcel)
    market.work()
    attribute(market, find(market, party, "continuity")["id"], "carrier", party=CARRIER)
    for unit, to in ((first, "operator"), (second, "merchant")):
        market.tamper(
            "UPDATE record SET body = replace(body, '440100', '440300') WHERE stream = ? AND seq = 1",
            store.stream_key(unit.code),
        )
        assert market.ask("GET", unit.path)["verdict"] == "broken"
        found = market.ask(
            "GET", f"/api/v1/findings?kind=integrity&party={party}", token=market.keys[AUTHORITY]
        )["items"]
        attribute(market, next(f["id"] for f in found if f["stream"] == unit.code), to)
    basis = {"kind": "warn", "basis": "E-commerce Law art. 80"}
    market.send(AUTHORITY, f"party/{party}", "measure", basis)
    market.send(AUTHORITY, f"party/{party}", "measure_lifted", basis)
    market.ask("DELETE", f"{path}/mandates/{mandate}", token=market.keys[party], status=204)
    market.publish()
    return party, (whole, unsent, late, returned, first, second)


def test_whatever_happens_to_a_party_its_records_hold_these_fields_and_no_others(market, eventful):
    party, _ = eventful
    records = records_of(market, party)
    assert {r["type"] for r in records} == set(FIELDS), "everything has happened"
    for record in records:
        kind = record["type"]
        assert set(record["data"]) <= FIELDS[kind], record
        assert set(record.get("sealed", {})) == SEALED.get(kind, set()), record
        assert set(record["data"].get("evidence", {})) <= EVIDENCE, record
        if kind.startswith("credit_") and "reason" in record["data"]:
            assert record["data"]["reason"] in REASONS, "no free text"
    rules = {r["data"]["rule"] for r in records if r["type"] == "credit_entry"}
    assert rules == {
        "chain_completed", "continuity_uncured", "late_event", "integrity_attributed_merchant",
    }  # fmt: skip


def test_no_person_waybill_buyer_or_unit_can_be_read_from_a_partys_records(market, eventful):
    party, units = eventful
    with market.rooms.database.read() as connection:
        pseudonyms = {
            bytes(digest).hex()
            for digest in connection.exec_driver_sql("SELECT digest FROM side_index").scalars()
        }
    assert pseudonyms
    told = json.dumps(
        [records_of(market, one) for one in (party, SHOP, CARRIER, PLATFORM)], ensure_ascii=False
    )
    secrets = [PERSON, PHONE, WAYBILL, WAYBILL[-4:], "44120019900101", "counter", *pseudonyms]
    secrets += [part for unit in units for part in (unit.serial, unit.code, unit.uri)]
    assert [secret for secret in secrets if secret in told] == []


def test_who_is_entitled_reads_what_the_record_only_commits_to(market, eventful):
    """Sealed and kept, not thrown away: the content still opens, and is what was committed to."""
    party, _ = eventful
    vault, shown = market.rooms.sealed._vault, []
    with market.rooms.database.read() as connection:
        for record in records_of(market, party):
            for name in record.get("sealed", {}):
                stream, record_id = record["stream"], record["id"]
                row = sealstore.sealed_sections(connection, stream, record_id)[name]
                salt, content = vault.open(
                    place=(stream, record_id, name), sealed=row.sealed, wrapped_key=row.wrapped_key
                )
                assert seal_commitment(name, salt=salt, content=content) == record["sealed"][name]
                shown.append(content.decode())
    assert sum(PHONE in content for content in shown) == 6


def test_the_public_list_of_entries_leads_to_no_unit(market, eventful):
    party, units = eventful
    market.clock.advance(30 * DAY)
    shown = market.call("GET", f"/api/v1/credit/{party}/entries?limit=500").text
    entries = json.loads(shown)["items"]
    assert {e["rule"] for e in entries} >= {"chain_completed", "integrity_attributed_merchant"}
    assert all(set(e["evidence"]) <= EVIDENCE for e in entries)
    for unit in units:
        assert unit.serial not in shown
    assert GTIN not in shown
    # What an entry names beyond that is for the party itself and for an authority.
    finding = next(e["links"]["finding"] for e in entries if "finding" in e["links"])
    assert market.call("GET", finding).status_code == 401
