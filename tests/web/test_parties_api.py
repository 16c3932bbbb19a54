"""The party routes as programs meet them, good input and bad."""

from __future__ import annotations

import time
from base64 import b64decode, b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.config import Settings
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP, STALL, Service, serving

P = "/api/v1/parties"
SEED = b64decode("8tu73KS24UlRazPEHTIYDcpqYoAf4cmfbmpT0etzwl4=")
PUBLIC = "FpUA7Zo+3FeLYJ8QAqursKish7Wcv6KGOdpsXA3KnQQ="
GOOD = {"uscc": SHOP, "name": "示例农业有限公司（虚构）", "roles": ["merchant"]}
VERIFIED = {"status": "verified", "evidence": "business licence seen"}


def proof(party: str) -> str:
    signer = Ed25519PrivateKey.from_private_bytes(SEED)
    return b64encode(signer.sign(f"suxin-key/1\n{party}\n{PUBLIC}".encode())).decode()


def problem(answer) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    assert answer.json()["status"] == answer.status_code
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


@pytest.fixture
def town(service):
    """A shop, a platform and an authority, each with a key: `keys[uscc]`."""
    service.register(SHOP)
    service.register(PLATFORM, "platform")
    service.register(AUTHORITY, "regulator")
    service.keys = {uscc: service.key_of(uscc) for uscc in (SHOP, PLATFORM, AUTHORITY)}
    return service


# --- good input ---------------------------------------------------------------------------------


def test_a_party_from_registration_to_verification(service):
    answer = service.call("POST", P, GOOD, token=service.admin)
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{P}/{SHOP}"
    shown = answer.json()
    assert (shown["id"], shown["status"], shown["exempt"]) == (SHOP, "pending", False)
    assert shown["created_at"].endswith("Z")
    again = service.call("POST", P, GOOD, token=service.admin)
    assert (again.status_code, again.json()) == (200, shown)
    answer = service.call("POST", f"{P}/{SHOP}/verification", VERIFIED, token=service.admin)
    assert (answer.status_code, answer.json()["status"]) == (201, "verified")
    assert service.call("GET", f"{P}/{SHOP}").json()["status"] == "verified"
    again = service.call("POST", P, GOOD, token=service.admin)
    assert (again.status_code, again.json()) == (200, shown), "the first answer, not today's"


def test_the_examples_of_the_description_work(service):
    schemas = service.call("GET", "/openapi.json").json()["components"]["schemas"]
    example = {
        name: schemas[name]["examples"][0] for name in schemas if "examples" in schemas[name]
    }
    service.register(PLATFORM, "platform")
    assert service.call("POST", P, example["PartyIn"], token=service.admin).status_code == 201
    token = service.key_of(SHOP)
    for path, name, asking in (
        ("verification", "VerificationIn", service.admin),
        ("keys", "KeyIn", token),
        ("signing-keys", "SigningKeyIn", token),
        ("mandates", "MandateIn", token),
    ):
        answer = service.call("POST", f"{P}/{SHOP}/{path}", example[name], token=asking)
        assert answer.status_code == 201, (name, answer.text)


def test_a_platform_brings_and_verifies_its_sellers(town):
    party = town.register(STALL, token=town.keys[PLATFORM])
    for one, status in ((party, 403), (PLATFORM, 201)):
        token = town.keys[PLATFORM] if status == 403 else town.admin
        answer = town.call("POST", f"{P}/{one}/verification", VERIFIED, token=token)
        assert answer.status_code == status, answer.text
    answer = town.call("POST", f"{P}/{party}/verification", VERIFIED, token=town.keys[PLATFORM])
    assert answer.status_code == 201
    assert answer.json()["created_by"] == PLATFORM
    assert town.call("GET", f"{P}/{party}").json()["created_by"] is None


def test_an_exempt_person_is_named_to_itself_alone(town):
    body = {"exempt": True, "name": "李小明", "roles": ["merchant"], "region": "441202"}
    party = town.call("POST", P, body, token=town.admin).json()["id"]
    own = town.key_of(party)
    names = {
        who: town.call("GET", f"{P}/{party}", token=token).json()["name"]
        for who, token in (
            ("public", None), ("itself", own), ("shop", town.keys[SHOP]), ("law", town.keys[AUTHORITY]),
        )
    }  # fmt: skip
    assert names == {"public": "李＊＊", "itself": "李小明", "shop": "李＊＊", "law": "李小明"}


def test_a_key_works_until_it_is_revoked(town):
    made = town.call("POST", f"{P}/{SHOP}/keys", {"scopes": ["parties"], "label": "till"},
                     token=town.keys[SHOP])  # fmt: skip
    assert made.status_code == 201
    key_id, token = made.json()["key_id"], made.json()["token"]
    listed = town.call("GET", f"{P}/{SHOP}/keys", token=token).json()
    assert [key["label"] for key in listed["items"]] == [None, "till"]
    assert listed["next"] is None
    assert "token" not in listed["items"][0]
    for _ in range(2):
        answer = town.call("DELETE", f"{P}/{SHOP}/keys/{key_id}", token=town.keys[SHOP])
        assert (answer.status_code, answer.content) == (204, b"")
    assert problem(town.call("GET", f"{P}/{SHOP}/keys", token=token)) == (401, "unauthenticated")


def test_a_key_revoked_by_another_process_is_refused_within_a_second(town):
    from app.parties.access import APIKeys
    from app.parties.principal import OPERATOR

    token = town.keys[SHOP]
    assert town.call("GET", f"{P}/{SHOP}", token=token).status_code == 200
    elsewhere = APIKeys(town.rooms.database, clock=town.rooms.clock)
    elsewhere.revoke(OPERATOR, token.split("_")[1])
    began = time.monotonic()
    asked = began
    while town.call("GET", f"{P}/{SHOP}", token=token).status_code == 200:
        assert asked - began < 1.0, "still taken where it was sent after a second"
        asked = time.monotonic()


def test_signing_keys_are_added_once_shown_to_all_and_revoked(town):
    body = {"public_key": PUBLIC, "proof": proof(SHOP)}
    added = [
        town.call("POST", f"{P}/{SHOP}/signing-keys", body, token=town.keys[SHOP]) for _ in range(2)
    ]
    assert [answer.status_code for answer in added] == [201, 200]
    key_id = added[0].json()["key_id"]
    path = f"{P}/{SHOP}/signing-keys"
    assert town.call("DELETE", f"{path}/{key_id}", token=town.keys[SHOP]).status_code == 204
    (shown,) = town.call("GET", path).json()["items"]
    assert (shown["key_id"], shown["public_key"]) == (key_id, PUBLIC)
    assert shown["revoked_at"]
    again = town.call("POST", path, body, token=town.keys[SHOP])
    assert problem(again) == (409, "already-exists")


def test_mandates_are_given_listed_and_taken_back(town):
    body = {"agent": PLATFORM, "types": ["sale"], "until": "2099-01-01T00:00:00+08:00"}
    path = f"{P}/{SHOP}/mandates"
    given = town.call("POST", path, body, token=town.keys[SHOP])
    assert given.status_code == 201
    mandate_id = given.json()["mandate_id"]
    (shown,) = town.call("GET", path, token=town.keys[SHOP]).json()["items"]
    assert shown["until"] == "2098-12-31T16:00:00.000Z"
    assert town.call("DELETE", f"{path}/{mandate_id}", token=town.keys[SHOP]).status_code == 204
    (shown,) = town.call("GET", path, token=town.keys[SHOP]).json()["items"]
    assert shown["revoked_at"]


# --- bad input ----------------------------------------------------------------------------------

BODIES = [
    ({**GOOD, "uscc": "91441200MA4TE5T00R"}, "check_digit", ["uscc"]),
    ({**GOOD, "uscc": "91441200MA4TE5T0OQ"}, "charset", ["uscc"]),
    ({**GOOD, "uscc": "９１441200MA4TE5T00Q"}, "charset", ["uscc"]),
    ({**GOOD, "uscc": "9144"}, "length", ["uscc"]),
    ({**GOOD, "uscc": 91441200}, "type", ["uscc"]),
    ({**GOOD, "uscc": None}, "missing", ["uscc"]),
    ({**GOOD, "exempt": True}, "exempt_with_uscc", ["exempt"]),
    ({**GOOD, "exempt": "yes"}, "type", ["exempt"]),
    ({**GOOD, "exempt": 1}, "type", ["exempt"]),
    ({**GOOD, "colour": "red"}, "unknown_field", ["colour"]),
    ({"uscc": SHOP, "roles": ["merchant"]}, "missing", ["name"]),
    ({**GOOD, "name": ""}, "length", ["name"]),
    ({**GOOD, "name": "x" * 121}, "length", ["name"]),
    ({**GOOD, "name": "x" * 5_000}, "length", ["name"]),
    ({**GOOD, "name": None}, "type", ["name"]),
    ({**GOOD, "name": ["a"]}, "type", ["name"]),
    ({**GOOD, "name": "a\u0000"}, "control", ["name"]),
    ({**GOOD, "name": "e\u0301"}, "nfc", ["name"]),
    ({**GOOD, "name": "示例\u0378"}, "charset", ["name"]),
    ({**GOOD, "roles": "merchant"}, "type", ["roles"]),
    ({**GOOD, "roles": []}, "length", ["roles"]),
    ({**GOOD, "roles": ["merchant", "merchant"]}, "duplicate", ["roles", 1]),
    ({**GOOD, "roles": ["king"]}, "enum", ["roles", 0]),
    ({**GOOD, "roles": ["admin"]}, "enum", ["roles", 0]),
    ({**GOOD, "roles": [{}]}, "enum", ["roles", 0]),
    ({**GOOD, "region": "XX"}, "region", ["region"]),
    ({**GOOD, "licences": {}}, "type", ["licences"]),
    ({**GOOD, "licences": [1]}, "type", ["licences", 0]),
    ({**GOOD, "licences": [{"kind": "business"}]}, "missing", ["licences", 0, "number"]),
    ({**GOOD, "licences": [{"kind": "x", "number": "1"}]}, "licence_kind", ["licences", 0, "kind"]),
    ({**GOOD, "licences": [{"kind": "food_production", "number": "SC12345678901234"}]}, None,
     ["licences", 0, "number"]),
    ({**GOOD, "licences": [{"kind": "business", "number": SHOP, "valid_until": "2026-13-01"}]},
     "date", ["licences", 0, "valid_until"]),
    ({**GOOD, "licences": [{"kind": "business", "number": SHOP, "valid_until": 2026}]},
     "type", ["licences", 0, "valid_until"]),
    ({**GOOD, "licences": [{"kind": "business", "number": SHOP, "url": "javascript:x"}]},
     "url", ["licences", 0, "url"]),
    ({**GOOD, "licences": [{"kind": "business", "number": SHOP, "x": 1}]},
     "unknown_field", ["licences", 0, "x"]),
]  # fmt: skip


@pytest.fixture(scope="module")
def refusing(databases, tmp_path_factory):
    """One service for all that is refused, since nothing of it is written."""
    folder = tmp_path_factory.mktemp("refusing")
    settings = Settings(data_dir=folder, keys_dir=folder / "keys", anonymous_per_second=0)
    with serving(settings) as (app, url):
        running = Service(app, url)
        with running.client:
            yield running


@pytest.mark.parametrize(("body", "kind", "loc"), BODIES)
def test_a_wrong_registration_names_its_fault_and_writes_nothing(refusing, body, kind, loc):
    service = refusing
    before = service.count_rows()
    answer = service.call("POST", P, body, token=service.admin)
    assert problem(answer) == (422, "invalid")
    (error,) = answer.json()["errors"]
    assert error["loc"] == loc
    assert kind in (None, error["kind"])
    assert error["msg"]
    assert service.count_rows() == before
    chinese = service.call(
        "POST", P, body, token=service.admin, headers={"Accept-Language": "zh"}
    )  # fmt: skip
    assert chinese.json()["errors"][0]["msg"] != error["msg"]


def test_no_uscc_message_hides_the_rule(service):
    answer = service.call("POST", P, {**GOOD, "uscc": "91441200MA4TE5T00R"}, token=service.admin)
    assert "GB 32100-2015" in answer.json()["detail"]
    assert "Q" in answer.json()["errors"][0]["msg"]


SUBJECTS = [
    ("POST", f"{P}/{SHOP}/verification", {**VERIFIED, "status": "pending"}, "enum", ["status"]),
    ("POST", f"{P}/{SHOP}/verification", {"status": "verified"}, "missing", ["evidence"]),
    ("POST", f"{P}/{SHOP}/verification", {**VERIFIED, "evidence": " "}, "length", ["evidence"]),
    ("POST", f"{P}/{SHOP}/verification", {**VERIFIED, "next_check": "x"}, "date", ["next_check"]),
    ("POST", f"{P}/{SHOP}/verification", {**VERIFIED, "by": "me"}, "unknown_field", ["by"]),
    ("POST", f"{P}/{SHOP}/keys", {"scopes": []}, "length", ["scopes"]),
    ("POST", f"{P}/{SHOP}/keys", {"scopes": ["all"]}, "enum", ["scopes", 0]),
    ("POST", f"{P}/{SHOP}/keys", {"scopes": ["admin"]}, "enum", ["scopes", 0]),
    ("POST", f"{P}/{SHOP}/keys", {"scopes": "events"}, "type", ["scopes"]),
    ("POST", f"{P}/{SHOP}/keys", {}, "missing", ["scopes"]),
    ("POST", f"{P}/{SHOP}/keys", {"scopes": ["events"], "label": "x" * 65}, "length", ["label"]),
    ("POST", f"{P}/{SHOP}/signing-keys", {"public_key": PUBLIC}, "missing", ["proof"]),
    ("POST", f"{P}/{SHOP}/signing-keys", {"public_key": "x", "proof": "x"}, "base64",
     ["public_key"]),
    ("POST", f"{P}/{SHOP}/signing-keys", {"public_key": PUBLIC, "proof": "x"}, "base64",
     ["proof"]),
    ("POST", f"{P}/{SHOP}/signing-keys",
     {"public_key": b64encode(bytes(32)).decode(), "proof": b64encode(bytes(64)).decode()},
     "public_key", ["public_key"]),
    ("POST", f"{P}/{SHOP}/mandates", {"agent": CARRIER, "types": ["sale"]}, "unknown_party",
     ["agent"]),
    ("POST", f"{P}/{SHOP}/mandates", {"agent": SHOP, "types": ["sale"]}, "unknown_party",
     ["agent"]),
    ("POST", f"{P}/{SHOP}/mandates", {"agent": PLATFORM, "types": []}, "length", ["types"]),
    ("POST", f"{P}/{SHOP}/mandates", {"agent": PLATFORM, "types": ["sell"]}, "unknown_type",
     ["types", 0]),
    ("POST", f"{P}/{SHOP}/mandates", {"agent": PLATFORM, "types": ["inspection"]},
     "not_grantable", ["types", 0]),
    ("POST", f"{P}/{SHOP}/mandates",
     {"agent": PLATFORM, "types": ["sale"], "until": "2020-01-01T00:00:00Z"}, "range", ["until"]),
    ("POST", f"{P}/{SHOP}/mandates",
     {"agent": PLATFORM, "types": ["sale"], "until": "2099-01-01T00:00:00"}, "time", ["until"]),
]  # fmt: skip


def test_wrong_subjects_of_a_party_name_their_fault_and_write_nothing(town):
    before = town.count_rows()
    for method, path, body, kind, loc in SUBJECTS:
        token = town.admin if path.endswith("verification") else town.keys[SHOP]
        answer = town.call(method, path, body, token=token)
        assert problem(answer) == (422, "invalid"), (path, body)
        (error,) = answer.json()["errors"]
        assert (error["kind"], error["loc"]) == (kind, loc), (path, body)
    assert town.count_rows() == before


def test_who_may_not_do_what_is_told_apart_and_writes_nothing(town):
    shop, platform = town.keys[SHOP], town.keys[PLATFORM]
    narrow = town.key_of(SHOP, "events")
    giver = town.key_of(SHOP, "parties")
    before = town.count_rows()
    new, sign = {**GOOD, "uscc": STALL}, {"public_key": PUBLIC, "proof": proof(SHOP)}
    mandate = {"agent": PLATFORM, "types": ["sale"]}
    wrong = "sx_" + shop.split("_")[1] + "_" + "0" * 64
    table = [
        ("POST", P, new, None, 401, "unauthenticated"),
        ("POST", P, new, wrong, 401, "unauthenticated"),
        ("POST", P, new, shop, 403, "forbidden"),
        ("POST", P, new, narrow, 403, "forbidden"),
        ("POST", P, {**new, "roles": ["carrier"]}, platform, 403, "forbidden"),
        ("POST", P, {**new, "roles": ["regulator"]}, town.keys[AUTHORITY], 403, "forbidden"),
        ("POST", P, {**GOOD, "name": "Other"}, town.admin, 409, "id-conflict"),
        ("GET", f"{P}/{CARRIER}", None, None, 404, "not-found"),
        ("GET", f"{P}/a%2Fb", None, None, 404, "not-found"),
        ("GET", f"{P}/{SHOP.lower()}", None, None, 404, "not-found"),
        ("POST", f"{P}/{SHOP}/verification", VERIFIED, shop, 403, "forbidden"),
        ("POST", f"{P}/{PLATFORM}/verification", VERIFIED, platform, 403, "forbidden"),
        ("POST", f"{P}/{SHOP}/verification", VERIFIED, platform, 403, "forbidden"),
        ("POST", f"{P}/{CARRIER}/verification", VERIFIED, town.admin, 404, "not-found"),
        ("POST", f"{P}/{SHOP}/keys", {"scopes": ["events"]}, platform, 403, "forbidden"),
        ("POST", f"{P}/{SHOP}/keys", {"scopes": ["events"]}, narrow, 403, "forbidden"),
        ("POST", f"{P}/{SHOP}/keys", {"scopes": ["codes"]}, giver, 403, "forbidden"),
        ("POST", f"{P}/{CARRIER}/keys", {"scopes": ["codes"]}, town.admin, 404, "not-found"),
        ("GET", f"{P}/{SHOP}/keys", None, platform, 403, "forbidden"),
        ("DELETE", f"{P}/{SHOP}/keys/{shop.split('_')[1]}", None, platform, 403, "forbidden"),
        ("DELETE", f"{P}/{SHOP}/keys/nothing", None, shop, 404, "not-found"),
        ("DELETE", f"{P}/{SHOP}/keys/{platform.split('_')[1]}", None, shop, 404, "not-found"),
        ("POST", f"{P}/{SHOP}/signing-keys", sign, town.admin, 403, "forbidden"),
        ("POST", f"{P}/{SHOP}/signing-keys", sign, platform, 403, "forbidden"),
        ("POST", f"{P}/{PLATFORM}/signing-keys", sign, platform, 422, "signature-invalid"),
        ("DELETE", f"{P}/{SHOP}/signing-keys/0", None, shop, 404, "not-found"),
        ("GET", f"{P}/{CARRIER}/signing-keys", None, None, 404, "not-found"),
        ("POST", f"{P}/{SHOP}/mandates", mandate, town.admin, 403, "forbidden"),
        ("POST", f"{P}/{SHOP}/mandates", mandate, platform, 403, "forbidden"),
        ("GET", f"{P}/{SHOP}/mandates", None, platform, 403, "forbidden"),
        ("DELETE", f"{P}/{SHOP}/mandates/x", None, shop, 404, "not-found"),
        ("PATCH", f"{P}/{SHOP}", {}, town.admin, 405, "method-not-allowed"),
    ]  # fmt: skip
    for method, path, body, token, status, slug in table:
        answer = town.call(method, path, body, token=token)
        assert problem(answer) == (status, slug), (method, path, body)
    assert town.count_rows() == before
