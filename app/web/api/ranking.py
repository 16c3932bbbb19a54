"""Ranking of offers, explained, and the receipts by which anybody can rank the same again."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal

import orjson
from fastapi import Path, Response
from pydantic import BaseModel, Field

from app.credit.offers import MAX_CANDIDATES, Candidate
from app.credit.ranking import Band, Factor, Ranked
from app.i18n import Lang, text
from app.kit.clock import format_time
from app.kit.errors import Fault
from app.trace.gtin import parse_gtin
from app.web.body import Body, api_router
from app.web.deps import Caller, InRooms, Language
from app.web.openapi import problems

router = api_router(tag="ranking")


class CandidateIn(Body):
    """An offer to be ranked; `base` is the platform's own relevance, 0 or more.

    `ad`: the platform's own mark of a paid offer (广告), given back unchanged; it moves nothing.
    """

    id: Annotated[str, Field(min_length=1, max_length=128)]
    gtin: Annotated[str, Field(max_length=32)]
    seller: Annotated[str, Field(max_length=64)]
    base: Annotated[float, Field(ge=0, le=1e300, allow_inf_nan=False)]
    ad: bool = False


class RankingIn(Body):
    """Candidates of one search. `band`: relative difference of bases still taken as equal."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {
            "examples": [
                {
                    "candidates": [
                        {
                            "id": "offer-1",
                            "gtin": "6901234567892",
                            "seller": "91441200MA4TE5T00Q",
                            "base": 1.0,
                        },
                        {
                            "id": "offer-2",
                            "gtin": "6936983800013",
                            "seller": "92441202MA4TE5T01M",
                            "base": 1.0,
                            "ad": True,
                        },
                    ],
                    "mode": "tie_break",
                    "band": 0.01,
                }
            ]
        },
    }

    candidates: Annotated[list[CandidateIn], Field(min_length=1, max_length=MAX_CANDIDATES)]
    mode: Literal["boost", "tie_break"] = "boost"
    band: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0


class FactorOut(BaseModel):
    """One reason, as a number and in words."""

    factor: str
    value: float
    text: str


class RankedOut(BaseModel):
    """An offer in its place. `ad`: the platform's own mark, as it was given."""

    id: str
    rank: int
    base: float
    boost: float
    final: float
    why: list[FactorOut]
    ad: bool | None = None


class RankingOut(BaseModel):
    """Candidates in their order, and the policy that ordered them.

    `inputs_hash`: SHA-256 of all that the order follows from. `receipt`: where the answer was sampled,
    which is so if that hash, as a number, is divisible by `sample_every`.
    """

    policy: int
    mode: str
    as_of: str
    inputs_hash: str
    sample_every: int
    receipt: str | None = None
    items: list[RankedOut]


class ReceiptOut(BaseModel):
    """A sampled answer: its inputs, its result as [place in the order given, boost, final], the note."""

    id: str
    inputs: dict[str, Any]
    inputs_hash: str
    result: list[tuple[int, str, str]]
    result_hash: str
    note: str
    links: dict[str, str]


@router.post(
    "/ranking",
    summary="Rank offers",
    responses=problems("forbidden"),
    response_model=RankingOut,
)
def rank_offers(rooms: InRooms, principal: Caller, lang: Language, body: RankingIn) -> Response:
    """Ranks at most 1000 offers (seller × product), each answer explained.

    By a platform, a regulator or the operator. An unknown product or seller ranks with boost 0 and a
    reason, never an error. Places cannot be bought: `ad` is handed through and is no factor.
    """
    principal.check_may("ranking.query")
    candidates = [
        Candidate(str(n), _gtin_of(one.gtin), one.seller.strip().upper(), repr(one.base))
        for n, one in enumerate(body.candidates)
    ]
    band = repr(body.band)
    answered = rooms.ranking.rank(candidates, mode=body.mode, band=Band(relative=Decimal(band)))
    policy = rooms.credit.policy
    sample = rooms.samples.take(answered, mode=body.mode, band=band, policy=policy)
    told: dict[str, Any] = {
        "policy": policy.version,
        "mode": body.mode,
        "as_of": format_time(answered.at),
        "inputs_hash": sample.inputs_hash,
        "sample_every": rooms.samples.every,
        "items": _items(lang, answered.ranked, body.candidates),
    }
    if sample.receipt is not None:
        told["receipt"] = f"/api/v1/ranking/receipts/{sample.receipt}"
    return Response(orjson.dumps(told), media_type="application/json")


@router.get(
    "/ranking/receipts/{receipt}",
    summary="A sampled ranking",
    responses=problems("not-found"),
)
def read_receipt(
    rooms: InRooms,
    receipt: Annotated[str, Path(max_length=64, examples=["0" * 32])],
) -> ReceiptOut:
    """Returns all that one sampled answer followed from, and the service's signed note over it.

    Public, for whoever was told the id. The ids that the platform gave its offers are not in it.
    """
    links = {"key": "/log/receipt-key", "self": f"/api/v1/ranking/receipts/{receipt}"}
    return ReceiptOut(**rooms.samples.receipt(receipt), links=links)


def _items(
    lang: Lang, ranked: Sequence[Ranked], given: Sequence[CandidateIn]
) -> list[dict[str, Any]]:
    """Returns the offers as they are answered, reasons written once for all who share them."""
    # By identity: who is judged alike has the very same reasons, and `ranked` keeps them alive.
    written: dict[int, tuple[orjson.Fragment, float]] = {}
    items = []
    for id_, rank, _, boost, final, _, why in ranked:
        asked = given[int(id_)]
        told = written.get(id(why))
        if told is None:
            reasons = b",".join([_write(lang, factor) for factor in why])
            told = written[id(why)] = orjson.Fragment(b"[" + reasons + b"]"), float(boost)
        item = {
            "id": asked.id,
            "rank": rank,
            "base": asked.base or 0.0,  # no -0.0
            "boost": told[1],
            "final": float(final),
            "why": told[0],
        }
        if asked.ad:
            item["ad"] = True
        items.append(item)
    return items


@lru_cache(maxsize=1 << 12)
def _write(lang: Lang, factor: Factor) -> bytes:
    told = {
        "factor": factor.factor,
        "value": float(factor.value),
        "text": text(lang, factor.key, **dict(factor.params)),
    }
    return orjson.dumps(told)


@lru_cache(maxsize=1 << 14)
def _gtin_of(given: str) -> str:
    """Returns the GTIN-14, or what was given where it is none: that is simply not known to us."""
    try:
        return parse_gtin(given, allow_item_code=True)
    except Fault:
        return given
