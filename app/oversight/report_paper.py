"""The report of an audit as a paper, from its data alone, in each language. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from app.i18n import Lang, text, text_as_written
from app.labels.document import Block, Facts, Paper, Words
from app.oversight.report_content import FORMAT, evidence_says, finding_says, scope_says
from app.oversight.report_tables import chain_blocks, told_moment

PRINTED: Final = 200
"""Findings that stand on paper; the data holds up to `audits.MOST_MET`."""

_TAGS: Final[dict[Lang, str]] = {"zh": "zh-CN", "en": "en"}


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


def _head(content: Mapping[str, Any], lang: Lang) -> Iterator[Words]:
    yield Words(text(lang, "report.title"), "title")
    yield Words(scope_says(lang, content["scope"], content.get("scope_name", "")))
    key = f"report.result.{content['result']}"
    count = content["altered" if content["result"] == "altered" else "findings"]
    yield Words(text(lang, key, count=count))
    yield Words(text(lang, "report.check_here"), "small")


def _body(content: Mapping[str, Any], lang: Lang, digest: str, address: str) -> Iterator[Block]:
    def say(key: str, **params: object) -> str:
        return text(lang, f"report.{key}", **params)

    def moment(name: str) -> str:
        return told_moment(lang, content[name])

    yield Words(say("about"), "heading")
    yield Facts(
        (
            (say("id"), content["id"]),
            (say("service"), content["service"]),
            (say("asked_by"), _whom(lang, content, content["asked_by"])),
            (say("made_by"), _whom(lang, content, content["made_by"])),
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
    yield from chain_blocks(content, lang)
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
    yield say("log.published_at"), told_moment(lang, one["published_at"])
    yield say("log.key"), one["key"]
    seen = [f"{w['name']} ({told_moment(lang, w['at'])})" for w in one["witnesses"]]
    yield say("log.witnesses"), "; ".join(seen) or say("log.witnesses.none")


def _findings(content: Mapping[str, Any], lang: Lang) -> Iterator[Block]:
    told = content["told"]
    if not content["findings"]:
        yield Words(text(lang, "report.met.none"))
        return
    for number, one in enumerate(told[:PRINTED], 1):
        yield Facts(
            tuple(_finding_facts(one, content, lang)),
            title=f"{number}. {finding_says(lang, one['kind'])}",
        )
    left = content["findings"] - min(len(told), PRINTED)
    if left > 0:
        yield Words(text(lang, "report.met.more", count=left, kept=len(told)))


def _finding_facts(
    one: Mapping[str, Any], content: Mapping[str, Any], lang: Lang
) -> Iterator[tuple[str, str]]:
    def say(key: str) -> str:
        return text(lang, f"report.finding.{key}")

    yield say("kind"), one["kind"]
    place = one["stream"]
    if "seq" in one:
        place = text(lang, "report.finding.at", stream=place, seq=one["seq"])
    yield say("where"), place
    if "party" in one:
        yield say("party"), _whom(lang, content, one["party"])
    for name, value in one["evidence"].items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield evidence_says(lang, name), shown
    yield say("opened_at"), told_moment(lang, one["opened_at"])
    status = text(lang, f"report.status.{one['status']}")
    if "attributed_to" in one:
        status += " · " + text(lang, f"report.attributed.{one['attributed_to']}")
    yield say("status"), status
    yield say("id"), one["id"]


def _whom(lang: Lang, content: Mapping[str, Any], party: str) -> str:
    """Returns a party by name and number; by its number alone where what is signed names it nowhere."""
    if party == "operator":
        return text(lang, "report.operator")
    return f"{content['parties'].get(party, '')} {party}".strip()
