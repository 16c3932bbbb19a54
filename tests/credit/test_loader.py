"""The policy file: the numbers of version 1, and nonsense refused by place."""

from __future__ import annotations

import copy
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from app.credit.loader import BadPolicy, load_policy, parse_policy, policy_at, versions
from app.credit.rules import GRADES, RuleClass
from app.kit.canonical import canonical_bytes
from app.kit.errors import NotFound

POLICY = load_policy(1)


def changed(path: str, value: object) -> dict:
    """Returns policy 1 with one place changed; `...` removes it."""
    data = copy.deepcopy(dict(POLICY.data))
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place = data
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return data


def rule_at(rule: str) -> str:
    return f"rules.{list(POLICY.rules).index(rule)}"


def test_version_1_has_the_numbers_of_the_domain():
    assert (POLICY.base, POLICY.lowest, POLICY.highest, POLICY.positive_cap) == (700, 0, 1000, 300)
    assert [(step.grade, step.lowest) for step in POLICY.grades] == [
        ("A", 850),
        ("B", 700),
        ("C", 600),
        ("D", 0),
    ]
    graces = POLICY.graces
    assert graces.late_record == timedelta(hours=24)
    assert (graces.dispatch_due, graces.signature_due) == (timedelta(days=7), timedelta(days=15))
    assert POLICY.notice_working_days == 5
    assert (POLICY.hold.points, POLICY.hold.working_days, POLICY.hold.max_grades) == (50, 5, 1)
    assert (POLICY.data_enough_rule, POLICY.data_enough_count) == ("chain_completed", 10)
    assert POLICY.ranking.max_boost == Decimal("0.15")
    assert POLICY.ranking.coverage_default == Decimal("0.5")
    assert POLICY.ranking.window_days == 180
    assert list(POLICY.ranking.grade_factors.values()) == [1, Decimal("0.7"), 0, 0]
    assert POLICY.objection.suspends is False


@pytest.mark.parametrize(
    ("rule", "kind", "points", "repair", "ends"),
    [
        ("chain_completed", "positive", 1, None, 12),
        ("licence_verified", "positive", 30, None, 12),
        ("commitment_active", "positive", 20, None, 12),
        ("commitment_kept", "positive", 5, None, 12),
        ("spot_check_clean", "positive", 20, None, 12),
        ("recall_on_time", "positive", 20, None, 12),
        ("disclosure_complete", "positive", 20, None, 12),
        ("late_event", "minor", -5, 0, 3),
        ("complaint_reply_slow", "minor", -5, 0, 3),
        ("continuity_uncured", "general", -30, 3, 12),
        ("complaint_upheld", "general", -20, 3, 12),
        ("commitment_broken", "general", -30, 3, 12),
        ("listing_mismatch", "general", -50, 3, 12),
        ("spot_check_failed", "general", -80, 3, 12),
        ("licence_expired_selling", "general", -50, 3, 12),
        ("counterfeit", "serious", -300, 12, 36),
        ("brushing_confirmed", "serious", -300, 12, 36),
        ("logistics_forged", "serious", -300, 12, 36),
        ("integrity_attributed_merchant", "serious", -300, 12, 36),
        ("recall_refused", "serious", -300, 12, 36),
    ],
)
def test_each_rule_of_version_1(rule, kind, points, repair, ends):
    found = POLICY.rules[rule]
    assert (found.rule_class, found.points) == (kind, points)
    assert (found.earliest_repair_months, found.expires_months) == (repair, ends)
    assert found.forces_grade == ("D" if kind == "serious" else None)


def test_version_1_has_no_rule_beyond_those_tested_above():
    assert len(POLICY.rules) == 20


def test_caps_and_limits_of_version_1():
    caps = POLICY.rules["chain_completed"].caps
    assert (caps.per_day, caps.total, caps.buyer_month) == (5, 100, 6)
    limit = POLICY.volume_limits[RuleClass.MINOR]
    assert [limit.entries_counted(chains) for chains in (0, 300, 399, 400, 10_000)] == [
        3, 3, 3, 4, 100,
    ]  # fmt: skip


def test_a_term_follows_the_months_of_its_rule():
    effective = datetime(2026, 11, 30, 15, 59, 59, 999_000, tzinfo=UTC)
    term = POLICY.rules["continuity_uncured"].term(effective)
    assert term.earliest_repair_at == datetime(2027, 2, 28, 15, 59, 59, 999_000, tzinfo=UTC)
    assert term.expires_at == datetime(2027, 11, 30, 15, 59, 59, 999_000, tzinfo=UTC)
    assert POLICY.rules["chain_completed"].term(effective).earliest_repair_at is None


def test_grades_begin_at_their_lowest_score():
    scores = (1000, 850, 849, 700, 699, 600, 599, 0, -5, 2000)
    assert "".join(POLICY.grade_of(score) for score in scores) == "AABBCCDDDA"


def test_the_digest_is_that_of_the_canonical_file():
    again = parse_policy(copy.deepcopy(dict(POLICY.data)))
    assert again.digest == POLICY.digest
    assert len(POLICY.digest) == 64
    assert parse_policy(changed("hold.points", 51)).digest != POLICY.digest
    canonical_bytes(dict(POLICY.data))


def test_an_unknown_version_is_not_found():
    with pytest.raises(NotFound, match="policy_unknown"):
        load_policy(99)


def test_before_the_first_version_the_first_holds():
    assert policy_at(datetime(2020, 1, 1, tzinfo=UTC)).version == 1
    assert policy_at(datetime(2040, 1, 1, tzinfo=UTC)).version == versions()[-1]


@pytest.mark.parametrize("version", versions())
def test_every_version_reads_and_keeps_the_rules_before_it(version):
    policy = load_policy(version)
    if version > 1:
        assert set(policy.rules) >= set(load_policy(version - 1).rules)
    assert policy.announced_on < policy.effective_on


@pytest.mark.parametrize(
    ("path", "value", "loc"),
    [
        ("surprise", 1, "policy.surprise"),
        ("ranking.surprise", 1, "policy.ranking.surprise"),
        ("rules.0.surprise", 1, "policy.rules.0.surprise"),
        ("rules.0.caps.per_week", 1, "policy.rules.0.caps.per_week"),
        ("rules.0.title.fr", "x", "policy.rules.0.title.fr"),
        ("score.surprise", 1, "policy.score.surprise"),
        ("format", "suxin-policy/2", "policy.format"),
        ("version", 0, "policy.version"),
        ("version", True, "policy.version"),
        ("version", "1", "policy.version"),
        ("notice_working_days", ..., "policy.notice_working_days"),
        ("notice_working_days", 0, "policy.notice_working_days"),
        ("objection.suspends", 0, "policy.objection.suspends"),
        ("announced_on", "2026-13-01", "policy.announced_on"),
        ("announced_on", "2026-09-01", "effective_on"),
        ("score.base", 0, "score"),
        ("score.base", 1001, "score"),
        ("score.positive_cap", -1, "policy.score.positive_cap"),
        ("grades.1.from", 850, "grades"),
        ("grades.3.from", 10, "grades"),
        ("grades.0.from", 1001, "grades"),
        ("grades.0.grade", "E", "policy.grades.0.grade"),
        ("grades.0.grade", "B", "grades"),
        ("grades", {}, "policy.grades"),
        ("classes.1.class", "positive", "policy.classes.1.earliest_repair_months"),
        ("classes.1.class", "petty", "policy.classes.1.class"),
        ("classes.3", ..., "classes"),
        ("volume_limits.0.class", "positive", "volume_limits"),
        ("volume_limits.0.chains_percent", 101, "policy.volume_limits.0.chains_percent"),
        ("data_enough.rule", "no_such_rule", "data_enough.rule"),
        ("data_enough.rule", "counterfeit", "data_enough.rule"),
        ("ranking.max_boost", "1.5", "policy.ranking.max_boost"),
        ("ranking.max_boost", "0.1500001", "policy.ranking.max_boost"),
        ("ranking.max_boost", 0.15, "policy.ranking.max_boost"),
        ("title.zh", "信用\x00规则", "policy"),
        ("ranking.independence_share", "0.5", "policy.ranking.independence_share"),
        ("ranking.grade_factors.C", "0.8", "policy.ranking.grade_factors"),
        ("ranking.grade_factors.D", ..., "policy.ranking.grade_factors.D"),
        ("hold.max_grades", 4, "policy.hold.max_grades"),
        ("hold", [], "policy.hold"),
        ("rules.1.id", "chain_completed", "rules"),
        ("rules.0.id", "Chain completed", "policy.rules.0.id"),
        ("rules.0.points", -1, "policy.rules.0.points"),
        ("rules.0.points", 0, "policy.rules.0.points"),
        ("rules.0.forces_grade", "D", "policy.rules.0.class"),
        ("rules.0.earliest_repair_months", 1, "policy.rules.0.class"),
        ("rules.0.text.en", " ", "policy.rules.0.text.en"),
        ("rules.0.expires_months", 0, "policy.rules.0.expires_months"),
        (f"{rule_at('late_event')}.points", 5, f"policy.{rule_at('late_event')}.points"),
        (f"{rule_at('late_event')}.caps", {"total": 1}, f"policy.{rule_at('late_event')}.caps"),
        (
            f"{rule_at('counterfeit')}.earliest_repair_months",
            ...,
            f"policy.{rule_at('counterfeit')}.earliest_repair_months",
        ),
        (
            f"{rule_at('counterfeit')}.earliest_repair_months",
            36,
            f"policy.{rule_at('counterfeit')}.earliest_repair_months",
        ),
    ],
)
def test_nonsense_is_refused_by_place(path, value, loc):
    with pytest.raises(BadPolicy) as caught:
        parse_policy(changed(path, value))
    assert caught.value.loc == loc


@pytest.mark.parametrize("data", [None, [], "policy", {}])
def test_what_is_no_policy_at_all_is_refused(data):
    with pytest.raises(BadPolicy):
        parse_policy(data)


def _numbers(text: str) -> set[int]:
    return {int(number) for number in re.findall(r"\d+", text)}


def test_the_numbers_in_a_rules_text_are_those_of_the_rule():
    # A text that promises other numbers than the data would be a lie to the shop owner.
    fixed = {"chain_completed": {4}, "recall_on_time": {95}}
    for rule in POLICY.rules.values():
        graces = POLICY.graces
        allowed = {abs(rule.points), *fixed.get(rule.id, ())}
        caps = (rule.caps.per_day, rule.caps.total, rule.caps.buyer_month)
        allowed |= {cap for cap in caps if cap}
        if rule.id == "licence_verified":
            allowed.add(rule.expires_months)
        if rule.id == "late_event":
            allowed.add(graces.late_record // timedelta(hours=1))
        if rule.id == "complaint_reply_slow":
            allowed.add(graces.complaint_reply // timedelta(hours=1))
        assert _numbers(rule.text["en"]) <= allowed, rule.id
        assert _numbers(rule.text["zh"]) <= allowed, rule.id
        assert abs(rule.points) in _numbers(rule.text["zh"]) & _numbers(rule.text["en"]), rule.id


def test_the_numbers_in_the_other_texts_are_those_of_the_policy():
    hold, limit = POLICY.hold, POLICY.volume_limits[RuleClass.MINOR]
    score = {POLICY.base, POLICY.positive_cap, POLICY.lowest, POLICY.highest}
    boost = {int(POLICY.ranking.max_boost * 100)}
    terms = {
        kind: {
            months
            for rule in POLICY.rules.values()
            if rule.rule_class is kind
            for months in (rule.earliest_repair_months, rule.expires_months)
            if months
        }
        for kind in RuleClass
    }
    for lang in ("zh", "en"):
        assert _numbers(POLICY.summary[lang]) == score | {POLICY.notice_working_days}
        assert _numbers(POLICY.ranking.text[lang]) == boost
        assert _numbers(limit.text[lang]) == {
                limit.per_month, limit.chains_percent, limit.points_per_month,
            }  # fmt: skip
        assert _numbers(hold.text[lang]) <= {hold.points, hold.working_days, hold.max_grades}
        for kind in RuleClass:
            assert _numbers(POLICY.classes[kind].text[lang]) == terms[kind], kind


def test_the_numbers_in_the_text_on_detectors_are_those_they_go_by():
    terms, hour = POLICY.detectors.thresholds, timedelta(hours=1)
    told = {number for one in terms.clone for number in (one.devices, one.within // hour)}
    told |= {terms.early_devices, terms.scattered_cities, terms.scattered_within.days}
    told |= {terms.fastest // timedelta(minutes=1)}
    for lang in ("zh", "en"):
        assert _numbers(POLICY.detectors.text[lang]) == told


def test_every_grade_has_a_factor_and_a_title():
    assert set(POLICY.ranking.grade_factors) == set(GRADES)
    assert all(step.title["zh"] and step.title["en"] for step in POLICY.grades)
    assert POLICY.announced_on == date(2026, 8, 1)
