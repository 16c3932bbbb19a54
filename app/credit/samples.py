"""Provable preference: what a ranking was made of, hashed, and signed where the answer is sampled.

Every answer names the SHA-256 of its inputs. Those whose hash, as a number, is divisible by `every`
are kept with a receipt: a signed note over the hashes of inputs and result, so that anybody can rank
the same again (scripts/replay_ranking.py) and show where the service did otherwise. The moment is one
of the inputs, so nobody can say beforehand which answer will be kept, and afterwards everybody can
say which ones had to be.

Inputs and result are JSON as `canonical` writes it: sorted keys, no spaces, UTF-8.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from operator import attrgetter
from typing import Any

import orjson

from app.credit import rankstore
from app.credit.offers import Answered, Candidate
from app.credit.ranking import Mode, Offer, Ranked
from app.credit.rules import Policy
from app.db.engine import Database
from app.kit.clock import Clock, format_time, to_ms
from app.kit.errors import NotFound
from app.ledger.note import NoteSigner, sign_note

FORMAT = "suxin-ranking/1"
EVERY = 256
_KEPT = timedelta(days=180)
_ID_DIGITS = 32

FIELDS = (
    "gtin", "seller", "base", "known", "traceable", "integrity_ok", "recalled", "measure",
    "black_listed", "sold", "sold_without_open_gap", "steps", "independent_steps",
    "orders_reported", "units_with_chain", "grade", "data_enough",
)  # fmt: skip
"""What a receipt holds of each offer, in this order; the ids that platforms give are left out."""

_values_of = attrgetter(*FIELDS[3:])


class ReceiptUnknown(NotFound):
    """No ranking was sampled under this id, or it is older than receipts are kept."""


@dataclass(frozen=True, slots=True)
class Sample:
    """An answer's inputs as bytes, their hash, and the id of its receipt where it was sampled."""

    inputs_hash: str
    receipt: str | None


def canonical(value: object) -> bytes:
    """Returns JSON with sorted keys and without spaces."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def inputs_of(answered: Answered, *, mode: Mode, band: str, policy: Policy) -> dict[str, Any]:
    """Returns all that a ranking follows from. Offers stand in the order given."""
    terms = policy.ranking
    return {
        "format": FORMAT,
        "as_of": format_time(answered.at),
        "mode": mode,
        "band": band,
        "policy": policy.version,
        "policy_digest": policy.digest,
        "terms": {
            "max_boost": str(terms.max_boost),
            "coverage_default": str(terms.coverage_default),
            "independence_base": str(terms.independence_base),
            "independence_share": str(terms.independence_share),
            "grade_factors": {g: str(factor) for g, factor in terms.grade_factors.items()},
        },
        "fields": FIELDS,
        "offers": _told(answered.asked),
    }


def result_of(ranked: list[Ranked]) -> list[tuple[int, str, str]]:
    """Returns (place in the order given, boost, final) in the ranking's order."""
    return [(int(one.id), str(one.boost), f"{one.final:f}") for one in ranked]


class Samples:
    """Keeps and signs sampled answers. every: one in so many; the rule is the module's."""

    def __init__(
        self, database: Database, signer: NoteSigner, *, clock: Clock, every: int = EVERY
    ) -> None:
        self._database = database
        self._signer = signer
        self._clock = clock
        self.every = every

    def take(self, answered: Answered, *, mode: Mode, band: str, policy: Policy) -> Sample:
        """Returns the hash of the inputs; of a sampled answer the receipt is kept. Offers' ids: places."""
        inputs = canonical(inputs_of(answered, mode=mode, band=band, policy=policy))
        digest = sha256(inputs).hexdigest()
        if int(digest, 16) % self.every:
            return Sample(digest, None)
        result = canonical(result_of(answered.ranked))
        text = "\n".join(
            (FORMAT, digest, sha256(result).hexdigest(), str(policy.version), policy.digest,
             format_time(answered.at), "")
        )  # fmt: skip
        row: dict[str, Any] = {
            "id": digest[:_ID_DIGITS],
            "made_at": to_ms(answered.at),
            "body": zlib.compress(b"[" + inputs + b"," + result + b"]", 6),
            "note": sign_note(text, self._signer),
        }
        with self._database.write() as connection:
            rankstore.add_receipt(connection, row)
            rankstore.drop_receipts(connection, before_ms=to_ms(self._clock.now() - _KEPT))
        return Sample(digest, row["id"])

    def receipt(self, id_: str) -> dict[str, Any]:
        """Returns a receipt with its inputs. Raises ReceiptUnknown. Read-only."""
        with self._database.read() as connection:
            row = rankstore.find_receipt(connection, id_)
        if row is None:
            raise ReceiptUnknown("receipt_unknown", id=id_[:64])
        inputs, result = orjson.loads(zlib.decompress(row.body))
        return {
            "id": row.id,
            "inputs": inputs,
            "inputs_hash": sha256(canonical(inputs)).hexdigest(),
            "result": result,
            "result_hash": sha256(canonical(result)).hexdigest(),
            "note": row.note,
        }


def _told(asked: Iterable[tuple[Candidate, Offer]]) -> list[tuple[Any, ...]]:
    told: list[tuple[Any, ...]] = []
    # By identity: an offer that is asked for several times is the same object.
    known: dict[int, tuple[Any, ...]] = {}
    for candidate, offer in asked:
        facts = known.get(id(offer))
        if facts is None:
            *first, orders, units, grade, enough = _values_of(offer)
            # The subset has no null: -1 is "nobody reports".
            facts = (*first, -1 if orders is None else orders, units, grade, enough)
            known[id(offer)] = facts
        told.append((candidate.gtin, candidate.seller, str(candidate.base), *facts))
    return told
