"""What is wrong with a life or with the looks at its code, as findings with typed evidence.

Each detector reads plain values and returns what it found now, nothing for "all is well"; whether a
finding is new, still open or healed is for whoever keeps them. Continuity has a party whose step it
was; identity (clone suspicion, an early scan) is charged to nobody: a person looks at it.
Pure; thresholds are parameters, since they belong to the policy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.kit.clock import format_time, from_ms
from app.trace.gaps import GapKind, pending, responsible_for
from app.trace.life_table import State, Step

# Clocks of a shop and of a carrier differ by as much as we let a sender's clock run ahead.
CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class MissingStep:
    """Evidence: the step, the record (seq in the stream) that makes it due, and since when."""

    step: Step
    kind: GapKind
    seq: int
    since: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True)
class ImpossibleOrder:
    """Evidence: a step that occurred before one that must come first; the seqs of both records."""

    first: Step
    first_seq: int
    first_at: datetime
    then: Step
    then_seq: int
    then_at: datetime


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


Evidence = MissingStep | ImpossibleOrder | ManyDevices | EarlyScan


@dataclass(frozen=True, slots=True)
class Discovery:
    """One thing that is wrong. party: who answers for it, None for nobody by itself."""

    kind: str
    party: str | None
    evidence: Evidence

    def as_data(self) -> dict[str, Any]:
        """Returns the evidence as canonical JSON: times as text, what is unknown left out."""
        shown: dict[str, Any] = {}
        for name in self.evidence.__dataclass_fields__:
            value = getattr(self.evidence, name)
            if value is not None:
                shown[name] = format_time(value) if isinstance(value, datetime) else value
        return shown


@dataclass(frozen=True, slots=True)
class Scan:
    """A device that opened the code's page; `device` says nothing of it but that it is the same."""

    device: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class CloneThreshold:
    """Distinct devices from which on one code looks like several labels, and the time for it."""

    devices: int
    within: timedelta


CLONE_THRESHOLDS = (
    CloneThreshold(3, timedelta(hours=24)),
    CloneThreshold(10, timedelta(days=7)),
)


def find_missing_steps(state: State, now: datetime) -> tuple[Discovery, ...]:
    """Returns `continuity.missing_<step>` of every gap that counts by `now`, oldest due first."""
    return tuple(
        Discovery(
            f"continuity.missing_{gap.step}",
            gap.party,
            MissingStep(gap.step, gap.kind, gap.seq, gap.since, gap.due_at),
        )
        for gap in pending(state)
        if gap.due_at <= now
    )


def find_impossible_order(
    state: State, *, tolerance: timedelta = CLOCK_TOLERANCE
) -> tuple[Discovery, ...]:
    """Returns `continuity.impossible_order` if the goods were signed for before they were sent.

    Judged by what the senders say (`occurred_at`), apart by more than `tolerance`. A sale after the
    dispatch is none: paying on delivery and late binding of an order to a parcel are ordinary.
    """
    sent, signed = state.get("dispatch"), state.get("signature")
    if sent is None or signed is None:
        return ()
    sent_at, signed_at = from_ms(sent["at"]), from_ms(signed["at"])
    if signed_at >= sent_at - tolerance:
        return ()
    evidence = ImpossibleOrder(
        first="dispatch",
        first_seq=sent["seq"],
        first_at=sent_at,
        then="signature",
        then_seq=signed["seq"],
        then_at=signed_at,
    )
    party = responsible_for(state, "signature")
    return (Discovery("continuity.impossible_order", party, evidence),)


def find_clone_suspicion(
    scans: Iterable[Scan], *, thresholds: Sequence[CloneThreshold] = CLONE_THRESHOLDS
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
    state: State, scans: Iterable[Scan], *, min_devices: int = 1
) -> tuple[Discovery, ...]:
    """Returns `identity.scanned_before_sale` if devices opened the code before its first sale.

    Goods that were sold and came back were opened by their first buyer, so only a first cycle can
    tell; and while its sale is missing, nobody knows what was before it. min_devices: how many
    distinct devices it takes; a shop that tries its own labels is one.
    """
    if state["cycle"] > 1 or state["state"] in ("returned", "void"):
        return ()
    sale = state.get("sale")
    if sale is None and state["cycle"] == 1:
        return ()
    sold_at = None if sale is None else from_ms(sale["at"])
    early = [scan for scan in scans if sold_at is None or scan.at < sold_at]
    devices = len({scan.device for scan in early})
    if devices < max(min_devices, 1):
        return ()
    evidence = EarlyScan(min(scan.at for scan in early), devices, sold_at)
    return (Discovery("identity.scanned_before_sale", None, evidence),)


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
