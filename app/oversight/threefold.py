"""The numbers of a customs declaration's documents (三单), compared by what goods each is told of. Read-only.

One bill of lading can stand in the records of thousands of goods. So nothing is listed to be compared: of
each combination of numbers one of the goods that bears it out is looked for among those that the index
has under all of them, and is asked whether it is the declaration's and before the caller.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import combinations
from typing import Literal

from sqlalchemy import Connection

from app.db.lookup import chunks
from app.kit.errors import FieldFault, invalid
from app.ledger.record import stream_key
from app.oversight import numberstore
from app.oversight.numbers import STEP, Part, look_through
from app.oversight.store import names_of
from app.parties.principal import Principal
from app.trace.offices import acted_on, with_lots
from app.trace.secret_index import SecretIndex

DocumentName = Literal["order", "payment", "waybill"]
DOCUMENTS: tuple[DocumentName, ...] = ("order", "payment", "waybill")
_MOST_KEYS = 100_000
"""Goods under one number that are compared; nobody's parcel, order or ship has so many."""


class Threefold:
    """One declaration's number and those given of its documents, in one snapshot, as one caller sees them."""

    def __init__(
        self,
        connection: Connection,
        principal: Principal,
        index: SecretIndex,
        number: str,
        documents: Mapping[DocumentName, str],
    ) -> None:
        self._connection = connection
        self._principal = principal
        self._digests: dict[str, bytes] = {"declaration": index.digest("declaration", number)}
        self._digests |= {name: index.digest(name, told) for name, told in documents.items()}
        self._documents = sorted(documents)
        self._vain: set[int] = set()
        """Goods that were asked and bear nothing out."""

    def goods(self, *, after: int, most: int) -> Part[str]:
        """Returns goods of the declaration that the caller acts on, from a place on."""
        return self._look("declaration", {"declaration": after}, most)

    def told_of(self, name: DocumentName, *, most: int) -> Part[str]:
        """Returns the first goods that a document is told of and that the caller acts on.

        None are only where there are none: raises Invalid, kind `range`, where it cannot be said.
        """
        part = self._look(name, {}, most)
        if part.onward and not part.goods:
            raise _crowded([name])
        return part

    def _look(self, name: str, after: Mapping[str, int], most: int) -> Part[str]:
        digests = {name: self._digests[name]}
        return look_through(self._connection, digests, self._acted_on, after=after, most=most)

    def declared(self, streams: Collection[str]) -> frozenset[str]:
        """Returns those of these goods that have the declaration's number and that the caller acts on."""
        keys = {stream_key(one): one for one in streams}
        told = numberstore.among(
            self._connection, "declaration", self._digests["declaration"], list(keys)
        )
        return self._acted_on([keys[one] for one in told])

    def newest_of(self, stream: str) -> dict[str, int | None]:
        """Returns by kind of number the seq of the newest record of some goods with it, None for none."""
        key = stream_key(stream)
        return {
            kind: numberstore.newest_of(self._connection, kind, digest, key)
            for kind, digest in self._digests.items()
        }

    def fitting(self) -> frozenset[str]:
        """Returns the documents that are told of the goods of the declaration of which most of them are told.

        Where the numbers name several such goods, each with as many of them, those that all of these have in
        common: two numbers of two units of one lot contradict each other, and neither is the right one.
        Raises Invalid, kind `range`, where more goods have a number than can be compared.
        """
        keys = {name: self._keys(name) for name in self._documents}
        for count in range(len(keys), 0, -1):
            best = [
                frozenset(names)
                for names in combinations(self._documents, count)
                if self._is_borne_out(names, set.intersection(*(keys[one] for one in names)))
            ]
            if best:
                return frozenset.intersection(*best)
        return frozenset()

    def _keys(self, name: str) -> set[int]:
        keys = numberstore.keys_of(
            self._connection, name, self._digests[name], limit=_MOST_KEYS + 1
        )
        if len(keys) > _MOST_KEYS:
            raise _crowded([name])
        return set(keys)

    def _is_borne_out(self, names: Collection[str], keys: set[int]) -> bool:
        """Whether one of these goods, named by all these numbers, is the declaration's or of a lot of it."""
        for some in chunks(sorted(keys - self._vain)):
            if len(self._vain) >= STEP:
                raise _crowded(names)
            streams = self._acted_on(names_of(self._connection, some).values())
            lots = with_lots(self._connection, streams)
            if self.declared(frozenset().union(*lots.values())):
                return True
            self._vain.update(some)
        return False

    def _acted_on(self, streams: Collection[str]) -> frozenset[str]:
        return acted_on(self._connection, self._principal, streams)


def _crowded(names: Collection[str]) -> Exception:
    return invalid(
        *(
            FieldFault((name,), "range", {"expected": STEP}, sentence="number_crowded")
            for name in sorted(names)
        )
    )
