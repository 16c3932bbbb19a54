"""Reads goods one after the other as a recall's reach counts them, a piece at a time.

Units by their serials, consignments by their lots; of each its life, and only where that asks for it
what is sealed about its buyer, what was recorded since the recall, and whether its page was opened.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from app.ledger.record import id_bytes, stream_key
from app.ledger.store import as_bytes, load_heads, read_state
from app.oversight import reachstore
from app.oversight.reach import (
    OUT,
    UNREADABLE,
    UNSEEN,
    Goods,
    Mark,
    Seen,
    mark_of,
    read_goods,
    ways_of,
)
from app.parties.account_rules import covers
from app.trace.code import Code

_NEVER = 2**62
_MOST_ALIKE = 4_096
"""Goods in stock are many and alike: so many different states of theirs are read once only."""
_DAMAGED = (KeyError, TypeError, ValueError, AttributeError)
"""What is raised where a hand has put something into a state that is no life."""


class _Found(NamedTuple):
    """Goods as read. recorded_at: of the last record (ms), -1 for a consignment, whose lot has many."""

    name: str
    key: int
    life: Mapping[str, Any]
    recorded_at: int


class Reaching:
    """Of one product, inside the caller's snapshot. Read-only.

    own: the party whose goods are counted, None: everybody's. office: a region (GB/T 2260) that they belong
    to, or else are, or were, recalled; None: all. sold: from, until exclusive (ms). apart: whether goods in
    stock that are alike are named one by one.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        gtin: str,
        own: str | None,
        office: str | None,
        sold: tuple[int | None, int | None],
        apart: bool,
    ) -> None:
        self._connection = connection
        self._gtin = gtin
        self._product = self._head_state(Code(gtin).stream)
        self._own = own
        self._office = office
        self._sold = sold
        self._apart = apart
        self._lots: dict[str, Mapping[str, Any]] = {}
        self._marks: dict[str | None, Mark | None] = {}
        self._recall_times: dict[str | None, list[int]] = {}
        self._parties: dict[str, str | None] = {}
        """With their regions."""
        self._others: set[str] = set()
        """Names that are no party's."""
        self._alike: dict[bytes, _Found] = {}
        self._more_alike: dict[bytes, int] = {}
        self._unknown: list[str] = []

    @property
    def unknown(self) -> tuple[str, ...]:
        """The serials that were asked for by name and do not exist."""
        return tuple(self._unknown)

    def is_ours(self, lot: str | None) -> bool:
        """Whether the product or lot is the own party's, whatever becomes of its goods."""
        if lot is None:
            return self._own in (self._product.get("registrant"), self._product.get("brand_owner"))
        return self._is_of_lot(lot)

    def mark_of_lot(self, lot: str | None) -> Mark | None:
        """Returns the recall of a lot and its product, None: there was none. Without a lot, the product's."""
        if lot not in self._marks:
            self._marks[lot] = mark_of(self._product, self._lot_state(lot))
        return self._marks[lot]

    def all(self, lot: str | None) -> Iterator[tuple[Goods, int]]:
        """Yields every unit and consignment of the product, or of a lot of it, and how many are like it."""
        serials = reachstore.serials(self._connection, self._gtin, lot)
        yield from self.units(serials, lots=None, named=False)
        for number in reachstore.lots(self._connection, self._gtin) if lot is None else [lot]:
            yield from self._read(self._consignments(number))

    def units(
        self, serials: Sequence[str], *, lots: Collection[str] | None, named: bool = True
    ) -> Iterator[tuple[Goods, int]]:
        """Yields the units with these serials; with lots, those of them. named: by who asks."""
        for start in range(0, len(serials), reachstore.PIECE):
            piece = serials[start : start + reachstore.PIECE]
            yield from self._read(self._units(piece, lots, named=named))
        for raw, count in self._more_alike.items():
            for one, _ in self._read([self._alike[raw]]):
                yield one, count
        self._more_alike.clear()

    def _units(
        self, serials: Sequence[str], lots: Collection[str] | None, *, named: bool
    ) -> list[_Found]:
        names = {}
        for serial in serials:
            stream = Code(self._gtin, serial=serial).stream
            names[stream_key(stream)] = stream
        then = self._sold_then(list(names))
        if then is not None and not named:
            names = {key: name for key, name in names.items() if key in then}
        rows = {row.stream: row for row in reachstore.lives(self._connection, list(names))}
        found: list[_Found] = []
        for key, name in names.items():
            row = rows.get(key)
            if row is None:
                if named:
                    self._unknown.append(name.rpartition("/")[2])
                else:
                    found.append(_Found(name, key, {}, 0))
                continue
            if then is not None and key not in then:
                continue
            alike = self._alike.get(row.state)
            if alike is not None and not self._apart:
                self._more_alike[row.state] = self._more_alike.get(row.state, 0) + 1
                continue
            life = read_state(row.state) if alike is None else alike.life
            # Lots beside serials narrow them.
            if lots is not None and life.get("lot") not in lots:
                continue
            one = _Found(name, key, life, row.recorded_at)
            if life.get("state") == "registered" and len(self._alike) < _MOST_ALIKE:
                self._alike[row.state] = one
            found.append(one)
        return found

    def _sold_then(self, keys: list[int]) -> set[int] | None:
        since, until = self._sold
        if since is None and until is None:
            return None
        return reachstore.sold_then(self._connection, keys, since or 0, until or _NEVER)

    def _consignments(self, lot: str) -> Iterator[_Found]:
        stream = Code(self._gtin, lot=lot).stream
        since, until = self._sold
        key = stream_key(stream)
        for row in reachstore.consignments(self._connection, key):
            life = read_state(row.value)
            sale = life.get("sale")
            at = sale.get("at") if isinstance(sale, dict) else None
            if (since is None and until is None) or (
                isinstance(at, int) and (since or 0) <= at < (until or _NEVER)
            ):
                yield _Found(f"{stream}#{row.key}", key, life, -1)

    def _read(self, found: Iterable[_Found]) -> Iterator[tuple[Goods, int]]:
        shown: list[tuple[_Found, Mark | None]] = []
        if self._office is not None:
            found = list(found)
            self._learn_owners(found)
        for one in found:
            try:
                mark = self._mark(one.life)
                if self._is_shown(one.life, mark):
                    shown.append((one, mark))
            except _DAMAGED:
                # Whose it is cannot be told, so only who sees all goods is told of it.
                if self._own is None and self._office is None:
                    yield Goods(one.name, UNREADABLE), 1
        seen = self._buyers([pair for pair in shown if pair[0].life["state"] in OUT])
        for one, mark in shown:
            try:
                more = seen.get(one.name, UNSEEN)
                yield read_goods(one.name, one.life, mark, more, recorded_at=one.recorded_at), 1
            except _DAMAGED:
                yield Goods(one.name, UNREADABLE), 1

    # --- their buyers ----------------------------------------------------------------------------

    def _buyers(self, out: Sequence[tuple[_Found, Mark | None]]) -> dict[str, Seen]:
        """Returns what is known of the buyers of goods that are out, by name."""
        if not out:
            return {}
        kept = self._sections(out)
        words, opened = self._later_words(out), self._opened(out)
        platforms = {one.name: _platform(one.life) for one, _ in out}
        self._learn({name for name in platforms.values() if name is not None})
        found = {}
        for one, mark in out:
            since = _NEVER if mark is None or one.recorded_at < 0 else mark[0]
            if since != _NEVER:
                since = self._known_since(one, since, words.get(one.key, ()))
            told = {kind for kind, at in words.get(one.key, ()) if at >= since} - {"recall"}
            found[one.name] = Seen(
                ways_of(
                    one.life, kept.get(one.name, 0), by_party=platforms[one.name] in self._parties
                ),
                told="notice" in told,
                heard=bool(told - {"notice"}),
                opened=opened.get(one.key, -1) >= since,
            )
        return found

    def _known_since(self, one: _Found, since: int, words: Iterable[tuple[str, int]]) -> int:
        """Returns when a recall that holds since then first stood on record.

        Whoever recalls may say that it holds since earlier; nobody was told of it before it was said.
        """
        lot = one.life.get("lot")
        if lot not in self._recall_times:
            codes = [Code(self._gtin), *([Code(self._gtin, lot=lot)] if lot else [])]
            keys = [stream_key(code.stream) for code in codes]
            self._recall_times[lot] = reachstore.recall_times(self._connection, keys)
        told = [*self._recall_times[lot], *(at for kind, at in words if kind == "recall")]
        return min((at for at in told if at >= since), default=since)

    def _sections(self, out: Sequence[tuple[_Found, Mark | None]]) -> dict[str, int]:
        """Returns by name which sections about the buyer are kept, as `ways_of` takes it."""
        sold_once = {one.key: one.name for one, _ in out if _is_sold_once(one)}
        rows = reachstore.kept_sections(self._connection, list(sold_once))
        found = {sold_once[row.stream]: row.has for row in rows}
        others = [one for one, _ in out if one.key not in sold_once]
        by_record: dict[tuple[int, bytes], int] = {}
        for row in reachstore.kept_by_record(self._connection, sorted({one.key for one in others})):
            by_record[(row.stream, as_bytes(row.record_id))] = row.has
        for one in others:
            has = (by_record.get((one.key, record), 0) for record in _ids(one.life))
            found[one.name] = sum({bit for told in has for bit in (1, 2) if told & bit})
        return found

    def _later_words(
        self, out: Sequence[tuple[_Found, Mark | None]]
    ) -> dict[int, list[tuple[str, int]]]:
        # Of most goods nothing was recorded since, so nothing needs to be looked for.
        moved = {one.key: mark[0] for one, mark in out if mark and one.recorded_at >= mark[0]}
        words: dict[int, list[tuple[str, int]]] = defaultdict(list)
        if moved:
            first = min(moved.values())
            for row in reachstore.later_words(self._connection, list(moved), first):
                words[row.stream].append((row.type, row.recorded_at))
        return words

    def _opened(self, out: Sequence[tuple[_Found, Mark | None]]) -> dict[int, int]:
        keys = [one.key for one, mark in out if mark is not None and one.recorded_at >= 0]
        return {row.stream: row.last_at for row in reachstore.opened(self._connection, keys)}

    # --- whose, and since when -------------------------------------------------------------------

    def _is_shown(self, life: Mapping[str, Any], mark: Mark | None) -> bool:
        if self._office is not None and mark is None and not self._is_there(life):
            return False
        if self._own is None:
            return True
        return self._own in _parties_of(life) or self._is_of_lot(life.get("lot"))

    def _is_of_lot(self, lot: str | None) -> bool:
        state = self._lot_state(lot)
        return self._own in (state.get("party"), state.get("recall_agent"))

    def _lot_state(self, lot: str | None) -> Mapping[str, Any]:
        if lot is None:
            return {}
        known = self._lots.get(lot)
        if known is None:
            known = self._lots[lot] = self._head_state(Code(self._gtin, lot=lot).stream)
        return known

    def _head_state(self, stream: str) -> Mapping[str, Any]:
        return load_heads(self._connection, [stream])[stream].state

    def _is_there(self, life: Mapping[str, Any]) -> bool:
        """As app.trace.offices has it: where they are who made, sold or hold it, or where it was sold."""
        places = [self._parties.get(party) for party in _parties_of(life)]
        places.append((life.get("sale") or {}).get("region"))
        return any(covers(str(self._office), place) for place in places)

    def _learn_owners(self, found: Iterable[_Found]) -> None:
        names: set[str] = set()
        for one in found:
            try:
                names |= _parties_of(one.life)
            except _DAMAGED:
                continue  # told of below
        self._learn(names)

    def _learn(self, names: set[str]) -> None:
        """Notes which of these names are parties, and where."""
        new = names - self._parties.keys() - self._others
        if new:
            self._parties |= reachstore.registered_parties(self._connection, new)
            self._others |= new - self._parties.keys()

    def _mark(self, life: Mapping[str, Any]) -> Mark | None:
        lot = life.get("lot")
        if not life["recalls"]:
            return self.mark_of_lot(lot)
        return mark_of(self._product, self._lot_state(lot), life)


def _parties_of(life: Mapping[str, Any]) -> set[str]:
    sale, closed = life.get("sale"), life.get("closed")
    told = {life["issuer"], life["holder"]}
    if sale:
        told.add(sale.get("actor"))
    if closed:
        told.add(closed.get("seller"))
    return {party for party in told if isinstance(party, str)}


def _platform(life: Mapping[str, Any]) -> str | None:
    sale = life.get("sale")
    told = sale.get("platform") if isinstance(sale, dict) else None
    return told if isinstance(told, str) else None


def _is_sold_once(one: _Found) -> bool:
    """Whether all that is sealed about a buyer in its stream is about the present one."""
    return one.recorded_at >= 0 and one.life.get("cycle") == 1


def _ids(life: Mapping[str, Any]) -> frozenset[bytes]:
    """Returns the ids of the records of the present sale, as tables hold them."""
    found = set()
    for name in ("sale", "dispatch"):
        try:
            found.add(id_bytes(life[name]["id"]))
        except _DAMAGED:
            continue  # it has none, or a hand has been there
    return frozenset(found)
