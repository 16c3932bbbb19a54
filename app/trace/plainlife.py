"""The commonest lives told in one go, in the bytes that the state beside them is kept as.

Registered, sold, sent, underway, signed for, each once and in this order: most units have no other
life, and `lifecycle.fold_into` takes every step as if anything might follow. What is told here is what
it tells, byte for byte, and a test holds the two together; whatever is not of this kind is left to it.
Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import orjson

from app.ledger.frame import Frame
from app.trace.gaps import Graces
from app.trace.life_facts import OUTSIDE_SOURCES, is_short
from app.trace.replay import FindRecord, is_independent_listing

_MOST = 4_096
_LONGEST_KEPT = 512

# What the state keeps of a record's data, as (name there, name here), by what it stands before:
# `id`, `sender`, or nothing. Names are in order, as in all canonical JSON.
_KEPT: Mapping[str, tuple[tuple[tuple[str, str], ...], ...]] = {
    "sale": ((), (("platform", "platform"), ("region", "region")), ()),
    "dispatch": (
        (("carrier", "carrier"), ("from", "from")), (), (("waybill_tail", "tail"), ("to", "to")),
    ),
    "signature": ((), (("kind", "kind"),), ()),
}  # fmt: skip

_FACT = b'{"actor":"%b","at":%d,%b"id":"%b",%b"sender":"%b","seq":%d%b}'
_GAP = b'{"by":%d,"due":%d,"kind":"%b","since":%d}'
_REGISTERED = (
    b'{"brand_owner":%b,"complaints":0,"cycle":0,"gaps":{},"holder":%b,"issuer":%b,%b"recalls":{},'
    b'"state":"registered","steps":{},"v":1}'
)
_SOLD = (
    b'{"advanced":%d,"brand_owner":%b,"complaints":0,%b"cycle":1,%b"gaps":{%b},"holder":%b,'
    b'"issuer":%b,%b"recalls":{},"sale":%b%b,"state":"%b","steps":{%b"sale":%d%b},"v":1}'
)


FindRows = Callable[[int], Sequence[tuple[Any, ...]]]
"""Returns the rows of `sold_unit` of the goods with this stream key: what is behind it, from subject on."""


class PlainLife(NamedTuple):
    """state: as it is kept. sale: its row from `seller` on, None of a unit that was never sold."""

    state: bytes
    sale: tuple[Any, ...] | None = None


class PlainLives:
    """Tells lives from frames. find: reads the listings that sales refer to."""

    def __init__(self, find: FindRecord, find_rows: FindRows, graces: Graces) -> None:
        self._find = find
        self._find_rows = find_rows
        self._graces = graces
        self._beginnings: dict[tuple[bytes, str], tuple[bytes, bytes, bytes]] = {}
        self._kept: dict[str, dict[bytes, tuple[bytes, bytes, bytes]]]
        self._kept = {type_: {} for type_ in _KEPT}
        self._listings: dict[tuple[str, int], int | None] = {}

    def holds(self, key: int, name: str, frames: Sequence[Frame], state: bytes) -> bool:
        """Whether this stream is a unit's, has one of these lives, and state and sale are kept as such.

        key: of the stream. No other rows follow from such records.
        """
        if "/21/" not in name:
            return False
        told = self.tell(frames)
        if told is None or told.state != state:
            return False
        kept = self._find_rows(key)
        if told.sale is None:
            return not kept
        return len(kept) == 1 and kept[0] == ("", 1, name[3:17], *told.sale)

    def tell(self, frames: Sequence[Frame]) -> PlainLife | None:
        """Returns the life of a unit that has these records and no others.

        frames: at least one, in order of seq from 0. None: it is not one of these lives.
        """
        type_, actor, _, _, _, _, _, raw, data, _ = frames[0]
        if type_ != "registration":
            return None
        brand_owner, issuer, lot = self._beginnings.get((raw, actor)) or self._begin(
            raw, actor, data
        )
        if len(frames) == 1:
            return PlainLife(_REGISTERED % (brand_owner, issuer, issuer, lot))
        life, seq, advanced, seller = b"registered", 0, -1, ""
        completed = sale = sent = signed = steps = signed_step = b""
        gap = listing_gap = b""
        sold = sold_at = moved_at = 0
        completed_at: int | None = None
        words: list[int] = []
        dues: dict[str, int] = {}
        graces = self._graces
        for type_, actor, source, sender, occurred, at, id_text, raw, data, refs in islice(
            frames, 1, None
        ):
            seq += 1
            if type_ == "transit" and sent:
                continue  # it moves nothing
            if type_ not in _KEPT:
                return None
            told = self._kept[type_].get(raw) or self._keep(type_, raw, data)
            if told is None:
                return None
            before, middle, after = told
            fact = _FACT % (
                actor.encode(), occurred, before, id_text, middle, sender.encode(), seq, after
            )  # fmt: skip
            advanced = max(advanced, at)
            seller = seller or actor
            vouched = (
                sender != seller and source in OUTSIDE_SOURCES and data.get("proof") != "inner"
            )
            if type_ == "sale" and not sale and actor:
                life, sale, sold, sold_at = b"sold", fact, vouched, occurred
                moved_at = occurred
                listing = self._listing_of(refs)
                if listing is None:
                    dues["listing"] = at + graces.late_ms
                    late = _GAP % (seq, dues["listing"], b"late", at)
                    listing_gap = b'"listing":' + late
                else:
                    steps = b'"listing":%d,' % listing
                    words.append(listing)
                words.append(vouched)
                due = dues["next"] = max(occurred + graces.dispatch_ms, at + graces.late_ms)
                gap = b'"dispatch":' + _GAP % (seq, due, b"overdue", occurred)
                if listing_gap:
                    gap += b","
                gap += listing_gap
            elif type_ == "dispatch" and sale and not sent:
                life, sent, moved_at = b"in_transit", b'"dispatch":%b,' % fact, occurred
                steps = b'"dispatch":%d,%b' % (vouched, steps)
                words.append(vouched)
                due = dues["next"] = max(occurred + graces.signature_ms, at + graces.late_ms)
                gap = listing_gap + b"," if listing_gap else b""
                gap += b'"signature":' + _GAP % (seq, due, b"overdue", occurred)
            elif type_ == "signature" and sent and not signed:
                life, signed, signed_step = (
                    b"signed", b',"signature":%b' % fact, b',"signature":%d' % vouched
                )  # fmt: skip
                words.append(vouched)
                del dues["next"]
                gap = listing_gap
                if not gap:
                    completed_at = advanced
                    completed = b'"completed":%d,' % advanced
            else:
                return None
        state = _SOLD % (
            advanced, brand_owner, completed, sent, gap, issuer, issuer, lot, sale, signed, life,
            steps, sold, signed_step,
        )  # fmt: skip
        underway = ("sold", "in_transit")[bool(sent)] if not signed else None
        return PlainLife(
            state,
            (
                seller,
                sold_at,
                min(dues.values(), default=None),
                len(words),
                sum(words),
                completed_at,
                underway,
                moved_at if underway else None,
            ),
        )

    def _begin(self, raw: bytes, actor: str, data: Mapping[str, Any]) -> tuple[bytes, bytes, bytes]:
        """Returns what a registration leaves in the state: brand_owner, issuer, lot."""
        lot = data.get("lot")
        told = (
            b"true" if data.get("brand_owner") is True else b"false",
            orjson.dumps(str(data.get("issuer", actor))),
            b'"lot":%b,' % orjson.dumps(lot) if isinstance(lot, str) else b"",
        )
        if len(raw) <= _LONGEST_KEPT:
            _remember(self._beginnings, (raw, actor), told)
        return told

    def _keep(
        self, type_: str, raw: bytes, data: Mapping[str, Any]
    ) -> tuple[bytes, bytes, bytes] | None:
        """Returns what the state keeps of a record's data, for the three places where it stands.

        None of one that names a case: whether the unit is in it no plain life tells.
        """
        if "case" in data:
            return None
        before, middle, after = (
            [
                b'"%b":%b' % (here.encode("ascii"), orjson.dumps(data[there]))
                for there, here in names
                if there in data and is_short(data[there])
            ]
            for names in _KEPT[type_]
        )
        told = (
            b"".join(one + b"," for one in before),
            b"".join(one + b"," for one in middle),
            b"".join(b"," + one for one in after),
        )
        if len(raw) <= _LONGEST_KEPT:
            _remember(self._kept[type_], raw, told)
        return told

    def _listing_of(self, refs: Sequence[Mapping[str, Any]]) -> int | None:
        """Returns whether the listing that a sale refers to is another's word; None: to none."""
        listing = None
        for ref in refs:
            place = ref["stream"], ref["seq"]
            if place not in self._listings:
                told = self._find(*place)
                kind = None
                if told is not None and told["type"] == "listing":
                    kind = int(is_independent_listing(told))
                _remember(self._listings, place, kind)
            if self._listings[place] is not None:
                listing = self._listings[place]
        return listing


def _remember(cache: dict[Any, Any], key: Any, value: object) -> None:
    if len(cache) >= _MOST:
        cache.clear()
    cache[key] = value
