"""docs/example-shop/serve.py: whatever Suxin answers, the shop sells on, and a refusal is a sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.ports import free_port

PAGE = Path(__file__).parents[2] / "docs" / "example-shop" / "serve.py"
REFUSAL = "您的角色不能做这件事（查询排序），能做的是：平台。"
PROBLEM = json.dumps({"type": "/problems/forbidden", "status": 403, "detail": REFUSAL}).encode()


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A service that answers every question with this."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def settings(url: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"], "SUXIN_URL": url, "SUXIN_PARTY": "91441200MA4TE5T00Q",
        "SUXIN_API_KEY": "sx_K_0", "SUXIN_RECEIPT_KEY": "k", "SHOP_DOMAIN": "127.0.0.1",
    }  # fmt: skip


def ranked_by(url: str) -> dict:
    """Returns what the shop's page is told of its goods. The shop must have complained of nothing."""
    command = [sys.executable, PAGE, "0"]
    shop = subprocess.Popen(
        command, env=settings(url), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        asked = urllib.request.Request(f"{shop.stdout.readline().strip()}/rank", b"", method="POST")
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return json.load(answer)
    finally:
        shop.terminate()
        _, complained = shop.communicate(timeout=10)
        assert complained == ""


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (403, PROBLEM, REFUSAL),
        (401, b'{"detail": "no such key"}', "no such key"),
        (503, b"<h1>busy</h1>", "503"),
        (502, b'["?"]', "502"),
        (200, b"<!doctype html>", "SUXIN_URL"),
        (200, b"[]", "SUXIN_URL"),
        (200, b'{"items": [{"id": "another"}]}', "SUXIN_URL"),
    ],
)
def test_a_refusal_is_a_sentence_and_the_goods_stay_in_the_shops_own_order(status, body, said):
    with answering(status, body) as url:
        told = ranked_by(url)
    assert said in told["refused"]
    assert "\n" not in told["refused"]
    assert [one["id"] for one in told["items"]] == ["plain", "traced"]
    assert all(one["title"] and one["why"] == [] for one in told["items"])


def test_a_service_that_is_not_there_is_said_too():
    assert "SUXIN_URL" in ranked_by(f"http://127.0.0.1:{free_port()}")["refused"]


def test_an_order_comes_with_its_reasons():
    why = [{"factor": "grade", "value": 1, "text": "A"}]
    items = [{"id": "traced", "why": why}, {"id": "plain", "why": []}]
    with answering(200, json.dumps({"items": items}).encode()) as url:
        told = ranked_by(url)
    assert "refused" not in told
    assert [one["id"] for one in told["items"]] == ["traced", "plain"]
    assert told["items"][0]["why"] == why


@pytest.mark.parametrize("name", ["SUXIN_URL", "SUXIN_API_KEY", "SHOP_DOMAIN"])
def test_what_is_not_set_is_named_at_once(name):
    env = {key: value for key, value in settings("http://127.0.0.1:1").items() if key != name}
    done = subprocess.run(
        [sys.executable, PAGE, "0"],
        env=env,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 2
    (sentence,) = done.stderr.strip().splitlines()
    assert name in sentence
