"""Pages in fewer bytes, and never where a secret stands in them."""

from __future__ import annotations

import gzip

import pytest

from app.web.pages import carried
from app.web.pages.signed import session

PLAIN = {"Accept-Encoding": "identity"}


@pytest.mark.parametrize("path", ["/", "/verify", "/static/suxin.css", "/openapi.json"])
def test_what_is_long_and_of_text_comes_compressed_to_whoever_takes_it(service, path):
    plain = service.client.get(path, headers=PLAIN)
    assert "Content-Encoding" not in plain.headers
    with service.client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
        assert answer.headers["Content-Encoding"] == "gzip"
        # A cache must not give the one to who asked for the other.
        assert "accept-encoding" in answer.headers["Vary"].lower()
        assert "accept-encoding" in plain.headers["Vary"].lower()
    assert gzip.decompress(raw) == plain.content
    assert len(raw) * 2 < len(plain.content)


@pytest.mark.parametrize("name", [*session.COOKIES, carried.COOKIE])
def test_who_brings_a_secret_gets_pages_as_they_are_and_files_compressed(service, name):
    asked = {"Accept-Encoding": "gzip", "Cookie": f"lang=zh; {name}=x"}
    assert "Content-Encoding" not in service.client.get("/verify", headers=asked).headers
    assert "Content-Encoding" in service.client.get("/static/suxin.css", headers=asked).headers
    asked["Cookie"] = "suxin_phone=x"
    assert "Content-Encoding" in service.client.get("/verify", headers=asked).headers


def test_hashes_short_answers_and_parts_are_left_alone(service):
    asked = {"Accept-Encoding": "gzip"}
    for path in ("/healthz", "/log/checkpoint", "/log/key"):
        assert "Content-Encoding" not in service.client.get(path, headers=asked).headers
    part = service.client.get("/static/suxin.css", headers={**asked, "Range": "bytes=0-4999"})
    assert (part.status_code, len(part.content)) == (206, 5_000)
    assert "Content-Encoding" not in part.headers


def test_a_compressed_file_is_known_again_and_never_gone_on_with(service):
    """RFC 9110 section 8.8.3: two codings of one file are not the same bytes."""
    path, taken = "/static/suxin.css", {"Accept-Encoding": "gzip"}
    plain = service.client.get(path, headers=PLAIN).headers["ETag"]
    first = service.client.get(path, headers=taken).headers
    assert first["ETag"] == f"W/{plain}"
    assert "Accept-Ranges" not in first
    again = {**taken, "If-None-Match": first["ETag"]}
    assert service.client.get(path, headers=again).status_code == 304
    rest = {**taken, "Range": "bytes=100-", "If-Range": first["ETag"]}
    assert service.client.get(path, headers=rest).status_code == 200
