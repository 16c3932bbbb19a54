"""Load on a deployment, by threads that note what was acknowledged and what was only sent."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.asking import plain_client
from tests.drills.trade import CARRIER, GTIN, PLATFORM, SHOP, Trade, event, moment

_CITIES = ("440100", "440300", "440600", "441200")


@dataclass
class Load:
    """What was sent. acked: event id -> answer; unanswered: event id -> event; orders: batch ids.

    put_off: what was said with 503, after which the same may be sent again. order_every_s: how long after
    an order for codes the next one comes; a party may have 20 that are not done.
    """

    trade: Trade
    moving: list[str]
    order_every_s: float = 0.3
    acked: dict[str, dict[str, Any]] = field(default_factory=dict)
    unanswered: dict[str, dict[str, Any]] = field(default_factory=dict)
    orders: dict[str, int] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)
    put_off: list[dict[str, Any]] = field(default_factory=list)
    largest: int = 0
    _ending: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Posts from four threads until the block ends or the service is gone."""
        self._ending.clear()
        work = (self._post_one, self._post_one, self._post_batch, self._order_codes)
        threads = [
            threading.Thread(target=self._keep, args=(number, one), daemon=True)
            for number, one in enumerate(work)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ending.set()
            for thread in threads:
                thread.join(30)
            assert not any(thread.is_alive() for thread in threads)

    def repeat_unanswered(self) -> dict[int, int]:
        """Sends again what got no answer; returns how many answers of each status there were."""
        told: dict[int, int] = {}
        for identifier, body in list(self.unanswered.items()):
            token = self.trade.keys[CARRIER]
            answer = self.trade.place.call("POST", "/api/v1/events", body, token=token)
            told[answer.status_code] = told.get(answer.status_code, 0) + 1
            assert answer.status_code in (200, 201), answer.text
            self.acked[identifier] = answer.json()
            del self.unanswered[identifier]
        return told

    def _keep(self, number: int, work: Callable[[httpx.Client, int], None]) -> None:
        with plain_client(base_url=self.trade.place.url, timeout=30) as client:
            turn = number
            while not self._ending.is_set():
                try:
                    work(client, turn)
                except httpx.TransportError:
                    return  # killed; what was under way stays unanswered
                turn += 1

    def _event(self, turn: int) -> dict[str, Any]:
        code = self.moving[turn % len(self.moving)]
        body = event(code, "transit", {"region": _CITIES[turn % len(_CITIES)]}, moment(minutes=1))
        body["id"] = str(uuid.uuid4())
        self.unanswered[body["id"]] = body
        return body

    def _post_one(self, client: httpx.Client, turn: int) -> None:
        body = self._event(turn)
        answer = client.post("/api/v1/events", json=body, headers=self._as(CARRIER))
        self._take(body["id"], answer.status_code, answer.json())

    def _post_batch(self, client: httpx.Client, turn: int) -> None:
        bodies = [self._event(turn + n) for n in range(12)]
        answer = client.post(
            "/api/v1/events/batch", json={"events": bodies}, headers=self._as(CARRIER)
        )
        if answer.status_code != 200:
            for body in bodies:
                self._take(body["id"], answer.status_code, answer.json())
            return
        for body, result in zip(bodies, answer.json()["results"], strict=True):
            self._take(body["id"], result["status"], result.get("event") or result.get("problem"))
        size = client.get("/api/v1/ledger", headers=self._as(PLATFORM)).json()["size"]
        self.largest = max(self.largest, size)

    def _order_codes(self, client: httpx.Client, turn: int) -> None:
        order = {"id": str(uuid.uuid4()), "gtin": GTIN, "count": 150}
        answer = client.post("/api/v1/codes", json=order, headers=self._as(SHOP))
        if answer.status_code == 202:
            self.orders[answer.json()["batch_id"]] = order["count"]
        else:
            self.unexpected.append(answer.text)
        self._ending.wait(self.order_every_s)

    def _take(self, identifier: str, status: int, told: dict[str, Any]) -> None:
        if status == 201:
            self.acked[identifier] = told
            del self.unanswered[identifier]
        elif status == 503:
            # Nothing was taken, or nobody knows: to be sent again.
            self.put_off.append(told)
        else:
            self.unexpected.append(f"{status} {told}")

    def _as(self, party: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.trade.keys[party]}"}
