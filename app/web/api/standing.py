"""Credit dossiers and the policy as data."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel

from app.credit.loader import policy_schema
from app.credit.rules import Policy
from app.kit.clock import format_time, format_time_if
from app.web.body import api_router
from app.web.deps import InRooms, Rooms
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


class StoreScoreOut(BaseModel):
    """What the other credit store says of the party, as a copy that tells its age.

    score, grade: null where it knows nothing of the party, or was never reached. stale: older than
    five minutes.
    """

    score: int | None
    grade: str | None
    as_of: str | None
    age_s: int | None
    stale: bool


class CreditOut(BaseModel):
    """A party's credit now. `score` counts holds, `score_without_holds` does not.

    store: null where credit is kept nowhere else.
    """

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
    store: StoreScoreOut | None


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
        store=_store_score(rooms, party),
    )


def _store_score(rooms: Rooms, party: str) -> StoreScoreOut | None:
    if rooms.cards is None:
        return None
    read = rooms.cards.read(party)
    card = read.card or {}
    grade = card.get("grade")
    return StoreScoreOut(
        score=card.get("score"),
        grade=grade[:8] if isinstance(grade, str) else None,
        as_of=format_time_if(read.as_of),
        age_s=read.age_s,
        stale=read.stale,
    )


def _policy(rooms: Rooms, policy: Policy) -> dict[str, Any]:
    versions = list(rooms.credit.policies.versions)
    return {**policy.data, "digest": policy.digest, "versions": versions}
