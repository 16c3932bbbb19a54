"""Parties, verification, signing keys and mandates as records of real streams, on both databases."""

from __future__ import annotations

import threading
from base64 import b64decode, b64encode
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.kit.errors import Denied, Invalid
from app.ledger.record import seal_commitment, stream_key
from app.ledger.signatures import SignatureInvalid
from app.parties.powers import MandateUnknown, SigningKeyMissing
from app.parties.principal import OPERATOR, NotYours, Principal, RoleMissing, ScopeMissing
from app.parties.registration import read_registration
from app.parties.rules import AlreadyRegistered, PartyUnknown, SigningKeyKnown, party_stream
from app.parties.service import SelfVerification
from tests.databases import opened
from tests.fakes import START
from tests.sentences import explain, only_error

SHOP, STALL, PLATFORM = "91441200MA4TE5T00Q", "92441202MA4TE5T01M", "91441204MA4TE5T02Q"
AUTHORITY, NOBODY = "11441200007000001C", "91440000MA4TE5T05H"
SEED = b64decode("8tu73KS24UlRazPEHTIYDcpqYoAf4cmfbmpT0etzwl4=")
PUBLIC = "FpUA7Zo+3FeLYJ8QAqursKish7Wcv6KGOdpsXA3KnQQ="
OTHER_SPELLING = PUBLIC.replace("QQ=", "QR=")  # the same bytes to a lenient decoder


def told(uscc=SHOP, roles=("merchant",), **more):
    given = {"uscc": uscc, "exempt": uscc is None, "name": "李小明（虚构）", "roles": roles} | more
    return read_registration(**given)


def holder(party, *roles, scopes=("parties",)):
    return Principal("k", party, frozenset(roles), frozenset(scopes))


SHOPKEEPER = holder(SHOP, "merchant")
MARKET = holder(PLATFORM, "platform")
INSPECTOR = holder(AUTHORITY, "regulator")


def prove(party=SHOP, seed=SEED, public=PUBLIC):
    signer = Ed25519PrivateKey.from_private_bytes(seed)
    return b64encode(signer.sign(f"suxin-key/1\n{party}\n{public}".encode())).decode()


@pytest.fixture
def town(house):
    """A shop, a platform and an authority, registered."""
    for uscc, role in ((SHOP, "merchant"), (PLATFORM, "platform"), (AUTHORITY, "regulator")):
        house.parties.register(OPERATOR, told(uscc, [role]))
    return house


def test_a_record_names_the_role_in_which_its_sender_acted(house):
    house.parties.register(OPERATOR, told(NOBODY, ["carrier", "aggregator"]))
    house.parties.register(OPERATOR, told(PLATFORM, ["platform", "merchant"]))
    house.parties.register(OPERATOR, told(AUTHORITY, ["regulator", "customs"]))
    both = holder(PLATFORM, "platform", "merchant")
    office = holder(AUTHORITY, "regulator", "customs")
    house.parties.register(both, told(STALL))
    house.parties.verify(office, STALL, status="verified", evidence="seen")
    house.powers.grant_mandate(
        holder(NOBODY, "carrier", "aggregator"),
        NOBODY,
        agent=AUTHORITY,
        types=["transit"],
        until=None,
    )
    assert [r["source"] for r in house.records(STALL)] == ["platform", "regulator"]
    assert [r["source"] for r in house.records(NOBODY)] == ["system", "carrier"]


# --- registration -------------------------------------------------------------------------------


def test_a_registration_is_a_record_and_an_index_row(house):
    view, replayed = house.parties.register(OPERATOR, told(region="441200"))
    assert (view.id, view.status, replayed) == (SHOP, "pending", False)
    (record,) = house.records(SHOP)
    assert (record["type"], record["actor"], record["source"]) == (
        "registration",
        "system",
        "system",
    )
    assert record["data"] == {
        "uscc": SHOP, "name": "李小明（虚构）", "roles": ["merchant"], "region": "441200",
    }  # fmt: skip
    assert house.parties.get(SHOP).name == "李小明（虚构）", "a company's name is public"


def test_a_platform_answers_for_the_sellers_it_registers(town):
    town.parties.register(MARKET, told(STALL))
    (record,) = town.records(STALL)
    assert (record["actor"], record["source"]) == (PLATFORM, "platform")
    assert town.parties.get(STALL).created_by is None
    assert town.parties.get(STALL, OPERATOR).created_by == PLATFORM


def test_the_same_content_again_gives_the_first_answer(town):
    first, _ = town.parties.register(OPERATOR, told(STALL, ["merchant", "supplier"]))
    town.parties.verify(OPERATOR, STALL, status="verified", evidence="seen")
    town.clock.advance(3600)
    for who in (OPERATOR, MARKET):
        again, replayed = town.parties.register(who, told(STALL, ["supplier", "merchant"]))
        assert (again, replayed) == (first, True)
    assert len(town.records(STALL)) == 2


@pytest.mark.parametrize(
    "changes",
    [{"name": "Other"}, {"roles": ["supplier"]}, {"region": "440100"}],
)
def test_other_content_under_a_known_code_is_refused(town, changes):
    with pytest.raises(AlreadyRegistered) as caught:
        town.parties.register(OPERATOR, told(**changes))
    assert caught.value.slug == "id-conflict"
    explain(caught.value)
    assert len(town.records(SHOP)) == 1


def test_ten_at_once_register_a_party_once(house):
    answers = []

    def register():
        answers.append(house.parties.register(OPERATOR, told()))

    threads = [threading.Thread(target=register) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(replayed for _, replayed in answers) == [False] + [True] * 9
    assert len({view.created_at for view, _ in answers}) == 1
    assert len(house.records(SHOP)) == 1


@pytest.mark.parametrize(
    ("who", "roles", "fault"),
    [
        (MARKET, ["carrier"], RoleMissing),
        (MARKET, ["merchant", "platform"], RoleMissing),
        (INSPECTOR, ["merchant"], RoleMissing),
        (SHOPKEEPER, ["merchant"], RoleMissing),
        (holder(PLATFORM, "platform", scopes=("events",)), ["merchant"], ScopeMissing),
    ],
)
def test_who_may_not_register_whom(town, who, roles, fault):
    with pytest.raises(fault) as caught:
        town.parties.register(who, told(STALL, roles))
    explain(caught.value)
    assert town.records(STALL) == []


def test_an_exempt_persons_name_is_sealed_and_shown_masked(house):
    view, _ = house.parties.register(OPERATOR, told(None, name="李小明"))
    other, _ = house.parties.register(OPERATOR, told(None, name="李小明"))
    assert view.id.startswith("EX")
    assert view.id != other.id
    (record,) = house.records(view.id)
    assert "李" not in repr(record)
    assert house.parties.get(view.id).name == "李＊＊"
    assert house.parties.get(view.id, holder(STALL, "merchant")).name == "李＊＊"
    for viewer in (holder(view.id, "merchant"), OPERATOR, INSPECTOR):
        assert house.parties.get(view.id, viewer).name == "李小明"
    assert house.parties.get(view.id, holder(AUTHORITY, "regulator", scopes=())).name == "李＊＊"
    assert open_section(house, view.id, record, "name") == '{"name":"李小明"}'


def open_section(house, party, record, name):
    """Returns a sealed section's content after seeing that the record commits to it."""
    from app.ledger import sealstore

    stream = f"party/{party}"
    with house.database.read() as connection:
        row = sealstore.sealed_sections(connection, stream, record["id"])[name]
    salt, content = house.vault.open(
        place=(stream, record["id"], name), sealed=row.sealed, wrapped_key=row.wrapped_key
    )
    assert record["sealed"][name] == seal_commitment(name, salt=salt, content=content)
    return content.decode()


@pytest.mark.parametrize(
    "party", [NOBODY, "", "x", "91441200ma4te5t00q", "党" * 18, "EX" + "0" * 16]
)
def test_an_unknown_party(house, party):
    with pytest.raises(PartyUnknown) as caught:
        house.parties.get(party)
    explain(caught.value)


# --- verification -------------------------------------------------------------------------------


def test_a_verification_is_a_record_and_its_evidence_is_sealed(town):
    view = town.parties.verify(
        INSPECTOR, SHOP, status="verified", evidence="licence seen at the counter",
        next_check="2027-11-23",
    )  # fmt: skip
    assert (view.status, view.next_check) == ("verified", "2027-11-23")
    record = town.records(SHOP)[-1]
    assert (record["actor"], record["source"]) == (AUTHORITY, "regulator")
    assert record["data"] == {"status": "verified", "next_check": "2027-11-23"}
    assert "counter" in open_section(town, SHOP, record, "evidence")
    view = town.parties.verify(OPERATOR, SHOP, status="rejected", evidence="expired")
    assert (view.status, view.next_check) == ("rejected", None)


@pytest.mark.parametrize(
    ("who", "party", "fault"),
    [
        (SHOPKEEPER, SHOP, RoleMissing),
        (SHOPKEEPER, PLATFORM, RoleMissing),
        (MARKET, PLATFORM, SelfVerification),
        (INSPECTOR, AUTHORITY, SelfVerification),
        (MARKET, AUTHORITY, NotYours),
        (MARKET, SHOP, NotYours),
        (holder(AUTHORITY, "regulator", scopes=("audit",)), SHOP, ScopeMissing),
        (OPERATOR, NOBODY, PartyUnknown),
    ],
)
def test_who_may_not_verify_whom(town, who, party, fault):
    with pytest.raises(fault) as caught:
        town.parties.verify(who, party, status="verified", evidence="seen")
    explain(caught.value)
    assert town.parties.get(SHOP).status == "pending"


def test_a_platform_judges_only_the_sellers_that_it_registered(town):
    town.parties.register(MARKET, told(STALL))
    town.parties.verify(OPERATOR, PLATFORM, status="verified", evidence="seen")
    for status in ("rejected", "verified"):
        with pytest.raises(NotYours) as caught:
            town.parties.verify(MARKET, SHOP, status=status, evidence="seen")
        explain(caught.value)
        assert town.parties.get(SHOP).status == "pending"
        view = town.parties.verify(MARKET, STALL, status=status, evidence="seen")
        assert view.status == status
    both = holder(PLATFORM, "platform", "regulator")
    assert town.parties.verify(both, SHOP, status="verified", evidence="seen").status == "verified"


def test_a_platform_that_is_not_verified_verifies_nobody(town):
    town.parties.register(MARKET, told(STALL))
    with pytest.raises(Denied) as caught:
        town.parties.verify(MARKET, STALL, status="verified", evidence="seen")
    assert caught.value.slug == "party-unverified"
    assert town.parties.get(STALL).status == "pending"
    town.parties.verify(INSPECTOR, STALL, status="verified", evidence="seen")


def test_a_rejected_platform_verifies_nobody(town):
    town.parties.register(MARKET, told(STALL))
    town.parties.verify(OPERATOR, PLATFORM, status="rejected", evidence="no licence")
    with pytest.raises(Denied) as caught:
        town.parties.verify(MARKET, STALL, status="verified", evidence="seen")
    assert caught.value.slug == "party-unverified"


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"evidence": " "}, "length"),
        ({"evidence": "x" * 2001}, "length"),
        ({"evidence": "e\u0301"}, "nfc"),
        ({"next_check": "soon"}, "date"),
    ],
)
def test_a_verification_that_cannot_be(town, given, kind):
    with pytest.raises(Invalid) as caught:
        town.parties.verify(OPERATOR, SHOP, **({"status": "verified", "evidence": "seen"} | given))
    assert only_error(caught.value).kind == kind
    assert len(town.records(SHOP)) == 1


# --- signing keys -------------------------------------------------------------------------------


def test_a_signing_key_comes_with_its_proof_and_goes_for_good(town):
    key_id, replayed = town.powers.add_signing_key(
        SHOPKEEPER, SHOP, public_key=PUBLIC, proof=prove()
    )
    assert (len(key_id), replayed) == (16, False)
    record = town.records(SHOP)[-1]
    assert (record["actor"], record["source"]) == (SHOP, "merchant")
    assert record["data"] == {"key_id": key_id, "public_key": PUBLIC, "proof": prove()}
    again = town.powers.add_signing_key(SHOPKEEPER, SHOP, public_key=PUBLIC, proof=prove())
    assert again == (key_id, True)
    town.clock.advance(1)
    for _ in range(2):
        town.powers.revoke_signing_key(SHOPKEEPER, SHOP, key_id)
    (shown,) = town.powers.signing_keys(SHOP)
    assert (shown.since, shown.revoked_at) == (START, START + timedelta(seconds=1))
    assert [record["type"] for record in town.records(SHOP)] == [
        "registration", "signing_key", "signing_key_revoked",
    ]  # fmt: skip
    with pytest.raises(SigningKeyKnown) as caught:
        town.powers.add_signing_key(SHOPKEEPER, SHOP, public_key=PUBLIC, proof=prove())
    explain(caught.value)


@pytest.mark.parametrize(
    ("public", "proof", "fault"),
    [
        (PUBLIC, prove(PLATFORM), SignatureInvalid),
        (PUBLIC, prove(seed=bytes(32)), SignatureInvalid),
        (PUBLIC, b64encode(bytes(63)).decode(), Invalid),
        (PUBLIC, "?" * 88, Invalid),
        (PUBLIC.rstrip("="), prove(), Invalid),
        (PUBLIC + "\n", prove(), Invalid),
        (OTHER_SPELLING, prove(public=OTHER_SPELLING), Invalid),
        (b64encode(bytes(31)).decode(), prove(), Invalid),
        (b64encode(bytes(32)).decode(), prove(), Invalid),
        ("键" * 11, prove(), Invalid),
    ],
)
def test_a_signing_key_without_its_proof(town, public, proof, fault):
    with pytest.raises(fault) as caught:
        town.powers.add_signing_key(SHOPKEEPER, SHOP, public_key=public, proof=proof)
    explain(caught.value)
    assert len(town.records(SHOP)) == 1


@pytest.mark.parametrize(("who", "fault"), [(OPERATOR, RoleMissing), (MARKET, NotYours)])
def test_nobody_else_puts_a_key_or_a_mandate_under_a_partys_name(town, who, fault):
    for attempt in (
        lambda: town.powers.add_signing_key(who, SHOP, public_key=PUBLIC, proof=prove()),
        lambda: town.powers.revoke_signing_key(who, SHOP, "0" * 16),
        lambda: town.powers.grant_mandate(who, SHOP, agent=PLATFORM, types=["sale"]),
        lambda: town.powers.revoke_mandate(who, SHOP, "x"),
        lambda: town.powers.mandates(who, SHOP),
    ):
        with pytest.raises(fault):
            attempt()


def test_signing_keys_of_nobody(town):
    with pytest.raises(SigningKeyMissing) as caught:
        town.powers.revoke_signing_key(SHOPKEEPER, SHOP, "0" * 16)
    explain(caught.value)
    assert town.powers.signing_keys(SHOP) == []
    for party in (NOBODY, "党" * 18):
        with pytest.raises(PartyUnknown):
            town.powers.signing_keys(party)


# --- mandates -----------------------------------------------------------------------------------


def test_a_mandate_is_given_and_taken_back(town):
    until = START + timedelta(days=30)
    mandate_id, _ = town.powers.grant_mandate(
        SHOPKEEPER, SHOP, agent=PLATFORM, types=["sale", "dispatch", "sale"], until=until
    )
    record = town.records(SHOP)[-1]
    assert record["id"] == mandate_id
    assert record["data"] == {
        "agent": PLATFORM, "types": ["sale", "dispatch"], "until": "2026-12-23T07:00:00.000Z",
    }  # fmt: skip
    (shown,) = town.powers.mandates(SHOPKEEPER, SHOP)
    assert (shown.mandate_id, shown.agent, shown.until) == (mandate_id, PLATFORM, until)
    for _ in range(2):
        town.powers.revoke_mandate(SHOPKEEPER, SHOP, mandate_id.upper())
    assert town.powers.mandates(SHOPKEEPER, SHOP)[0].revoked_at == START
    assert [record["type"] for record in town.records(SHOP)][1:] == ["mandate", "mandate_revoked"]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"agent": NOBODY}, "unknown_party"),
        ({"agent": SHOP}, "unknown_party"),
        ({"agent": "党"}, "unknown_party"),
        ({"types": []}, "length"),
        ({"types": ["sale"] * 33}, "length"),
        ({"types": ["sell"]}, "unknown_type"),
        ({"types": ["customs_release"]}, "not_grantable"),
        ({"until": START}, "range"),
    ],
)
def test_a_mandate_that_cannot_be(town, given, kind):
    with pytest.raises(Invalid) as caught:
        town.powers.grant_mandate(
            SHOPKEEPER, SHOP, **({"agent": PLATFORM, "types": ["sale"]} | given)
        )
    assert only_error(caught.value).kind == kind
    assert len(town.records(SHOP)) == 1


def test_a_mandate_that_nobody_gave(town):
    registration = town.records(SHOP)[0]["id"]
    for mandate_id in ("x", registration, "0192f3a0-0000-7000-8000-000000000001", ""):
        with pytest.raises(MandateUnknown) as caught:
            town.powers.revoke_mandate(SHOPKEEPER, SHOP, mandate_id)
        explain(caught.value)


def test_several_parties_are_read_as_each_alone_and_a_fault_of_one_is_nobody_elses(town):
    exempt, _ = town.parties.register(holder(PLATFORM, "platform"), told(None, ["merchant"]))
    ids = [SHOP, PLATFORM, exempt.id]
    assert town.parties.get_some([*ids, NOBODY, "system"]) == {
        party: town.parties.get(party) for party in ids
    }
    with town.database.write() as connection:
        connection.exec_driver_sql("UPDATE party SET name = 'forged'")
        connection.exec_driver_sql(f"UPDATE head SET name = 'party/x' WHERE name = 'party/{SHOP}'")
    views = town.parties.get_some(ids)
    assert set(views) == {PLATFORM, exempt.id}
    assert views[PLATFORM].name == "李小明（虚构）", "as registered, whatever the row says"


def test_what_was_taken_from_a_party_or_written_over_is_told_alike_of_one_and_of_several(town):
    """Head or registration gone, or the record's bytes changed: then the name is not provable."""
    parties = [SHOP, PLATFORM]
    town.parties.verify(OPERATOR, SHOP, status="verified", evidence="seen")

    def compare() -> list[str]:
        views = town.parties.get_some(parties)
        assert views == {party: town.parties.get(party) for party in parties}
        return [views[party].name for party in parties]

    def tamper(statement: str, *values: object) -> None:
        with opened(town.database.url, guarded=False) as run:
            run(statement, *values)

    names = compare()
    for _ in range(2):
        tamper("UPDATE party SET exempt = NOT exempt")
        compare()
    tamper("UPDATE party SET name = 'forged'")
    assert compare() == names
    for party in parties:
        tamper("DELETE FROM head WHERE stream = ?", stream_key(party_stream(party)))
        assert compare() == names
    tamper("UPDATE record SET body = replace(body, ?, ?) WHERE seq = 0", '"name":"', '"name":"not ')
    assert compare() == ["forged", "forged"]
    tamper("UPDATE record SET body = ? WHERE seq = 0", b"{}")
    assert compare() == ["forged", "forged"]
    tamper("DELETE FROM record WHERE seq = 0")
    assert compare() == ["forged", "forged"]
