r"""A made-up shop, to be read and tried: its pages, and one call that asks Suxin's ranking API.

    SUXIN_URL=https://suxin.example SUXIN_PARTY=91441200MA4TE5T00Q SUXIN_API_KEY=sx_… \
    SUXIN_RECEIPT_KEY="$(curl -s https://suxin.example/log/receipt-key)" \
    SHOP_DOMAIN=127.0.0.1:8080 SHOP_BADGE_LINE=suxin-badge=… python serve.py 8080

The standard library alone. SUXIN_API_KEY stays on this side. It is a key of the platform that the shop is
on, with the scope `ranking`: a platform ranks offers, whoever their sellers are. With a seller's own key
that call is refused (it may ask what would raise its offers, `GET /api/v1/ranking/advice`); then, as after
any refusal, the shop shows its goods in its own order and says why. GOODS is the shop's own catalogue with
its own base scores; the order and the reasons come from Suxin. The file under /.well-known/ is how a domain
is verified.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import urllib.error
import urllib.request
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


def need(name: str) -> str:
    """Returns a setting, or ends with its name."""
    told = os.environ.get(name, "").strip()
    if not told:
        sys.stderr.write(
            f"{name} is not set; the first lines of {Path(__file__).name} say what it is\n"
        )
        sys.exit(2)
    return told


HERE = Path(__file__).resolve().parent
SUXIN = need("SUXIN_URL").rstrip("/")
API_KEY = need("SUXIN_API_KEY")
CONFIG = {
    "suxin": SUXIN,
    "party": need("SUXIN_PARTY"),
    "domain": need("SHOP_DOMAIN"),
    "key": need("SUXIN_RECEIPT_KEY"),
}
GOODS: list[dict[str, Any]] = json.loads(os.environ.get("SHOP_GOODS", "null")) or [
    {
        "id": "plain",
        "title": "无追溯码的砚台 An inkstone without a trace",
        "gtin": "06923450656174",
    },
    {"id": "traced", "title": "端砚文房礼盒 Duan inkstone gift box", "gtin": "06901234567892"},
]


class Refused(Exception):
    """Suxin gave no order. The sentence says why."""


def ask_for_order(lang: str) -> list[dict[str, Any]]:
    """Returns the goods as Suxin ranks them, with its reasons. Raises Refused."""
    candidates = [
        {"id": one["id"], "gtin": one["gtin"], "seller": CONFIG["party"], "base": 1}
        for one in GOODS
    ]
    request = urllib.request.Request(
        f"{SUXIN}/api/v1/ranking",
        data=json.dumps({"candidates": candidates}).encode(),
        headers={
            "Content-Type": "application/json",
            "Authorization": f"Bearer {API_KEY}",
            "Accept-Language": lang,
        },
    )
    goods = {one["id"]: one for one in GOODS}
    try:
        with urllib.request.urlopen(request, timeout=10) as told:
            ranked = json.load(told)
        return [{**one, "title": goods[one["id"]]["title"]} for one in ranked["items"]]
    except urllib.error.HTTPError as err:
        raise Refused(sentence_of(err)) from err
    except (OSError, http.client.HTTPException) as err:
        raise Refused("SUXIN_URL 没有回应。 SUXIN_URL does not answer.") from err
    except (ValueError, LookupError, TypeError) as err:
        said = "SUXIN_URL 的回应不是排序。 What SUXIN_URL answers is no ranking."
        raise Refused(said) from err


def sentence_of(err: urllib.error.HTTPError) -> str:
    """Returns what a problem document (RFC 9457) says in its `detail`, else the status alone."""
    try:
        return str(json.load(err)["detail"])
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        return f"SUXIN_URL 以 {err.code} 拒绝。 SUXIN_URL refused with {err.code}."


class Shop(SimpleHTTPRequestHandler):
    """Static files of this folder, `config.json`, the file that verifies the domain, and `rank`."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, directory=str(HERE), **named)

    def do_GET(self) -> None:
        if self.path == "/config.json":
            self.answer(CONFIG)
        elif self.path == "/.well-known/suxin-badge.txt":
            self.answer_raw(os.environ.get("SHOP_BADGE_LINE", "").encode() + b"\n", "text/plain")
        elif self.path.endswith(".py"):
            self.send_error(404)
        else:
            super().do_GET()

    def do_POST(self) -> None:
        if self.path != "/rank":
            self.send_error(404)
            return
        try:
            self.answer({"items": ask_for_order(self.headers.get("Accept-Language", "zh"))})
        except Refused as why:
            self.answer({"items": [{**one, "why": []} for one in GOODS], "refused": str(why)})

    def answer(self, value: object) -> None:
        self.answer_raw(json.dumps(value).encode(), "application/json")

    def answer_raw(self, body: bytes, media: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing: a shop has its own logs."""


if __name__ == "__main__":
    try:
        server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shop)
    except (IndexError, ValueError, OverflowError, OSError) as err:
        sys.stderr.write(f"say a free port, as in {Path(__file__).name} 8080: {err}\n")
        sys.exit(2)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
