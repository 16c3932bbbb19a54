"""A credit store over HTTP: another Suxin, or whoever speaks as docs/credit-store.md says.

The store is somebody else's machine. It may be down, slow, wrong or hostile, and none of that may
cost more than bounded requests: each answer is read to a limit and to a deadline, no redirect is
followed, and nothing counts as stored that the store did not name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import httpx
import orjson

from app.exchange.change import Change
from app.exchange.port import BatchRefused, Outcome, StoreDown
from app.exchange.signing import sign_request
from app.kit.clock import Clock
from app.ledger.note import Signer
from app.outgoing import Transport

DEFAULT_PATH = "/api/v1/credit-store"
_MAX_CHANGES = 100
_MAX_ANSWER = 1024 * 1024
_TIMEOUT_S = 15.0
_STORED = (200, 201)
# What the store says of the request's content, and not of itself or of us.
_CONTENT = frozenset({400, 409, 413, 422})


class HTTPStore:
    """kind `http`. url: of the store, with a path or for DEFAULT_PATH."""

    @property
    def kind(self) -> Literal["http"]:
        return "http"

    def __init__(
        self,
        url: str,
        signer: Signer,
        *,
        clock: Clock,
        timeout_s: float = _TIMEOUT_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        parts = urlsplit(url)
        self.url = url.rstrip("/") if parts.path.strip("/") else f"{url.rstrip('/')}{DEFAULT_PATH}"
        self._signer = signer
        self._clock = clock
        self._timeout_s = timeout_s
        self._http = httpx.Client(
            transport=transport or Transport(most_connections=4),
            follow_redirects=False,
            trust_env=False,
        )

    def room(self) -> int:
        return _MAX_CHANGES

    def collect(self) -> Sequence[Outcome]:
        return ()

    def forget(self) -> None:
        """Nothing comes later."""

    def deliver(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        body = orjson.dumps({"changes": [change.as_json() for change in changes]})
        status, told = self._ask("POST", f"{self.url}/changes", body, timeout_s=self._timeout_s)
        if status in _STORED:
            return _read_outcomes(told, {change.key for change in changes})
        why = _why(status, told)
        if status in _CONTENT:
            raise BatchRefused(why, fatal=True)
        if status == 500:
            raise BatchRefused(why, fatal=False)
        raise StoreDown(why, retry_after_s=told.get("retry_after_s"))

    def read_card(self, party: str, /, *, timeout_s: float) -> dict[str, Any] | None:
        url = f"{self.url}/parties/{quote(party, safe='')}"
        status, told = self._ask("GET", url, b"", timeout_s=timeout_s)
        if status == 404:
            return None
        if status != 200:
            raise StoreDown(_why(status, told))
        if not isinstance(told.get("score"), int) or told.get("party") != party:
            raise StoreDown("answer_garbled")
        return told

    def list_received(self, cursor: str | None) -> dict[str, Any]:
        """Returns a page of what the store took from us. Raises StoreDown."""
        more = "" if cursor is None else f"&cursor={quote(cursor, safe='')}"
        url = f"{self.url}/changes?limit=500{more}"
        status, told = self._ask("GET", url, b"", timeout_s=self._timeout_s)
        if status != 200 or not isinstance(told.get("items"), list):
            raise StoreDown(_why(status, told))
        return told

    def close(self) -> None:
        self._http.close()

    def _ask(
        self, method: str, url: str, body: bytes, *, timeout_s: float
    ) -> tuple[int, dict[str, Any]]:
        """Returns status and JSON of an answer; {} where it is none. Raises StoreDown."""
        headers = sign_request(
            self._signer, method=method, url=url, body=body, at=self._clock.now()
        )
        headers |= {"Accept": "application/json", "Accept-Encoding": "identity"}
        if method == "POST":
            headers["Content-Type"] = "application/json"
        try:
            with self._http.stream(
                method, url, content=body or None, headers=headers, timeout=timeout_s,
                extensions={"deadline_s": timeout_s},
            ) as answer:  # fmt: skip
                raw = bytearray()
                for part in answer.iter_raw():
                    raw += part
                    if len(raw) > _MAX_ANSWER:
                        raise StoreDown("answer_too_long")
                status, told = answer.status_code, _read_object(bytes(raw))
                retry = answer.headers.get("retry-after", "")
        except httpx.TimeoutException as err:
            raise StoreDown("timed_out") from err
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RuntimeError) as err:
            # RuntimeError: the client was closed, since the service ends.
            raise StoreDown(f"unreachable ({type(err).__name__})") from err
        if retry.isascii() and retry.isdecimal() and len(retry) < 7:
            told["retry_after_s"] = int(retry)
        return status, told


def _read_object(raw: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}


def _read_outcomes(told: Mapping[str, Any], sent: set[str]) -> list[Outcome]:
    """Returns what the store said of each change that it names. Raises StoreDown."""
    results = told.get("results")
    if not isinstance(results, list):
        raise StoreDown("answer_garbled")
    found: dict[str, Outcome] = {}
    for one in results:
        if not isinstance(one, dict) or one.get("key") not in sent:
            raise StoreDown("answer_garbled")
        key, result = one["key"], one.get("result")
        if result == "stored":
            found[key] = Outcome(key)
        elif result == "held":
            found[key] = Outcome(key, held=True)
        elif result == "refused":
            problem = one.get("problem")
            found[key] = Outcome(
                key, refused=_sentence(problem if isinstance(problem, dict) else {})
            )
        else:
            raise StoreDown("answer_garbled")
    return list(found.values())


def _why(status: int, told: Mapping[str, Any]) -> str:
    return f"{status} {_sentence(told)}".strip()


def _sentence(problem: Mapping[str, Any]) -> str:
    """Returns what a problem says, as far as somebody else's words may go into our log."""
    slug = str(problem.get("type", "")).removeprefix("/problems/")[:60]
    detail = str(problem.get("detail", ""))[:200]
    return f"{slug}: {detail}".strip(": ") if slug or detail else ""
