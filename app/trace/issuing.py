"""Issuing codes: an order of 1 to 100,000 serials as a job that survives any stop.

The order is stored first; then chunks of units are registered at low priority. Each chunk's records,
its serials and the count of what is done are one transaction, so a job goes on where it ended and no
code is issued twice or lost.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid5

import uuid_utils

from app.db.engine import Database
from app.kit.clock import Clock, to_ms
from app.kit.errors import Denied, Fault, FieldFault, NotFound, TooMany, Unavailable, invalid
from app.kit.tokens import RandomBytes
from app.ledger.record import Claim, stream_key
from app.ledger.recorder import Recorder
from app.ledger.stage import IdConflict
from app.ledger.submission import Draft, Effect, Read, Submission, View
from app.parties.identity import SYSTEM
from app.parties.offices import check_office
from app.parties.principal import Principal
from app.parties.standing import check_verified
from app.trace import batchstore, lifecycle
from app.trace.catalogue import LotNotYours, check_product
from app.trace.code import Code, new_serial, parse_lot
from app.trace.decide import CodeUnknown
from app.trace.gtin import parse_gtin
from app.trace.proof import ProofInvalid, Proofs, inner_digest

MAX_COUNT = 100_000
MAX_OPEN = 20
MAX_TRIES = 10
_TRY_WINDOW_MS = 60 * 60 * 1000
_CHUNK = 500
_PART = 1_000
_RETRY_S = 10
_NAMESPACE = UUID("0d1b8c7e-6a0e-5a53-9a3e-3f6a1f0c8d52")


class InnerTooOften(TooMany):
    """Hidden codes were tried on this unit too often in the last hour."""


class OrdersOpen(TooMany):
    """The party has as many orders open as it may have."""


class BatchUnknown(NotFound):
    """No such order for codes, or not yours."""


@dataclass(frozen=True, slots=True)
class _UnitDecision:
    """Registers one unit: seq 0 of its stream."""

    code: Code
    issuer: str
    effects: tuple[Effect, ...]

    def __call__(self, claim: Claim, view: View) -> Draft:
        if view.heads[claim.stream].exists:
            raise Fault("serial_taken")  # one in 2^65; the chunk is drawn again
        check_verified(view, self.issuer)
        check_product(view.heads[Code(self.code.gtin).stream], self.code.gtin, self.issuer)
        if self.code.lot is not None:
            lot = view.heads[Code(self.code.gtin, lot=self.code.lot).stream]
            if not lot.exists:
                raise CodeUnknown("lot_unknown", lot=self.code.lot)
            if lot.state["holder"] != self.issuer:
                raise LotNotYours("lot_not_yours", lot=self.code.lot)
        state = lifecycle.begin(
            self.issuer, lot=self.code.lot, brand_owner=claim.data.get("brand_owner") is True
        )
        return Draft(state, effects=self.effects)


class Issuing:
    """Orders and makes codes. `random` gives serials their bits; the demo brings a seeded one."""

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        *,
        clock: Clock,
        proofs: Proofs,
        random: RandomBytes,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._clock = clock
        self._proofs = proofs
        self._random = random
        self._served = ""  # the party whose turn was last
        self.on_order: Callable[[], None] = lambda: None
        """Called after an order is stored; the worker hangs its alarm clock here."""

    def order(
        self,
        principal: Principal,
        *,
        order_id: str | None,
        gtin: str,
        count: int,
        lot: str | None,
        inner: bool,
    ) -> tuple[Any, bool]:
        """Returns the job's row, and whether it was there before.

        Raises Invalid, ProductUnknown, CodeUnknown (lot), LotNotYours, PartyUnverified, IdConflict;
        OrdersOpen while the party has MAX_OPEN orders that are not made yet.
        """
        principal.check_may("code.issue")
        party = principal.own_party()
        if not 1 <= count <= MAX_COUNT:
            params = {"expected": f"1..{MAX_COUNT}", "got": count}
            raise invalid(FieldFault(("count",), "range", params))
        code = Code(
            parse_gtin(gtin, allow_item_code=True), lot=None if lot is None else parse_lot(lot)
        )
        told = {
            "party": party,
            "gtin": code.gtin,
            "lot": code.lot,
            "count": count,
            "inner": inner,
        }
        batch_id = order_id or str(uuid_utils.uuid7())
        with self._database.read() as connection:
            known = batchstore.find(connection, batch_id)
            if known is not None and known.party != party:
                # Two shops may both number their orders 1, 2, 3.
                batch_id = str(uuid5(_NAMESPACE, f"{party} {order_id}"))
                known = batchstore.find(connection, batch_id)
            if known is None:
                # The order is refused here, where somebody waits, and not in the job.
                batchstore.check_issue(connection, code, party)
        if known is None:
            row = {
                **told,
                "batch_id": batch_id,
                "via": None,
                "source": SYSTEM,
                "done": 0,
                "status": "running",
                "error": None,
                "created_at": to_ms(self._clock.now()),
            }
            with self._database.write() as connection:
                if batchstore.count_open(connection, party) >= MAX_OPEN:
                    raise OrdersOpen("orders_open", retry_after_s=_RETRY_S, limit=MAX_OPEN)
                batchstore.insert_new(connection, row)
            self.on_order()
        batch = self.batch(batch_id)
        if any(getattr(batch, name) != value for name, value in told.items()):
            raise IdConflict("id_conflict", id=batch_id, stream="batch")
        return batch, known is not None

    def batch(self, batch_id: str) -> Any:
        """Returns a job's row. Raises BatchUnknown. Read-only."""
        with self._database.read() as connection:
            row = batchstore.find(connection, batch_id)
        if row is None:
            raise BatchUnknown("batch_unknown", id=batch_id[:80])
        return row

    def serials(self, batch_id: str) -> Iterator[str]:
        """Yields a job's serials in the order of printing. Read-only."""
        after = -1
        while True:
            with self._database.read() as connection:
                rows = batchstore.serials(connection, batch_id, after=after, limit=2_000)
            if not rows:
                return
            yield from (row.serial for row in rows)
            after = rows[-1].n

    def batches_of(self, party: str, gtin: str, *, limit: int = 50) -> list[Any]:
        """Returns a party's orders of a product, the newest first. Read-only."""
        with self._database.read() as connection:
            return batchstore.batches_of(connection, party, gtin, limit=limit)

    def own_batch(self, principal: Principal, batch_id: str) -> Any:
        """Returns a job's row for whoever may print its labels. Raises BatchUnknown, Denied. Read-only.

        To an authority it has no inner codes: who knows one speaks as the buyer.
        """
        batch = self.batch(batch_id)
        try:
            principal.check_may("code.print", owner=batch.party)
            check_office(self._database, principal, batch.party)
        except Denied as err:
            # Whose batches there are is nobody else's business.
            if principal.party != batch.party and "codes" in principal.scopes:
                raise BatchUnknown("batch_unknown", id=batch_id) from err
            raise
        if principal.party != batch.party:
            return SimpleNamespace(**{**batch._mapping, "inner": False})
        return batch

    def units(
        self, batch: Any, start: int, end: int, *, part: int = _PART
    ) -> Iterator[tuple[Code, bool]]:
        """Yields units number `start` to before `end` of a job, and whether each is void. Read-only.

        part: how many are read at a time.
        """
        while start < end:
            with self._database.read() as connection:
                rows = batchstore.serials(
                    connection, batch.batch_id, after=start - 1, limit=min(part, end - start)
                )
                codes = [Code(batch.gtin, lot=batch.lot, serial=row.serial) for row in rows]
                void = batchstore.void_among(connection, [code.stream for code in codes])
            if not rows:
                return
            yield from ((code, code.stream in void) for code in codes)
            start = rows[-1].n + 1

    def inner_code(self, code: Code) -> str:
        """Returns the hidden code of a unit that was issued with one."""
        return self._proofs.inner_code(code.stream)

    def try_inner(self, code: Code, inner: str) -> tuple[bool, int]:
        """Returns whether a hidden code is this unit's, and how often codes were tried on it.

        Raises InnerTooOften beyond MAX_TRIES within an hour: 65 bits are not guessed in that, and
        the owner of a pack needs one try. Writes `inner_code`.
        """
        now_ms = to_ms(self._clock.now())
        with self._database.write() as connection:
            row = batchstore.find_inner_row(connection, code.stream)
            if row is None:
                raise ProofInvalid("inner_none")
            window_at, tries = row.window_at, row.tries
            if now_ms - window_at > _TRY_WINDOW_MS:
                window_at, tries = now_ms, 0
            if tries >= MAX_TRIES:
                wait_s = (window_at + _TRY_WINDOW_MS - now_ms) // 1000 + 1
                raise InnerTooOften("inner_too_often", retry_after_s=wait_s)
            ok = hmac.compare_digest(bytes(row.digest), inner_digest(inner))
            batchstore.count_try(
                connection, code.stream, tries=tries + 1, window_at=window_at, hit=ok
            )
        return ok, tries + 1

    def issue_some(self) -> bool:
        """Makes one chunk for the party whose turn it is; returns whether there may be more to do.

        Raises Unavailable where the database does not take it now.
        """
        with self._database.read() as connection:
            batch = batchstore.next_in_turn(connection, self._served)
        if batch is None:
            return False
        self._served = batch.party
        start = batch.done
        count = min(_CHUNK, batch.count - start)
        submissions = self.unit_submissions(
            Code(batch.gtin, lot=batch.lot),
            batch.party,
            count=count,
            inner=batch.inner,
            effect=lambda n, serial: Effect(
                "batch_code", {"batch_id": batch.batch_id, "n": start + n, "serial": serial}
            ),
        )
        answers = self._recorder.submit_and_wait(
            [submission for submission, _ in submissions], atomic=True, low_priority=True
        )
        refusal = next((a for a in answers if isinstance(a, Fault) and a.key != "abandoned"), None)
        if isinstance(refusal, Unavailable):
            raise refusal  # nothing was made; the job goes on when the database does
        if refusal is not None and refusal.key != "serial_taken":
            with self._database.write() as connection:
                batchstore.fail(connection, batch.batch_id, str(refusal))
        return True

    def unit_submissions(
        self,
        code: Code,
        issuer: str,
        *,
        count: int,
        inner: bool,
        effect: Callable[[int, str], Effect] | None = None,
        brand_owner: bool | None = None,
    ) -> Sequence[tuple[Submission, Code]]:
        """Returns registrations of new units of a product or lot, ready for the recorder."""
        owner = self._is_brand_owner(code.gtin, issuer) if brand_owner is None else brand_owner
        now = self._clock.now()
        reads = [Read(f"party/{issuer}"), Read(Code(code.gtin).stream)]
        if code.lot is not None:
            reads.append(Read(Code(code.gtin, lot=code.lot).stream))
        made = []
        for n in range(count):
            unit = Code(code.gtin, lot=code.lot, serial=new_serial(self._random))
            data: dict[str, Any] = {"issuer": issuer, "brand_owner": owner}
            if code.lot is not None:
                data["lot"] = code.lot
            effects = [effect(n, str(unit.serial))] if effect is not None else []
            if inner:
                digest = inner_digest(self._proofs.inner_code(unit.stream))
                data["inner_digest"] = digest.hex()
                effects.append(_inner_effect(unit, digest))
            claim = Claim(
                stream=unit.stream,
                id=str(uuid_utils.uuid7()),
                type="registration",
                actor=SYSTEM,
                occurred_at=now,
                data=data,
                sealed={},
            )
            decide = _UnitDecision(unit, issuer, tuple(effects))
            made.append((Submission(claim, SYSTEM, decide, reads=tuple(reads)), unit))
        return made

    def _is_brand_owner(self, gtin: str, party: str) -> bool:
        with self._database.read() as connection:
            return batchstore.brand_owner(connection, gtin) == party


def _inner_effect(unit: Code, digest: bytes) -> Effect:
    row: Mapping[str, Any] = {
        "stream": stream_key(unit.stream),
        "digest": digest,
        "tries": 0,
        "hits": 0,
        "window_at": 0,
    }
    return Effect("inner_code", row)
