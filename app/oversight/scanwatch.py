"""The watch over labels: what the looks at a code tell of copies and of goods that were opened too soon.

A first look by a device asks for it, by the outbox; so does whoever judges a life that was looked at.
Many are asked for at once, a label in a magazine or a parcel of them in a shop, so what they follow from
is read of all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection

from app import outbox
from app.db.engine import Database
from app.kit.clock import Clock, from_ms, to_ms
from app.ledger.record import stream_key
from app.oversight import movestore, signstore, store
from app.oversight.discoveries import Discoveries
from app.oversight.kinds import SCAN_KINDS
from app.trace import store as trace_store
from app.trace.detectors import (
    Discovery,
    Scan,
    Thresholds,
    find_clone_suspicion,
    find_early_scan,
    find_scattered_scans,
    find_unsent_scan,
)
from app.trace.life_shape import is_life
from app.trace.scans import CODE_SCANNED
from app.trace.sides import seller_of


@dataclass(frozen=True, slots=True)
class Looks:
    """The looks at a code, the earliest first, and what was said of it before.

    dismissed: by kind, when a person last dismissed it (ms). is_marked: whether there is a finding that
    may be put right.
    """

    scans: Sequence[Scan]
    dismissed: Mapping[str, int]
    is_marked: bool


class ScanWatch:
    """Judges looks. settled_after: how old a look is before a sale can no more have come before it."""

    def __init__(
        self,
        database: Database,
        discoveries: Discoveries,
        *,
        clock: Clock,
        settled_after: timedelta,
        thresholds_at: Callable[[datetime], Thresholds],
    ) -> None:
        self._database = database
        self._discoveries = discoveries
        self._clock = clock
        self._settled_after = settled_after
        self._thresholds_at = thresholds_at

    def read(self, connection: Connection, streams: Iterable[int]) -> dict[int, Looks]:
        """Returns the looks at these codes by stream key, of those that were looked at. Read-only."""
        keys = [*dict.fromkeys(streams)]
        scans = signstore.scans_of_each(connection, keys)
        dismissed = movestore.last_dismissals(connection, [*scans], SCAN_KINDS)
        marked = movestore.streams_with(connection, [*scans])
        return {
            key: Looks(
                [Scan(bytes(one.device), from_ms(one.first_at), one.region) for one in rows],
                dismissed.get(key, {}),
                key in marked,
            )
            for key, rows in scans.items()
        }

    def judge_asked(self, messages: Sequence[outbox.Message]) -> list[Callable[[], None]]:
        """Returns for each `CODE_SCANNED` what is to be done about it, all read in one snapshot."""
        keys = [message.stream for message in messages]
        with self._database.read() as connection:
            names = store.names_of(connection, keys)
            units = {key: name for key, name in names.items() if "/21/" in name}
            lives = trace_store.load_lives(connection, [(name, "") for name in units.values()])
            looks = self.read(connection, units)
        return [
            partial(self.settle, units[key], lives[units[key], ""], looks[key])
            if key in looks
            else _nothing
            for key in keys
        ]

    def settle(self, stream: str, state: Mapping[str, Any], looks: Looks) -> None:
        """Raises and closes what the looks tell; what came before the sale once that can be no more late.

        state, looks: as they were read, of many codes at once. Where they tell anything, this one is read
        anew: whoever settled it meanwhile may have known more. Then it asks for itself again.
        """
        now = self._clock.now()
        settled, thresholds = now - self._settled_after, self._thresholds_at(now)
        if looks.is_marked or (
            is_life(state) and _judge(state, looks, thresholds, settled=settled)
        ):
            key = stream_key(stream)
            with self._database.read() as connection:
                state = trace_store.load_life(connection, stream, "")
                looks = self.read(connection, [key]).get(key, looks)
        if not is_life(state):
            return  # altered behind our back: the audit says so
        found = _judge(state, looks, thresholds, settled=settled)
        if found or looks.is_marked:
            sides = {"seller": seller_of(state)}
            self._discoveries.settle(stream, "", found, kinds=SCAN_KINDS, sides=sides)
        fresh = [one.at for one in looks.scans if one.at >= settled]
        if state["cycle"] == 0 and fresh:
            at_ms = to_ms(max(fresh) + self._settled_after) + 1
            with self._database.write() as connection:
                key = stream_key(stream)
                outbox.ask(connection, stream=key, topic=CODE_SCANNED, payload={}, at_ms=at_ms)


def _judge(
    state: Mapping[str, Any], looks: Looks, thresholds: Thresholds, *, settled: datetime
) -> list[Discovery]:
    """Returns what the looks tell; of a kind that was dismissed only the looks since then count."""
    detectors: Mapping[str, Callable[[list[Scan]], tuple[Discovery, ...]]] = {
        "identity.clone_suspected": lambda told: find_clone_suspicion(
            told, thresholds=thresholds.clone
        ),
        "identity.scanned_before_sale": lambda told: find_early_scan(
            state, told, min_devices=thresholds.early_devices, settled=settled
        ),
        "identity.scanned_before_dispatch": lambda told: find_unsent_scan(
            state, told, min_devices=thresholds.early_devices
        ),
        "identity.scanned_across_cities": lambda told: find_scattered_scans(
            state,
            told,
            cities=thresholds.scattered_cities,
            within=thresholds.scattered_within,
        ),
    }
    found = []
    for kind, detect in detectors.items():
        since = looks.dismissed.get(kind)
        told = [one for one in looks.scans if since is None or one.at > from_ms(since)]
        for one in detect(told):
            key = one.key if since is None else f"after {since}"
            found.append(Discovery(one.kind, one.party, one.evidence, key, one.confidence))
    return found


def _nothing() -> None:
    """Of a code that is gone, or whose looks are: nobody has anything to say."""
