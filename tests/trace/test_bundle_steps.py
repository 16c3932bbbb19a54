"""What verifiers tell of a unit's steps is what the life itself knows, whatever happened to the unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.kit.clock import format_time, from_ms, to_ms
from app.ledger.bundle_steps import STEPS, tell_steps
from app.trace import lifecycle
from app.trace.life_table import Happening
from tests.scripts.test_verify_bundle import script
from tests.trace.lives import CARRIER, DATA, GRACES, HOUR, NOON, PLATFORM, SHOP, event

PRODUCT = "01/06901234567892"
UNIT = f"{PRODUCT}/21/8F3K2M9QZ7AB"

MOVING = ("listing", "sale", "dispatch", "transit", "signature", "refusal", "return", "void")
HAPPENINGS = st.tuples(
    st.sampled_from((*MOVING, "sale", "dispatch", "signature", "return", "transfer", "acceptance")),
    st.integers(-60, 0),  # hours by which it is said to have been earlier than it was told
    st.sampled_from((SHOP, SHOP, PLATFORM, CARRIER)),
    st.sampled_from(("in_person", "pickup")),
    st.booleans(),  # of a sale: it names a listing
    st.booleans(),  # of a listing: it ends one
)
LATE = st.tuples(st.integers(-80, 80), st.integers(-40, 80), st.sampled_from((SHOP, PLATFORM)),
                 st.booleans())  # fmt: skip


@dataclass
class Told:
    """A record as a bundle holds it."""

    stream: str
    seq: int
    fields: dict[str, Any]
    proven: bool = True


def as_fields(one: Happening, **more: Any) -> dict[str, Any]:
    told = {
        "type": one.type,
        "actor": one.actor,
        "data": dict(one.data),
        "occurred_at": format_time(one.occurred_at),
        "recorded_at": format_time(from_ms(one.recorded_ms)),
    }
    return told | more


def live(happenings) -> tuple[dict[str, Any], list[Told]]:
    """Returns the state of a unit after what was accepted of these, and the records of it."""
    state = lifecycle.begin(SHOP)
    first = event("registration", NOON, seq=0, data={"issuer": SHOP})
    records = [Told(UNIT, 0, as_fields(first))]
    for n, (kind, lag, actor, how, listed, ended) in enumerate(happenings):
        at = NOON + n * HOUR
        data = dict(DATA.get(kind, {}))
        word = SHOP if actor == SHOP else CARRIER
        if kind == "signature":
            data["kind"] = how
        if kind == "listing" and ended:
            data["ended"] = True
        one = event(
            kind, at + lag * HOUR, seq=len(records_of(records)), recorded_at=at, data=data,
            listed=kind == "sale" and listed,
            actor=actor if kind in ("listing", "sale", "dispatch") else
            word if kind in ("signature", "refusal") else
            {"acceptance": PLATFORM, "transit": CARRIER}.get(kind, SHOP),
        )  # fmt: skip
        try:
            lifecycle.check(state, one, around=lifecycle.Around())
        except lifecycle.LifecycleConflict:
            continue
        state = lifecycle.fold(state, one, GRACES)
        fields = as_fields(one)
        if one.listed:
            # The listing that it names, told long before: no late one.
            place = len(records)
            early = event("listing", NOON - 900 * HOUR, seq=place, actor="1" * 18)
            records.append(Told(PRODUCT, place, as_fields(early)))
            fields["refs"] = [{"stream": PRODUCT, "seq": place, "hash": "0" * 64}]
        records.append(Told(UNIT, one.seq, fields))
    return state, records


def records_of(records: list[Told]) -> list[Told]:
    return [one for one in records if one.stream == UNIT]


def tell(records: list[Told]) -> dict[str, str]:
    """Returns the status of each step, as both of Python's verifiers tell it."""
    ours = [one.as_json() for one in tell_steps(UNIT, records) or ()]
    assert script.tell_steps(UNIT, records) == ours
    return {one["step"]: one["status"] for one in ours}


def seen(kind: str, lag: int, actor: str) -> tuple[str, int, str, str, bool, bool]:
    return kind, lag, actor, "in_person", True, False


SENT, SHOPS_WORD = seen("dispatch", 0, SHOP), seen("signature", -5, SHOP)


@given(st.lists(HAPPENINGS, max_size=14), st.lists(LATE, max_size=3))
@example([SENT, SHOPS_WORD, seen("refusal", 0, CARRIER)], [])
@example([SENT, SHOPS_WORD, seen("signature", 0, CARRIER)], [])
@example([SENT, SHOPS_WORD, seen("signature", 0, CARRIER), seen("sale", -5, SHOP)], [])
def test_the_steps_are_those_of_the_life(happenings, late):
    state, records = live(happenings)
    for n, (at, told_at, actor, ended) in enumerate(late):
        data = {"platform": PLATFORM, **({"ended": True} if ended else {})}
        one = event(
            "listing", NOON + at * HOUR, seq=5_000 + n, actor=actor, data=data,
            recorded_at=NOON + told_at * HOUR,
        )  # fmt: skip
        gap = state["gaps"].get("listing")
        if gap is not None and gap["since"] <= to_ms(NOON + told_at * HOUR):
            state = lifecycle.heal(state, one)
        records.append(Told(PRODUCT, one.seq, as_fields(one)))
    told = tell(records)
    unsold = state["state"] in ("registered", "returned")
    steps = [step for step in STEPS if not (unsold and step == "listing")]
    assert {s for s in steps if told[s] == "there"} == set(state["steps"]) & set(steps)
    standing = {s.step: s.record.seq for s in tell_steps(UNIT, records) or () if s.record}
    for step in ("sale", "dispatch", "signature"):
        assert standing.get(step) == state.get(step, {}).get("seq")
    missing = {step for step, gap in state["gaps"].items() if gap["kind"] == "late"}
    assert {s for s in steps if told[s] == "missing"} == missing & set(steps)
    fetched = state.get("signature", {}).get("kind") == "pickup"
    unneeded = fetched and "dispatch" not in {*state["steps"], *state["gaps"]}
    assert (told["dispatch"] == "unneeded") == unneeded


@given(st.lists(HAPPENINGS, max_size=14), st.integers(0, 14))
def test_what_is_not_proven_is_there_for_nobody_yet(happenings, proven):
    _, records = live(happenings)
    known = tell(records[:proven])
    for one in records[proven:]:
        one.proven = False
    told = tell(records)
    for step in STEPS:
        assert told[step] == "pending" or told[step] == known[step]


@pytest.mark.parametrize(
    ("at", "told_at", "actor", "ended", "status"),
    [
        (-2, 3, SHOP, False, "there"),
        (0, 0, SHOP, False, "there"),
        (-2, -1, SHOP, False, "missing"),  # of this one the sale was told whether it was live
        (1, 3, SHOP, False, "missing"),
        (-2, 3, PLATFORM, False, "missing"),
        (-2, 3, SHOP, True, "missing"),
    ],
)
def test_a_listing_told_late_counts_if_it_is_the_sellers_and_of_before_the_sale(
    at, told_at, actor, ended, status
):
    _, records = live([("sale", 0, SHOP, "", False, False)])
    one = event(
        "listing", NOON + at * HOUR, seq=1, actor=actor, recorded_at=NOON + told_at * HOUR,
        data=DATA["listing"] | ({"ended": True} if ended else {}),
    )  # fmt: skip
    records.append(Told(PRODUCT, 1, as_fields(one)))
    assert tell(records)["listing"] == status


def test_goods_without_a_chain_of_their_own_have_no_steps():
    _, records = live([("sale", 0, SHOP, "", True, False)])
    for subject in (PRODUCT, f"{PRODUCT}/10/L1", f"party/{SHOP}", "", f"{UNIT}\n"):
        assert tell_steps(subject, records) is None
        assert script.tell_steps(subject, records) is None


def test_what_is_offered_and_not_sold_yet_is_listed_until_it_is_taken_down():
    _, records = live([])
    up = event("listing", NOON, seq=1)
    records.append(Told(PRODUCT, 1, as_fields(up)))
    assert tell(records) == {
        "listing": "there", "sale": "none", "dispatch": "none", "signature": "none",
    }  # fmt: skip
    other = event("listing", NOON, seq=2, actor=PLATFORM, data=DATA["listing"] | {"ended": True})
    records.append(Told(PRODUCT, 2, as_fields(other)))
    assert tell(records)["listing"] == "there"
    down = event("listing", NOON, seq=3, data=DATA["listing"] | {"ended": True})
    records.append(Told(PRODUCT, 3, as_fields(down)))
    assert tell(records)["listing"] == "none"
