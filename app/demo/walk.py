"""Walks a clock through the demo's sixty days and lets the real services record what happens.

At each moment: what parties do about themselves and their goods, then what happens to units, then
one turn of the worker's loops, so that indices, checkpoints, gaps, notices and credit come at
their times. A refusal is an error of the demo and ends it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.demo import deeds
from app.demo.cast import (
    ALTERED,
    CARELESS,
    CAST,
    CUSTOMS,
    FRESH,
    GIFTS,
    GOODS,
    HONEST,
    NAMELESS_CARRIER,
    OIL,
    OWN_SHOP,
    PLATFORM,
    RECALLED,
    REGULATOR,
    STOCKS,
    TITLES,
    Player,
    Stock,
)
from app.demo.lives import SHIPMENT, Life, Step
from app.kit.clock import local_day
from app.kit.errors import Fault
from app.ledger.submission import Recorded
from app.parties.account_rules import PARTY_SCOPES
from app.parties.identity import CONSUMER
from app.parties.principal import OPERATOR, Principal
from app.parties.registration import read_registration
from app.trace.code import Code
from app.trace.identifiers import parse_code
from app.trace.requests import ConsumerProof, EventRequest, SealedInput
from app.trace.shipment import NewUnits, Shipment
from app.web.deps import Rooms

PROMISED_AT, INSPECTED_AT, COMMENDED_AT, RECALL_AT = 0.1, 0.4, 0.6, 0.87
"""Shares of the walk at which commitments are signed, spot checks happen, and so on."""


class StepRefused(Exception):
    """The service refused a step that the demo had planned."""


class DemoClock:
    """A clock that stands still until the walk moves it."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def set(self, moment: datetime) -> None:
        """Moves to `moment`."""
        self._now = moment


class Walk:
    """One walk through the plan. After `run`, `keys` holds each party's token."""

    def __init__(
        self, rooms: Rooms, clock: DemoClock, lives: Sequence[Life], slots: Sequence[datetime]
    ) -> None:
        self._rooms = rooms
        self._clock = clock
        self._lives = lives
        self._slots = slots
        self.keys: dict[str, str] = {}
        self._principals: dict[str, Principal] = {}
        self._by_slot: defaultdict[int, list[tuple[Life, Step]]] = defaultdict(list)
        for life in lives:
            for step in life.steps:
                self._by_slot[step.slot].append((life, step))
        last = len(slots) - 1
        self._acts: Mapping[int, Callable[[], None]] = {
            0: self._register_parties,
            1: self._register_goods,
            2: self._open_shops,
            int(last * PROMISED_AT): lambda: deeds.promise(rooms, self._principals),
            int(last * INSPECTED_AT): self._inspect,
            int(last * COMMENDED_AT): lambda: deeds.commend(rooms, self._principal(REGULATOR)),
            int(last * RECALL_AT): self._recall,
            last: self._settle_desks,
        }

    def run(self, progress: Callable[[int], None]) -> None:
        """Records everything. progress: is told how many moments are done."""
        for slot, moment in enumerate(self._slots):
            self._clock.set(moment)
            self._acts.get(slot, lambda: None)()
            self._live(slot)
            # Signing at every moment would only make the reader of the demo wait longer.
            self._turn_loops(sign=slot % 4 == 0 or slot == len(self._slots) - 1)
            progress(slot + 1)

    def map_heads(self) -> None:
        """Records where every chain ended, so that evidence proves it, and publishes that."""
        while self._rooms.heads.work():
            pass
        self._turn_loops(sign=True)

    def _turn_loops(self, *, sign: bool) -> None:
        """Does what the worker's loops do; its audit walks only once the service serves."""
        rooms = self._rooms
        while rooms.issuing.issue_some():
            pass
        while rooms.deadlines.raise_due():
            pass
        while rooms.credit_ledger.mature() or rooms.matter_clock.mature():
            pass
        while rooms.deadlines.drain():
            pass
        if sign:
            rooms.scans.flush()
            while rooms.sequencer.sequence():
                pass
            rooms.publisher.publish()

    # --- what happens once ---------------------------------------------------------------------

    def _register_parties(self) -> None:
        rooms = self._rooms
        for player in CAST:
            told = read_registration(
                uscc=player.party,
                exempt=False,
                name=player.name,
                roles=[player.role],
                region=player.region,
                licences=player.licences,
            )
            rooms.parties.register(OPERATOR, told)
            scopes = [s for s in PARTY_SCOPES if s != "ranking" or player.role != "carrier"]
            key = rooms.keys.create(OPERATOR, player.party, scopes=scopes, label="demo")
            self.keys[player.party] = key.token
            self._principals[player.party] = rooms.keys.authenticate(key.token)
        rooms.parties.verify(
            OPERATOR, REGULATOR.party, status="verified", evidence="设立文件（示例）"
        )
        for player in CAST:
            if player is not REGULATOR:
                evidence = f"营业执照与{player.name}经办人授权书，当面核对（示例）"
                rooms.parties.verify(
                    self._principal(REGULATOR), player.party, status="verified", evidence=evidence
                )

    def _register_goods(self) -> None:
        rooms = self._rooms
        for goods in GOODS:
            owner = self._principal(goods.registrant)
            rooms.catalogue.register_product(owner, goods.facts, gtin=goods.gtin, claim=True)
            rooms.catalogue.confirm_owner(
                self._principal(REGULATOR), goods.gtin, goods.registrant.party, "商标注册证（示例）"
            )
        for stock in STOCKS:
            self._register_stock(stock)
        while rooms.issuing.issue_some():
            pass
        issued = {
            stock.lot: list(rooms.issuing.serials(_batch_id(stock)))
            for stock in STOCKS
            if stock.issued_at_once
        }
        for life in self._lives:
            if life.stock.issued_at_once:
                serial = issued[life.stock.lot][life.n]
                life.code = Code(life.stock.gtin, serial=serial).stream

    def _register_stock(self, stock: Stock) -> None:
        made_on = local_day(self._slots[0]) - timedelta(days=stock.made)
        facts: dict[str, Any] = {"produced_on": made_on.isoformat()}
        sealed = {"quantity": SealedInput({"quantity": stock.count})}
        if stock.keeps is not None:
            facts["expires_on"] = (made_on + timedelta(days=stock.keeps)).isoformat()
        if stock.imported:
            facts["import"] = dict(stock.imported)
            number = self._rooms.catalogue.read_declaration(declaration_of(self._slots[0]))
            sealed["declaration"] = SealedInput({"number": number})
        seller = self._principal(stock.seller)
        self._rooms.catalogue.register_lot(
            seller, gtin=stock.gtin, lot=stock.lot, facts=facts, sealed=sealed
        )
        if stock.issued_at_once:
            self._rooms.issuing.order(
                seller,
                order_id=_batch_id(stock),
                gtin=stock.gtin,
                count=stock.count,
                lot=stock.lot,
                inner=stock.inner,
            )

    def _open_shops(self) -> None:
        for player in CAST:
            if player.lends:
                self._rooms.powers.grant_mandate(
                    self._principal(player), player.party, agent=PLATFORM.party, types=player.lends
                )
        offers = sorted({(stock.seller.party, stock.gtin) for stock in STOCKS})
        for seller, gtin in offers:
            by_platform = seller != CARELESS.party
            data = {
                "platform": PLATFORM.party if by_platform else OWN_SHOP,
                "title": TITLES[gtin],
            }
            # The honest shop lists in its own web shop too: one listing a place.
            if seller == HONEST.party:
                own = {"url": "https://yanfang.example/goods", "title": TITLES[gtin]}
                self._send(seller, f"01/{gtin}", "listing", own)
            sender = PLATFORM.party if by_platform else seller
            self._send(sender, f"01/{gtin}", "listing", data, actor=seller)
        oil = Code(OIL.gtin, lot=OIL.lot).stream
        released = {"port": OIL.imported["port"], "certificate": OIL.imported["certificate"]}
        self._send(CUSTOMS.party, oil, "customs_release", released)

    def _inspect(self) -> None:
        for stock in (GIFTS, FRESH, OIL):
            found = self._send(
                REGULATOR.party,
                Code(stock.gtin, lot=stock.lot).stream,
                "inspection",
                {"result": "合格", "body": "示例质量监督检验院（虚构）"},
            )
            if stock.seller is HONEST:
                seen = {"title": "抽检合格（示例）", "record": found.hash.hex()}
                self._credit("spot_check_clean", seen)
        numbers = "、".join(one.number for one in HONEST.licences)
        self._credit("licence_verified", {"title": "证照核验（示例）", "number": numbers})

    def _settle_desks(self) -> None:
        deeds.object_to_a_notice(self._rooms, self._principals)
        unsold = [one for one in self._lives if one.stock is GIFTS and not one.steps]
        deeds.report(self._rooms, next(one.code for one in self._lives if one.stock is GIFTS))
        deeds.pack(self._rooms, self._principals, [one.code for one in unsold])

    def _recall(self) -> None:
        lot = Code(RECALLED.gtin, lot=RECALLED.lot).stream
        reason = "标签漏标致敏原“大豆”，请停止食用并联系商家退款（示例）"
        self._send(HONEST.party, lot, "recall", {"reason": reason, "level": 3})
        self._send(
            HONEST.party, lot, "notice", {"text": "已售出的本批次可凭订单全额退款（示例）。"}
        )

    def _credit(self, rule: str, evidence: Mapping[str, Any]) -> None:
        """Enters what a regulator decides; nothing in the service enters these rules by itself."""
        regulator = self._principal(REGULATOR)
        self._rooms.credit_ledger.enter(
            regulator, HONEST.party, rule=rule, evidence=evidence, day=None, id=None
        )

    # --- what happens to units -----------------------------------------------------------------

    def _live(self, slot: int) -> None:
        by_sender: defaultdict[str, list[tuple[Life, Step]]] = defaultdict(list)
        for life, step in self._by_slot[slot]:
            by_sender[step.sender].append((life, step))
        for sender, todo in by_sender.items():
            if sender == CONSUMER:
                for life, step in todo:
                    self._speak_as_consumer(life, step)
                continue
            parcels = [one for one in todo if one[1].type == SHIPMENT]
            events = [one for one in todo if one[1].type != SHIPMENT]
            for life, step in parcels:
                self._ship(life, step)
            if events:
                self._record(sender, events)

    def _record(self, sender: str, todo: Sequence[tuple[Life, Step]]) -> None:
        requests = [_request(life, step) for life, step in todo]
        answers = self._rooms.recording.record_and_wait(self._principals[sender], requests)
        for (life, step), answer in zip(todo, answers, strict=True):
            recorded = _accepted(answer, life.code)
            token = self._rooms.recording.promises(recorded).get("claim_token")
            # A buyer gets two tokens; these sellers' buyers use the platform's, those the carrier's.
            if token is not None and (step.type == "sale" or life.stock.seller is ALTERED):
                life.token = token
            if step.type == "signature":
                self._scan(life)

    def _ship(self, life: Life, step: Step) -> None:
        stock = life.stock
        shipped = self._rooms.shipments.ship(
            self._principal(stock.seller),
            Shipment(
                id=step.id,
                order=step.data["order"],
                ordered_at=step.data["ordered_at"],
                carrier=NAMELESS_CARRIER,
                waybill=step.data["waybill"],
                shipped_at=step.at,
                units=NewUnits(stock.gtin, 1, stock.lot),
                platform=OWN_SHOP,
                to=step.data["to"],
            ),
        )
        life.code = shipped.codes[0]

    def _speak_as_consumer(self, life: Life, step: Step) -> None:
        proof = ConsumerProof(token=life.token)
        if life.token is None:
            proof = ConsumerProof(inner=self._rooms.issuing.inner_code(parse_code(life.code)))
        answers = self._rooms.recording.record_and_wait(None, [_request(life, step)], proof=proof)
        _accepted(answers[0], life.code)
        self._scan(life)

    def _scan(self, life: Life) -> None:
        """The buyer looks at the code."""
        self._rooms.scans.note(life.code, self._rooms.scans.device("demo", life.code))

    def _send(
        self,
        sender: str,
        code: str,
        type_: str,
        data: Mapping[str, Any],
        *,
        actor: str | None = None,
    ) -> Recorded:
        request = EventRequest(code, type_, data, actor=actor)
        answers = self._rooms.recording.record_and_wait(self._principals[sender], [request])
        return _accepted(answers[0], code)

    def _principal(self, player: Player) -> Principal:
        return self._principals[player.party]


def declaration_of(start: datetime) -> str:
    """Returns the number of the customs declaration of the demo's import. start: its first moment."""
    made_on = local_day(start) - timedelta(days=OIL.made)
    return f"5166{made_on.year}1000000012"


def _request(life: Life, step: Step) -> EventRequest:
    return EventRequest(
        code=life.code,
        type=step.type,
        data=step.data,
        id=step.id,
        occurred_at=step.at,
        actor=step.actor,
        sealed={name: SealedInput(content) for name, content in step.sealed.items()},
    )


def _accepted(answer: Recorded | Fault, code: str) -> Recorded:
    if isinstance(answer, Fault):
        raise StepRefused(f"{code}: {answer}") from answer
    return answer


def _batch_id(stock: Stock) -> str:
    return str(UUID(bytes=stock.lot.encode().ljust(16, b"\0")[:16], version=4))
