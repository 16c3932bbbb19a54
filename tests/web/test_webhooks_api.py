"""Webhooks: registered, signed, retried, given up, sent again; and never into the own network."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from app.kit.clock import parse_time
from app.oversight.hookclient import Undeliverable, check_url, is_public, new_client, send
from app.oversight.hooks import RETRY_AFTER_S
from tests.web.conftest import AUTHORITY, PLATFORM, SHOP
from tests.web.market import PRODUCT, Market, open_market, told
from tests.web.test_lists_api import enter
from tests.web.test_ranking_api import trader

W = "/api/v1/webhooks"
ALL = ["credit.warning", "finding.opened", "complaint.opened", "recall"]


class Receiver:
    """A receiver on this machine: what it was sent, and what it answers next."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(receiver.status)
                if receiver.status == 302:
                    self.send_header("Location", receiver.url)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?a=1"

    def kinds(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    thread = threading.Thread(target=found.server.serve_forever, daemon=True)
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def inside(databases, tmp_path_factory) -> Iterator[Market]:
    """A market whose operator allows webhooks to its own network."""
    with open_market(tmp_path_factory.mktemp("hooks")) as running:
        running.rooms.hooks._private = True
        yield running


def register(market: Market, party: str, receiver: Receiver, events=ALL) -> dict:
    body = {"url": receiver.url, "events": events}
    return market.ask("POST", W, body, token=market.keys[party], status=201)


def lose(market: Market, shop: str) -> None:
    """Lets a party lose a grade."""
    entry = enter(market, shop, "spot_check_failed")
    market.clock.set(parse_time(entry["effective_at"]))
    market.work()
    market.work()


def test_a_warning_goes_signed_to_the_merchant_and_to_who_speaks_for_it(inside, receiver):
    shop = trader(inside)
    mine, theirs = (register(inside, party, receiver) for party in (shop, PLATFORM))
    lose(inside, shop)
    stranger = inside.newcomer()  # nobody asked about that one
    lose(inside, stranger)
    bodies = [json.loads(body) for _, body in receiver.got]
    told_of = [one["data"] for one in bodies if one["type"] == "credit.warning"]
    assert [one["kind"] for one in told_of if one["party"] == shop].count("grade_fell") == 2
    assert stranger not in {one["party"] for one in told_of}
    for headers, body in receiver.got:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        found = {
            "v1," + base64.b64encode(hmac.new(key(hook), signed, hashlib.sha256).digest()).decode()
            for hook in (mine, theirs)
        }
        assert headers["webhook-signature"] in found
        assert abs(int(headers["webhook-timestamp"]) - inside.clock.now().timestamp()) < 40 * 86_400
    inside.work()
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert len(ids) == len(set(ids)), "each once"
    for party, hook in ((shop, mine), (PLATFORM, theirs)):
        inside.ask("DELETE", f"{W}/{hook['id']}", token=inside.keys[party], status=204)


def key(hook: dict) -> bytes:
    return base64.b64decode(hook["secret"].removeprefix("whsec_"))


def test_the_secret_is_shown_once_and_stored_sealed(inside, receiver):
    shop = inside.newcomer()
    hook = register(inside, shop, receiver)
    (listed,) = inside.ask("GET", W, token=inside.keys[shop])["items"]
    assert "secret" not in listed
    stored = inside.stored_bytes()
    assert key(hook) not in stored
    assert hook["secret"].encode() not in stored


def test_complaints_recalls_and_findings_are_told(inside, receiver):
    shop = trader(inside)
    register(inside, shop, receiver)
    (unit,) = inside.issue(by=shop)
    sale = inside.send(PLATFORM, unit.code, "sale", {"platform": PLATFORM}, actor=shop)
    proof = {"Suxin-Claim": sale["claim_token"]}
    inside.send(None, unit.code, "complaint", {"category": "quality"}, headers=proof)
    inside.work()
    assert receiver.kinds() == ["complaint.opened"]
    inside.clock.advance(8 * 86_400)
    inside.work()
    inside.work()
    assert receiver.kinds() == ["complaint.opened", "finding.opened"]
    assert json.loads(receiver.got[-1][1])["data"]["kind"] == "continuity.missing_dispatch"
    inside.send(AUTHORITY, PRODUCT, "recall", {"reason": "glass"})
    inside.work()
    assert receiver.kinds()[-1] == "recall"
    assert b"TEST" not in b"".join(body for _, body in receiver.got), "no waybill, no buyer"
    inside.send(AUTHORITY, PRODUCT, "recall_lifted", {"reason": "checked"})


def test_a_failing_receiver_is_tried_again_given_up_and_can_be_sent_anew(inside, receiver):
    shop = trader(inside)
    hook = register(inside, shop, receiver, ["credit.warning"])
    receiver.status = 503
    lose(inside, shop)
    inside.work()
    sent = len(receiver.got)
    assert sent > 0
    path = f"{W}/deliveries"

    def delivery(**query) -> dict:
        found = inside.ask("GET", path, token=inside.keys[shop], params=query)["items"]
        return found[0] if found else {}

    assert delivery()["last_error"] == "HTTP 503"
    assert (delivery()["status"], delivery()["attempts"]) == ("waiting", 1)
    first = delivery()["id"]
    inside.work()
    assert delivery()["attempts"] == 1, "not before its time"
    for pause in RETRY_AFTER_S:
        inside.clock.advance(pause * 1.11)
        inside.rooms.hooks.send()
    dead = delivery(status="dead")
    assert (dead["id"], dead["attempts"]) == (first, len(RETRY_AFTER_S) + 1)
    receiver.status, receiver.got = 204, []
    inside.ask("POST", f"{path}/{first}/resend", token=inside.keys[shop], status=202)
    inside.rooms.hooks.send()
    assert [headers["webhook-id"] for headers, _ in receiver.got] == [first], "under the same id"
    assert delivery(status="delivered")["id"] == first
    other = inside.newcomer()
    answer = inside.call("POST", f"{path}/{first}/resend", token=inside.keys[other])
    assert told(answer)[:2] == (404, "not-found")
    answer = inside.call("DELETE", f"{W}/{hook['id']}", token=inside.keys[other])
    assert told(answer)[:2] == (404, "not-found")


def test_gone_ends_a_webhook_and_a_redirect_is_not_followed(inside, receiver):
    shop = trader(inside)
    register(inside, shop, receiver, ["credit.warning"])
    receiver.status = 302
    lose(inside, shop)
    inside.work()
    path = f"{W}/deliveries"
    assert inside.ask("GET", path, token=inside.keys[shop])["items"][0]["last_error"] == "HTTP 302"
    receiver.status = 410
    inside.clock.advance(60)
    inside.work()
    assert inside.ask("GET", W, token=inside.keys[shop])["items"] == []


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/x", "https://127.0.0.1/x", "https://localhost/x", "https://10.0.0.8/",
        "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://169.254.169.254/latest",
        "https://user@shop.example/", "ftp://shop.example/", "https://a.internal/", "https:///x",
        "https://192.168.1.1:8443/", "https://[64:ff9b::a00:1]/", "https://shop.example/#x", "x",
    ],
)  # fmt: skip
def test_what_is_not_public_is_refused_before_it_is_stored(market, url):
    body = {"url": url, "events": ["recall"]}
    for lang, word in (("en", "public address"), ("zh", "公网地址")):
        answer = market.call("POST", W, body, token=market.keys[SHOP],
                             headers={"Accept-Language": lang})  # fmt: skip
        assert told(answer)[:2] == (422, "invalid")
        assert word in answer.json()["errors"][0]["msg"]


def test_a_public_name_that_leads_inside_is_not_asked(monkeypatch):
    """Its addresses are looked at, all of them, and the one that was looked at is used."""
    found = [(2, 1, 6, "", ("93.184.215.14", 443)), (2, 1, 6, "", ("10.0.0.5", 443))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)
    with new_client() as http, pytest.raises(Undeliverable, match="not a public address"):
        send(http, "https://shop.example/", secret=b"k", message_id="m", timestamp_s=1, body=b"",
             private=False)  # fmt: skip


def test_public_is_what_the_open_internet_has():
    assert [is_public(one) for one in ("93.184.215.14", "2606:2800:21f:cb07::1")] == [True, True]
    inside = (
        "0.0.0.0", "100.64.0.1", "127.1.1.1", "172.16.0.1", "192.0.2.1", "224.0.0.1", "fe80::1",
        "fc00::1", "2002:a00:1::", "240.0.0.1", "::",
    )  # fmt: skip
    assert not any(is_public(one) for one in inside)
    assert check_url("https://shop.example/a?b=c", private=False) is None


def test_only_its_own_party_and_few_webhooks(market):
    assert market.call("GET", W).status_code == 401
    assert market.call("GET", W, token=market.admin).status_code == 403
    shop = market.newcomer()
    body = {"url": "https://shop.example/x", "events": ["recall"]}
    for _ in range(10):
        market.ask("POST", W, body, token=market.keys[shop], status=201)
    answer = market.call("POST", W, body, token=market.keys[shop])
    assert told(answer)[:2] == (409, "already-exists")
