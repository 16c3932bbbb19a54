"""What an entry rests on, as a page shows it. Read-only."""

from __future__ import annotations

import json
from collections.abc import Mapping

from app.kit.errors import Fault
from app.trace.gtin import display_gtin
from app.web.deps import Rooms
from app.web.pages.standing_views import Proof


class ProofReader:
    """Reads evidence; a product is asked for once. own: for the party itself, which may see its units."""

    def __init__(self, rooms: Rooms, *, own: bool = False) -> None:
        self._rooms = rooms
        self._own = own
        self._products: dict[str, str] = {}

    def read(self, evidence: Mapping[str, object]) -> Proof:
        """Returns what evidence names, with the product concerned."""
        told = {
            name: str(evidence[name])
            for name in ("title", "number", "issuer", "url", "record", "finding", "kind")
            if isinstance(evidence.get(name), str)
        }
        if "step" in evidence:
            told["kind"] = f"continuity.missing_{evidence['step']}"
        attachments = evidence.get("attachments")
        page = product = ""
        if "finding" in told:
            try:
                row = self._rooms.findings.get(told["finding"])
            except Fault:
                pass
            else:
                told["kind"] = row.kind
                if row.gtin is not None:
                    product = self.product(row.gtin)
                    page = f"/{row.stream_name}" if self._own else f"/01/{row.gtin}"
        return Proof(
            **told,
            page=page if product else "",
            product=product,
            attachments=tuple(map(str, attachments)) if isinstance(attachments, list) else (),
        )

    def product(self, gtin: str) -> str:
        """Returns a product's name, its number where it has none; "" for none that is registered."""
        if gtin not in self._products:
            try:
                row = self._rooms.catalogue.product(gtin)
            except Fault:
                self._products[gtin] = ""
            else:
                facts = json.loads(row.facts) if not row.name else {}
                self._products[gtin] = row.name or facts.get("name", "") or display_gtin(gtin)
        return self._products[gtin]
