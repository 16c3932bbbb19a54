"""The chains of a report as tables on paper: records, missing steps, signed states, ends of chains. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from app.i18n import Lang, format_moment, has, text
from app.kit.clock import parse_time
from app.labels.document import Block, Facts, Row, Table, Words
from app.oversight.report_content import evidence_says, finding_says

PRINTED_ENDS: Final = 200
"""Ends of chains that stand on paper; the data holds up to `report_chains.MOST_LISTED`."""

_RECORD: Final = (8.0, 18.0, 40.0, 42.0, 31.0, 31.0)
_GAP: Final = (34.0, 32.0, 32.0, 44.0, 28.0)
_STATE: Final = (18.0, 34.0, 118.0)
_END: Final = (152.0, 18.0)
_CHECKS: Final = ("hash", "link", "signature", "attached", "inclusion", "consistency")

Data = Mapping[str, Any]


class _Says:
    """Sentences of `report.…` in one language, and the names of parties."""

    def __init__(self, lang: Lang, content: Data) -> None:
        self.lang = lang
        self.parties: Mapping[str, str] = content["parties"]

    def __call__(self, key: str, **params: object) -> str:
        return text(self.lang, f"report.{key}", **params)

    def word(self, family: str, name: str) -> str:
        """Returns the word of a family, the name itself where there is none."""
        key = f"{family}.{name}"
        return text(self.lang, key) if has(key) else name

    def event(self, type_: str) -> str:
        """Returns what a record is, as people call it."""
        return next(
            (text(self.lang, k) for k in (f"event.{type_}", f"page.step.{type_}") if has(k)), type_
        )

    def moment(self, told: str) -> str:
        return format_moment(self.lang, parse_time(told))

    def who(self, party: str) -> tuple[str, ...]:
        """Returns a party by name and number; `system`, `consumer` by their word."""
        name = self.parties.get(party)
        return (self.word("chain.who", party),) if name is None else (name, party)

    def join(self, words: list[str]) -> str:
        return text(self.lang, "page.list.join").join(words)


def told_moment(lang: Lang, told: str) -> str:
    """Returns a time as people read it, and as it is told in the data."""
    return f"{format_moment(lang, parse_time(told))} ({told})"


def chain_blocks(content: Data, lang: Lang) -> Iterator[Block]:
    """Yields all that a report says of chains."""
    says = _Says(lang, content)
    yield Words(says("chains"), "heading")
    yield Words(says(f"chains.{content['listed']}", at=told_moment(lang, content["made_at"])))
    left = content.get("chains_left_out")
    if left is not None:
        named = says.join(left["named"])
        bounds = content["bounds"]
        yield Words(
            says("chains.left_out", count=left["count"], chains=bounds["chains"],
                 records=bounds["records"], named=named)
        )  # fmt: skip
    states = {(one["origin"], one["size"]): one for one in content["anchors"]}
    for chain in content["chains"]:
        yield from _chain(chain, states, says, most=content["bounds"]["records"])
        yield from _gaps(chain, says, content["at"])
    if states:
        yield from _anchors(content["anchors"], says)
    yield from _ends(content, says)


def _chain(
    chain: Data, states: Mapping[tuple[str, int], Data], says: _Says, *, most: int
) -> Iterator[Block]:
    stream, records = chain["stream"], chain["records"]
    yield Words(says(f"chain.{chain['level']}", stream=stream), "heading")
    if records:
        yield Words(says("chain.count", count=len(records), broken=chain["broken"]))
    else:
        yield Words(says("chain.none"))
    if chain["left_out"]:
        yield Words(says("chain.left_out", count=chain["left_out"], most=most))
    if chain["later"]:
        yield Words(says("chain.later", count=chain["later"]))
    for one in chain.get("problems", ()):
        yield Facts(tuple(_evidence(one, says)), title=finding_says(says.lang, one["kind"]))
    if records:
        titles = [says(f"column.{c}") for c in ("seq", "what", "when", "who", "anchor", "checked")]
        rows = tuple(_record(one, states, says) for one in records)
        yield Table(tuple(zip(titles, _RECORD, strict=True)), rows, caption=stream)


def _record(one: Data, states: Mapping[tuple[str, int], Data], says: _Says) -> Row:
    what = [says.event(one["type"]) if "type" in one else text(says.lang, f"chain.{one['state']}")]
    if not one["own"]:
        what.append(says("from"))
    when = [
        says(name, at=says.moment(one[name]))
        for name in ("occurred_at", "recorded_at")
        if name in one
    ]
    return Row(
        (
            (str(one["seq"]),),
            tuple(what),
            tuple(when),
            tuple(_who(one, says)),
            tuple(_anchor(one, states, says)),
            tuple(_checks(one, says)),
        ),
        tuple(_notes(one, says)),
        marked="problems" in one or "differs" in one["checks"].values(),
    )


def _who(one: Data, says: _Says) -> Iterator[str]:
    if "actor" in one:
        yield from says.who(one["actor"])
    if "via" in one:
        yield says("via", party=" ".join(says.who(one["via"])))
    if "source" in one:
        yield says("source", source=says.word("source", one["source"]))
    if "voice" in one:
        yield says(f"voice.{one['voice']}")


def _anchor(one: Data, states: Mapping[tuple[str, int], Data], says: _Says) -> Iterator[str]:
    if "leaf_index" in one:
        yield says("place", index=one["leaf_index"])
    state = states.get((one.get("log", ""), one.get("anchor", -1)))
    if state is None:
        yield says("anchor.none")
        return
    yield says("anchor", size=state["size"])
    yield says.moment(state["published_at"])
    yield says("anchor.seen", count=len(state["witnesses"]))


def _checks(one: Data, says: _Says) -> Iterator[str]:
    for result in ("differs", "agrees", "unchecked", "absent"):
        names = [says(f"check.{name}") for name in _CHECKS if one["checks"].get(name) == result]
        if names:
            yield says(f"checks.{result}", names=says.join(names))


def _notes(one: Data, says: _Says) -> Iterator[tuple[str, str]]:
    if not one["own"]:
        yield says("note.stream"), one["stream"]
    for name in ("hash", "prev", "key"):
        if name in one:
            yield says(f"note.{name}"), one[name]
    if "corrects" in one:
        told = one["corrects"]
        fields = says.join([says.word("chain.data", name) for name in told["fields"]])
        place = told.get("seq", told["id"])
        yield says("note.corrects"), says("note.corrects.of", of=place, fields=fields)
    if "corrected_by" in one:
        yield says("note.corrected"), says.join([str(seq) for seq in one["corrected_by"]])
    for problem in one.get("problems", ()):
        yield says("note.problem"), finding_says(says.lang, problem["kind"])
        yield from _evidence(problem, says)


def _evidence(problem: Data, says: _Says) -> Iterator[tuple[str, str]]:
    for name, value in problem["evidence"].items():
        yield evidence_says(says.lang, name), str(value)


def _gaps(chain: Data, says: _Says, at: str) -> Iterator[Block]:
    if "gaps_unknown" in chain:
        yield Words(says(f"gaps.{chain['gaps_unknown']}"))
    if "gaps" not in chain:
        return
    if not chain["gaps"]:
        yield Words(says("gaps.none", at=told_moment(says.lang, at)))
        return
    yield Words(says("gaps.means", at=told_moment(says.lang, at)))
    titles = [says(f"column.{name}") for name in ("step", "since", "due", "party", "standing")]
    rows = []
    for gap in chain["gaps"]:
        step = [says.word("step", gap["step"])]
        if "consignment" in gap:
            step.append(gap["consignment"])
        cells = (
            (*step, says("gaps.by", seq=gap["by_seq"])),
            (says.moment(gap["since"]),),
            (says.moment(gap["due_at"]),),
            says.who(gap["party"]),
            (says(f"gaps.{gap['standing']}"),),
        )
        rows.append(Row(cells, marked=gap["standing"] == "counts"))
    columns = tuple(zip(titles, _GAP, strict=True))
    yield Table(columns, tuple(rows), caption=says("gaps.caption", stream=chain["stream"]))


def _anchors(anchors: list[Data], says: _Says) -> Iterator[Block]:
    yield Words(says("anchors"), "heading")
    yield Words(says("anchors.means"))
    titles = [says(f"column.{name}") for name in ("size", "signed", "root")]
    rows = tuple(
        Row(
            (
                (f"{one['size']:,}",),
                (says.moment(one["published_at"]),),
                (
                    one["root"],
                    one["origin"],
                    says.join([f"{w['name']} {says.moment(w['at'])}" for w in one["witnesses"]])
                    or says("anchors.unseen"),
                ),
            )
        )
        for one in anchors
    )
    yield Table(tuple(zip(titles, _STATE, strict=True)), rows)


def _ends(content: Data, says: _Says) -> Iterator[Block]:
    yield Words(says("ends"), "heading")
    if "streams_listed" in content:
        told = content["streams_listed"]
        yield Words(says("ends.means"))
        yield Facts(
            ((says("ends.count"), f"{told['count']:,}"), (says("ends.sha256"), told["sha256"]))
        )
        shown = told["ends"][:PRINTED_ENDS]
        if len(shown) < told["count"]:
            kept = f"{len(told['ends']):,}"
            yield Words(says("ends.more", shown=f"{len(shown):,}", kept=kept))
        titles = [says(f"column.{name}") for name in ("stream", "seq")]
        rows = tuple(Row(((one["stream"], one["hash"]), (str(one["seq"]),))) for one in shown)
        yield Table(tuple(zip(titles, _END, strict=True)), rows)
    else:
        yield Words(says("ends.all"))
        if "heads" in content:
            heads = content["heads"]
            yield Facts(
                (
                    (says("ends.map"), heads["root"]),
                    (says("ends.map.at"), told_moment(says.lang, heads["recorded_at"])),
                    (says("ends.map.hash"), heads["hash"]),
                )
            )
    if "missing" in content:
        yield Words(says("missing"), "heading")
        yield Words(says("missing.means", at=told_moment(says.lang, content["at"])))
        counted = content["missing"]
        if counted:
            yield Facts(tuple((says.word("step", s), f"{n:,}") for s, n in counted.items()))
        else:
            yield Words(says("missing.none"))
