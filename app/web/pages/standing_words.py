"""Sentences of the pages on credit and policy that depend on more than one fact."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from app.credit.rules import Policy, Rule
from app.i18n import Lang, format_date, key_of_kind, text
from app.web.pages.standing_views import DossierView, Line


def repair_says(lang: Lang, line: Line, view: DossierView) -> str:
    """Returns what would take an entry's points away, and when."""
    say = partial(text, lang)
    said = ""
    if line.status == "objected":
        said = say("page.dossier.repair.objected")
    elif line.status == "repair_asked":
        said = say("page.dossier.repair.asked")
    elif line.repair_open:
        said = say("page.dossier.repair.open", days=view.policy.repair.decide_working_days)
    elif line.repair_from is not None:
        said = say("page.dossier.repair.from", day=format_date(lang, line.repair_from))
    fades = ""
    if line.expires_at is not None:
        end = format_date(lang, line.expires_at)
        if line.repair_from is None:
            fades = say("page.dossier.repair.ends", end=end)
        elif line.repair_from < view.as_of:
            fades = say("page.dossier.repair.fades", end=end)
        else:
            day = format_date(lang, line.repair_from)
            fades = say("page.dossier.repair.will_fade", day=day, end=end)
    return _join(lang, [said, fades])


def rule_says(lang: Lang, rule: Rule, policy: Policy) -> str:
    """Returns a rule's terms: notice, repair, end, what grade it forces, who enters it."""
    say = partial(text, lang)
    repair = ""
    if rule.points < 0:
        months = rule.earliest_repair_months
        repair = (
            say("page.policy.rule.repair", count=months)
            if months
            else say("page.policy.rule.repair.now")
        )
    sources = [s for s in ("system", "operator", "regulator") if s in rule.entered_by]
    who = say("page.list.join").join(say(f"page.policy.by.{source}") for source in sources)
    return _join(
        lang,
        [
            say("page.policy.rule.notice", days=policy.notice_working_days) if rule.notice else "",
            repair,
            say("page.policy.rule.ends", count=rule.expires_months),
            say("page.policy.rule.forces", grade=rule.forces_grade) if rule.forces_grade else "",
            say("page.policy.rule.by", who=who),
        ],
    )


def finding_says(lang: Lang, kind: str) -> str:
    """Returns what a finding of this kind says, or of its family where it has no sentence of its own."""
    key = key_of_kind("finding", kind)
    return kind if key is None else text(lang, key)


def cure_says(lang: Lang, kind: str) -> str:
    """Returns the one thing that whoever answers for a finding of this kind can do about it."""
    key = key_of_kind("cure", kind)
    return "" if key is None else text(lang, key)


def say_span(lang: Lang, span: timedelta) -> str:
    """Returns more than a day as whole days, anything else as hours."""
    hours = span // timedelta(hours=1)
    if hours % 24 or hours <= 24:
        return text(lang, "page.policy.hours", count=hours)
    return text(lang, "page.policy.days", count=hours // 24)


def say_signed(points: int) -> str:
    """Returns points with their sign, a true minus."""
    return f"{points:+}".replace("-", "\N{MINUS SIGN}") if points else "0"


def _join(lang: Lang, sentences: list[str]) -> str:
    # Chinese stops carry their own space.
    return ("" if lang == "zh" else " ").join(one for one in sentences if one)
