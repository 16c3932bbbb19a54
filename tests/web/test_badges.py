"""Trust badges: a domain that is verified, what is signed for it, and what a copy elsewhere shows."""

from __future__ import annotations

import http.server
import json
import threading
from contextlib import suppress
from datetime import timedelta

import pytest

from app.ledger.note import open_note, parse_vkey
from tests.web.conftest import AUTHORITY, SHOP
from tests.web.market import RIVAL, told
from tests.web.people import open_people_market, signed_in
from tests.web.test_audit_reports import run

D = "/api/v1/badge-domains"


class Site:
    """A shop's site on this machine. line: what its file holds; status: of the answer."""

    def __init__(self) -> None:
        self.line, self.status, self.asked = "", 200, []
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                self.send_response(site.status)
                self.end_headers()
                self.wfile.write(f"hello\n{site.line}\n".encode())

            def log_message(self, *_) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.domain = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def site():
    one = Site()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("badges")
    with open_people_market(folder, webhook_private=True) as running:
        yield running


def named(market, domain: str, *, by: str = SHOP, status: int = 201) -> dict:
    return market.ask("POST", D, {"domain": domain}, token=market.keys[by], status=status)


def checked(market, domain: str, *, by: str = SHOP) -> dict:
    market.clock.advance(11)
    return market.ask("POST", f"{D}/{domain}/check", token=market.keys[by])


def verified(market, site, *, by: str = SHOP) -> None:
    site.line = named(market, site.domain, by=by)["token"]
    assert checked(market, site.domain, by=by)["verified"] is True


def badge_of(market, domain: str, party: str = SHOP, **more):
    return market.call("GET", f"/badge/{party}.json?domain={domain}", **more)


def picture(market, domain: str, *, referer: str | None = None, party: str = SHOP) -> str:
    headers = {} if referer is None else {"Referer": referer}
    answer = market.call("GET", f"/badge/{party}.svg?domain={domain}", headers=headers)
    assert answer.headers["Content-Type"].startswith("image/svg+xml")
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "no-store" in answer.headers["Cache-Control"]
    return answer.text


def page(market, domain: str, *, referer: str | None = None) -> str:
    headers = {} if referer is None else {"Referer": referer}
    return market.call("GET", f"/badge/{SHOP}?domain={domain}", headers=headers).text


def test_a_verified_domain_gets_a_badge_that_others_can_check(market, site, tmp_path):
    assert badge_of(market, site.domain).status_code == 404
    made = named(market, f"http://{site.domain.upper()}/shop?x")
    assert (made["domain"], made["verified"]) == (site.domain, False)
    assert badge_of(market, site.domain).status_code == 404  # named alone is not enough
    site.line = "suxin-badge=" + "0" * 40
    assert checked(market, site.domain)["error"] == "token"
    site.line = made["token"]
    found = checked(market, site.domain)
    assert (found["verified"], found.get("error")) == (True, None)
    assert site.asked[-1] == "/.well-known/suxin-badge.txt"

    answer = badge_of(market, site.domain)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    body = answer.json()
    key = market.call("GET", "/log/receipt-key").text.strip()
    text = open_note(body["note"], [parse_vkey(key)]).text
    first, line, rest = text.split("\n")
    assert (first, json.loads(line), rest) == ("suxin-badge/1", body["badge"], "")
    card = market.ask("GET", f"/api/v1/credit/{SHOP}")
    assert (body["badge"]["grade"], body["badge"]["score"]) == (card["grade"], card["score"])
    assert body["badge"]["expires_at"] == market.at(24)


def test_every_answer_about_a_badge_may_be_read_by_pages_elsewhere(market):
    path = f"/badge/{SHOP}.json"
    for method, asked, status in (
        ("GET", f"{path}?domain=nobodys.example", 404),
        ("GET", path, 422),
        ("POST", path, 405),
        ("GET", f"/badge/{SHOP}.svg?domain=nobodys.example", 200),
    ):
        answer = market.call(method, asked)
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    for asked in (f"/badge/{SHOP}", f"{path}/more", "/api/v1/ledger"):
        assert "Access-Control-Allow-Origin" not in market.call("GET", asked).headers


def test_the_program_refuses_another_domain_an_old_badge_and_a_changed_one(market, site, tmp_path):
    verified(market, site)
    key = market.call("GET", "/log/receipt-key").text.strip()
    file = tmp_path / "badge.json"
    body = badge_of(market, site.domain).json()
    # The market's clock stands still; the program asks the machine's.
    fresh = {**body["badge"], "expires_at": "2999-01-01T00:00:00.000Z"}
    from app.ledger.note import sign_note

    text = f"suxin-badge/1\n{json.dumps(fresh, sort_keys=True, separators=(',', ':'), ensure_ascii=False)}\n"
    note = sign_note(text, market.rooms.keyring.receipt)
    file.write_text(json.dumps({**body, "badge": fresh, "note": note}))
    assert run(file, "--domain", site.domain, "--key", key)[0] == 0
    assert run(file, "--domain", "evil.example", "--key", key)[1]["broken"][0]["key"] == "domain"
    assert run(file, "--key", key)[0] == 1
    file.write_text(json.dumps({**body, "badge": {**fresh, "grade": "A+"}, "note": note}))
    assert run(file, "--domain", site.domain, "--key", key)[1]["broken"][0]["key"] == "disagrees"
    altered = note.replace('"party":"9', '"party":"8', 1)
    file.write_text(json.dumps({**body, "badge": fresh, "note": altered}))
    assert run(file, "--domain", site.domain, "--key", key)[1]["broken"][0]["key"] == "signature"
    old = {**fresh, "expires_at": "2020-01-01T00:00:00.000Z"}
    text = f"suxin-badge/1\n{json.dumps(old, sort_keys=True, separators=(',', ':'), ensure_ascii=False)}\n"
    note = sign_note(text, market.rooms.keyring.receipt)
    file.write_text(json.dumps({**body, "badge": old, "note": note}))
    assert run(file, "--domain", site.domain, "--key", key)[1]["broken"][0]["key"] == "expired"


def test_a_copy_on_another_site_fails_its_check_visibly(market, site):
    verified(market, site)
    own, evil = f"http://{site.domain}/", "https://evil.example/shop"
    assert "A copied badge" not in picture(market, site.domain, referer=own)
    grade = market.ask("GET", f"/api/v1/credit/{SHOP}")["grade"]
    assert f">{grade}</text>" in picture(market, site.domain, referer=own)
    copied = picture(market, site.domain, referer=evil)
    assert "Not for this site" in copied
    assert "evil.example" in copied
    assert f">{grade}</text>" not in copied
    # Whoever asks in his own name has no badge either.
    assert "Not for this site" not in picture(market, "evil.example", referer=evil)
    assert "No valid badge" in picture(market, "evil.example", referer=evil)
    # A site that hides itself: the picture says for which domain it is, and to compare.
    hidden = picture(market, site.domain)
    assert site.domain in hidden
    assert "Compare with the address bar" in hidden

    assert "It checks" in page(market, site.domain, referer=own)
    assert "does NOT check: you come from evil.example" in page(market, site.domain, referer=evil)
    assert "did not tell which site" in page(market, site.domain)
    assert "does NOT check" in page(market, "evil.example", referer=evil)
    # The desk's own preview is a page of ours and tells nothing about a shop.
    assert "Compare with" in picture(market, site.domain, referer=market.url + "/desk/badge")


def test_a_picture_holds_no_markup_of_others(market):
    drawn = picture(market, "a.example", referer="https://<script>alert(1)</script>/")
    assert "<script" not in drawn
    party = "91441200MA4W000020"
    assert "No valid badge" in picture(market, "a.example", party=party)
    assert market.call("GET", "/badge/x%3Csvg?domain=a.example").status_code == 404


def test_a_badge_ends_with_the_domain_the_file_and_the_party(market, site):
    verified(market, site)
    market.ask("DELETE", f"{D}/{site.domain}", token=market.keys[SHOP], status=204)
    assert badge_of(market, site.domain).status_code == 404
    assert told(market.call("DELETE", f"{D}/{site.domain}", token=market.keys[SHOP]))[0] == 404
    verified(market, site)
    site.status = 404
    for day in range(0, 31, 8):
        market.clock.advance(timedelta(days=8).total_seconds())
        while market.rooms.badges.recheck():
            pass
        expected = 200 if day < 24 else 404
        assert badge_of(market, site.domain).status_code == expected, day
    site.status = 200
    assert checked(market, site.domain)["verified"] is True

    newcomer = market.newcomer()
    site.line += " " + named(market, site.domain, by=newcomer)["token"]
    assert checked(market, site.domain, by=newcomer)["verified"] is True
    assert badge_of(market, site.domain, newcomer).status_code == 200
    body = {"status": "rejected", "evidence": "licence withdrawn"}
    market.ask(
        "POST", f"/api/v1/parties/{newcomer}/verification", body, token=market.admin, status=201
    )
    assert badge_of(market, site.domain, newcomer).status_code == 404


def test_domains_are_ones_own_checked_as_written_and_not_too_many(market, site):
    shop, by = market.keys[SHOP], market.keys[AUTHORITY]
    for bad in ("", "a b", "-a.example", "a..b", "<b>.example", "shop", "a.example:99999999"):
        answer = market.call("POST", D, {"domain": bad}, token=shop)
        assert (answer.status_code, told(answer)[1]) == (422, "invalid"), bad
    assert named(market, "端砚.example")["domain"] == "端砚".encode("idna").decode() + ".example"
    assert told(market.call("POST", D, {"domain": "a.example"}, token=by))[:2] == (403, "forbidden")
    verified(market, site)
    assert told(market.call("POST", f"{D}/{site.domain}/check", token=market.keys[RIVAL]))[0] == 404
    assert told(market.call("POST", f"{D}/{site.domain}/check", token=shop))[0] == 429
    newcomer = market.newcomer()
    for n in range(20):
        named(market, f"s{n}.example", by=newcomer)
    named(market, "s3.example", by=newcomer)
    full = market.call("POST", D, {"domain": "s20.example"}, token=market.keys[newcomer])
    assert told(full)[:2] == (409, "domains-full")
    listed = market.ask("GET", D, token=market.keys[newcomer])["items"]
    assert len(listed) == 20
    assert len({one["token"] for one in listed}) == 20  # nobody's token is another domain's


def test_a_service_that_may_not_reach_private_addresses_refuses_them(market, monkeypatch):
    monkeypatch.setattr(market.rooms.badges, "_private", False)
    for bad in ("127.0.0.1", "10.0.0.7:8080", "localhost", "db.internal"):
        answer = market.call("POST", D, {"domain": bad}, token=market.keys[SHOP])
        assert (answer.status_code, told(answer)[1]) == (422, "invalid"), bad


def test_a_merchant_does_all_of_it_on_its_page(market, site):
    browser = signed_in(market, "owner", SHOP)
    browser.get("/desk/badge?lang=en")
    browser.post("/desk/badge", 422, domain="not a domain", lang="en")
    assert 'id="f-domain-error"' in browser.page
    assert 'value="not a domain"' in browser.page
    browser.post("/desk/badge", domain=site.domain, lang="en")
    browser.get("/desk/badge?lang=en")
    place = browser.page.split(site.domain, 1)[1]
    site.line = place.split("suxin-badge=")[1].split("<")[0]
    site.line = f"suxin-badge={site.line}"
    market.clock.advance(11)
    answer = browser.post("/desk/badge/act", domain=site.domain, do="check", lang="en")
    browser.get(answer.headers["location"])
    assert "the domain is verified" in browser.page
    assert f"{market.settings.base_url}/badge/{SHOP}.svg?domain={site.domain}" in browser.page
    browser.post("/desk/badge/act", 429, domain=site.domain, do="check", lang="en")
    browser.post("/desk/badge/act", domain=site.domain, do="drop", lang="en")
    assert badge_of(market, site.domain).status_code == 404


@pytest.mark.parametrize(
    ("domain", "said"),
    [
        ("{site}", "it answered HTTP 404."),
        ("nowhere.invalid", "There is no such name."),
        ("127.0.0.1:1", "The site could not be reached ("),
    ],
)
def test_the_page_says_what_stood_in_the_way_of_the_file(market, site, domain, said):
    site.status, domain = 404, domain.format(site=site.domain)
    browser = signed_in(market)
    browser.get("/desk/badge?lang=en")
    browser.post("/desk/badge", domain=domain, lang="en")
    browser.get("/desk/badge?lang=en")
    browser.post("/desk/badge/act", domain=domain, do="check", lang="en")
    assert said in browser.get("/desk/badge?lang=en").text
    browser.post("/desk/badge/act", domain=domain, do="drop", lang="en")


def test_a_usual_port_says_nothing_and_any_other_is_part_of_the_domain(market, site):
    newcomer = market.newcomer()
    for given in (
        "https://shop.example:443/a",
        "shop.example:443",
        "http://Shop.example:80",
        "shop.example.:443",
    ):
        assert named(market, given, by=newcomer)["domain"] == "shop.example", given
    assert named(market, "shop.example:8443", by=newcomer)["domain"] == "shop.example:8443"
    listed = market.ask("GET", D, token=market.keys[newcomer])["items"]
    assert [one["domain"] for one in listed] == ["shop.example", "shop.example:8443"]
    verified(market, site)
    assert named(market, "mine.example:443")["domain"] == "mine.example"
    with market.rooms.database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE badge_domain SET verified_at = (SELECT max(verified_at) FROM badge_domain)"
            " WHERE domain = 'mine.example'"
        )
    for here in ("https://mine.example/", "https://mine.example:443/"):
        for asked in ("mine.example", "mine.example:443"):
            assert "A copied badge" not in page(market, asked, referer=here)
            assert "It checks" in page(market, asked, referer=here), (asked, here)
    assert "does NOT check" in page(market, "mine.example", referer="https://mine.example:8443/")


def test_no_race_gives_more_domains_than_a_party_may_have(market, monkeypatch):
    from app.oversight import badgestore

    newcomer = market.newcomer()
    for n in range(19):
        named(market, f"r{n}.example", by=newcomer)
    barrier, plain = threading.Barrier(2), badgestore.count_domains

    def meet(*args) -> int:
        found = plain(*args)
        with suppress(threading.BrokenBarrierError):  # the other waits for us, in the database
            barrier.wait(1.0)
        return found

    monkeypatch.setattr(badgestore, "count_domains", meet)
    answers = []

    def add(domain: str) -> None:
        answers.append(
            market.call("POST", D, {"domain": domain}, token=market.keys[newcomer]).status_code
        )

    threads = [threading.Thread(target=add, args=(f"last{n}.example",)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 409]
    assert len(market.ask("GET", D, token=market.keys[newcomer])["items"]) == 20
