"""Bodies and paths as hostile or careless programs send them."""

from __future__ import annotations

import socket

import pytest

from app.web.body import BatchRoute, Body, StrictRoute, Time, api_router
from tests.web.conftest import SHOP

PARTIES = "/api/v1/parties"
JSON = {"Content-Type": "application/json"}
WRAP = b'{"uscc":"%s","name":"%%s","roles":["merchant"]}' % SHOP.encode()


class Echo(Body):
    text: str = ""
    count: int = 0
    at: Time | None = None


def probe(app) -> None:
    router = api_router(tag="probe")
    batch = api_router(tag="probe", route=BatchRoute)

    @router.get("/probe/lots/{gtin}/{lot}")
    def probe_lot(gtin: str, lot: str) -> dict:
        return {"gtin": gtin, "lot": lot}

    @router.get("/probe/codes/{gtin}/{serial}")
    def probe_unit(gtin: str, serial: str) -> dict:
        return {"serial": serial}

    @router.get("/probe/codes/{gtin}/{serial}/events")
    def probe_events(gtin: str, serial: str) -> dict:
        return {"events_of": serial}

    @router.post("/echo")
    async def probe_echo(body: Echo) -> dict:
        return {"text": body.text, "at": body.at and body.at.isoformat()}

    @batch.post("/echoes")
    def probe_echoes(body: dict) -> dict:
        return {"kept": body}

    app.include_router(router)
    app.include_router(batch)


@pytest.fixture
def probed(start):
    with start(prepare=probe) as running:
        yield running


@pytest.mark.parametrize(
    ("raw", "headers", "status", "slug"),
    [
        (b"{", JSON, 400, "malformed"),
        (b"\xff\xfe", JSON, 400, "malformed"),
        (WRAP % "é".encode("latin-1"), JSON, 400, "malformed"),
        (b'{"uscc":"1","uscc":"2"}', JSON, 400, "malformed"),
        (WRAP % rb"\ud800", JSON, 400, "malformed"),
        (WRAP % b"a\x00b", JSON, 400, "malformed"),
        (b'{"name":NaN}', JSON, 400, "malformed"),
        (b"[" * 100_000, JSON, 400, "malformed"),
        (WRAP % rb"a\u0000b", JSON, 422, "invalid"),
        (WRAP % rb"a\nb", JSON, 422, "invalid"),
        (WRAP % b"a\x7fb", JSON, 422, "invalid"),
        (b"", JSON, 422, "invalid"),
        (b"null", JSON, 422, "invalid"),
        (b"[]", JSON, 422, "invalid"),
        (b"3", JSON, 422, "invalid"),
        (WRAP % b"a", {"Content-Type": "text/plain"}, 415, "unsupported-media-type"),
        (WRAP % b"a", {}, 415, "unsupported-media-type"),
        (WRAP % b"a", {"Content-Type": "application/json; charset=gbk"}, 415,
         "unsupported-media-type"),
        (WRAP % b"a", {**JSON, "Content-Encoding": "gzip"}, 415, "unsupported-media-type"),
        (b"x" * (8 * 1024 * 1024 + 1), JSON, 413, "too-large"),
    ],
)  # fmt: skip
def test_a_body_that_is_no_strict_json_has_its_problem_and_writes_nothing(
    service, raw, headers, status, slug
):
    before = service.count_rows()
    answer = service.call("POST", PARTIES, token=service.admin, content=raw, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{slug}")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert service.count_rows() == before


@pytest.mark.parametrize(
    ("lang", "detail"),
    [
        ("en", "The body is not JSON (line 2, column 14)."),
        ("zh", "内容不是 JSON（第 2 行第 14 个字符处）。"),
    ],
)
def test_where_it_is_no_json_is_told_as_people_count(service, lang, detail):
    raw = '{\n  "name": "砚"x}'.encode()
    headers = {**JSON, "Accept-Language": lang}
    answer = service.call("POST", PARTIES, token=service.admin, content=raw, headers=headers)
    assert answer.json()["detail"] == detail


@pytest.mark.parametrize("media_type", ["application/json; charset=UTF-8", "application/ld+json"])
def test_other_spellings_of_json_are_taken(service, media_type):
    answer = service.call(
        "POST", PARTIES, token=service.admin, content=WRAP % b"a",
        headers={"Content-Type": media_type},
    )  # fmt: skip
    assert answer.status_code == 201


def test_a_body_without_a_length_ends_at_the_limit(service):
    def stream():
        for _ in range(12):
            yield b" " * 1024 * 1024

    answer = service.call("POST", PARTIES, token=service.admin, content=stream(), headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")


def test_an_announced_length_over_the_limit_is_refused_before_the_body_comes(service):
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"POST /api/v1/parties HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100000000\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("name", ["text", "unknown"])
def test_control_characters_are_refused_wherever_they_stand(probed, name):
    for sent in ({name: "a\u0000b"}, {name: ["x", {"deep": "a\u0085b"}]}, {"a\tb": 1}):
        answer = probed.call("POST", "/api/v1/echo", sent)
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["kind"]) == (422, "control"), sent


def test_values_are_never_taken_for_another_type(probed):
    for wrong in ({"count": "1"}, {"count": 1.0}, {"count": True}, {"text": 1}, {"at": 1}):
        answer = probed.call("POST", "/api/v1/echo", wrong)
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["kind"]) == (422, "type"), wrong
        assert error["loc"] == [next(iter(wrong))]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2026-11-23T15:00:00+08:00", "2026-11-23T07:00:00+00:00"),
        ("2026-11-23T07:00:00.123999Z", "2026-11-23T07:00:00.123000+00:00"),
    ],
)
def test_times_come_in_with_any_offset_and_are_truncated(probed, given, kept):
    assert probed.call("POST", "/api/v1/echo", {"at": given}).json()["at"] == kept


@pytest.mark.parametrize("given", ["2026-11-23", "2026-11-23T15:00:00", "2026-13-01T00:00:00Z", ""])
def test_a_time_needs_its_form_and_its_offset(probed, given):
    (error,) = probed.call("POST", "/api/v1/echo", {"at": given}).json()["errors"]
    assert (error["kind"], error["loc"]) == ("time", ["at"])


def test_a_batch_route_leaves_texts_to_its_handler(probed):
    sent = {"items": [{"note": "a\nb"}, {"note": "good"}]}
    assert probed.call("POST", "/api/v1/echoes", sent).json() == {"kept": sent}


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/lots/1/A%2F1", {"gtin": "1", "lot": "A/1"}),
        ("/lots/1/A%2f1", {"gtin": "1", "lot": "A/1"}),
        ("/lots/1/A%252F1", {"gtin": "1", "lot": "A%2F1"}),
        ("/lots/1/A%25252F1", {"gtin": "1", "lot": "A%252F1"}),
        ("/lots/1/100%25", {"gtin": "1", "lot": "100%"}),
        ("/lots/1/%41%2E", {"gtin": "1", "lot": "A."}),
        ("/lots/1/a+b", {"gtin": "1", "lot": "a+b"}),
        ("/lots/1/%E4%B8%80", {"gtin": "1", "lot": "一"}),
        ("/%6Cots/1/B", {"gtin": "1", "lot": "B"}),
        ("/codes/1/events", {"serial": "events"}),
        ("/codes/1/events/events", {"events_of": "events"}),
        ("/codes/1/a%2Fevents", {"serial": "a/events"}),
        ("/codes/1/a%2Fevents/events", {"events_of": "a/events"}),
    ],
)
def test_an_encoded_slash_stays_inside_its_segment(probed, path, shown):
    answer = probed.call("GET", f"/api/v1/probe{path}")
    assert (answer.status_code, answer.json()) == (200, shown)


@pytest.mark.parametrize(
    ("path", "status", "slug"),
    [
        ("/lots/1/A/1", 404, "not-found"),
        ("/lots/1//", 404, "not-found"),
        ("/lots/1/B/", 404, "not-found"),
        ("/lots/1/%FF", 400, "malformed"),
        ("/lots/1/%ED%A0%80", 400, "malformed"),
        ("/lots/1/%00", 422, "invalid"),
        ("/lots/1/a%0Ab", 422, "invalid"),
        ("/lots/1/B?q=%00", 422, "invalid"),
        ("/lots/1/B?q%0A=1", 422, "invalid"),
    ],
)
def test_a_path_that_names_nothing_or_is_no_text(probed, path, status, slug):
    answer = probed.call("GET", f"/api/v1/probe{path}")
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{slug}")


def test_every_route_of_ours_is_strict(service):
    from fastapi.routing import iter_route_contexts

    loose = [
        route.path
        for route in iter_route_contexts(service.app.routes)
        if getattr(route, "endpoint", None) is not None
        and route.path not in ("/openapi.json", "/static")
        and not isinstance(route.original_route, StrictRoute)
    ]
    # These read their own parameters, as strictly: see below.
    assert loose == ["/01/{gtin}/21/{serial}", "/01/{gtin}/10/{lot}/21/{serial}"]


@pytest.mark.parametrize("lot", ["", "/10/L1"])
@pytest.mark.parametrize(
    ("serial", "status"),
    [
        ("S1?lang=%00", 422),
        ("S1?q%0A=1", 422),
        ("S%00", 422),
        ("S%0A1", 422),
        ("S%FF", 400),
        ("S1", 404),
        ("S1%2FA", 404),
    ],
)
def test_a_units_page_is_as_strict(service, lot, serial, status):
    path = f"/01/06901234567892{lot}/21/{serial}"
    answer = service.call("GET", path, headers={"Accept": "text/html"})
    assert answer.status_code == status, answer.text[:300]
    assert "text/html" in answer.headers["Content-Type"]
