"""Labels for parcels that were packed before their goods had any: of an order list, or by a shop's program.

A shipment issues its units' codes itself, a batch each; here the labels of many such batches come as one
file, in the order in which they were packed, each with the last four characters of its waybill, so that
whoever sticks them on finds the parcel. Each batch's print stands in its own log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, islice
from typing import Any, BinaryIO, Final

from app.db.engine import Database
from app.i18n import Lang, text
from app.kit.clock import Clock, to_ms
from app.kit.errors import FieldFault, Invalid, invalid
from app.labels.layouts import LAYOUTS, LayoutName
from app.labels.placing import SheetSymbol
from app.parties.principal import Principal
from app.trace import printstore
from app.trace.code import Code
from app.trace.issuing import Issuing
from app.trace.parcelstore import product_names
from app.trace.printing import Printing, PrintOrder
from app.trace.store import load_lives

PARCELS_MAX: Final = 500
LABELS_MAX: Final = 1_000
"""Of one file, about a second's work; the next print has those that follow."""
_WITHIN: Final = timedelta(days=14)
"""Older parcels have long left: nobody sticks a label on them."""


@dataclass(frozen=True, slots=True)
class Unprinted:
    """Parcels whose labels nobody has printed, as many as one file takes. units: labels of all of them."""

    batches: Sequence[Any]

    @property
    def units(self) -> int:
        return sum(batch.done for batch in self.batches)


class ParcelLabels:
    """Prints what no parcel has yet."""

    def __init__(
        self,
        database: Database,
        issuing: Issuing,
        printing: Printing,
        *,
        clock: Clock,
    ) -> None:
        self._database = database
        self._issuing = issuing
        self._printing = printing
        self._clock = clock

    def unprinted(self, principal: Principal) -> Unprinted:
        """Returns the party's parcels of late that have no labels. Read-only."""
        party = principal.own_party()
        principal.check_may("code.print", owner=party)
        since_ms = to_ms(self._clock.now() - _WITHIN)
        with self._database.read() as connection:
            rows = printstore.unprinted_shipments(
                connection, party, since_ms=since_ms, limit=PARCELS_MAX
            )
        fits: list[Any] = []
        units = 0
        for row in rows:
            units += row.done
            if fits and units > LABELS_MAX:
                break
            fits.append(row)
        return Unprinted(fits)

    def write(
        self,
        principal: Principal,
        out: BinaryIO,
        *,
        layout: LayoutName,
        symbol: SheetSymbol,
        offset: int = 0,
        lang: Lang,
        place: tuple[str, ...] = (),
    ) -> Unprinted:
        """Writes their labels as a PDF and notes each print; returns which parcels they were of.

        Two at once may both print the same: the log of the second says that it was again. Raises Invalid
        (kind `range` for the offset; `no_labels` where no parcel waits) and as `draw`. Writes `label_print`.
        """
        most = LAYOUTS[layout].places - 1
        if not 0 <= offset <= most:
            params = {"expected": f"0..{most}", "got": offset}
            raise invalid(FieldFault((*place, "offset"), "range", params))
        found = self.unprinted(principal)
        if not found.batches:
            raise Invalid("no_labels")
        order = PrintOrder(form="pdf", layout=layout, symbol=symbol, offset=offset)
        parts = [
            self._printing.whole(batch, title=title, symbol=symbol, lang=lang)
            for batch, title in self._titles(found.batches, lang)
        ]
        self._printing.draw(
            order,
            chain.from_iterable(part.labels for part in parts),
            out,
            most=found.units,
            title=text(lang, "goods.labels"),
            lang=lang,
        )
        for part in parts:
            by = principal.own_party()
            self._printing.note_whole(part, order, by=by, key_id=principal.key_id)
        return found

    def _titles(self, batches: Sequence[Any], lang: Lang) -> list[tuple[Any, str]]:
        """Returns each batch with what stands on top of its labels: of which parcel, and what it is."""
        firsts = {
            batch.batch_id: Code(batch.gtin, lot=batch.lot, serial=serial).stream
            for batch in batches
            for serial in islice(self._issuing.serials(batch.batch_id), 1)
        }
        with self._database.read() as connection:
            names = product_names(connection, {batch.gtin for batch in batches})
            lives = load_lives(connection, [(stream, "") for stream in firsts.values()])
        found = []
        for batch in batches:
            life = lives.get((firsts.get(batch.batch_id, ""), ""), {})
            sent = life.get("dispatch")  # of a life that a hand has damaged, anything
            tail = str(sent.get("tail", "")) if isinstance(sent, dict) else ""
            name = names.get(batch.gtin, batch.gtin)
            title = text(lang, "goods.labels.title", tail=tail, name=name) if tail else name
            found.append((batch, title))
        return found
