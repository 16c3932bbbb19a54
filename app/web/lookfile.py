"""The log of purposes as a file, for the API and for the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from fastapi.responses import Response

from app.credit.words import WISH_OF, deciding
from app.i18n import Lang, has, text
from app.kit.clock import format_local
from app.kit.tables import write_csv
from app.oversight.lookbook import LoggedLook, WantedLooks
from app.parties.principal import Principal
from app.web.csvfile import answer_csv
from app.web.deps import Rooms

_OURS: Final = (
    *(deciding(wish, "").strip() for wish in sorted(set(WISH_OF.values()))),
    "decide application",
    "work on case",
    "work on complaint",
    "recall_lifted",
    "recall",
    "check declaration",
    "decide declaration",
)
"""How purposes begin that nobody stated: what somebody had to decide, and then which. The last two stand in
logs from before customs were asked for one."""
_WHOLE: Final = ("search", "customs")
"""Purposes of ours that nothing follows."""
_COLUMNS = ("at", "by", "party", "region", "code", "seq", "section", "purpose")


def csv_of_looks(rooms: Rooms, principal: Principal, wanted: WantedLooks, lang: Lang) -> Response:
    """Returns the log as an answer of CSV. Raises what the log raises."""
    # A first look is made here: who may not see it is answered so, and not with half a file.
    rooms.lookbook.list(principal, wanted, after=None, limit=1)
    lines = _lines(rooms.lookbook.all(principal, wanted), lang)
    return answer_csv(write_csv(lines), name="access-log")


def _lines(looks: Iterator[LoggedLook], lang: Lang) -> Iterator[Sequence[object]]:
    yield [text(lang, f"looks.column.{name}") for name in _COLUMNS]
    for one in looks:
        yield (
            format_local(one.at), one.by, one.party or "", one.region or "", one.code,
            text(lang, "looks.nothing") if one.seq is None else one.seq, _section(lang, one.section),
            say_purpose(lang, one.purpose),
        )  # fmt: skip


def say_purpose(lang: Lang, purpose: str) -> str:
    """Returns a purpose; one that the service wrote down by itself, in the reader's language."""
    if purpose in _WHOLE:
        return text(lang, f"looks.said.{purpose}")
    for does in _OURS:
        if purpose == does or purpose.startswith(f"{does} "):
            said = text(lang, f"looks.said.{does.replace(' ', '_')}")
            return said + purpose.removeprefix(does)
    return purpose


def _section(lang: Lang, section: str) -> str:
    key = f"chain.section.{section}"
    return text(lang, key) if has(key) else section
