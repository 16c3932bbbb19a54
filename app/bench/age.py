"""What age costs: the same work on a young database and on one that has grown old, side by side."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from app.bench.figures import Figure, median
from app.bench.grow import multiply
from app.bench.market import Market, opened
from app.bench.plan import Plan
from app.bench.processes import BenchFailed
from app.ledger import logstore
from app.ledger.prover import Prover
from app.ledger.served import load_checkpoint
from app.trace.code import Code
from app.web.deps import Rooms
from app.web.pages.fill import Filler
from app.web.pages.render import render_scan
from app.web.pages.views import Frame

_YOUNG, _OLD = 50_000, 2_000_000
_SHOPS, _GOODS = 20, 50
_EVENTS = 1_000
_READS = 300


@dataclass(frozen=True, slots=True)
class _Aged:
    """An open deployment, its market, and units to look at."""

    rooms: Rooms
    market: Market
    units: Sequence[Code]
    size: int


class Age:
    """The figures of age. Each is the old database's; its ceiling is the young one's."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    @cached_property
    def _made(self) -> tuple[Path, Path, Market, list[Code], list[Code], float]:
        """Makes both databases; the old one begins as a copy of the young."""
        plan = self._plan
        young = plan.folder("young")
        with opened(young) as rooms:
            shops, goods = (_SHOPS, _GOODS) if plan.full else (2, 5)
            market = Market(rooms, shops=shops, goods=goods)
            units = market.trade(
                plan.count(_YOUNG), lambda done: plan.tell(f"a young database: {done} records")
            )
            market.finish()
        old = plan.copied(young, "old")
        began = time.perf_counter()
        with opened(old) as rooms:
            made = multiply(
                rooms,
                units,
                plan.count(_OLD),
                lambda done: plan.tell(f"an old database: {done} records"),
            )
        return young, old, market, units, made, time.perf_counter() - began

    @contextmanager
    def _opened(self) -> Iterator[tuple[_Aged, _Aged]]:
        young, old, market, units, made, _ = self._made
        with ExitStack() as stack:
            yield tuple(  # type: ignore[misc] # two of them
                _Aged(rooms, market.moved_to(rooms), codes, _size(rooms))
                for rooms, codes in (
                    (stack.enter_context(opened(young)), units),
                    (stack.enter_context(opened(old)), made),
                )
            )

    def measure_inserts(self) -> Figure:
        """Measures issuing, selling and dispatching new units until they are sequenced."""
        per_s: tuple[list[float], list[float]] = ([], [])
        count = self._plan.count(_EVENTS) if not self._plan.full else _EVENTS
        with self._opened() as both:
            for run in range(1 + self._plan.runs):
                for aged, told in zip(both, per_s, strict=True):
                    taken_s = _trade(aged, count)
                    if run:  # the first fills the caches
                        told.append(3 * count / taken_s)
                self._plan.tell(f"age_inserts: run {run} of {self._plan.runs}")
            sizes = [aged.size for aged in both]
        return Figure(
            "age_inserts",
            median(per_s[1]),
            "records/s",
            n=sizes[1],
            ceiling=median(per_s[0]),
            also={"young_n": float(sizes[0]), "grown_in_s": self._made[-1]},
        )

    def measure_reads(self) -> Figure:
        """Measures making scan pages, and proofs, of units anywhere in the log, one after another."""
        kinds: dict[str, Callable[[_Aged, int], None]] = {"page": _show, "proof": _prove}
        taken_ms: dict[str, tuple[list[float], list[float]]] = {k: ([], []) for k in kinds}
        count = _READS if self._plan.full else 10
        with self._opened() as both:
            for run in range(1 + self._plan.runs):
                for kind, read in kinds.items():
                    for aged, told in zip(both, taken_ms[kind], strict=True):
                        began = time.process_time()
                        read(aged, count)
                        if run:
                            told.append((time.process_time() - began) * 1000 / count)
                self._plan.tell(f"age_reads: run {run} of {self._plan.runs}")
            size = both[1].size
        page, proof = taken_ms["page"], taken_ms["proof"]
        return Figure(
            "age_reads",
            median(page[1]),
            "ms",
            n=size,
            ceiling=median(page[0]),
            also={
                "proof_ms": median(proof[1]),
                "proof_young_ms": median(proof[0]),
                "proof_ratio": median(proof[1]) / median(proof[0]),
            },
        )


def _trade(aged: _Aged, count: int) -> float:
    """Returns the seconds that three records on each of so many new units take."""
    began = time.perf_counter()
    shop = aged.market.shops[0]
    units = aged.market.issue(shop, count)
    aged.market.sell(shop, units)
    while aged.rooms.sequencer.sequence():
        pass
    return time.perf_counter() - began


def _show(aged: _Aged, count: int) -> None:
    for unit in random.choices(aged.units, k=count):
        frame = Frame(lang="zh", path=f"/{unit.stream}")
        look = aged.rooms.looks.look(unit)
        page = render_scan(Filler(aged.rooms, frame).scan_view(look))
        if look.verdict != "intact" or "seal" not in page:
            raise BenchFailed(f"{unit.stream} is {look.verdict}")


def _prove(aged: _Aged, count: int) -> None:
    key = aged.rooms.keyring.log.vkey
    for _ in range(count):
        index = random.randrange(aged.size)
        with aged.rooms.database.read() as connection:
            published = load_checkpoint(connection, key)
            assert published is not None, "the market publishes before it is left"
            (entry,) = logstore.leaf_hashes(connection, index, index + 1).values()
            standing = Prover(connection, published).prove(index, entry)
        if standing.standing != "proven":
            raise BenchFailed(f"leaf {index} is {standing.standing}")


def _size(rooms: Rooms) -> int:
    with rooms.database.read() as connection:
        published = load_checkpoint(connection, rooms.keyring.log.vkey)
    assert published is not None, "the market publishes before it is left"
    return published.size
