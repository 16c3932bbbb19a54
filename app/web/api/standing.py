"""Credit dossiers, the policy as data, and ranking."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import Path, Response
from pydantic import BaseModel, Field

from app.credit.loader import load_policy, versions
from app.credit.offers import MAX_CANDIDATES, Candidate
from app.credit.policy import Entry, ScoreCard
from app.credit.ranking import Band, Ranked, parse_base
from app.i18n import Lang, text
from app.kit.clock import format_time, to_ms
from app.kit.errors import FieldFault, NotFound, invalid
from app.parties.roles import reach
from app.trace.gtin import parse_gtin
from app.web.body import Body, api_router
from app.web.deps import Caller, InRooms, Language, Viewer
from app.web.openapi import problems
from app.web.paging import InPage, PageBody, page_response

router = api_router(tag="credit")

PartyId = Annotated[str, Path(max_length=64, examples=["91441200MA4TE5T00Q"])]


class PolicyUnknown(NotFound):
    """There is no policy of this version."""


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


class EntryOut(BaseModel):
    """An entry of the ledger of credit; `weight` is what it counts now, `why` says why."""

    id: str
    rule: str
    title: str
    points: int
    weight: int
    why: str
    status: str
    policy: int
    effective_at: str
    earliest_repair_at: str | None = None
    expires_at: str | None = None
    ended_at: str | None = None
    evidence: dict[str, Any]
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
def read_policy() -> dict[str, Any]:
    """Returns the newest policy as data."""
    return _policy(max(versions()))


@router.get(
    "/credit/policy/{version}", summary="A version of the policy", responses=problems("not-found")
)
def read_policy_version(version: Annotated[int, Path(ge=1, le=10_000)]) -> dict[str, Any]:
    """Returns one version of the policy as data."""
    if version not in versions():
        raise PolicyUnknown("policy_unknown", version=version)
    return _policy(version)


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


@router.get(
    "/credit/{party}/entries",
    summary="A party's entries",
    responses=problems("not-found"),
    response_model=PageBody[EntryOut],
)
def read_entries(
    rooms: InRooms, viewer: Viewer, lang: Language, page: InPage, party: PartyId
) -> Response:
    """Returns each entry with rule, points, weight now, evidence, status and dates.

    Repaired, cancelled and announced entries are shown to the party itself and to regulators
    alone; an announced one becomes public when it takes effect.
    """
    entries, card = rooms.credit.entries(party)
    sees_all = viewer is not None and (
        viewer.party == party or reach(viewer.roles, "finding.read") == "any"
    )
    after = page.after(int, str)
    rows = [
        entry
        for entry in entries
        if (sees_all or rooms.credit.is_public(entry))
        and (after is None or (to_ms(entry.effective_at), entry.id) > after)
    ]
    shown, following = page.cut(rows, lambda entry: (to_ms(entry.effective_at), entry.id))
    now, rules = rooms.clock.now(), rooms.credit.policy.rules
    return page_response([_entry(lang, rules, card, entry, now) for entry in shown], following)


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


def _entry(lang: Lang, rules: Any, card: ScoreCard, entry: Entry, now: datetime) -> EntryOut:
    weight = card.weights.get(entry.id)
    rule = rules.get(entry.rule)
    links = {}
    if "finding" in entry.evidence:
        links["finding"] = f"/api/v1/findings/{entry.evidence['finding']}"
    return EntryOut(
        id=entry.id,
        rule=entry.rule,
        title=rule.title[lang] if rule is not None else entry.rule,
        points=entry.points,
        weight=0 if weight is None else weight.points,
        why="ended" if weight is None else str(weight.reason),
        # An announced entry takes effect by itself.
        status="effective"
        if entry.status == "notice" and entry.effective_at <= now
        else entry.status,
        policy=entry.policy_version,
        effective_at=format_time(entry.effective_at),
        earliest_repair_at=None
        if entry.earliest_repair_at is None
        else format_time(entry.earliest_repair_at),
        expires_at=None if entry.expires_at is None else format_time(entry.expires_at),
        ended_at=None if entry.ended_at is None else format_time(entry.ended_at),
        evidence=dict(entry.evidence),
        links=links,
    )


def _policy(version: int) -> dict[str, Any]:
    policy = load_policy(version)
    return {**policy.data, "digest": policy.digest}
