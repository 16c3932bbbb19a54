"""The gate: headers, HEAD, keys, limits, addresses."""

from __future__ import annotations

import ipaddress
from types import SimpleNamespace

import pytest

from app.config import Settings
from app.web.limits import RateLimit, client_address, parse_networks
from tests.web.conftest import SHOP


def test_every_answer_carries_the_security_headers(service):
    for path in ("/healthz", "/api/v1/nothing", "/docs", "/static/suxin.css"):
        headers = service.client.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Request-Id"]
        assert "Strict-Transport-Security" not in headers, "the public address is not https here"


def test_https_is_kept_once_the_public_address_is(start):
    with start(base_url="https://trace.example") as running:
        assert "max-age" in running.client.get("/healthz").headers["Strict-Transport-Security"]


def test_head_answers_what_get_would_without_its_body(service):
    got, asked = service.client.get("/healthz"), service.client.head("/healthz")
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["Content-Length"] == str(len(got.content))
    assert service.client.head("/api/v1/nothing").status_code == 404


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer sx_x",
        "Bearer sx_ABCDEFGHJKLM_" + "0" * 64,
        "Bearer sk_ABCDEFGHJKLM_" + "0" * 64,
        "Bearer " + "x" * 5_000,
        "Basic dXNlcjpwYXNz",
    ],
)
def test_a_wrong_key_is_refused_also_where_none_is_needed(service, authorization):
    service.register()
    answer = service.client.get(f"/api/v1/parties/{SHOP}", headers={"Authorization": authorization})
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_call_that_needs_a_key_says_so(service):
    for answer in (
        service.call("POST", "/api/v1/parties", {}),
        service.call("GET", f"/api/v1/parties/{SHOP}/keys"),
    ):
        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthenticated")


def test_answers_to_key_holders_are_not_stored_by_caches(service):
    service.register()
    with_key = service.call("GET", f"/api/v1/parties/{SHOP}", token=service.admin)
    assert with_key.headers["Cache-Control"] == "no-store"
    assert "Cache-Control" not in service.call("GET", f"/api/v1/parties/{SHOP}").headers


@pytest.fixture
def no_time_passes(monkeypatch):
    """Nothing is given back by the limit, however slow the machine is."""
    monkeypatch.setattr("app.web.gate.time", SimpleNamespace(monotonic=lambda: 0.0))


def test_without_a_key_an_address_is_limited_with_one_it_is_not(start, no_time_passes):
    with start(anonymous_per_second=100) as running:
        answers = [running.client.get("/healthz") for _ in range(300)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) == 100
        assert refused[0].headers["Retry-After"] == "1"
        assert refused[0].json()["type"] == "/problems/too-many-requests"
        path = "/api/v1/parties/" + running.register()
        assert refused[0].headers["RateLimit-Policy"] == '"address";q=100;w=1'
        assert refused[0].headers["RateLimit"] == '"address";r=0;t=1'
        assert "RateLimit" not in answers[0].headers
        keyed = {running.call("GET", path, token=running.admin).status_code for _ in range(300)}
        assert keyed == {200}


def test_each_key_is_limited_by_itself_and_generously(start, no_time_passes):
    assert Settings(data_dir="d", keys_dir="k").key_per_second == 5_000
    with start(key_per_second=10) as running:
        path = "/api/v1/parties/" + running.register()
        other = running.key_of(SHOP)
        answers = [running.call("GET", path, token=other) for _ in range(25)]
        assert [answer.status_code for answer in answers] == [200] * 20 + [429] * 5
        refused = answers[-1]
        assert refused.json()["type"] == "/problems/too-many-requests"
        assert "this API key" in refused.json()["detail"]
        assert refused.headers["Retry-After"] == "1"
        assert refused.headers["RateLimit-Policy"] == '"key";q=10;w=1'
        assert refused.headers["RateLimit"] == '"key";r=0;t=1'
        assert running.call("GET", path, token=running.admin).status_code == 200, "another key"
        assert running.call("GET", path).status_code == 200, "and whoever has none"
        wrong = other[:-64] + "0" * 64
        assert running.call("GET", path, token=wrong).status_code == 401, "a guess takes no turn"


def test_a_reader_who_is_too_quick_is_told_on_a_page(start, no_time_passes):
    with start(anonymous_per_second=100) as running:
        headers = {"Accept": "text/html", "Accept-Language": "en"}
        answers = (running.client.get("/healthz", headers=headers) for _ in range(300))
        refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["Content-Type"].startswith("text/html")
    assert refused.headers["Content-Security-Policy"]
    assert "<h1" in refused.text


def test_a_page_elsewhere_can_read_that_it_asks_for_a_badge_too_often(start, no_time_passes):
    with start(anonymous_per_second=100) as running:
        path = f"/badge/{SHOP}.json?domain=shop.example"
        answers = (running.client.get(path) for _ in range(300))
        refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["Access-Control-Allow-Origin"] == "*"


def test_guessing_keys_is_limited_like_everything_without_one(start, no_time_passes):
    with start(anonymous_per_second=100) as running:
        wrong = "sx_ABCDEFGHJKLM_" + "0" * 64
        path = f"/api/v1/parties/{SHOP}"
        answers = {running.call("GET", path, token=wrong).status_code for _ in range(300)}
    assert answers == {401, 429}


def test_the_limit_lets_through_its_rate_and_twice_that_at_once():
    now = [0.0]
    limit = RateLimit(100, monotonic_s=lambda: now[0])
    assert sum(limit.take("a") for _ in range(1_000)) == 200
    now[0] += 0.5
    assert sum(limit.take("a") for _ in range(1_000)) == 50
    assert limit.take("b"), "another address has its own"
    assert all(RateLimit(0, monotonic_s=lambda: 0.0).take("a") for _ in range(1_000))


OURS = parse_networks(["10.0.0.0/8", "::1"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("::1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", [], "203.0.113.9"),
        (None, [], "local"),
    ],
)
def test_only_proxies_of_ours_say_whom_they_speak_for(peer, forwarded, address):
    assert client_address(peer, forwarded, OURS) == address


def test_networks_are_read_once_and_checked():
    assert parse_networks(["10.1.2.3"]) == (ipaddress.ip_network("10.1.2.3/32"),)
    with pytest.raises(ValueError):
        parse_networks(["ten"])
