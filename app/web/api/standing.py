"""Credit dossiers, the policy as data, and ranking."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, Field

from app.credit.loader import policy_schema
from app.credit.offers import MAX_CANDIDATES, Candidate
from app.credit.ranking import Band, Ranked, parse_base
from app.credit.rules import Policy
from app.i18n import Lang, text
from app.kit.clock import format_time
from app.kit.errors import FieldFault, invalid
from app.trace.gtin import parse_gtin
from app.web.body import Body, api_router
from app.web.deps import Caller, InRooms, Language, Rooms
from app.web.openapi import problems

router = api_router(tag="credit")

PartyId = Annotated[str, Path(max_length=64, examples=["91441200MA4TE5T00Q"])]


class RuleOut(BaseModel):
    """Points of one rule now."""

    rule: str
    points: int
    count: int


class HoldOut(BaseModel):
    """A provisional hold in force."""

    finding: str
    points: int
    since: str
    lifts_at: str


class CreditOut(BaseModel):
    """A party's credit now. `score` counts holds, `score_without_holds` does not."""

    party: str
    score: int
    score_without_holds: int
    grade: Literal["A", "B", "C", "D"]
    policy: int
    as_of: str
    breakdown: list[RuleOut]
    holds: list[HoldOut]
    data_enough: bool
    completed_chains: int
    links: dict[str, str]


class CandidateIn(Body):
    """An offer to be ranked; `base` is the platform's own relevance, 0 or more."""

    id: Annotated[str, Field(min_length=1, max_length=128)]
    gtin: Annotated[str, Field(max_length=32)]
    seller: Annotated[str, Field(max_length=64)]
    base: Annotated[float, Field(ge=0, le=1e300, allow_inf_nan=False)]


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
                        },
                    ]
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
    """An offer in its place."""

    id: str
    rank: int
    base: float
    boost: float
    final: float
    why: list[FactorOut]


class RankingOut(BaseModel):
    """Candidates in their order, and the policy that ordered them."""

    policy: int
    mode: str
    items: list[RankedOut]


@router.get("/credit/policy", summary="The policy in force")
def read_policy(rooms: InRooms) -> dict[str, Any]:
    """Returns the policy in force as data, and which versions there are, announced ones too."""
    return _policy(rooms, rooms.credit.policy)


@router.get("/credit/policy/schema", summary="The schema of a policy")
def read_policy_schema() -> dict[str, Any]:
    """Returns the JSON Schema (2020-12) of a policy file."""
    return dict(policy_schema())


@router.get(
    "/credit/policy/{version}", summary="A version of the policy", responses=problems("not-found")
)
def read_policy_version(
    rooms: InRooms, version: Annotated[int, Path(ge=1, le=10_000)]
) -> dict[str, Any]:
    """Returns one version of the policy as data, in force, announced or past."""
    return _policy(rooms, rooms.credit.policies.get(version))


@router.get("/credit/{party}", summary="A party's credit", responses=problems("not-found"))
def read_credit(rooms: InRooms, party: PartyId) -> CreditOut:
    """Returns score, grade and what they are made of, computed now."""
    card = rooms.credit.card(party)
    path = f"/api/v1/credit/{party}"
    return CreditOut(
        party=party,
        score=card.score,
        score_without_holds=card.score_without_holds,
        grade=card.grade,
        policy=card.policy_version,
        as_of=format_time(rooms.clock.now()),
        breakdown=[
            RuleOut(rule=one.rule, points=one.points, count=one.count) for one in card.breakdown
        ],
        holds=[
            HoldOut(
                finding=hold.finding,
                points=hold.points,
                since=format_time(hold.since),
                lifts_at=format_time(hold.lifts_at),
            )
            for hold in card.holds
        ],
        data_enough=card.data_enough,
        completed_chains=card.completed_chains,
        links={
            "self": path,
            "entries": f"{path}/entries",
            "policy": f"/api/v1/credit/policy/{card.policy_version}",
            "party": f"/api/v1/parties/{party}",
        },
    )


@router.post("/ranking", tags=["ranking"], summary="Rank offers", responses=problems("forbidden"))
def rank_offers(rooms: InRooms, principal: Caller, lang: Language, body: RankingIn) -> RankingOut:
    """Ranks at most 1000 offers (seller × product), each answer explained.

    An unknown product or seller ranks with boost 0 and a reason, never an error.
    """
    principal.check_may("ranking.query")
    candidates = [_candidate(index, one) for index, one in enumerate(body.candidates)]
    ranked = rooms.ranking.rank(
        candidates, mode=body.mode, band=Band(relative=Decimal(str(body.band)))
    )
    return RankingOut(
        policy=rooms.credit.policy.version,
        mode=body.mode,
        items=[_ranked(lang, one) for one in ranked],
    )


def _candidate(index: int, one: CandidateIn) -> Candidate:
    try:
        gtin = parse_gtin(one.gtin, allow_item_code=True)
    except Exception:  # noqa: BLE001 - what is no GTIN is simply not known to us
        gtin = one.gtin
    try:
        parse_base(one.base)
    except ValueError as err:
        params = {"expected": ">= 0", "got": str(one.base)[:40]}
        raise invalid(FieldFault(("candidates", index, "base"), "range", params)) from err
    return Candidate(one.id, gtin, one.seller.strip().upper(), one.base)


def _ranked(lang: Lang, one: Ranked) -> RankedOut:
    return RankedOut(
        id=one.id,
        rank=one.rank,
        base=float(one.base),
        boost=float(one.boost),
        final=float(one.final),
        why=[
            FactorOut(
                factor=factor.factor,
                value=float(factor.value),
                text=text(lang, factor.key, **factor.params),
            )
            for factor in one.why
        ],
    )


def _policy(rooms: Rooms, policy: Policy) -> dict[str, Any]:
    versions = list(rooms.credit.policies.versions)
    return {**policy.data, "digest": policy.digest, "versions": versions}
