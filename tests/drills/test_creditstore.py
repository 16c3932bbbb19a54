"""The drill of `scripts/drill credit-store`, small."""

from __future__ import annotations

import random

import pytest

from tests.drills.creditstore import run_drill, two_deployments


@pytest.mark.slow
def test_both_ledgers_are_equal_whoever_is_killed_and_whenever(tmp_path):
    with two_deployments(tmp_path) as drill:
        print(run_drill(drill, entries=300, dice=random.Random(20261125), least_kills=2))
