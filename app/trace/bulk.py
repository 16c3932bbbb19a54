"""Registers many products or lots at once, as a spreadsheet brings them: each stands for itself.

The same decisions as one at a time (app.trace.catalogue), handed to the recorder together: a transaction
holds hundreds of them instead of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from app.db.engine import Database
from app.kit.clock import Clock
from app.kit.errors import Fault
from app.ledger.recorder import Recorder
from app.ledger.stage import IdConflict
from app.ledger.submission import Effect, Submission, with_effects
from app.parties.principal import Principal
from app.trace.catalogue import (
    Catalogue,
    LotDecision,
    ProductDecision,
    check_facts,
    check_known,
    find_known,
    product_facts,
)
from app.trace.code import Code, parse_lot
from app.trace.gtin import item_code, parse_gtin
from app.trace.identifiers import parse_code
from app.trace.registering import registration
from app.trace.requests import SealedInput
from app.trace.secret_index import SecretIndex

_ITEM_CODES = 10**8


class NewProduct(NamedTuple):
    """A product to be registered. effect: a row to be written with it if it is new; None: no row."""

    gtin: str | None
    facts: Mapping[str, Any]
    claim: bool
    effect: Effect | None


class NewLot(NamedTuple):
    """A lot to be registered. effect: a row to be written with it if it is new."""

    gtin: str
    lot: str
    facts: Mapping[str, Any]
    sealed: Mapping[str, SealedInput]
    effect: Effect


class Taken(NamedTuple):
    """What came of one. is_new: it, or the claim to its brand, was not there before.

    differs: told otherwise than another party did. gtin: of the product, which of goods without one is
    told here first.
    """

    is_new: bool
    differs: tuple[str, ...] = ()
    gtin: str = ""


class Bulk:
    """Registers in bulk, at low priority: whoever waits for one record goes first."""

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        catalogue: Catalogue,
        *,
        clock: Clock,
        index: SecretIndex,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._catalogue = catalogue
        self._clock = clock
        self._index = index

    def register_products(
        self, principal: Principal, products: Sequence[NewProduct]
    ) -> list[Taken | Fault]:
        """Returns what came of each, in order."""
        principal.check_may("product.register")
        party = principal.own_party()
        results: dict[int, Taken | Fault] = {}
        submissions: dict[int, Submission] = {}
        with self._database.read() as connection:
            for n, one in enumerate(products):
                try:
                    told = check_facts("product", {"issuer": party, **one.facts}, ())
                    known = find_known(connection, party, told, one.gtin)
                    if known is not None:
                        results[n] = self._known(principal, known, told, claim=one.claim)
                        continue
                    if one.gtin is None:
                        number = _item_code_of(party, told)
                        told["item_code"] = True
                    else:
                        number = parse_gtin(one.gtin)
                    decide = ProductDecision(number, party, claim=one.claim)
                    made = registration(
                        Code(number), told, decide, party, {}, now=self._clock.now()
                    )
                    submissions[n] = made if one.effect is None else with_effects(made, one.effect)
                except Fault as fault:
                    results[n] = fault
        self._submit(submissions, results)
        for n, made in submissions.items():
            result = results[n]
            if isinstance(result, Taken):
                results[n] = result._replace(gtin=parse_code(made.claim.stream).gtin)
            if isinstance(result, IdConflict):
                # Registered by another since we looked, or other goods have the code: alone it is retried.
                results[n] = self._alone(principal, products[n])
        return [results[n] for n in range(len(products))]

    def register_lots(self, principal: Principal, lots: Sequence[NewLot]) -> list[Taken | Fault]:
        """Returns what came of each, in order."""
        principal.check_may("lot.register")
        party = principal.own_party()
        results: dict[int, Taken | Fault] = {}
        submissions: dict[int, Submission] = {}
        for n, one in enumerate(lots):
            try:
                code = Code(parse_gtin(one.gtin, allow_item_code=True), lot=parse_lot(one.lot))
                told = check_facts("lot", {"issuer": party, **one.facts}, one.sealed.keys())
            except Fault as fault:
                results[n] = fault
                continue
            decide = LotDecision(code, party, self._index.digests(one.sealed))
            made = registration(code, told, decide, party, one.sealed, now=self._clock.now())
            submissions[n] = with_effects(made, one.effect)
        self._submit(submissions, results)
        for n in submissions:
            if isinstance(results[n], IdConflict):
                results[n] = IdConflict("lot_differs", lot=lots[n].lot)
        return [results[n] for n in range(len(lots))]

    def _submit(
        self, submissions: Mapping[int, Submission], results: dict[int, Taken | Fault]
    ) -> None:
        answers = self._recorder.submit_and_wait(list(submissions.values()), low_priority=True)
        for n, answer in zip(submissions, answers, strict=True):
            results[n] = answer if isinstance(answer, Fault) else Taken(not answer.replayed)

    def _known(
        self, principal: Principal, row: Any, told: Mapping[str, Any], *, claim: bool
    ) -> Taken:
        party = principal.own_party()
        differs = check_known(row, told, party)
        claims = claim and party not in (row.brand_owner, row.owner_claim)
        if claims:
            self._catalogue.claim_product(principal, row.gtin)
        return Taken(is_new=claims, differs=differs, gtin=row.gtin)

    def _alone(self, principal: Principal, product: NewProduct) -> Taken | Fault:
        try:
            done = self._catalogue.register_product(
                principal, product.facts, gtin=product.gtin, claim=product.claim
            )
        except Fault as fault:
            return fault
        return Taken(not done.replayed, done.differs or (), done.row.gtin)


def _item_code_of(party: str, told: Mapping[str, Any]) -> str:
    """Returns the item code by which a file's goods are first tried; one that is taken is drawn alone.

    The same for the same goods: two processes may be at one job, and neither sees yet what the other does.
    """
    said = "\x00".join((party, str(told["name"]), product_facts(told)))
    return item_code(int.from_bytes(sha256(said.encode()).digest()) % _ITEM_CODES)
