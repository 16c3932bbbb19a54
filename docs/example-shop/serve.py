r"""A made-up shop, to be read and tried: its pages, and one call that asks Suxin's ranking API.

    SUXIN_URL=https://suxin.example SUXIN_PARTY=91441200MA4TE5T00Q SUXIN_API_KEY=sx_… \
    SUXIN_RECEIPT_KEY="$(curl -s https://suxin.example/log/receipt-key)" \
    SHOP_DOMAIN=127.0.0.1:8080 SHOP_BADGE_LINE=suxin-badge=… python serve.py 8080

The standard library alone. SUXIN_API_KEY has the scope `ranking` and stays on this side. GOODS is the
shop's own catalogue with its own base scores; the order and the reasons come from Suxin. The file under
/.well-known/ is how a domain is verified.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SUXIN = os.environ["SUXIN_URL"].rstrip("/")
PARTY = os.environ["SUXIN_PARTY"]
GOODS: list[dict[str, Any]] = json.loads(os.environ.get("SHOP_GOODS", "null")) or [
    {
        "id": "plain",
        "title": "无追溯码的砚台 An inkstone without a trace",
        "gtin": "06923450656174",
    },
    {"id": "traced", "title": "端砚文房礼盒 Duan inkstone gift box", "gtin": "06901234567892"},
]


class Shop(SimpleHTTPRequestHandler):
    """Static files of this folder, `config.json`, the file that verifies the domain, and `rank`."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, directory=str(HERE), **named)

    def do_GET(self) -> None:
        if self.path == "/config.json":
            config = {
                "suxin": SUXIN,
                "party": PARTY,
                "domain": os.environ["SHOP_DOMAIN"],
                "key": os.environ["SUXIN_RECEIPT_KEY"].strip(),
            }
            self.answer(config)
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
        candidates = [
            {"id": one["id"], "gtin": one["gtin"], "seller": PARTY, "base": 1} for one in GOODS
        ]
        request = urllib.request.Request(
            f"{SUXIN}/api/v1/ranking",
            data=json.dumps({"candidates": candidates}).encode(),
            headers={
                "Content-Type": "application/json",
                "Authorization": f"Bearer {os.environ['SUXIN_API_KEY']}",
                "Accept-Language": self.headers.get("Accept-Language", "zh"),
            },
        )
        with urllib.request.urlopen(request, timeout=10) as told:
            ranked = json.load(told)
        titles = {one["id"]: one["title"] for one in GOODS}
        self.answer({"items": [{**one, "title": titles[one["id"]]} for one in ranked["items"]]})

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
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shop)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
