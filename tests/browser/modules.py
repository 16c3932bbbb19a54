"""The browser's modules on a page of their own, with nothing behind them: no service, no database."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from app.web.gate import CONTENT_SECURITY_POLICY

MODULES = Path(__file__).resolve().parents[2] / "static" / "verify"

# What makes Chromium one of the browsers that cannot check.
LACKING = {
    "subtle": "Object.defineProperty(Crypto.prototype, 'subtle', {value: undefined})",
    "ed25519": "SubtleCrypto.prototype.importKey = async () => "
    "{ throw new DOMException('', 'NotSupportedError') }",
    "never true": "SubtleCrypto.prototype.verify = async () => false",
    "always true": "SubtleCrypto.prototype.verify = async () => true",
}

# Returns "" where a vector is accepted, else why it is refused.
_JUDGE = """async ([kind, vectors]) => {
  const [note, merkle, tiles, json, bytes] = await Promise.all(
    ["note", "merkle", "tiles", "json", "bytes"].map((name) => import(`/${name}.js`)));
  const raw = bytes.decodeBase64;
  const run = {
    vkeys: (v) => note.parseVkey(v.vkey),
    notes: async (v) => note.openNote(v.note, [await note.parseVkey(v.vkey)]),
    checkpoints: (v) => note.parseCheckpoint(v.text),
    tile_paths: (v) => tiles.parseTilePath(v.path),
    bodies: (v) => json.parseBody(v.body),
    proofs: (v) => v.kind === "inclusion"
      ? merkle.verifyInclusion({index: BigInt(v.index), size: BigInt(v.size), leaf: raw(v.leaf),
          proof: v.proof.map(raw), root: raw(v.root)})
      : merkle.verifyConsistency({size1: BigInt(v.size1), size2: BigInt(v.size2),
          root1: raw(v.root1), root2: raw(v.root2), proof: v.proof.map(raw)}),
  }[kind];
  const reasons = [];
  for (const vector of vectors) {
    try {
      if (kind === "bodies") {
        let body;
        try { body = new TextDecoder("utf-8", {fatal: true, ignoreBOM: true}).decode(raw(vector.body)); }
        catch { json.parseJSON(raw(vector.body)); }
        await run({body});
      } else await run(vector);
      reasons.push("");
    } catch (err) {
      reasons.push(err.name === "Refused" ? err.reason : `mistake: ${err.stack}`);
    }
  }
  return reasons;
}"""

_REPORT = """async (cases) => {
  const [{verifyBundle}, {stringify}, {decodeBase64, utf8}] = await Promise.all(
    ["bundle", "report", "bytes"].map((name) => import(`/${name}.js`)));
  const reports = [];
  for (const [raw, vkey, policy] of cases) {
    const told = {vkey, policy: policy === null ? null : decodeBase64(policy)};
    reports.push(stringify(await verifyBundle(decodeBase64(raw), told)));
  }
  return reports;
}"""


@contextmanager
def served_modules(*, policy: str = CONTENT_SECURITY_POLICY) -> Iterator[str]:
    """Yields the address of a bare page beside which the modules lie, under our own policy."""

    class Handler(SimpleHTTPRequestHandler):
        extensions_map = {".js": "text/javascript", "": "application/octet-stream"}

        def do_GET(self) -> None:
            if self.path != "/":
                super().do_GET()
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(
                b'<!doctype html><html lang="en"><link rel="icon" href="data:,"></html>'
            )

        def end_headers(self) -> None:
            self.send_header("Content-Security-Policy", policy)
            super().end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=MODULES)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def reasons(page: Any, kind: str, vectors: list[dict[str, Any]]) -> list[str]:
    """Returns why the browser's module refuses each vector, "" where it does not."""
    return page.evaluate(_JUDGE, [kind, vectors])


def report_texts(page: Any, cases: list[tuple[bytes, str | None, bytes | None]]) -> list[str]:
    """Returns the browser's report on each (bundle, vkey, policy) as JSON text."""

    def told(raw: bytes | None) -> str | None:
        return None if raw is None else base64.b64encode(raw).decode()

    return page.evaluate(_REPORT, [[told(raw), vkey, told(policy)] for raw, vkey, policy in cases])
