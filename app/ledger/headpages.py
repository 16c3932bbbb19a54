"""The pages in which the map of heads is kept, so that few of them change when few streams do.

A page stands at a depth that is a multiple of 4, under a prefix of so many bits of the keys, and is
a bucket or an inner page. A bucket holds up to 32 streams in order of key; when it overflows it
becomes an inner page, which holds for each of its 16 children how many streams are below (0, 1, more)
and their hash. So a change of k streams reads and writes k buckets and what is above them.

No page is believed: each must give the hash that the page above it holds for it, and the root page
the root that the caller has from the log. Pure: whoever calls reads and writes rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, starmap

from app.ledger.headmap import (
    EMPTY,
    KEY_BITS,
    NOTHING,
    Leaf,
    Path,
    Subtree,
    bit,
    find_path,
    join,
    subtree_of,
)

STEP = 4
WIDTH = 1 << STEP
MAX_BUCKET = 32

Place = tuple[int, bytes]
"""Depth and prefix of a page; the prefix fills whole bytes, with zero bits behind it."""

LoadPages = Callable[[int, Sequence[bytes]], Mapping[bytes, bytes]]
"""Returns the pages that are there, of one depth, by prefix."""

_BUCKET, _INNER = b"\x00", b"\x01"
_LEAF_BYTES = 72
_SLOT_BYTES = 33


class PageDamaged(Exception):
    """A page is missing, malformed, or not what the page above it says."""

    def __init__(self, place: Place) -> None:
        depth, prefix = place
        super().__init__(f"{depth}/{prefix.hex()}")
        self.place = str(self)


@dataclass(frozen=True, slots=True)
class Grown:
    """What a change of the map comes to: the pages to be written, the new root, how many are new."""

    pages: Mapping[Place, bytes]
    root: bytes
    added: int


Bucket = list[Leaf]
Inner = list[Subtree]


def prefix_of(key: bytes, depth: int) -> bytes:
    """Returns the prefix of `depth` bits of a key."""
    whole, rest = divmod(depth, 8)
    return key[:whole] + bytes([key[whole] & 0xF0]) if rest else key[:whole]


def encode_bucket(leaves: Sequence[Leaf]) -> bytes:
    """Returns a bucket as stored."""
    return _BUCKET + b"".join(key + seq.to_bytes(8, "big") + hash_ for key, seq, hash_ in leaves)


def decode(data: bytes) -> Bucket | Inner:
    """Returns a page: a list of Leaf, or of 16 Subtree. Raises ValueError where it is malformed."""
    kind, body = data[:1], data[1:]
    if kind == _BUCKET and body and len(body) % _LEAF_BYTES == 0:
        return [
            Leaf(part[:32], int.from_bytes(part[32:40], "big"), part[40:])
            for part in _parts(body, _LEAF_BYTES)
        ]
    if kind == _INNER and len(body) == WIDTH * _SLOT_BYTES:
        slots = [Subtree(part[0], part[1:]) for part in _parts(body, _SLOT_BYTES)]
        if all(slot.leaves <= 2 and (slot.leaves > 0) == (slot.hash != EMPTY) for slot in slots):
            return slots
    raise ValueError("no page of the map")


def grow(changes: Sequence[Leaf], *, load: LoadPages, root: bytes) -> Grown:
    """Returns what the map becomes when these streams move on, and changes nothing.

    changes: in order of key, each key once; a seq that is not above the known one is passed over.
    root: of the map as it is. Raises PageDamaged.
    """
    return _Growth(load).grow(changes, root)


def walk(key: bytes, *, load: LoadPages) -> Path:
    """Returns the path to a key. Raises PageDamaged where a page is missing or malformed.

    What it returns must be verified against the root: the pages are not.
    """
    siblings: list[bytes] = []
    depth = 0
    place: Place = (0, b"")
    page = _read(place, load)
    while isinstance(page, _InnerPage):
        levels = page.levels()
        at, found = 0, levels[STEP][0]
        for step in range(STEP + 1):
            if found.leaves < 2 or step == STEP:
                break
            right = bit(key, depth + step)
            below = levels[STEP - 1 - step]
            siblings.append(below[2 * at + 1 - right].hash)
            at = 2 * at + right
            found = below[at]
        if not found.leaves:
            return Path(tuple(reversed(siblings)), None)
        # All of what is left of this path lies under one child: the key's, or that of the lone leaf.
        width = WIDTH >> step
        slot = next(n for n in range(at * width, (at + 1) * width) if page.slots[n].leaves)
        depth += STEP
        place = (depth, _child_prefix(place, slot))
        page = _read(place, load)
    inside = find_path(page, depth, key)
    return Path(inside.siblings + tuple(reversed(siblings)), inside.leaf)


def read_all(*, load: LoadPages, root: bytes) -> Iterator[Leaf]:
    """Yields every leaf in order of key, a few pages in memory. Raises PageDamaged at the first bad one."""
    if root != EMPTY:
        yield from _read_below((0, b""), Subtree(2, root), load, load(0, [b""]))


def _read_below(
    place: Place, expected: Subtree, load: LoadPages, loaded: Mapping[bytes, bytes]
) -> Iterator[Leaf]:
    page = _checked(place, expected, loaded.get(place[1]))
    if not isinstance(page, _InnerPage):
        yield from page
        return
    depth = place[0] + STEP
    prefixes = [_child_prefix(place, n) for n in range(WIDTH)]
    below = load(depth, [p for n, p in enumerate(prefixes) if page.slots[n].leaves])
    for slot, prefix in zip(page.slots, prefixes, strict=True):
        if slot.leaves:
            yield from _read_below((depth, prefix), slot, load, below)


@dataclass(slots=True)
class _InnerPage:
    slots: Inner

    def levels(self) -> list[list[Subtree]]:
        """Returns the subtrees of the page from its 16 children up to itself alone."""
        found = [self.slots]
        while len(found[-1]) > 1:
            last = found[-1]
            found.append(list(starmap(join, zip(last[::2], last[1::2], strict=True))))
        return found

    def encode(self) -> bytes:
        return _INNER + b"".join(bytes([leaves]) + hash_ for leaves, hash_ in self.slots)


class _Growth:
    """One change of the map: down to the buckets level by level, then up again."""

    def __init__(self, load: LoadPages) -> None:
        self._load = load
        self._stored: dict[Place, bytes] = {}
        self._inner: list[tuple[Place, _InnerPage]] = []  # a page before those below it
        self._pages: dict[Place, bytes] = {}
        self._found: dict[Place, Subtree] = {}
        self._added = 0

    def grow(self, changes: Sequence[Leaf], root: bytes) -> Grown:
        if not changes:
            return Grown({}, root, 0)
        todo: list[tuple[Place, Sequence[Leaf], Subtree]]
        todo = [((0, b""), changes, Subtree(2, root) if root != EMPTY else NOTHING)]
        while todo:
            depth = todo[0][0][0]
            known = [place[1] for place, _, expected in todo if expected.leaves]
            loaded = self._load(depth, known) if known else {}
            below: list[tuple[Place, Sequence[Leaf], Subtree]] = []
            for place, moved, expected in todo:
                page: Bucket | _InnerPage = []
                if expected.leaves:
                    page = _checked(place, expected, loaded.get(place[1]))
                    self._stored[place] = loaded[place[1]]
                if isinstance(page, _InnerPage):
                    self._inner.append((place, page))
                    below += _share_out(place, page, moved)
                else:
                    self._put(place, self._merge(page, moved))
            todo = below
        for place, inner in reversed(self._inner):
            for slot in range(WIDTH):
                child = (place[0] + STEP, _child_prefix(place, slot))
                if child in self._found:
                    inner.slots[slot] = self._found.pop(child)
            self._keep(place, inner.encode(), inner.levels()[STEP][0])
        return Grown(self._pages, self._found[(0, b"")].hash, self._added)

    def _merge(self, bucket: Bucket, moved: Sequence[Leaf]) -> Bucket:
        leaves = {leaf.key: leaf for leaf in bucket}
        before = len(leaves)
        for leaf in moved:
            known = leaves.get(leaf.key)
            if known is None or leaf.seq > known.seq:
                leaves[leaf.key] = leaf
        self._added += len(leaves) - before
        return [leaves[key] for key in sorted(leaves)]

    def _put(self, place: Place, leaves: Bucket) -> None:
        """Keeps a bucket, or an inner page and buckets below it where it overflows."""
        depth = place[0]
        if len(leaves) <= MAX_BUCKET:
            self._keep(place, encode_bucket(leaves), subtree_of(leaves, depth))
            return
        inner = _InnerPage([NOTHING] * WIDTH)
        self._inner.append((place, inner))
        for child, part, _ in _share_out(place, inner, leaves):
            self._put(child, list(part))

    def _keep(self, place: Place, data: bytes, found: Subtree) -> None:
        self._found[place] = found
        if self._stored.get(place) != data:
            self._pages[place] = data


def _share_out(
    place: Place, page: _InnerPage, leaves: Sequence[Leaf]
) -> list[tuple[Place, Sequence[Leaf], Subtree]]:
    """Returns the children that leaves fall to, which leaves, and what the page says of each child."""
    parts: dict[int, list[Leaf]] = {}
    depth = place[0]
    for leaf in leaves:
        byte = leaf.key[depth >> 3]
        parts.setdefault(byte & 15 if depth & 7 else byte >> 4, []).append(leaf)
    return [
        ((depth + STEP, _child_prefix(place, slot)), part, page.slots[slot])
        for slot, part in parts.items()
    ]


def _child_prefix(place: Place, slot: int) -> bytes:
    depth, prefix = place
    if depth & 7:
        return prefix[:-1] + bytes([prefix[-1] | slot])
    return prefix + bytes([slot << 4])


def _read(place: Place, load: LoadPages) -> Bucket | _InnerPage:
    """Returns a page as it is stored. A map without the root page is the empty map."""
    depth, prefix = place
    data = load(depth, [prefix]).get(prefix)
    if data is None and depth == 0:
        return []
    return _decoded(place, data)


def _checked(place: Place, expected: Subtree, data: bytes | None) -> Bucket | _InnerPage:
    """Returns a page that gives the hash expected of it. Raises PageDamaged."""
    page = _decoded(place, data)
    found = _summary(page, place[0])
    # How many leaves the whole map has, its root does not say.
    if found.hash != expected.hash or (place[0] and found.leaves != expected.leaves):
        raise PageDamaged(place)
    return page


def _summary(page: Bucket | _InnerPage, depth: int) -> Subtree:
    if isinstance(page, _InnerPage):
        return page.levels()[STEP][0]
    return subtree_of(page, depth)


def _decoded(place: Place, data: bytes | None) -> Bucket | _InnerPage:
    depth, prefix = place
    try:
        page = decode(data or b"")
    except ValueError as err:
        raise PageDamaged(place) from err
    if isinstance(page[0], Subtree):
        if depth >= KEY_BITS:
            raise PageDamaged(place)
        return _InnerPage(page)  # all of them are, see decode
    leaves = page
    ordered = all(one.key < other.key for one, other in pairwise(leaves))
    # In order, so what the first and the last begin with all do.
    if not ordered or any(prefix_of(leaves[at].key, depth) != prefix for at in (0, -1)):
        raise PageDamaged(place)
    return leaves


def _parts(body: bytes, width: int) -> Iterator[bytes]:
    return (body[at : at + width] for at in range(0, len(body), width))
