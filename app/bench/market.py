"""Throw-away deployments with made-up trade, made by the real services.

Names, GTINs (prefix 952, which GS1 reserves for demonstrations) and parties are invented.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import uuid_utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.bench.plan import settings_in
from app.kit.errors import Fault
from app.ledger.note import encode_base64
from app.ledger.record import Claim, Signed, claim_message
from app.main import configure_logs
from app.parties.account_rules import PARTY_SCOPES
from app.parties.identity import uscc_check_digit
from app.parties.principal import OPERATOR, Principal
from app.parties.registration import read_registration
from app.rooms import close_rooms, open_rooms
from app.setup import set_up
from app.trace.code import Code
from app.trace.gtin import gtin_check_digit
from app.trace.requests import EventRequest
from app.web.deps import Rooms

PLATFORM_NAME = "示例平台（虚构）"
_CHUNK = 1_000
_CITIES = ("440100", "441200", "310100", "330100", "510100")
# So many chains of a shop are signed for, enough for its credit to count; the rest is on its way.
_SIGNED = 25

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Player:
    """A party and the key it sends with."""

    party: str
    token: str
    principal: Principal


@contextmanager
def opened(folder: Path) -> Iterator[Rooms]:
    """Yields the running services of the deployment in `folder`, made where there was none."""
    settings = settings_in(folder)
    configure_logs(settings.log_level)
    if not settings.data_dir.exists():
        set_up(settings)
    rooms = open_rooms(settings)
    try:
        yield rooms
    finally:
        close_rooms(rooms)


class Market:
    """Shops, goods and a carrier in one deployment; every shop offers everything."""

    def __init__(self, rooms: Rooms, *, shops: int, goods: int) -> None:
        self._rooms = rooms
        self.shops = [self._register(n, "merchant") for n in range(shops)]
        self.carrier = self._register(shops, "carrier")
        self.platform = self._register(shops + 1, "platform")
        self.gtins = [_gtin(n) for n in range(goods)]
        for n, gtin in enumerate(self.gtins):
            facts = {"name": f"示例商品{n}（虚构）", "category": "consumer_goods", "brand": "示例"}
            rooms.catalogue.register_product(self.shops[0].principal, facts, gtin=gtin, claim=False)
        for shop in self.shops:
            listing = {"platform": PLATFORM_NAME, "title": "示例商品（虚构）"}
            self.send(shop, [Code(gtin) for gtin in self.gtins], "listing", [listing])
        while rooms.deadlines.drain():
            pass

    def issue(self, shop: Player, count: int) -> list[Code]:
        """Returns new units in the shop's hands, evenly of all goods."""
        made = [
            one
            for n, gtin in enumerate(self.gtins)
            if (share := count // len(self.gtins) + (n < count % len(self.gtins)))
            for one in self._rooms.issuing.unit_submissions(
                Code(gtin), shop.party, count=share, inner=False
            )
        ]
        for start in range(0, count, _CHUNK):
            chunk = [submission for submission, _ in made[start : start + _CHUNK]]
            _accept(self._rooms.recorder.submit_and_wait(chunk))
        return [code for _, code in made]

    def send(
        self,
        sender: Player,
        codes: Sequence[Code],
        event_type: str,
        data: Sequence[Mapping[str, Any]],
    ) -> None:
        """Records one event on each code; the data is taken in turn."""
        at = self._rooms.clock.now() - timedelta(minutes=10)
        for start in range(0, len(codes), _CHUNK):
            requests = [
                EventRequest(code.stream, event_type, data[n % len(data)], occurred_at=at)
                for n, code in enumerate(codes[start : start + _CHUNK])
            ]
            _accept(self._rooms.recording.record_and_wait(sender.principal, requests))

    def sell_signed(self, shop: Player, count: int) -> None:
        """Sells so many new units, each sale signed by the shop."""
        signer = Ed25519PrivateKey.generate()
        public_key = encode_base64(signer.public_key().public_bytes_raw())
        proof = signer.sign(f"suxin-key/1\n{shop.party}\n{public_key}".encode("ascii"))
        key_id, _ = self._rooms.powers.add_signing_key(
            shop.principal, shop.party, public_key=public_key, proof=encode_base64(proof)
        )
        at = self._rooms.clock.now() - timedelta(minutes=10)
        data = {"platform": PLATFORM_NAME, "region": _CITIES[0]}
        units = self.issue(shop, count)
        for start in range(0, count, _CHUNK):
            requests = []
            for code in units[start : start + _CHUNK]:
                record_id = str(uuid_utils.uuid7())
                claim = Claim(code.stream, record_id, "sale", shop.party, at, data, {})
                value = encode_base64(signer.sign(claim_message(claim.fields())))
                requests.append(
                    EventRequest(
                        code.stream, "sale", data,
                        id=record_id, occurred_at=at, signed=Signed(key_id, value),
                    )
                )  # fmt: skip
            _accept(self._rooms.recording.record_and_wait(shop.principal, requests))

    def sell(self, shop: Player, units: Sequence[Code]) -> None:
        """Records that the shop sold and sent these units."""
        sale = [{"platform": PLATFORM_NAME, "region": city} for city in _CITIES]
        self.send(shop, units, "sale", sale)
        sent = [{"carrier": self.carrier.party, "from": "441200", "to": c} for c in _CITIES]
        self.send(shop, units, "dispatch", sent)

    def moved_to(self, rooms: Rooms) -> Market:
        """Returns the same market in a copy of its deployment, or in one that was opened again."""
        moved = copy(self)
        moved._rooms = rooms  # noqa: SLF001 - its own
        return moved

    def trade(self, records: int, progress: Progress = lambda _: None) -> list[Code]:
        """Returns units with four records each, about `records` in all, evenly over all offers."""
        each = -(-records // 4 // len(self.shops))
        units: list[Code] = []
        for shop in self.shops:
            mine = self.issue(shop, each)
            self.sell(shop, mine)
            self.send(self.carrier, mine[:_SIGNED], "signature", [{"kind": "in_person"}])
            self.send(self.carrier, mine[_SIGNED:], "transit", [{"region": "440100"}])
            units += mine
            progress(len(units) * 4)
        return units

    def finish(self) -> None:
        """Does what the worker's loops would do, so that nothing is left over when serving starts."""
        rooms = self._rooms
        while rooms.deadlines.drain():
            pass
        while rooms.sequencer.sequence():
            pass
        rooms.publisher.publish()
        rooms.database.truncate_log()

    def _register(self, number: int, role: str) -> Player:
        rooms = self._rooms
        first_17 = f"91441200MA4T{number:05d}"
        told = read_registration(
            uscc=first_17 + uscc_check_digit(first_17),
            exempt=False,
            name=f"示例主体{number}（虚构）",
            roles=[role],
            region="441200",
        )
        party = rooms.parties.register(OPERATOR, told)[0].id
        rooms.parties.verify(OPERATOR, party, status="verified", evidence="示例")
        token = rooms.keys.create(OPERATOR, party, scopes=PARTY_SCOPES).token
        return Player(party, token, rooms.keys.authenticate(token))


def _gtin(number: int) -> str:
    body = f"0952{number:09d}"
    return body + gtin_check_digit(body)


def _accept(answers: Sequence[object]) -> None:
    refused = next((answer for answer in answers if isinstance(answer, Fault)), None)
    if refused is not None:
        raise refused
