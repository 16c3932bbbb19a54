"""Witnesses at a port of this machine: true ones, and ones that say what a test tells them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from app.ledger.checkpoint import parse_checkpoint
from app.ledger.cosign import Cosigner
from app.ledger.note import VerifierKey, split_note
from app.ledger.witness import Heads, Witness, read_request
from app.web.witness import create_witness_app
from tests.fakes import FakeClock

Answer = tuple[int, dict[str, str], bytes]


class Peer:
    """A witness whose answers a test sets: `say(method, path, body)`; `asked` keeps the requests."""

    def __init__(self, name: str, seed: int, say: Callable[..., Answer] | None = None) -> None:
        self.signer = Cosigner(name, bytes([seed]) * 32)
        self.clock = FakeClock()
        self.say = say or self.cosign
        self.asked: list[tuple[str, str, bytes]] = []
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                peer.asked.append((self.command, self.path, body))
                status, headers, content = peer.say(self.command, self.path, body)
                try:
                    self.send_response(status)
                    for key, value in {"Content-Length": str(len(content)), **headers}.items():
                        self.send_header(key, value)
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:
                    pass  # who asked has left

            do_GET = do_POST = answer  # noqa: N815 - the library's own names

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/w"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def line(self) -> str:
        """Its line of a policy."""
        return f"witness {self.signer.vkey.name} {self.signer.vkey} {self.url}\n"

    @property
    def posts(self) -> list[int]:
        """The old sizes that it was asked from."""
        return [read_request(body)[0] for method, _, body in self.asked if method == "POST"]

    def cosign(self, method: str, path: str, body: bytes) -> Answer:
        """Cosigns whatever comes: the easiest of all witnesses."""
        if method == "GET":
            return 404, {}, b""
        text, _ = split_note(read_request(body)[2])
        parse_checkpoint(text)
        return 200, {}, self.signer.cosign(text, at=self.clock.now()).encode()


class Memory:
    """What makes a peer tell what it has last cosigned of each log, as a witness may."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._notes: dict[str, bytes] = {}
        peer.say = self.say

    def keep(self, note: str) -> None:
        self._notes[sha256(note.partition("\n")[0].encode()).hexdigest()] = note.encode()

    def say(self, method: str, path: str, body: bytes) -> Answer:
        if method == "GET":
            note = self._notes.get(path.split("/")[-2])
            return (404, {}, b"") if note is None else (200, {}, note)
        self.keep(read_request(body)[2])
        return self._peer.cosign(method, path, body)


def says(status: int, body: bytes = b"", **headers: str) -> Callable[..., Answer]:
    return lambda *_: (status, {k.replace("_", "-"): v for k, v in headers.items()}, body)


def is_slow(seconds: float, then: Callable[..., Answer]) -> Callable[..., Answer]:
    def say(*asked: Any) -> Answer:
        time.sleep(seconds)
        return then(*asked)

    return say


@contextmanager
def true_witness(
    folder: Path, name: str, logs: list[VerifierKey], *, seed: int = 60
) -> Iterator[tuple[Cosigner, str]]:
    """Yields the key and URL of a real witness over HTTP."""
    import socket

    import uvicorn

    folder.mkdir(exist_ok=True)
    signer = Cosigner(name, bytes([seed]) * 32)
    heads = Heads(folder)
    app = create_witness_app(Witness(signer, logs, heads, clock=FakeClock()))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield signer, f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
        heads.close()
