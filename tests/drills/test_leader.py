"""The drill of `scripts/drill leader`, once each way."""

from __future__ import annotations

import random

import pytest

from tests.drills.leader import run_round, two_services


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["postgresql"])
def test_another_leads_when_the_leader_is_killed_or_sleeps_and_nothing_is_lost(
    kind, tmp_path, databases
):
    moments = random.Random(20261125)
    with two_services(tmp_path / "market") as pair:
        for how in ("kill", "stop", "hold"):
            print(run_round(pair, how, moments))
