"""Scans: how often a code was looked at, by how many devices, since when.

Counted in memory and written a second later in one transaction, so that a page view writes nothing. A page
that is loaded again is no other look: while its token lives, which is a day from its last look on, a device
counts once.
A device is an HMAC that cannot be led back to an address. Of its place at most the city is kept, where
a proxy of ours tells it. A device that is new to a code is told to whoever looks for copied labels.
"""

from __future__ import annotations

import hmac
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection

from app import outbox
from app.db.engine import Database
from app.kit.clock import Clock, from_ms, to_ms
from app.ledger.record import stream_key
from app.trace import scanstore
from app.trace.code import Code
from app.trace.store import find_product

DEVICE_BYTES = 16
CODE_SCANNED = "code.scanned"
"""Topic of the outbox: a code was opened by a device that had not opened it before."""
LIFE_S = scanstore.LIFE_MS // 1_000
"""How long a device's token lives, which each look makes new."""
_MAX_BUFFER = 10_000


@dataclass(frozen=True, slots=True)
class DeviceLooks:
    """What is kept of one device: of how many codes, how often, and when first and last."""

    codes: int
    loads: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class ScanCount:
    """Looks at a code, repeats left out. first_at: None where there was none."""

    loads: int
    devices: int
    first_at: datetime | None


def ask_beside(connection: Connection, code: Code) -> None:
    """Asks what a page says beside a story, its product and a unit's looks: for `hot.ask_ahead`."""
    find_product(connection, code.gtin)
    if code.level == "unit":
        scanstore.load(connection, stream_key(code.stream))


class Scans:
    """Counts scans. key: 32 bytes, so that devices cannot be told from outside."""

    def __init__(self, database: Database, *, clock: Clock, key: bytes) -> None:
        self._database = database
        self._clock = clock
        self._key = key
        # Held while looks move from the buffer to the table; _moves counts how often they did, so
        # that whoever counts meanwhile notices and counts none twice or never.
        self._moving = threading.Lock()
        self._moves = 0
        self._lock = threading.Lock()
        # Guarded by _lock: stream key -> device -> [first_at, last_at], and of how many pairs;
        # and by both the device's city.
        self._buffer: dict[int, dict[bytes, list[int]]] = {}
        self._buffered = 0
        self._regions: dict[tuple[int, bytes], str] = {}

    def device(self, *signs: str) -> bytes:
        """Returns the pseudonym of a device from what it shows."""
        told = "\x00".join(signs).encode("utf-8", "replace")
        return hmac.new(self._key, told, sha256).digest()[:DEVICE_BYTES]

    def note(self, stream: str, device: bytes, *, region: str | None = None) -> None:
        """Notes one look; a flood beyond the buffer is not counted rather than kept.

        region: GB/T 2260, six digits; no more of it than the city is kept.
        """
        now = to_ms(self._clock.now())
        key = stream_key(stream)
        with self._lock:
            seen = self._buffer.get(key, {}).get(device)
            if seen is not None:
                seen[1] = now
            elif self._buffered < _MAX_BUFFER:
                self._buffer.setdefault(key, {})[device] = [now, now]
                self._buffered += 1
                if region is not None:
                    self._regions[(key, device)] = f"{region[:4]}00"

    def count(self, stream: str) -> ScanCount:
        """Returns the looks so far, those not yet written included. Read-only."""
        key = stream_key(stream)
        while True:
            with self._moving:
                moves = self._moves
            with self._database.read() as connection:
                rows = scanstore.load(connection, key)
            with self._lock:
                if self._moves != moves:
                    continue
                for device, (first, last) in self._buffer.get(key, {}).items():
                    before = rows.get(device)
                    if before is None:
                        rows[device] = (first, last, 1)
                    elif first - before[1] >= scanstore.LIFE_MS:
                        rows[device] = (before[0], last, before[2] + 1)
                break
        if not rows:
            return ScanCount(0, 0, None)
        return ScanCount(
            sum(loads for _, _, loads in rows.values()),
            len(rows),
            from_ms(min(first for first, _, _ in rows.values())),
        )

    def of_device(self, device: bytes) -> DeviceLooks | None:
        """Returns what is kept of a device, None for nothing. Writes `scan`: what was counted so far."""
        self.flush()
        with self._database.read() as connection:
            rows = scanstore.of_device(connection, device)
        if not rows:
            return None
        loads, first, last = zip(*rows, strict=True)
        return DeviceLooks(len(rows), sum(loads), from_ms(min(first)), from_ms(max(last)))

    def forget(self, device: bytes) -> int:
        """Returns of how many codes the looks of a device were erased; their counts are lower then.

        A look that another process has counted within the last second may come after. Writes `scan`.
        """
        self.flush()
        with self._database.write() as connection:
            gone = scanstore.forget(connection, device)
        if gone:
            self._database.truncate_log()
        return gone

    def flush(self) -> bool:
        """Writes what was counted. Writes `scan`."""
        if not self._buffer:
            return False
        taken: dict[int, dict[bytes, list[int]]] = {}
        regions: dict[tuple[int, bytes], str] = {}
        try:
            with ExitStack() as until_committed, self._database.write() as connection:
                # Only once it is our turn to write: pages must not wait for other writers.
                until_committed.enter_context(self._moving)
                with self._lock:
                    taken, self._buffer, self._buffered = self._buffer, {}, 0
                    regions, self._regions = self._regions, {}
                    self._moves += 1
                at_ms = to_ms(self._clock.now())
                fresh = scanstore.add(connection, taken, regions)
                outbox.ask_each(
                    connection, streams=fresh, topic=CODE_SCANNED, payload={}, at_ms=at_ms
                )
        except BaseException:
            self._take_back(taken, regions)
            raise
        return False

    def _take_back(
        self, taken: dict[int, dict[bytes, list[int]]], regions: dict[tuple[int, bytes], str]
    ) -> None:
        """Puts looks that could not be written before those that came meanwhile."""
        with self._lock:
            self._regions = {**self._regions, **regions}
            for key, devices in taken.items():
                buffered = self._buffer.setdefault(key, {})
                for device, (first, last) in devices.items():
                    seen = buffered.get(device)
                    if seen is None:
                        buffered[device] = [first, last]
                        self._buffered += 1
                    else:
                        seen[0] = first
