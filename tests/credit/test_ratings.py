"""How stars are counted: a mean that few ratings cannot win by."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.credit.ratings import Stars

counts = st.tuples(*[st.integers(0, 10_000)] * 5)


def test_three_best_ratings_do_not_beat_three_thousand_good_ones():
    few, many = Stars((0, 0, 0, 0, 3)), Stars((20, 30, 100, 250, 2_600))
    assert (few.mean, few.at_least) == (5, 2.93)
    assert (many.mean, many.at_least) == (4.79, 4.77)


def test_of_no_ratings_there_is_no_number():
    assert (Stars().count, Stars().mean, Stars().at_least) == (0, None, None)


def test_a_mean_is_rounded_half_up():
    assert Stars((0, 0, 0, 7, 1)).mean == 4.13  # 4.125


@given(counts)
def test_what_is_certain_is_between_one_star_and_the_mean(of):
    stars = Stars(of)
    if stars.count:
        assert stars.mean is not None
        assert stars.at_least is not None
        assert 1 <= stars.at_least <= stars.mean <= 5


@given(counts, st.integers(2, 50))
def test_the_same_distribution_counted_more_often_is_more_certain(of, times):
    stars, more = Stars(of), Stars(tuple(n * times for n in of))
    if stars.count >= 30:
        assert abs(more.mean - more.at_least) <= abs(stars.mean - stars.at_least) + 0.02


@given(counts, st.integers(0, 3))
def test_a_better_rating_never_makes_it_less(of, place):
    if not of[place]:
        return
    better = list(of)
    better[place] -= 1
    better[place + 1] += 1
    before, after = Stars(of), Stars(tuple(better))
    assert before.mean is not None
    assert after.mean is not None
    assert after.mean >= before.mean
