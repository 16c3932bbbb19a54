"""Reads policy files: one JSON file a version, strictly, into the values of app.credit.rules.

A version is never edited once it is in force: a change is a new file, which keeps every rule id of
the versions before it, so that old entries stay readable. Decimals are texts, so that a policy's
canonical bytes, and its digest, are the same everywhere.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import pairwise
from types import MappingProxyType
from typing import Any, TypeVar, cast

from app.credit.detector_terms import read_detectors
from app.credit.fields import BadPolicy, Fields
from app.credit.list_terms import read_lists, read_warnings
from app.credit.rules import (
    GRADES,
    Caps,
    ClassTerms,
    EntrySource,
    Graces,
    Grade,
    GradeStep,
    HoldTerms,
    ObjectionTerms,
    Policy,
    RankingTerms,
    RepairTerms,
    Rule,
    RuleClass,
    VolumeLimit,
)
from app.kit.canonical import canonical_bytes, parse_json
from app.kit.clock import local_day
from app.kit.errors import Fault, NotFound

__all__ = ["BadPolicy", "Policies", "load_policy", "parse_policy", "policy_at", "versions"]

FORMAT = "suxin-policy/1"

_RULE_ID = re.compile(r"^[a-z][a-z_]{2,39}$")
_FILE = re.compile(r"[1-9]\d{0,3}\.json", re.ASCII)
_SOURCES = ("system", "operator", "regulator")
_K = TypeVar("_K")
_V = TypeVar("_V")


MIN_NOTICE_DAYS = 7
"""Between announcement and force: E-commerce Law art. 34 has changes of rules shown 7 days before."""


class Policies:
    """Every version in some folders, and which one is in force when. Read once.

    A version that is not announced in time, or takes back what the one before promised, is refused
    with BadPolicy when the folder is read: better no service than a rule that nobody was told of.
    """

    def __init__(self, *folders: Traversable) -> None:
        files = [f for folder in folders for f in folder.iterdir() if _FILE.fullmatch(f.name)]
        found = [_read(file) for file in sorted(files, key=lambda file: int(file.name[:-5]))]
        if not found:
            raise BadPolicy("policies", "expected at least one file named as in 1.json")
        for older, newer in pairwise(found):
            check_successor(older, newer)
        self._by_version = {policy.version: policy for policy in found}

    @property
    def versions(self) -> tuple[int, ...]:
        """Every version there is, ascending."""
        return tuple(self._by_version)

    def get(self, version: int) -> Policy:
        """Returns a version. Raises NotFound (`policy_unknown`) if there is none."""
        if version not in self._by_version:
            raise NotFound("policy_unknown", version=version)
        return self._by_version[version]

    def at(self, moment: datetime) -> Policy:
        """Returns the version in force at this time; before the first one, the first."""
        day = local_day(moment)
        policies = list(self._by_version.values())
        return next((p for p in reversed(policies) if p.effective_on <= day), policies[0])


@cache
def packaged(more: Traversable | None = None) -> Policies:
    """Returns the versions that come with this release, and those of one more folder after them."""
    folder = resources.files("app.credit") / "policies"
    return Policies(folder) if more is None else Policies(folder, more)


def versions() -> tuple[int, ...]:
    """Returns every packaged version, ascending."""
    return packaged().versions


def load_policy(version: int) -> Policy:
    """Returns a packaged version. Raises NotFound (`policy_unknown`), BadPolicy."""
    return packaged().get(version)


def policy_at(moment: datetime) -> Policy:
    """Returns the packaged version in force at this time; before the first one, the first."""
    return packaged().at(moment)


@cache
def policy_schema() -> Mapping[str, Any]:
    """Returns the JSON Schema of a policy file (2020-12)."""
    raw = (resources.files("app.credit") / "policies" / "schema.json").read_bytes()
    return MappingProxyType(json.loads(raw))


def check_successor(older: Policy, newer: Policy) -> None:
    """Raises BadPolicy unless `newer` may follow `older`."""
    if newer.version != older.version + 1:
        raise BadPolicy("version", f"expected {older.version + 1}, got {newer.version}")
    if newer.effective_on <= older.effective_on:
        raise BadPolicy("effective_on", "a later version comes into force later")
    gone = sorted(older.rules.keys() - newer.rules.keys())
    if gone:
        raise BadPolicy("rules", f"{gone[0]} is gone: old entries must stay readable")
    for rule in older.rules.values():
        if newer.rules[rule.id].rule_class is not rule.rule_class:
            raise BadPolicy("rules", f"{rule.id} changed its class: make another rule")
        if newer.rules[rule.id].caps.buyer_month != rule.caps.buyer_month:
            # Who bought stands in no record: of old entries nobody could tell what it changes.
            raise BadPolicy("rules", f"{rule.id}: the cap on one buyer cannot change")
    if newer.graces != older.graces:
        # Known gap: chains do not say under which graces they lived, so the audit would derive the
        # state of old ones anew under the new graces, and call the stored ones altered.
        raise BadPolicy("graces", "cannot change yet")


def _read(file: Traversable) -> Policy:
    policy = parse_policy(parse_json(file.read_bytes()))
    if f"{policy.version}.json" != file.name:
        raise BadPolicy("version", f"expected {file.name[:-5]} as the file's name says")
    return policy


def parse_policy(data: object) -> Policy:
    """Returns the policy that this JSON value describes.

    Raises BadPolicy for an unknown or missing field, a wrong type, or numbers that make no sense.
    """
    top = Fields(data, "policy")
    top.literal("format", FORMAT)
    points = top.sub("score")
    enough = top.sub("data_enough")
    grades = tuple(_grade(item) for item in top.subs("grades"))
    policy = Policy(
        version=top.integer("version", 1),
        announced_on=top.day("announced_on"),
        effective_on=top.day("effective_on"),
        title=top.texts("title"),
        summary=top.texts("summary"),
        base=points.integer("base", 0),
        lowest=points.integer("min", 0),
        highest=points.integer("max", 1),
        positive_cap=points.integer("positive_cap", 0),
        grades=grades,
        graces=_graces(top.sub("graces")),
        notice_working_days=top.integer("notice_working_days", 1, 60),
        objection=_objection(top.sub("objection")),
        repair=_repair(top.sub("repair")),
        hold=_hold(top.sub("hold")),
        data_enough_rule=enough.text("rule"),
        data_enough_count=enough.integer("count", 0),
        classes=_unique("classes", [(c.rule_class, c) for c in map(_class, top.subs("classes"))]),
        volume_limits=_unique(
            "volume_limits", [(v.rule_class, v) for v in map(_limit, top.subs("volume_limits"))]
        ),
        ranking=_ranking(top.sub("ranking")),
        lists=read_lists(top.subs("lists")),
        warnings=read_warnings(top.sub("warnings")),
        detectors=read_detectors(top.sub("detectors")),
        rules=_unique("rules", [(rule.id, rule) for rule in map(_rule, top.subs("rules"))]),
        data=MappingProxyType(dict(top.values)),
        digest=_digest(top.values),
    )
    for part in (top, points, enough):
        part.done()
    _check_sense(policy)
    return policy


def _check_sense(policy: Policy) -> None:
    if policy.effective_on - policy.announced_on < timedelta(days=MIN_NOTICE_DAYS):
        raise BadPolicy(
            "effective_on", f"a policy is announced {MIN_NOTICE_DAYS} days before it is in force"
        )
    if not policy.lowest < policy.base <= policy.highest:
        raise BadPolicy("score", "expected min < base <= max")
    if [step.grade for step in policy.grades] != list(GRADES):
        raise BadPolicy("grades", f"expected {', '.join(GRADES)}, best first")
    lowest = [step.lowest for step in policy.grades]
    if sorted(set(lowest), reverse=True) != lowest or lowest[-1] != policy.lowest:
        raise BadPolicy("grades", "expected falling `from`, the last at the lowest score")
    if lowest[0] > policy.highest:
        raise BadPolicy("grades", "nobody can reach the best grade")
    if set(policy.classes) != set(RuleClass):
        raise BadPolicy("classes", f"expected each of {', '.join(RuleClass)}")
    if RuleClass.POSITIVE in policy.volume_limits:
        raise BadPolicy("volume_limits", "limits are for points lost; good conduct has caps")
    counted = policy.rules.get(policy.data_enough_rule)
    if counted is None or counted.rule_class is not RuleClass.POSITIVE:
        raise BadPolicy("data_enough.rule", "expected the id of a positive rule")
    for index, rule in enumerate(policy.rules.values()):
        _check_class(f"policy.rules.{index}", rule, policy.classes[rule.rule_class])


def _check_class(loc: str, rule: Rule, terms: ClassTerms) -> None:
    if rule.expires_months > terms.expires_months:
        raise BadPolicy(f"{loc}.expires_months", f"expected at most {terms.expires_months}")
    least = terms.earliest_repair_months
    if least is not None and (rule.earliest_repair_months or 0) < least:
        raise BadPolicy(f"{loc}.earliest_repair_months", f"expected at least {least}")


def _rule(fields: Fields) -> Rule:
    rule = Rule(
        id=fields.text("id"),
        rule_class=fields.rule_class(),
        points=fields.integer("points", -1000, 1000),
        earliest_repair_months=fields.optional_integer("earliest_repair_months", 0, 120),
        expires_months=fields.integer("expires_months", 1, 120),
        caps=_caps(fields.sub("caps")) if "caps" in fields.values else Caps(),
        forces_grade=fields.grade("forces_grade") if "forces_grade" in fields.values else None,
        notice=fields.boolean("notice"),
        entered_by=cast("frozenset[EntrySource]", fields.words("entered_by", _SOURCES)),
        title=fields.texts("title"),
        text=fields.texts("text"),
    )
    fields.done()
    if not _RULE_ID.match(rule.id):
        fields.refuse("id", "expected lower-case words")
    if rule.rule_class is RuleClass.POSITIVE:
        if rule.points <= 0:
            fields.refuse("points", "good conduct earns points")
        if rule.earliest_repair_months is not None or rule.forces_grade is not None:
            fields.refuse("class", "good conduct is not repaired and forces no grade")
        if rule.notice:
            fields.refuse("notice", "good conduct counts at once")
    else:
        if rule.points >= 0:
            fields.refuse("points", "expected points lost")
        if rule.caps != Caps():
            fields.refuse("caps", "points lost have no caps")
        if rule.earliest_repair_months is None:
            fields.refuse("earliest_repair_months", "every entry can be repaired")
        if rule.earliest_repair_months >= rule.expires_months:
            fields.refuse("earliest_repair_months", "repair must be possible before the end")
    return rule


def _caps(fields: Fields) -> Caps:
    caps = Caps(
        per_day=fields.optional_integer("per_day", 1),
        total=fields.optional_integer("total", 1),
        buyer_month=fields.optional_integer("buyer_month", 1),
    )
    fields.done()
    return caps


def _grade(fields: Fields) -> GradeStep:
    step = GradeStep(fields.grade("grade"), fields.integer("from", 0), fields.texts("title"))
    fields.done()
    return step


def _class(fields: Fields) -> ClassTerms:
    found = ClassTerms(
        rule_class=fields.rule_class(),
        published=fields.boolean("published"),
        person_confirms=fields.boolean("person_confirms"),
        earliest_repair_months=fields.optional_integer("earliest_repair_months", 0, 120),
        expires_months=fields.integer("expires_months", 1, 120),
        title=fields.texts("title"),
        text=fields.texts("text"),
    )
    fields.done()
    if (found.earliest_repair_months is None) is not (found.rule_class is RuleClass.POSITIVE):
        fields.refuse("earliest_repair_months", "for every class but the positive one")
    return found


def _objection(fields: Fields) -> ObjectionTerms:
    terms = ObjectionTerms(
        days=fields.integer("days", 1, 3650),
        decide_working_days=fields.integer("decide_working_days", 1, 60),
        suspends=fields.boolean("suspends"),
        text=fields.texts("text"),
    )
    fields.done()
    return terms


def _repair(fields: Fields) -> RepairTerms:
    terms = RepairTerms(
        decide_working_days=fields.integer("decide_working_days", 1, 60),
        text=fields.texts("text"),
    )
    fields.done()
    return terms


def _graces(fields: Fields) -> Graces:
    graces = Graces(
        late_record=timedelta(hours=fields.integer("late_record_hours", 0)),
        dispatch_due=timedelta(days=fields.integer("dispatch_due_days", 0)),
        signature_due=timedelta(days=fields.integer("signature_due_days", 0)),
        complaint_reply=timedelta(hours=fields.integer("complaint_reply_hours", 0)),
    )
    fields.done()
    return graces


def _hold(fields: Fields) -> HoldTerms:
    hold = HoldTerms(
        points=fields.integer("points", 0),
        working_days=fields.integer("working_days", 1, 60),
        max_grades=fields.integer("max_grades", 0, len(GRADES) - 1),
        title=fields.texts("title"),
        text=fields.texts("text"),
    )
    fields.done()
    return hold


def _limit(fields: Fields) -> VolumeLimit:
    limit = VolumeLimit(
        rule_class=fields.rule_class(),
        per_month=fields.integer("per_month", 0),
        chains_percent=fields.integer("chains_percent", 0, 100),
        points_per_month=fields.integer("points_per_month", 0),
        text=fields.texts("text"),
    )
    fields.done()
    return limit


def _ranking(fields: Fields) -> RankingTerms:
    factors = fields.sub("grade_factors")
    by_grade: dict[Grade, Decimal] = {grade: factors.decimal(grade) for grade in GRADES}
    terms = RankingTerms(
        max_boost=fields.decimal("max_boost"),
        grade_factors=MappingProxyType(by_grade),
        independence_base=fields.decimal("independence_base"),
        independence_share=fields.decimal("independence_share"),
        coverage_default=fields.decimal("coverage_default"),
        window_days=fields.integer("window_days", 1, 3650),
        text=fields.texts("text"),
    )
    factors.done()
    fields.done()
    if terms.independence_base + terms.independence_share != 1:
        # Otherwise the boost could exceed its bound, or never reach it.
        fields.refuse("independence_share", "expected base + share = 1")
    if sorted(by_grade.values(), reverse=True) != list(by_grade.values()):
        fields.refuse("grade_factors", "a worse grade must not rank better")
    return terms


def _unique(loc: str, items: Iterable[tuple[_K, _V]]) -> Mapping[_K, _V]:
    found: dict[_K, _V] = {}
    for key, value in items:
        if key in found:
            raise BadPolicy(loc, f"{key} stands twice")
        found[key] = value
    return MappingProxyType(found)


def _digest(values: Mapping[str, Any]) -> str:
    try:
        return hashlib.sha256(canonical_bytes(dict(values))).hexdigest()
    except Fault as err:
        raise BadPolicy("policy", str(err)) from err
