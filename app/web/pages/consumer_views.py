"""What the consumer's own pages show beside the scan page: camera, ticket, privacy, the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from app.oversight.cases import Case
from app.oversight.reports import FiledReport
from app.trace.scans import DeviceLooks
from app.web.pages.views import Again, Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraView:
    """The camera page.

    problem: why what was sent leads nowhere, "" before. read: the part of it that may be shown.
    """

    frame: Frame
    problem: str = ""
    read: str = ""


def with_matter(frame: Frame, ticket: str, query: str) -> Frame:
    """Returns the frame of a page that tells number and query code: its language switch keeps both."""
    return replace(frame, again=Again(action="/ticket", fields={"ticket": ticket, "query": query}))


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketView:
    """A complaint as who made it follows it, a report as far as there is anything to follow, or the form.

    query: the query code, which only an answer to it holds. names: of the parties that said something.
    problem: why the form leads nowhere, wrong: by which of its fields; refusal, kept: of a message, with
    what it said, at_text: whether its words are why. done: what has just been done.
    """

    frame: Frame
    ticket: str = ""
    query: str = ""
    case: Case | None = None
    report: FiledReport | None = None
    product: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    wrong: Literal["", "ticket", "query"] = ""
    refusal: str = ""
    at_text: bool = False
    kept: Mapping[str, str] = field(default_factory=dict)
    done: Literal["", "message", "erased"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One's own text. text: "" where there was none; erasable: whether there still is one.

    matter: of a complaint, how erasing it leaves its ticket; "" for any other text.
    """

    id: str
    type: str
    at: datetime
    text: str
    rating: int | None
    erasable: bool
    matter: Literal["", "open", "closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyView:
    """What is kept about the reader. looks: of this device, None for nothing.

    written: None before anybody asked; is_cut: it is the newest of more, or just as many. code, proof,
    proof_kind: as they were sent, for the erasing; ticket: of a report that is not found. wrong: by which
    field `problem` is; `number`: that of the report is missing.
    """

    frame: Frame
    looks: DeviceLooks | None
    known: bool
    code: str = ""
    proof: str = ""
    proof_kind: str = "claim"
    written: Sequence[Written] | None = None
    is_cut: bool = False
    ticket: str = ""
    problem: str = ""
    wrong: Literal["", "code", "proof", "ticket", "number"] = ""
    done: Literal["", "looks", "text", "report"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEpoch:
    """One of the logs of this deployment. path: below it, what C2SP tlog-tiles names."""

    origin: str
    key: str
    size: int
    root: str
    published_at: datetime
    frozen: bool
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogView:
    """The log for the curious. witnesses: whose cosignatures the served checkpoint has, with their times."""

    frame: Frame
    logs: Sequence[LogEpoch]
    pending: int
    note: str
    witnesses: Sequence[tuple[str, datetime]]
    base_url: str
