"""Plain values for the credit tests: entries and offers with sensible defaults, and strategies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import strategies as st

from app.credit.loader import load_policy
from app.credit.policy import CapFacts, Entry, Hold, Status
from app.credit.ranking import Offer

POLICY = load_policy(1)
PARTY = "91441200MA4TE5T00Q"
# A Monday morning in China.
START = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def entry(rule: str, id: str = "e1", at: datetime = START, **changes) -> Entry:
    """Returns an entry as policy 1 prices and dates it."""
    known = POLICY.rules[rule]
    term = known.term(at)
    fields = {
        "points": known.points,
        "earliest_repair_at": term.earliest_repair_at,
        "expires_at": term.expires_at,
    }
    return Entry(id=id, party=PARTY, rule=rule, effective_at=at, **(fields | changes))


def chains(count: int, *, at: datetime = START, apart: timedelta = DAY, buyer=None) -> list[Entry]:
    return [
        entry(
            "chain_completed",
            f"chain-{n:04}",
            at + n * apart,
            facts=CapFacts(buyer=buyer(n) if buyer else f"b{n}"),
        )
        for n in range(count)
    ]


def traceable(id: str = "o1", base="100", **changes) -> Offer:
    """Returns an offer to which nothing is wanting: the whole boost of 0.15."""
    fields = {
        "known": True,
        "traceable": True,
        "sold": 40,
        "sold_without_open_gap": 40,
        "steps": 160,
        "independent_steps": 160,
        "orders_reported": 40,
        "units_with_chain": 40,
        "grade": "A",
        "data_enough": True,
    }
    return Offer(id=id, gtin="06901234567892", seller=PARTY, base=base, **(fields | changes))


moments = st.integers(0, 1500 * 24).map(lambda hours: START + timedelta(hours=hours))


@st.composite
def entries(draw, rules=tuple(POLICY.rules)) -> Entry:
    rule = draw(st.sampled_from(rules))
    at = draw(moments)
    status = draw(st.sampled_from(Status))
    facts = CapFacts(
        buyer=draw(st.sampled_from([None, "a", "b"])),
        chains=draw(st.sampled_from([None, 0, 250, 400, 900])),
    )
    return entry(
        rule,
        f"{rule}-{draw(st.integers(0, 10**9))}",
        at,
        status=status,
        ended_at=draw(st.none() | moments) if status in {Status.REPAIRED, Status.LAPSED} else None,
        facts=facts,
    )


ledgers = st.lists(entries(), max_size=20, unique_by=lambda one: one.id)
losses = entries(rules=tuple(r.id for r in POLICY.rules.values() if r.points < 0))


@st.composite
def lateness(draw) -> Entry:
    """Returns a minor entry about one and the same month, early or late in its fading."""
    return entry(
        "late_event",
        f"late-{draw(st.integers(0, 10**9))}",
        START + draw(st.integers(0, 80)) * DAY,
        status=draw(st.sampled_from([Status.EFFECTIVE, Status.EFFECTIVE, Status.CANCELLED])),
        facts=CapFacts(day=START.date(), chains=draw(st.sampled_from([None, None, 0, 400]))),
    )


@st.composite
def _good_conduct(draw) -> Entry:
    return entry(
        draw(st.sampled_from(["chain_completed", "chain_completed", "licence_verified"])),
        f"good-{draw(st.integers(0, 10**9))}",
        START + draw(st.integers(0, 48)) * timedelta(hours=1),
        facts=CapFacts(buyer=draw(st.sampled_from([None, "a", "b"]))),
    )


busy_days = st.lists(_good_conduct(), min_size=6, max_size=20, unique_by=lambda one: one.id)
crowded_months = st.lists(lateness(), min_size=4, max_size=9, unique_by=lambda one: one.id)
first_months = st.integers(30, 90).map(lambda days: START + days * DAY)


@st.composite
def _hold(draw) -> Hold:
    since = draw(moments)
    finding = f"f{draw(st.integers(0, 10**6))}"
    return Hold(finding, draw(st.integers(0, 400)), since, since + draw(st.integers(1, 400)) * DAY)


hold_lists = st.lists(_hold(), max_size=5, unique_by=lambda hold: hold.finding)

_bases = st.one_of(
    st.integers(90, 110).map(Decimal),
    st.integers(0, 10**6).map(Decimal),
    st.decimals(0, 1000, places=3, allow_nan=False),
    st.sampled_from([Decimal(0), Decimal("1e300"), Decimal("1e-300"), Decimal("0.0000005")]),
)
# Counters read a moment apart may even contradict each other.
_counts = st.one_of(st.integers(1, 60), st.sampled_from([-1, 0, 1, 7, 40]))
_mostly = st.sampled_from([True, True, True, True, True, False])
_rarely = _mostly.map(lambda flag: not flag)


@st.composite
def offers(draw) -> Offer:
    return Offer(
        id=f"o{draw(st.integers(0, 10**9))}",
        gtin="06901234567892",
        seller=PARTY,
        base=draw(_bases),
        known=draw(_mostly),
        traceable=draw(_mostly),
        integrity_ok=draw(_mostly),
        recalled=draw(_rarely),
        measure=draw(_rarely),
        black_listed=draw(_rarely),
        sold=draw(_counts),
        sold_without_open_gap=draw(_counts),
        steps=draw(_counts),
        independent_steps=draw(_counts),
        orders_reported=draw(st.none() | _counts),
        units_with_chain=draw(_counts),
        grade=draw(st.sampled_from("ABCD")),
        data_enough=draw(_mostly),
    )


offer_lists = st.lists(offers(), max_size=12, unique_by=lambda offer: offer.id)
