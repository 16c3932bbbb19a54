"""Reads policy files: one JSON file a version, strictly, into the values of app.credit.rules.

A version is never edited once it is in force: a change is a new file, which keeps every rule id of
the versions before it, so that old entries stay readable. Decimals are texts, so that a policy's
canonical bytes, and its digest, are the same everywhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar

from app.credit.rules import (
    GRADES,
    Caps,
    ClassTerms,
    Graces,
    Grade,
    GradeStep,
    HoldTerms,
    Policy,
    RankingTerms,
    Rule,
    RuleClass,
    Texts,
    VolumeLimit,
)
from app.credit.workdays import local_day
from app.kit.canonical import canonical_bytes, parse_json
from app.kit.errors import Fault, NotFound

FORMAT = "suxin-policy/1"

_RULE_ID = re.compile(r"^[a-z][a-z_]{2,39}$")
_DECIMAL = re.compile(r"^[01](\.\d{1,6})?$", re.ASCII)
_K = TypeVar("_K")
_V = TypeVar("_V")


class BadPolicy(ValueError):
    """A policy file that must not be used: names the place and what is wrong with it."""

    def __init__(self, loc: str, problem: str) -> None:
        super().__init__(f"{loc}: {problem}")
        self.loc = loc


@cache
def versions() -> tuple[int, ...]:
    """Returns every version there is, ascending."""
    names = [file.name for file in (resources.files("app.credit") / "policies").iterdir()]
    return tuple(sorted(int(name[:-5]) for name in names if re.fullmatch(r"\d+\.json", name)))


@cache
def load_policy(version: int) -> Policy:
    """Returns a version of the policy.

    Raises NotFound (`policy_unknown`) if there is none, BadPolicy if its file is not to be used.
    """
    if version not in versions():
        raise NotFound("policy_unknown", version=version)
    file = resources.files("app.credit") / "policies" / f"{version}.json"
    policy = parse_policy(parse_json(file.read_bytes()))
    if policy.version != version:
        raise BadPolicy("version", f"expected {version} as the file's name says")
    return policy


def policy_at(moment: datetime) -> Policy:
    """Returns the version in force at this time; before the first one, the first."""
    day = local_day(moment)
    policies = [load_policy(version) for version in versions()]
    in_force = [policy for policy in policies if policy.effective_on <= day]
    return max(in_force, key=lambda p: (p.effective_on, p.version)) if in_force else policies[0]


def parse_policy(data: object) -> Policy:
    """Returns the policy that this JSON value describes.

    Raises BadPolicy for an unknown or missing field, a wrong type, or numbers that make no sense.
    """
    top = _Fields(data, "policy")
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
        objection_suspends=top.boolean("objection_suspends"),
        hold=_hold(top.sub("hold")),
        data_enough_rule=enough.text("rule"),
        data_enough_count=enough.integer("count", 0),
        classes=_unique("classes", [(c.rule_class, c) for c in map(_class, top.subs("classes"))]),
        volume_limits=_unique(
            "volume_limits", [(v.rule_class, v) for v in map(_limit, top.subs("volume_limits"))]
        ),
        ranking=_ranking(top.sub("ranking")),
        rules=_unique("rules", [(rule.id, rule) for rule in map(_rule, top.subs("rules"))]),
        data=MappingProxyType(dict(top.values)),
        digest=_digest(top.values),
    )
    for part in (top, points, enough):
        part.done()
    _check_sense(policy)
    return policy


def _check_sense(policy: Policy) -> None:
    if policy.announced_on >= policy.effective_on:
        raise BadPolicy("effective_on", "a policy is announced before it is in force")
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


def _rule(fields: _Fields) -> Rule:
    rule = Rule(
        id=fields.text("id"),
        rule_class=fields.rule_class(),
        points=fields.integer("points", -1000, 1000),
        earliest_repair_months=fields.optional_integer("earliest_repair_months", 0, 120),
        expires_months=fields.integer("expires_months", 1, 120),
        caps=_caps(fields.sub("caps")) if "caps" in fields.values else Caps(),
        forces_grade=fields.grade("forces_grade") if "forces_grade" in fields.values else None,
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


def _caps(fields: _Fields) -> Caps:
    caps = Caps(
        per_day=fields.optional_integer("per_day", 1),
        total=fields.optional_integer("total", 1),
        buyer_month=fields.optional_integer("buyer_month", 1),
    )
    fields.done()
    return caps


def _grade(fields: _Fields) -> GradeStep:
    step = GradeStep(fields.grade("grade"), fields.integer("from", 0), fields.texts("title"))
    fields.done()
    return step


def _class(fields: _Fields) -> ClassTerms:
    found = ClassTerms(
        rule_class=fields.rule_class(),
        published=fields.boolean("published"),
        person_confirms=fields.boolean("person_confirms"),
        title=fields.texts("title"),
        text=fields.texts("text"),
    )
    fields.done()
    return found


def _graces(fields: _Fields) -> Graces:
    graces = Graces(
        late_record=timedelta(hours=fields.integer("late_record_hours", 0)),
        dispatch_due=timedelta(days=fields.integer("dispatch_due_days", 0)),
        signature_due=timedelta(days=fields.integer("signature_due_days", 0)),
        complaint_reply=timedelta(hours=fields.integer("complaint_reply_hours", 0)),
    )
    fields.done()
    return graces


def _hold(fields: _Fields) -> HoldTerms:
    hold = HoldTerms(
        points=fields.integer("points", 0),
        working_days=fields.integer("working_days", 1, 60),
        max_grades=fields.integer("max_grades", 0, len(GRADES) - 1),
        title=fields.texts("title"),
        text=fields.texts("text"),
    )
    fields.done()
    return hold


def _limit(fields: _Fields) -> VolumeLimit:
    limit = VolumeLimit(
        rule_class=fields.rule_class(),
        per_month=fields.integer("per_month", 0),
        chains_percent=fields.integer("chains_percent", 0, 100),
        text=fields.texts("text"),
    )
    fields.done()
    return limit


def _ranking(fields: _Fields) -> RankingTerms:
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


class _Fields:
    """One JSON object, whose fields are taken by name; what nobody took is refused."""

    def __init__(self, values: object, loc: str) -> None:
        if not isinstance(values, dict):
            raise BadPolicy(loc, "expected an object")
        self.values: dict[str, Any] = values
        self._loc = loc
        self._taken: set[str] = set()

    def refuse(self, name: str, problem: str) -> NoReturn:
        raise BadPolicy(f"{self._loc}.{name}", problem)

    def done(self) -> None:
        unknown = sorted(set(self.values) - self._taken)
        if unknown:
            self.refuse(unknown[0], "unknown field")

    def integer(self, name: str, low: int, high: int = 1_000_000) -> int:
        value = self._take(name)
        if type(value) is not int or not low <= value <= high:
            self.refuse(name, f"expected an integer of {low}..{high}, got {value!r}")
        return value

    def optional_integer(self, name: str, low: int, high: int = 1_000_000) -> int | None:
        return self.integer(name, low, high) if name in self.values else None

    def decimal(self, name: str) -> Decimal:
        value = self._take(name)
        if not isinstance(value, str) or not _DECIMAL.match(value) or Decimal(value) > 1:
            self.refuse(name, f"expected a text of 0..1 with up to six decimals, got {value!r}")
        return Decimal(value)

    def boolean(self, name: str) -> bool:
        value = self._take(name)
        if not isinstance(value, bool):
            self.refuse(name, f"expected true or false, got {value!r}")
        return value

    def text(self, name: str) -> str:
        value = self._take(name)
        if not isinstance(value, str) or not value.strip():
            self.refuse(name, f"expected a text, got {value!r}")
        return value

    def literal(self, name: str, expected: str) -> None:
        if self.text(name) != expected:
            self.refuse(name, f"expected {expected}")

    def day(self, name: str) -> date:
        try:
            return date.fromisoformat(self.text(name))
        except ValueError as err:
            raise BadPolicy(f"{self._loc}.{name}", str(err)) from err

    def grade(self, name: str) -> Grade:
        value = self.text(name)
        found = next((grade for grade in GRADES if grade == value), None)
        if found is None:
            self.refuse(name, f"expected one of {', '.join(GRADES)}, got {value!r}")
        return found

    def rule_class(self) -> RuleClass:
        value = self.text("class")
        if value not in list(RuleClass):
            self.refuse("class", f"expected one of {', '.join(RuleClass)}, got {value!r}")
        return RuleClass(value)

    def texts(self, name: str) -> Texts:
        both = self.sub(name)
        found = {lang: both.text(lang) for lang in ("zh", "en")}
        both.done()
        return MappingProxyType(found)

    def sub(self, name: str) -> _Fields:
        return _Fields(self._take(name), f"{self._loc}.{name}")

    def subs(self, name: str) -> list[_Fields]:
        items = self._take(name)
        if not isinstance(items, list):
            self.refuse(name, "expected a list")
        return [_Fields(item, f"{self._loc}.{name}.{index}") for index, item in enumerate(items)]

    def _take(self, name: str) -> Any:
        if name not in self.values:
            self.refuse(name, "missing")
        self._taken.add(name)
        return self.values[name]
