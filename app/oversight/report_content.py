"""What the report of an audit says: once as data, and from that alone as a paper in each language.

Pure. The data names things by their keys, so that it reads the same in any language; the sentences to
the keys are `report.…` in the locales. What was not checked is told as plainly as what was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from app.i18n import Lang, format_moment, has, key_of_kind, text, text_as_written
from app.kit.clock import format_time, from_ms, parse_time
from app.labels.document import Block, Facts, Paper, Words

FORMAT: Final = "suxin-audit-report/1"

_METHOD: Final = ("hash", "link", "index", "refs", "signatures", "sealed", "state", "leaf")
_WHOLE: Final = ("tree", "handovers", "heads")
_NOT_CHECKED: Final = ("truth", "later", "conduct", "erased")
_NOT_WHOLE: Final = ("outside", "tree")

PRINTED: Final = 200
"""Findings that stand on paper; the data holds up to `audits.MOST_MET`."""

_TAGS: Final[dict[Lang, str]] = {"zh": "zh-CN", "en": "en"}


def content_of(
    job: Any,
    *,
    findings: Sequence[Mapping[str, Any]],
    logs: Sequence[Mapping[str, Any]],
    name: str,
    service: str,
    made_at: str,
    made_by: str,
) -> dict[str, Any]:
    """Returns the report of a job that is done, as data without nulls.

    findings: as they were met. logs: signed states when it began, each with its witnesses. name: of the
    party in the scope, "" for none.
    """
    scope = json.loads(job.scope)
    whole = scope == "all"
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
        "result": "findings" if job.findings else "sound",
        "streams": job.streams,
        "records": job.records,
        "findings": job.findings,
        "told": [dict(one) for one in findings],
        "logs": [dict(one) for one in logs],
        "method": method_of(whole=whole),
        "not_checked": unchecked_of(logs, whole=whole),
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


def paper_of(content: Mapping[str, Any], lang: Lang, *, digest: str, address: str) -> Paper:
    """Returns the report as it is printed. digest: of the data. address: where it can be checked."""
    title = text(lang, "report.title")
    return Paper(
        title=title,
        subject=f"{FORMAT} {content['id']}",
        head=tuple(_head(content, lang)),
        body=tuple(_body(content, lang, digest, address)),
        address=address,
        foot=text(lang, "report.foot", id=content["id"]),
        pages=text_as_written(lang, "report.pages"),
        lang=_TAGS[lang],
    )


def _head(content: Mapping[str, Any], lang: Lang) -> Iterator[Block]:
    yield Words(text(lang, "report.title"), "title")
    yield Words(scope_says(lang, content["scope"], content.get("scope_name", "")))
    key = f"report.result.{content['result']}"
    yield Words(text(lang, key, count=content["findings"]))
    yield Words(text(lang, "report.check_here"), "small")


def _body(content: Mapping[str, Any], lang: Lang, digest: str, address: str) -> Iterator[Block]:
    def say(key: str, **params: object) -> str:
        return text(lang, f"report.{key}", **params)

    def moment(name: str) -> str:
        return _moment(lang, content[name])

    yield Words(say("about"), "heading")
    yield Facts(
        (
            (say("id"), content["id"]),
            (say("service"), content["service"]),
            (say("asked_by"), _whom(lang, content["asked_by"])),
            (say("made_by"), _whom(lang, content["made_by"])),
            (say("started_at"), moment("started_at")),
            (say("finished_at"), moment("finished_at")),
            (say("made_at"), moment("made_at")),
            (say("streams"), f"{content['streams']:,}"),
            (say("records"), f"{content['records']:,}"),
            (say("findings"), f"{content['findings']:,}"),
        )
    )
    yield Words(say("against"), "heading")
    yield Words(say("against.means" if content["logs"] else "against.none"))
    for one in content["logs"]:
        yield Facts(tuple(_log_facts(one, lang)), title=one["origin"])
    yield Words(say("method"), "heading")
    for key in content["method"]:
        yield Words("· " + say(f"method.{key}"))
    yield Words(say("met"), "heading")
    yield from _findings(content, lang)
    yield Words(say("not_checked"), "heading")
    for key in content["not_checked"]:
        yield Words("· " + say(f"not_checked.{key}"))
    yield Words(say("verify"), "heading")
    yield Words(say("verify.means"))
    yield Facts(((say("digest"), digest), (say("address"), address)))


def _log_facts(one: Mapping[str, Any], lang: Lang) -> Iterator[tuple[str, str]]:
    def say(key: str, **params: object) -> str:
        return text(lang, f"report.{key}", **params)

    yield say("log.size"), f"{one['size']:,}"
    yield say("log.root"), one["root"]
    yield say("log.published_at"), _moment(lang, one["published_at"])
    yield say("log.key"), one["key"]
    seen = [f"{w['name']} ({_moment(lang, w['at'])})" for w in one["witnesses"]]
    yield say("log.witnesses"), "; ".join(seen) or say("log.witnesses.none")


def _findings(content: Mapping[str, Any], lang: Lang) -> Iterator[Block]:
    told = content["told"]
    if not content["findings"]:
        yield Words(text(lang, "report.met.none"))
        return
    for number, one in enumerate(told[:PRINTED], 1):
        yield Facts(
            tuple(_finding_facts(one, lang)), title=f"{number}. {finding_says(lang, one['kind'])}"
        )
    left = content["findings"] - min(len(told), PRINTED)
    if left > 0:
        yield Words(text(lang, "report.met.more", count=left, kept=len(told)))


def _finding_facts(one: Mapping[str, Any], lang: Lang) -> Iterator[tuple[str, str]]:
    def say(key: str) -> str:
        return text(lang, f"report.finding.{key}")

    yield say("kind"), one["kind"]
    place = one["stream"]
    if "seq" in one:
        place = text(lang, "report.finding.at", stream=place, seq=one["seq"])
    yield say("where"), place
    if "party" in one:
        yield say("party"), one["party"]
    for name, value in one["evidence"].items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield evidence_says(lang, name), shown
    yield say("opened_at"), _moment(lang, one["opened_at"])
    status = text(lang, f"report.status.{one['status']}")
    if "attributed_to" in one:
        status += " · " + text(lang, f"report.attributed.{one['attributed_to']}")
    yield say("status"), status
    yield say("id"), one["id"]


def _moment(lang: Lang, told: str) -> str:
    return f"{format_moment(lang, parse_time(told))} ({told})"


def _whom(lang: Lang, party: str) -> str:
    return text(lang, "report.operator") if party == "operator" else party
