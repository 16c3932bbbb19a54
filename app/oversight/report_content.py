"""What the report of an audit says, as data.

Pure. The data names things by their keys, so that it reads the same in any language; the sentences to
the keys are `report.…` in the locales, and `report_paper` prints them. What was not checked is told as
plainly as what was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.i18n import Lang, has, key_of_kind, text
from app.kit.clock import format_time, from_ms

FORMAT: Final = "suxin-audit-report/2"
FORMATS: Final = frozenset({FORMAT, "suxin-audit-report/1"})
"""Those that were ever signed: the first had no chains."""

_METHOD: Final = ("hash", "link", "index", "refs", "signatures", "sealed", "state", "leaf")
_WHOLE: Final = ("tree", "handovers", "heads")
_NOT_CHECKED: Final = ("truth", "later", "signs", "erased")
_NOT_WHOLE: Final = ("outside", "tree")


def content_of(
    job: Any,
    *,
    findings: Sequence[Mapping[str, Any]],
    logs: Sequence[Mapping[str, Any]],
    chains: Mapping[str, Any],
    name: str,
    service: str,
    made_at: str,
    made_by: str,
) -> dict[str, Any]:
    """Returns the report of a job that is done, as data without nulls.

    findings: as they were met. logs: signed states when it began, each with its witnesses. chains: as
    `report_chains` reads them. name: of the party in the scope, "" for none.
    """
    scope = json.loads(job.scope)
    whole = scope == "all"
    altered = sum(one["broken"] for one in chains["chains"])
    content: dict[str, Any] = {
        "id": job.id,
        "service": service,
        "made_at": made_at,
        "made_by": made_by,
        "asked_by": job.asked_by or "operator",
        "asked_at": format_time(from_ms(job.created_at)),
        "started_at": format_time(from_ms(job.started_at or job.created_at)),
        "finished_at": format_time(from_ms(job.finished_at)),
        "scope": scope,
        # What was altered since the audit found nothing is met when the report is made.
        "result": "findings" if job.findings else "altered" if altered else "sound",
        "altered": altered,
        "streams": job.streams,
        "records": job.records,
        "findings": job.findings,
        "told": [dict(one) for one in findings],
        "logs": [dict(one) for one in logs],
        "method": method_of(whole=whole),
        "not_checked": unchecked_of(logs, whole=whole),
        **chains,
    }
    if name:
        content["scope_name"] = name
    return content


def method_of(*, whole: bool) -> list[str]:
    """Returns what an audit does, whole: of everything."""
    return [*_METHOD, *(_WHOLE if whole else ())]


def unchecked_of(logs: Sequence[Mapping[str, Any]], *, whole: bool) -> list[str]:
    """Returns what an audit leaves open. logs: the signed states that it held the records against."""
    seen = any(one["witnesses"] for one in logs)
    return [*_NOT_CHECKED, *(() if whole else _NOT_WHOLE), *(() if seen else ("view",))]


def evidence_says(lang: Lang, name: str) -> str:
    """Returns the word for a part of a finding's evidence, the part's own name where there is none."""
    key = f"report.evidence.{name}"
    return text(lang, key) if has(key) else name


def scope_says(lang: Lang, scope: Any, name: str = "") -> str:
    """Returns what an audit is about, as a person reads it."""
    if scope == "all":
        return text(lang, "report.scope.all")
    ((kind, about),) = scope.items()
    return text(lang, f"report.scope.{kind}", about=f"{name} {about}".strip())


def finding_says(lang: Lang, kind: str) -> str:
    """Returns the sentence of a kind of finding, or of its family."""
    key = key_of_kind("finding", kind)
    return kind if key is None else text(lang, key)
