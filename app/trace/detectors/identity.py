"""Identity: looks at one code that one label alone would not get. Charged to nobody: a person judges.

A device is a pseudonym, a region a city at most and mostly unknown; no other place is kept. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.kit.clock import from_ms
from app.trace.detectors.evidence import Discovery
from app.trace.detectors.thresholds import CloneThreshold
from app.trace.life_table import State


@dataclass(frozen=True, slots=True)
class ManyDevices:
    """Evidence: that many distinct devices opened the code between two moments, both included."""

    devices: int
    within_s: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class EarlyScan:
    """Evidence: the first look at the code, and the sale; sold_at None: not sold until now."""

    scanned_at: datetime
    devices: int
    sold_at: datetime | None


@dataclass(frozen=True, slots=True)
class UnsentScan:
    """Evidence: looks after the sale and before the goods were sent, the first of them."""

    scanned_at: datetime
    devices: int
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class ManyCities:
    """Evidence: devices in that many cities opened the code after it was signed for."""

    cities: tuple[str, ...]
    devices: int
    signed_at: datetime
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Scan:
    """A device that opened the code's page; `device` says nothing of it but that it is the same.

    region: GB/T 2260, the city, where the service is told it.
    """

    device: bytes
    at: datetime
    region: str | None = None


def find_clone_suspicion(
    scans: Iterable[Scan], *, thresholds: Sequence[CloneThreshold]
) -> tuple[Discovery, ...]:
    """Returns `identity.clone_suspected` if too many devices opened one code within some time.

    Any stretch of the given scans counts, not only the last; of several thresholds the first one
    reached is the evidence. Two moments exactly `within` apart are within it.
    """
    ordered = sorted(scans, key=lambda scan: scan.at)
    for threshold in thresholds:
        reached = _reached(ordered, threshold)
        if reached is not None:
            return (Discovery("identity.clone_suspected", None, reached),)
    return ()


def find_early_scan(
    state: State,
    scans: Iterable[Scan],
    *,
    min_devices: int = 1,
    settled: datetime | None = None,
) -> tuple[Discovery, ...]:
    """Returns `identity.scanned_before_sale` if devices opened the code before its first sale.

    Goods that were sold and came back were opened by their first buyer, so only a first cycle can
    tell; and while its sale is missing, nobody knows what was before it. min_devices: how many
    distinct devices it takes; a shop that tries its own labels is one. settled: later looks are not
    judged yet, since the sale may only be told late; a sale that is told judges them all.
    """
    if state["cycle"] > 1 or state["state"] in ("returned", "void"):
        return ()
    sale = state.get("sale")
    if sale is None and state["cycle"] == 1:
        return ()
    sold_at = None if sale is None else from_ms(sale["at"])
    latest = sold_at if sold_at is not None else settled
    early = [scan for scan in scans if latest is None or scan.at < latest]
    devices = len({scan.device for scan in early})
    if devices < max(min_devices, 1):
        return ()
    evidence = EarlyScan(min(scan.at for scan in early), devices, sold_at)
    return (Discovery("identity.scanned_before_sale", None, evidence),)


def find_unsent_scan(
    state: State, scans: Iterable[Scan], *, min_devices: int
) -> tuple[Discovery, ...]:
    """Returns `identity.scanned_before_dispatch` if devices opened a code sold but not yet sent.

    Of a first cycle whose sale and dispatch are both told. The shop packs with its own device.
    """
    sale, sent = state.get("sale"), state.get("dispatch")
    if state["cycle"] != 1 or sale is None or sent is None:
        return ()
    sold_at, sent_at = from_ms(sale["at"]), from_ms(sent["at"])
    early = [scan for scan in scans if sold_at <= scan.at < sent_at]
    devices = len({scan.device for scan in early})
    if devices < max(min_devices, 1):
        return ()
    evidence = UnsentScan(min(scan.at for scan in early), devices, sent_at)
    return (Discovery("identity.scanned_before_dispatch", None, evidence),)


def find_scattered_scans(
    state: State,
    scans: Iterable[Scan],
    *,
    cities: int,
    within: timedelta,
) -> tuple[Discovery, ...]:
    """Returns `identity.scanned_across_cities` if goods that were signed for were seen in many cities.

    One buyer has them in one place, or carries them along; that many cities within so short a time
    are several labels. Looks whose city is unknown tell nothing.
    """
    signed = state.get("signature")
    if signed is None:
        return ()
    signed_at = from_ms(signed["at"])
    known = sorted(
        (scan for scan in scans if scan.region is not None and scan.at >= signed_at),
        key=lambda scan: (scan.at, scan.device),
    )
    for start, first in enumerate(known):
        near = [scan for scan in known[start:] if scan.at - first.at <= within]
        seen = sorted({scan.region[:4] for scan in near if scan.region is not None})
        if len(seen) >= cities:
            devices = len({scan.device for scan in near})
            told = ManyCities(tuple(seen[:20]), devices, signed_at, first.at, near[-1].at)
            return (Discovery("identity.scanned_across_cities", None, told),)
    return ()


def _reached(ordered: Sequence[Scan], threshold: CloneThreshold) -> ManyDevices | None:
    """Slides a window of the threshold's length over scans in order of time."""
    seen: Counter[bytes] = Counter()
    start = 0
    for scan in ordered:
        seen[scan.device] += 1
        while scan.at - ordered[start].at > threshold.within:
            gone = ordered[start].device
            seen[gone] -= 1
            if not seen[gone]:
                del seen[gone]
            start += 1
        if len(seen) >= threshold.devices:
            within_s = int(threshold.within.total_seconds())
            return ManyDevices(len(seen), within_s, ordered[start].at, scan.at)
    return None
