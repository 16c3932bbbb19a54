"""The formula by plain examples, the order, the bands, and what must hold of every ranking."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.credit.ranking import LARGEST_BASE, Band, Offer, parse_base, rank
from app.i18n import keys, text
from tests.credit.examples import PARTY, POLICY, offer_lists, offers, traceable

PLAIN = Offer(id="plain", gtin="06901234567892", seller=PARTY, base="100", known=True)
UNKNOWN = Offer(id="unknown", gtin="00000000000000", seller="nobody", base=100)


def only(offer):
    return rank([offer], policy=POLICY)[0]


def order(*given_offers, **options) -> list[str]:
    return [one.id for one in rank(given_offers, policy=POLICY, **options)]


def test_nothing_wanting_earns_the_whole_boost():
    best = only(traceable())
    assert (best.boost, best.final, best.rank) == (Decimal("0.15"), Decimal(115), 1)
    assert (str(best.boost), str(best.final)) == ("0.150000", "115.000000")


def test_each_policy_judges_by_its_own_numbers_also_what_another_has_judged():
    terms = replace(POLICY.ranking, max_boost=Decimal("0.1"))
    smaller = replace(POLICY, version=2, ranking=terms)
    told = [rank([traceable()], policy=one)[0] for one in (POLICY, smaller, POLICY)]
    assert [str(one.boost) for one in told] == ["0.150000", "0.100000", "0.150000"]


def test_offers_of_the_same_numbers_are_judged_alike_and_keep_what_is_their_own():
    first, second = rank(
        [traceable(), traceable("o2", "50")._replace(gtin="06936983800013")], policy=POLICY
    )
    assert (first.why, first.boost) == (second.why, second.boost)
    assert [(one.id, str(one.final)) for one in (first, second)] == [
        ("o1", "115.000000"),
        ("o2", "57.500000"),
    ]
    strangers = [UNKNOWN, UNKNOWN._replace(id="other", gtin="06936983800013")]
    assert [dict(one.why[0].params)["gtin"] for one in rank(strangers, policy=POLICY)] == [
        "00000000000000",
        "06936983800013",
    ]


@pytest.mark.parametrize(
    ("changes", "boost"),
    [
        ({"grade": "B"}, "0.105000"),
        ({"grade": "C"}, "0.000000"),
        ({"grade": "D"}, "0.000000"),
        ({"orders_reported": None}, "0.075000"),
        ({"orders_reported": 0}, "0.075000"),
        ({"orders_reported": 80}, "0.075000"),
        ({"orders_reported": 10}, "0.150000"),
        ({"sold_without_open_gap": 30}, "0.112500"),
        ({"sold": 0}, "0.000000"),
        ({"sold_without_open_gap": 50}, "0.150000"),
        ({"sold_without_open_gap": -1}, "0.000000"),
        ({"independent_steps": 0}, "0.090000"),
        ({"independent_steps": 40}, "0.105000"),
        ({"steps": 0}, "0.090000"),
        ({"integrity_ok": False}, "0.000000"),
        ({"recalled": True}, "0.000000"),
        ({"measure": True}, "0.000000"),
        ({"black_listed": True}, "0.000000"),
        ({"data_enough": False}, "0.000000"),
        ({"traceable": False}, "0.000000"),
        ({"known": False}, "0.000000"),
        # 0.15 × 2/3 × 1/3 × (0.6 + 0.4 × 1/7) × 0.7 = 0.0153333…
        (
            {"sold": 3, "sold_without_open_gap": 2, "units_with_chain": 1, "orders_reported": 3,
             "steps": 7, "independent_steps": 1, "grade": "B"},
            "0.015333",
        ),
    ],
)  # fmt: skip
def test_each_factor_of_the_formula(changes, boost):
    assert str(only(traceable(**changes)).boost) == boost


def test_the_final_is_rounded_half_up_to_six_decimals():
    assert str(only(traceable(base="0.00001")).final) == "0.000012"  # 0.0000115
    assert str(only(PLAIN._replace(base="1.2345665")).final) == "1.234567"
    assert str(only(PLAIN._replace(base="1.23456649999")).final) == "1.234566"


@pytest.mark.parametrize(
    ("base", "final"),
    [
        (0, "0.000000"),
        (-0.0, "0.000000"),
        (0.1, "0.115000"),
        (Decimal("1e-300"), "0.000000"),
        ("1e-999999999", "0.000000"),
        (10**20, "115000000000000000000.000000"),
        (1e300, "115" + "0" * 298 + ".000000"),
    ],
)
def test_bases_may_be_large_or_tiny(base, final):
    assert str(only(traceable(base=base)).final) == final


@pytest.mark.parametrize(
    "base", ["nan", "-1", -1, -0.5, float("nan"), float("inf"), "1e301", "many", "", True, "sNaN"]
)
def test_what_is_no_base_is_refused(base):
    with pytest.raises(ValueError, match="base"):
        parse_base(base)


def test_a_float_is_taken_as_it_is_printed():
    assert parse_base(0.1) == Decimal("0.1")
    assert parse_base(1e300) == LARGEST_BASE


def test_what_is_unknown_ranks_with_a_reason_and_no_error():
    found = only(UNKNOWN)
    assert (found.boost, found.final) == (0, 100)
    assert [(why.factor, why.value) for why in found.why] == [("known", 0)]
    assert "00000000000000" in text("en", found.why[0].key, **dict(found.why[0].params))


def test_every_boost_explains_itself_by_the_formula():
    offer = traceable(grade="B", independent_steps=40, sold_without_open_gap=30)
    found = only(offer)
    values = {why.factor: why.value for why in found.why}
    assert values == {
        "integrity": 1,
        "completeness": Decimal("0.75"),
        "coverage": 1,
        "independence": Decimal("0.25"),
        "grade": Decimal("0.7"),
        "max_boost": Decimal("0.15"),
    }
    assert text("en", "rank.completeness", **dict(found.why[1].params)) == (
        "Units sold in the last 180 days: 40; of them without an open gap: 30."
    )


def test_a_recall_is_named_and_the_other_reasons_stay():
    found = only(traceable(recalled=True))
    assert [why.factor for why in found.why if not why.value] == ["recall"]
    assert len(found.why) == 7


def test_final_decides_then_traceable_then_the_order_given():
    better = PLAIN._replace(id="better", base=120)
    assert order(traceable("t"), PLAIN, better) == ["better", "t", "plain"]
    poor = traceable("poor", grade="C")
    assert order(PLAIN, poor) == order(poor, PLAIN) == ["poor", "plain"]
    other = PLAIN._replace(id="other")
    assert order(PLAIN, other) == ["plain", "other"]
    assert order(other, PLAIN) == ["other", "plain"]


def test_what_is_recalled_or_broken_is_not_put_first_for_its_chain():
    for stopped in ({"recalled": True}, {"integrity_ok": False}, {"measure": True}):
        assert order(PLAIN, traceable("t", **stopped)) == ["plain", "t"]


def test_tie_break_re_orders_equal_bases_only():
    top = PLAIN._replace(id="top", base="100.01")
    assert order(PLAIN, traceable("t"), top, mode="boost") == ["t", "top", "plain"]
    assert order(PLAIN, traceable("t"), top, mode="tie_break") == ["top", "t", "plain"]


@pytest.mark.parametrize(
    "band", [Band(relative=Decimal("0.01")), Band(absolute=Decimal(1)),
             Band(absolute=Decimal(1), relative=Decimal("0.001"))]
)  # fmt: skip
def test_a_band_is_measured_from_its_highest_base_and_does_not_creep(band):
    # 100, 99.5, 99 lie within 1 of 100; 98.5 within 1 of 99 and 99.5, but not of 100.
    plain = [PLAIN._replace(id=base, base=base) for base in ("100", "99.5")]
    last = [traceable("99", "99"), traceable("98.5", "98.5")]
    assert order(*plain, *last, mode="tie_break", band=band) == ["99", "100", "99.5", "98.5"]


def test_a_band_of_nonsense_is_refused():
    for width in ("-0.1", "nan", "inf"):
        with pytest.raises(ValueError, match="band"):
            Band(relative=Decimal(width))


def test_an_empty_list_ranks_to_an_empty_list():
    assert rank([], policy=POLICY) == rank([], mode="tie_break", policy=POLICY) == []


modes = st.sampled_from(["boost", "tie_break"])
bands = st.builds(
    Band,
    absolute=st.sampled_from([Decimal(0), Decimal(1), Decimal(50)]),
    relative=st.sampled_from([Decimal(0), Decimal("0.1")]),
)


def unstopped(offer):
    return offer._replace(recalled=False, measure=False, black_listed=False, integrity_ok=True)


@given(offer_lists, st.lists(st.tuples(offers(), offers()), min_size=1, max_size=3), modes, bands)
def test_at_equal_base_and_credit_a_traceable_offer_is_never_behind(others, pairs, mode, band):
    for number, (one, other) in enumerate(pairs):
        first = unstopped(one)._replace(id=f"t{number}", known=True, traceable=True)
        second = other._replace(
            id=f"u{number}",
            traceable=False,
            base=first.base,
            grade=first.grade,
            data_enough=first.data_enough,
        )
        for listed in ([*others, second, first], [first, *others, second]):
            places = order(*listed, mode=mode, band=band)
            assert places.index(first.id) < places.index(second.id)


@given(offers())
def test_the_boost_never_exceeds_its_bound_nor_takes(offer):
    found = only(offer)
    assert 0 <= found.boost <= Decimal("0.15")
    # Six decimals of the final may cut what the base had beyond them.
    assert found.final >= found.base - Decimal("0.0000005")
    assert found.boost.as_tuple().exponent == found.final.as_tuple().exponent == -6


@given(offer_lists, modes, bands, st.randoms(use_true_random=False))
def test_the_order_given_decides_only_between_equals(listed, mode, band, random):
    before = rank(listed, mode=mode, band=band, policy=POLICY)
    shuffled = list(listed)
    random.shuffle(shuffled)
    after = rank(shuffled, mode=mode, band=band, policy=POLICY)
    assert [(o.final, o.traceable) for o in before] == [(o.final, o.traceable) for o in after]
    plain = {o.id: o._replace(rank=0) for o in before}
    assert plain == {o.id: o._replace(rank=0) for o in after}
    assert [o.rank for o in before] == list(range(1, len(listed) + 1))


@given(offer_lists, st.lists(st.integers(90, 110), min_size=4, max_size=12), bands)
def test_tie_break_moves_nothing_further_than_the_band(others, bases, band):
    near = [
        traceable(f"n{n}", base, grade="AC"[n % 2], sold_without_open_gap=base - 80)
        for n, base in enumerate(bases)
    ]
    ranked = rank([*others, *near], mode="tie_break", band=band, policy=POLICY)
    lowest_so_far = None
    for one in ranked:
        if lowest_so_far is not None:
            assert band.lowest(one.base) <= lowest_so_far
        lowest_so_far = one.base if lowest_so_far is None else min(lowest_so_far, one.base)


@given(offer_lists, modes, bands)
def test_nobodys_boost_or_reasons_depend_on_other_offers(listed, mode, band):
    alone = {offer.id: only(offer) for offer in listed}
    for one in rank(listed, mode=mode, band=band, policy=POLICY):
        assert one._replace(rank=1) == alone[one.id]


@given(offer_lists)
def test_boost_orders_by_final(listed):
    for higher, lower in pairwise(rank(listed, policy=POLICY)):
        assert (higher.final, higher.traceable) >= (lower.final, lower.traceable)


@given(offers())
def test_the_boost_is_the_formula_to_the_last_digit(offer):
    offer = unstopped(offer)._replace(known=True, traceable=True, data_enough=True)

    def share(part, whole):
        return min(Fraction(1), max(Fraction(0), Fraction(part, whole))) if whole > 0 else 0

    reported = offer.orders_reported
    exact = (
        Fraction(15, 100)
        * share(offer.sold_without_open_gap, offer.sold)
        * (share(offer.units_with_chain, reported) if (reported or 0) > 0 else Fraction(1, 2))
        * (Fraction(6, 10) + Fraction(4, 10) * share(offer.independent_steps, offer.steps))
        * {"A": 1, "B": Fraction(7, 10), "C": 0, "D": 0}[offer.grade]
    )
    assert only(offer).boost == Decimal(int(exact * 10**6 + Fraction(1, 2))) / 10**6


@given(offers())
def test_every_reason_reads_in_both_languages(offer):
    for why in only(offer).why:
        for lang in ("zh", "en"):
            assert "{" not in text(lang, why.key, **dict(why.params))


def test_both_languages_have_the_same_keys_and_places():
    mine = {key for key in keys("zh") if key.startswith(("rank.", "credit."))}
    assert mine == {key for key in keys("en") if key.startswith(("rank.", "credit."))}
    assert len([key for key in mine if key.startswith("rank.")]) == 16


def test_a_thousand_offers_rank_within_50_ms_of_processor_time():
    listed = [traceable(f"o{n}", base=n % 97, sold=41 + n % 7) for n in range(1000)]
    took = []
    for _ in range(5):
        start = process_time()
        rank(listed, policy=POLICY)
        took.append(process_time() - start)
    assert min(took) < 0.05, took
