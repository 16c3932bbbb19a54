"""What a credit policy consists of: rules, grades, terms and the numbers of the ranking.

Values only. app.credit.loader reads them from a version's file, app.credit.policy scores with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

from app.credit.workdays import add_months
from app.trace.detectors.thresholds import Thresholds

Grade = Literal["A", "B", "C", "D"]
GRADES: tuple[Grade, ...] = ("A", "B", "C", "D")
"""Best first."""


class RuleClass(StrEnum):
    """守信, 轻微, 一般, 严重."""

    POSITIVE = "positive"
    MINOR = "minor"
    GENERAL = "general"
    SERIOUS = "serious"


Texts = Mapping[str, str]
"""One text in each language: `zh` and `en`."""


@dataclass(frozen=True, slots=True)
class GradeStep:
    """A grade and the lowest score that earns it."""

    grade: Grade
    lowest: int
    title: Texts


@dataclass(frozen=True, slots=True)
class Caps:
    """Most points that a rule gives in force: a day, altogether, a buyer and calendar month.

    Who bought stands in no record, so the last is kept when an entry is made; a score that anybody
    can recompute never needs it.
    """

    per_day: int | None = None
    total: int | None = None
    buyer_month: int | None = None


@dataclass(frozen=True, slots=True)
class Term:
    """When an entry may be repaired, and when it ends by itself."""

    earliest_repair_at: datetime | None
    expires_at: datetime


EntrySource = Literal["system", "operator", "regulator"]
"""Who may make an entry: the service from its own records, who runs it, an authority."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. points: > 0 for good conduct, < 0 otherwise; forces_grade while an entry lasts.

    notice: an entry is announced to its party first and takes effect after the policy's working days.
    """

    id: str
    rule_class: RuleClass
    points: int
    earliest_repair_months: int | None
    expires_months: int
    caps: Caps
    forces_grade: Grade | None
    notice: bool
    entered_by: frozenset[EntrySource]
    title: Texts
    text: Texts

    def term(self, effective_at: datetime) -> Term:
        """Returns the dates of an entry that takes effect at this time."""
        earliest = self.earliest_repair_months
        return Term(
            None if earliest is None else add_months(effective_at, earliest),
            add_months(effective_at, self.expires_months),
        )


@dataclass(frozen=True, slots=True)
class ClassTerms:
    """How a class is treated: shown to the public as (dis)honesty; only ever set by a person.

    The months bound those of its rules: none may be repaired earlier, or last longer.
    """

    rule_class: RuleClass
    published: bool
    person_confirms: bool
    earliest_repair_months: int | None
    expires_months: int
    title: Texts
    text: Texts


@dataclass(frozen=True, slots=True)
class Graces:
    """How long a step may be missing before it counts."""

    late_record: timedelta
    dispatch_due: timedelta
    signature_due: timedelta
    complaint_reply: timedelta


@dataclass(frozen=True, slots=True)
class ObjectionTerms:
    """异议. days: calendar days from the announcement (without one: from the effect) to object in.

    decide_working_days: in which it is to be decided. suspends: whether an entry counts meanwhile.
    """

    days: int
    decide_working_days: int
    suspends: bool
    text: Texts

    @property
    def span(self) -> timedelta:
        """The days as a span of time."""
        return timedelta(days=self.days)


@dataclass(frozen=True, slots=True)
class RepairTerms:
    """修复: in how many working days a repair that was asked for is to be decided."""

    decide_working_days: int
    text: Texts


@dataclass(frozen=True, slots=True)
class HoldTerms:
    """The provisional hold of an integrity finding not yet attributed."""

    points: int
    working_days: int
    max_grades: int
    title: Texts
    text: Texts


@dataclass(frozen=True, slots=True)
class VolumeLimit:
    """Of a class only so many entries a calendar month count: per_month, or a share of chains.

    points_per_month: the most that they cost together. Without it the share of chains would let a
    large shop lose in proportion to its size for the same care.
    """

    rule_class: RuleClass
    per_month: int
    chains_percent: int
    points_per_month: int
    text: Texts

    def entries_counted(self, chains: int) -> int:
        """Returns how many entries of a month count for a party with so many chains in it."""
        return max(self.per_month, chains * self.chains_percent // 100)


@dataclass(frozen=True, slots=True)
class RankingTerms:
    """The numbers of the ranking formula; independence_base + independence_share = 1."""

    max_boost: Decimal
    grade_factors: Mapping[Grade, Decimal]
    independence_base: Decimal
    independence_share: Decimal
    coverage_default: Decimal
    window_days: int
    text: Texts


ListName = Literal["red", "black"]
LIST_NAMES: tuple[ListName, ...] = ("red", "black")


@dataclass(frozen=True, slots=True)
class Criterion:
    """What puts a party on a list: computed by the service, or decided by a regulator.

    grade_months: of the service's own: so many monthly grades A in a row. entry_class: of a
    regulator's: the decision names an entry of this class that weighs.
    """

    id: str
    decided_by: Literal["system", "regulator"]
    grade_months: int | None
    entry_class: RuleClass | None
    title: Texts
    text: Texts


@dataclass(frozen=True, slots=True)
class ListTerms:
    """红名单, 黑名单: how long a listing lasts, and from when on its removal may be asked for."""

    name: ListName
    term_months: int
    earliest_removal_months: int
    criteria: Mapping[str, Criterion]
    title: Texts
    text: Texts


@dataclass(frozen=True, slots=True)
class WarningTerms:
    """预警: within drop_days a grade less, drop_points less, or fallen near the grade's border.

    Near is less than border_margin points above the grade's lowest score.
    """

    border_margin: int
    drop_points: int
    drop_days: int
    text: Texts


@dataclass(frozen=True, slots=True)
class DetectorTerms:
    """From where on detectors speak up."""

    thresholds: Thresholds
    text: Texts


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of the policy. Dates are days of Asia/Shanghai.

    data: the file as read, for the API. digest: SHA-256, 64 hex, of its canonical bytes.
    """

    version: int
    announced_on: date
    effective_on: date
    title: Texts
    summary: Texts
    base: int
    lowest: int
    highest: int
    positive_cap: int
    grades: tuple[GradeStep, ...]
    graces: Graces
    notice_working_days: int
    objection: ObjectionTerms
    repair: RepairTerms
    hold: HoldTerms
    data_enough_rule: str
    data_enough_count: int
    classes: Mapping[RuleClass, ClassTerms]
    volume_limits: Mapping[RuleClass, VolumeLimit]
    ranking: RankingTerms
    lists: Mapping[ListName, ListTerms]
    warnings: WarningTerms
    detectors: DetectorTerms
    rules: Mapping[str, Rule]
    data: Mapping[str, Any]
    digest: str

    def grade_of(self, score: int) -> Grade:
        """Returns the grade of a score."""
        score = self.clamp(score)
        return next(step.grade for step in self.grades if score >= step.lowest)

    def clamp(self, points: int) -> int:
        """Returns the score that so many points are."""
        return max(self.lowest, min(self.highest, points))
