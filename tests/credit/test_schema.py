"""The published schema of a policy file says what the program takes, place by place."""

from __future__ import annotations

import copy
import json

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.credit.loader import (
    BadPolicy,
    Policies,
    load_policy,
    parse_policy,
    policy_schema,
    versions,
)

POLICY = json.loads(json.dumps(dict(load_policy(1).data)))
SCHEMA = jsonschema_rs.validator_for(json.loads(json.dumps(dict(policy_schema()))))


def places(value, way=()):
    """Yields the way to every value in a JSON value."""
    yield way
    if isinstance(value, dict):
        for key, below in value.items():
            yield from places(below, (*way, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from places(below, (*way, index))


PLACES = [way for way in places(POLICY) if way]


def reads(data) -> bool:
    try:
        parse_policy(data)
    except BadPolicy:
        return False
    return True


@pytest.mark.parametrize("version", versions())
def test_every_version_is_as_its_schema_says(version):
    SCHEMA.validate(json.loads(json.dumps(dict(load_policy(version).data))))


@given(st.sampled_from(PLACES), st.sampled_from([..., None, "", "x", -1, 1.5, 10**9, [], {}, True]))
def test_what_the_schema_refuses_the_program_refuses(way, value):
    data = copy.deepcopy(POLICY)
    place = data
    for step in way[:-1]:
        place = place[step]
    if value is ...:
        del place[way[-1]]
    else:
        place[way[-1]] = value
    # The program also knows how fields hang together, which a schema does not say.
    assert SCHEMA.is_valid(data) or not reads(data)


# What only some rules or criteria have: the program says which.
OPTIONAL = {
    "caps",
    "forces_grade",
    "per_day",
    "total",
    "buyer_month",
    "grade_months",
    "entry_class",
}


@given(st.sampled_from([way for way in PLACES if isinstance(way[-1], str)]))
def test_what_is_missing_or_unknown_both_refuse(way):
    data = copy.deepcopy(POLICY)
    place = data
    for step in way[:-1]:
        place = place[step]
    place["surprise"] = 1
    assert not SCHEMA.is_valid(data)
    assert not reads(data)
    del place["surprise"]
    del place[way[-1]]
    assert SCHEMA.is_valid(data) is (way[-1] in OPTIONAL)


# --- several versions ---------------------------------------------------------------------------


def next_version(**changes) -> dict:
    data = copy.deepcopy(POLICY)
    data |= {"version": 2, "announced_on": "2026-11-20", "effective_on": "2026-12-01"}
    return data | changes


def folder(tmp_path, *policies: dict):
    for number, policy in enumerate(policies, start=1):
        (tmp_path / f"{number}.json").write_text(json.dumps(policy), "utf-8")
    return tmp_path


def without_rule() -> list:
    return [rule for rule in POLICY["rules"] if rule["id"] != "late_event"]


def changed_rule(**changes) -> list:
    return [{**r, **changes} if r["id"] == "chain_completed" else r for r in POLICY["rules"]]


@pytest.mark.parametrize(
    ("changes", "loc"),
    [
        ({"announced_on": "2026-11-25"}, "effective_on"),
        ({"announced_on": "2026-12-01"}, "effective_on"),
        ({"announced_on": "2026-08-01", "effective_on": "2026-09-01"}, "effective_on"),
        ({"version": 3}, "version"),
        ({"rules": without_rule()}, "rules"),
        ({"rules": changed_rule(caps={"per_day": 5, "total": 100, "buyer_month": 3})}, "rules"),
        ({"graces": POLICY["graces"] | {"late_record_hours": 48}}, "graces"),
    ],
)
def test_a_version_that_may_not_follow_stops_the_service(tmp_path, changes, loc):
    with pytest.raises(BadPolicy, match=f"^{loc}: "):
        Policies(folder(tmp_path, POLICY, next_version(**changes)))


def test_a_version_is_in_force_from_its_day_in_china_on(tmp_path):
    from app.kit.clock import parse_time

    policies = Policies(folder(tmp_path, POLICY, next_version()))
    assert policies.versions == (1, 2)
    assert policies.at(parse_time("2026-11-30T15:59:59.999Z")).version == 1
    assert policies.at(parse_time("2026-11-30T16:00:00.000Z")).version == 2


def test_a_folder_without_policies_is_refused(tmp_path):
    with pytest.raises(BadPolicy, match="policies"):
        Policies(tmp_path)
