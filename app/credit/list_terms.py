"""Reads the part of a policy file about lists and warnings; see app.credit.loader. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

from app.credit.fields import BadPolicy, Fields
from app.credit.rules import LIST_NAMES, Criterion, ListName, ListTerms, RuleClass, WarningTerms

_MONTHS = 120


def read_lists(items: list[Fields]) -> MappingProxyType[ListName, ListTerms]:
    """Returns both lists by name. Raises BadPolicy."""
    found = [_list(item) for item in items]
    if sorted(terms.name for terms in found) != sorted(LIST_NAMES):
        raise BadPolicy("policy.lists", f"expected each of {', '.join(LIST_NAMES)} once")
    return MappingProxyType({terms.name: terms for terms in found})


def read_warnings(fields: Fields) -> WarningTerms:
    """Returns the lines at which a party is warned. Raises BadPolicy."""
    terms = WarningTerms(
        border_margin=fields.integer("border_margin", 0, 1_000),
        drop_points=fields.integer("drop_points", 1, 1_000),
        drop_days=fields.integer("drop_days", 1, 365),
        text=fields.texts("text"),
    )
    fields.done()
    return terms


def _list(fields: Fields) -> ListTerms:
    name = fields.text("list")
    known: ListName | None = next((one for one in LIST_NAMES if one == name), None)
    if known is None:
        fields.refuse("list", f"expected one of {', '.join(LIST_NAMES)}, got {name!r}")
    criteria = [_criterion(item) for item in fields.subs("criteria")]
    if len({one.id for one in criteria}) != len(criteria):
        fields.refuse("criteria", "the same id twice")
    terms = ListTerms(
        name=known,
        term_months=fields.integer("term_months", 1, _MONTHS),
        earliest_removal_months=fields.integer("earliest_removal_months", 0, _MONTHS),
        criteria=MappingProxyType({one.id: one for one in criteria}),
        title=fields.texts("title"),
        text=fields.texts("text"),
    )
    if terms.earliest_removal_months > terms.term_months:
        fields.refuse("earliest_removal_months", f"expected at most {terms.term_months}")
    fields.done()
    return terms


def _criterion(fields: Fields) -> Criterion:
    decided_by: Literal["system", "regulator"] = "regulator"
    match fields.text("decided_by"):
        case "system":
            decided_by = "system"
        case "regulator":
            pass
        case other:
            fields.refuse("decided_by", f"expected system or regulator, got {other!r}")
    months = fields.optional_integer("grade_months", 1, 36)
    if (months is not None) != (decided_by == "system"):
        fields.refuse("grade_months", "a criterion of the system has them, and no other")
    entry_class = None
    if "entry_class" in fields.values:
        word = fields.text("entry_class")
        if word not in list(RuleClass):
            fields.refuse("entry_class", f"expected one of {', '.join(RuleClass)}, got {word!r}")
        entry_class = RuleClass(word)
    criterion = Criterion(
        id=fields.text("id"),
        decided_by=decided_by,
        grade_months=months,
        entry_class=entry_class,
        title=fields.texts("title"),
        text=fields.texts("text"),
    )
    fields.done()
    return criterion
