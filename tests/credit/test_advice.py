"""Advice: what it promises is what the formula gives, and the replay script ranks as the service does."""

from __future__ import annotations

import importlib.util
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.credit.advice import advise
from app.credit.offers import Answered, Candidate
from app.credit.ranking import Band, judge, rank_candidates
from app.credit.samples import inputs_of, result_of
from app.i18n import text
from tests.credit.examples import POLICY, offer_lists, offers, traceable


def told(offer, *, score: int = 720, chains: int = 10):
    return advise(offer, POLICY, score=score, completed_chains=chains)


def gains(offer) -> dict[str, str]:
    return {step.factor: str(step.gain) for step in told(offer).steps}


def test_an_offer_that_wants_nothing_gets_no_advice():
    assert told(traceable()).steps == ()
    assert told(traceable()).possible == Decimal("0.150000")


def test_each_factor_says_what_it_would_bring():
    offer = traceable(grade="B", orders_reported=80, independent_steps=0, sold_without_open_gap=30)
    now = judge(offer, POLICY)[0]
    assert str(now) == "0.023625"
    assert gains(offer) == {
        "coverage": "0.023625",
        "independence": "0.015750",
        "grade": "0.010125",
        "completeness": "0.007875",
    }
    assert dict(told(offer).steps[2].params) == {"grade": "A", "points": 130}


def test_a_stop_waits_and_the_rest_is_told_as_if_it_were_gone():
    found = told(traceable(recalled=True, orders_reported=None))
    assert (found.boost, found.waits) == (0, True)
    assert {step.factor: str(step.boost) for step in found.steps} == {
        "recall": "0.075000",
        "coverage": "0.150000",
    }


def test_chains_that_are_still_missing_are_counted():
    found = advise(traceable(data_enough=False), POLICY, score=700, completed_chains=7)
    assert dict(found.steps[0].params) == {"missing": 3}


@given(offers())
def test_no_step_lowers_and_each_reads_in_both_languages(offer):
    found = told(offer._replace(known=True))
    assert 0 <= found.boost <= found.possible <= Decimal("0.15")
    for step in found.steps:
        assert step.gain >= 0
        for lang in ("zh", "en"):
            assert "{" not in text(lang, step.key, **dict(step.params))


# --- replaying ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def replayer() -> ModuleType:
    path = Path(__file__).parents[2] / "scripts" / "replay_ranking.py"
    spec = importlib.util.spec_from_file_location("replay_ranking_pure", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["replay_ranking_pure"] = module
    spec.loader.exec_module(module)
    return module


@given(offer_lists, st.sampled_from(["boost", "tie_break"]), st.sampled_from(["0", "0.1", "0.005"]))
def test_whoever_has_the_inputs_gets_the_very_result(replayer, listed, mode, band):
    asked = [
        (Candidate(str(n), one.gtin, one.seller, str(one.base)), one)
        for n, one in enumerate(listed)
    ]
    ranked = rank_candidates(
        [(c.id, c.base, one) for c, one in asked], mode, Band(relative=Decimal(band)), POLICY
    )
    answered = Answered(ranked, asked, datetime(2026, 11, 23, tzinfo=UTC))
    inputs = orjson.loads(orjson.dumps(inputs_of(answered, mode=mode, band=band, policy=POLICY)))
    result = orjson.loads(orjson.dumps(result_of(ranked)))
    assert replayer.replay(inputs) == result
