"""Events signed by their actor: the contract's vector, and everything that must not pass."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.ledger.bundle import verify_bundle_bytes
from tests.web.conftest import CARRIER, PLATFORM, SHOP
from tests.web.market import RIVAL, SALT, told

# The vector, API.md "Signing, with a vector".
SEED = "8tu73KS24UlRazPEHTIYDcpqYoAf4cmfbmpT0etzwl4="
PUBLIC = "FpUA7Zo+3FeLYJ8QAqursKish7Wcv6KGOdpsXA3KnQQ="
CODE = "01/06901234567892/21/8F3K2M9QZ7AB"
COMMITMENT = "d0c6ac7a110c6aca9dab5234d4a13a37b14bb6c7e877a900e1187f383f2234a8"
CLAIM = (
    '{"actor":"91441200MA4TE5T00Q","data":{"carrier":"92441202MA4TE5T01M","from":"441200",'
    '"to":"440100","waybill_tail":"0001"},"id":"0192f3a0-0000-7000-8000-000000000001",'
    '"occurred_at":"2026-11-23T07:00:00.000Z","sealed":{"waybill":"' + COMMITMENT + '"},'
    '"stream":"01/06901234567892/21/8F3K2M9QZ7AB","type":"dispatch","v":1}'
)
CLAIM_HASH = "1a9a0d4d9a8ebabce749ca5db3fe90b3d3eeed12c9a500b5f304d6a6c29ef8c5"
SIGNATURE = (
    "fKoy+L7GXcNzNZdd657WaPsW1b9fgi8W2rkG0faz1nQEnv3gSIeulQYGQPRiD69UUShyKhnv7tkjN+mq2GGTBg=="
)
INVALID = (422, "signature-invalid", None)

SIGNER = Ed25519PrivateKey.from_private_bytes(b64decode(SEED))


def canonical(value) -> bytes:
    """Canonical bytes by another hand: the standard library's encoder."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sign(claim: dict, signer: Ed25519PrivateKey = SIGNER) -> str:
    return b64encode(signer.sign(b"suxin-claim/1\n" + canonical(claim))).decode()


def signed_event(
    key: str, code: str, data: dict, *, number: int, type: str = "sale", **more
) -> dict:
    """An event as a signing client sends it."""
    claim = {
        "actor": SHOP,
        "data": data,
        "id": f"0192f3a0-0000-7000-8000-{number:012d}",
        "occurred_at": "2026-11-23T06:00:00.000Z",
        "stream": code,
        "type": type,
        "v": 1,
    }
    body = {name: claim[name] for name in ("actor", "data", "id", "occurred_at", "type")}
    return body | {"code": code, "signed": {"key": key, "value": sign(claim)}} | more


def add_key(market, party: str, signer: Ed25519PrivateKey) -> str:
    public = b64encode(signer.public_key().public_bytes_raw()).decode()
    proof = b64encode(signer.sign(f"suxin-key/1\n{party}\n{public}".encode())).decode()
    body = {"public_key": public, "proof": proof}
    path = f"/api/v1/parties/{party}/signing-keys"
    answer = market.call("POST", path, body, token=market.keys[party])
    assert answer.status_code in (200, 201), answer.text
    return answer.json()["key_id"]


@pytest.fixture
def key(market) -> str:
    return add_key(market, SHOP, SIGNER)


def post(market, body: dict, *, by: str = SHOP):
    return market.call("POST", "/api/v1/events", body, token=market.keys[by])


def test_the_vector_itself_agrees():
    assert hashlib.sha256(CLAIM.encode()).hexdigest() == CLAIM_HASH
    assert b64encode(SIGNER.public_key().public_bytes_raw()).decode() == PUBLIC
    assert sign(json.loads(CLAIM)) == SIGNATURE
    content = canonical({"number": "TEST0000000001"})
    told = hashlib.sha256(b"suxin-sealed/1\nwaybill\x00" + b64decode(SALT) + content).hexdigest()
    assert told == COMMITMENT


def test_the_vectors_dispatch_is_taken_and_stands_in_the_record(market, key, monkeypatch):
    monkeypatch.setattr("app.trace.issuing.new_serial", lambda _: "8F3K2M9QZ7AB")
    (unit,) = market.issue()
    assert unit.code == CODE
    body = {
        "id": "0192f3a0-0000-7000-8000-000000000001",
        "code": unit.uri,
        "type": "dispatch",
        "occurred_at": "2026-11-23T15:00:00+08:00",
        "data": {"carrier": RIVAL, "from": "441200", "to": "440100", "waybill_tail": "0001"},
        "sealed": {"waybill": {"content": {"number": "TEST0000000001"}, "salt": SALT}},
        "signed": {"key": key, "value": SIGNATURE},
    }
    wrong = [
        {"data": {**body["data"], "to": "440300"}},
        {"data": {**body["data"], "waybill_tail": "0002"}},
        {"data": {k: v for k, v in body["data"].items() if k != "waybill_tail"}},
        {"id": "0192f3a0-0000-7000-8000-000000000002"},
        {"occurred_at": "2026-11-23T15:00:00.001+08:00"},
        {"sealed": {"waybill": {"content": {"number": "TEST0000000002"}, "salt": SALT}}},
        {"sealed": {"waybill": {"content": {"number": "TEST0000000001"}, "salt": "A" * 43 + "="}}},
        {"sealed": {}},
        {"signed": {"key": key, "value": SIGNATURE.replace("fKoy", "fKoz")}},
        {"signed": {"key": key, "value": "nonsense"}},
        {"signed": {"key": key, "value": ""}},
        {"signed": {"key": "0" * 16, "value": SIGNATURE}},
    ]
    before = market.count_rows()
    for change in wrong:
        assert told(post(market, body | change)) == INVALID, change
    assert market.count_rows() == before
    sent = post(market, body)
    assert sent.status_code == 201, sent.text
    again = post(market, body)
    assert (again.status_code, again.json()) == (200, sent.json())
    found = market.ask("GET", f"{unit.path}/events")["items"][-1]["record"]
    outside = ("prev", "recorded_at", "refs", "seq", "signed", "source", "via")
    assert canonical({k: v for k, v in found.items() if k not in outside}) == CLAIM.encode()
    assert found["signed"] == {"key": key, "value": SIGNATURE}
    assert found["source"] == "merchant"


def test_a_section_of_a_signed_event_needs_the_signers_salt(market, key):
    unit = market.one()
    sealed = {"order": {"content": {"number": "A-1"}}}
    answer = post(market, signed_event(key, unit.code, {}, number=1, sealed=sealed))
    assert told(answer)[:2] == (422, "invalid")
    assert answer.json()["errors"][0]["kind"] == "missing"
    short = {"order": {"content": {"number": "A-1"}, "salt": "AAAA"}}
    answer = post(market, signed_event(key, unit.code, {}, number=1, sealed=short))
    assert answer.json()["errors"][0]["loc"] == ["sealed", "order", "salt"]


def test_a_value_that_would_be_rewritten_is_refused_before_it_is_signed_over(market, key):
    unit = market.one()
    digest = {"platform": "x", "content_digest": "AB" * 32}
    answer = post(market, signed_event(key, unit.code, digest, number=1, type="listing"))
    assert told(answer)[:2] == (422, "invalid")
    assert answer.json()["errors"][0]["kind"] == "signed_form"


def test_nobodys_key_speaks_for_another(market, key):
    other = Ed25519PrivateKey.generate()
    theirs = add_key(market, RIVAL, other)
    unit = market.one()
    before = market.count_rows()
    body = signed_event(key, unit.code, {"region": "440100"}, number=1)
    claim = {k: body[k] for k in ("actor", "data", "id", "occurred_at", "type")}
    claim |= {"stream": unit.code, "v": 1}
    by_theirs = {"signed": {"key": theirs, "value": sign(claim, other)}}
    under_our_name = {"signed": {"key": key, "value": sign(claim, other)}}
    assert told(post(market, body | by_theirs)) == INVALID
    assert told(post(market, body | under_our_name)) == INVALID
    assert market.count_rows() == before
    assert post(market, body).status_code == 201


def test_a_platform_may_carry_what_the_shop_signed_and_cannot_change_it(market, key):
    unit = market.one()
    body = signed_event(key, unit.code, {"region": "440100"}, number=1)
    assert told(post(market, body | {"data": {"region": "440300"}}, by=PLATFORM)) == INVALID
    sent = post(market, body, by=PLATFORM)
    assert sent.status_code == 201
    found = market.ask("GET", f"{unit.path}/events")["items"][-1]["record"]
    assert (found["actor"], found["via"], found["source"]) == (SHOP, PLATFORM, "platform")


def test_a_revoked_key_signs_nothing_new_and_what_it_signed_stays_signed(market):
    signer = Ed25519PrivateKey.generate()
    key = add_key(market, SHOP, signer)
    one, two = market.issue(2)

    def event(code: str) -> dict:
        body = signed_event(key, code, {"region": "440100"}, number=7)
        claim = {k: body[k] for k in ("actor", "data", "id", "occurred_at", "type")}
        return body | {
            "signed": {"key": key, "value": sign(claim | {"stream": code, "v": 1}, signer)}
        }

    first = post(market, event(one.code))
    assert first.status_code == 201
    market.clock.advance(1)
    path = f"/api/v1/parties/{SHOP}/signing-keys/{key}"
    market.ask("DELETE", path, token=market.keys[SHOP], status=204)
    before = market.count_rows()
    assert told(post(market, event(two.code))) == INVALID
    assert market.count_rows() == before
    # A client that lost the answer asks again: the record is there, and stays what it was.
    again = post(market, event(one.code))
    assert (again.status_code, again.json()) == (200, first.json())
    market.publish()
    shown = market.ask("GET", f"{one.path}/verification")
    assert shown["verdict"] == "intact"
    assert next(c for c in shown["checks"] if c["name"] == "signatures")["ok"] is True
    bundle = market.call("GET", f"{one.path}/evidence").content
    report = verify_bundle_bytes(bundle, vkey=market.call("GET", "/log/key").text.strip())
    assert report.exit_code == 0
    forged = bundle.replace(first.json()["id"].encode(), b"0192f3a0-0000-7000-8000-00000000000f")
    assert verify_bundle_bytes(forged, vkey=None).exit_code == 1


def signed_sale(key: str, signer: Ed25519PrivateKey, code: str) -> dict:
    body = signed_event(key, code, {"region": "440100"}, number=9)
    claim = {k: body[k] for k in ("actor", "data", "id", "occurred_at", "type")}
    return body | {"signed": {"key": key, "value": sign(claim | {"stream": code, "v": 1}, signer)}}


def test_a_key_revoked_before_a_clock_set_back_signs_nothing_more(market):
    signer = Ed25519PrivateKey.generate()
    key = add_key(market, SHOP, signer)
    one, two = market.issue(2)
    market.clock.advance(8)
    assert post(market, signed_sale(key, signer, one.code)).status_code == 201
    market.clock.advance(-3)
    market.ask("DELETE", f"/api/v1/parties/{SHOP}/signing-keys/{key}",
               token=market.keys[SHOP], status=204)  # fmt: skip
    market.clock.advance(-2)
    assert told(post(market, signed_sale(key, signer, two.code))) == INVALID
    market.clock.advance(10)
    market.publish()
    # What it signed before stays signed, although it bears the later time.
    shown = market.ask("GET", f"{one.path}/verification")
    assert next(c for c in shown["checks"] if c["name"] == "signatures")["ok"] is True
    bundle = market.call("GET", f"{one.path}/evidence").content
    report = verify_bundle_bytes(bundle, vkey=market.call("GET", "/log/key").text.strip())
    assert report.exit_code == 0, report


def test_signed_events_go_in_batches(market, key):
    one, two = market.issue(2)
    good = signed_event(key, one.code, {"region": "440100"}, number=1)
    bad = signed_event(key, two.code, {"region": "440100"}, number=1) | {"data": {}}
    answer = market.call(
        "POST", "/api/v1/events/batch", {"events": [bad, good]}, token=market.keys[SHOP]
    )
    assert [result["status"] for result in answer.json()["results"]] == [422, 201]
    assert answer.json()["results"][0]["problem"]["type"] == "/problems/signature-invalid"


def test_signing_keys_of_a_carrier_sign_its_own_records(market):
    signer = Ed25519PrivateKey.generate()
    key = add_key(market, CARRIER, signer)
    unit = market.one()
    market.sell(unit.code)
    market.dispatch(unit.code)
    claim = {
        "actor": CARRIER,
        "data": {"kind": "locker"},
        "id": "0192f3a0-0000-7000-8000-000000000003",
        "occurred_at": "2026-11-23T07:00:00.000Z",
        "stream": unit.code,
        "type": "signature",
        "v": 1,
    }
    body = {k: claim[k] for k in ("data", "id", "occurred_at", "type")} | {"code": unit.code}
    body["signed"] = {"key": key, "value": sign(claim, signer)}
    assert post(market, body, by=CARRIER).status_code == 201
