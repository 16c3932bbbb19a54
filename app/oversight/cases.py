"""The matter of a complaint as who made it follows it: what was said, by whom, and until when who must act.

Everything is read from the chain; a ticket is found by the keyed index and proven by its query code, and
who sold the goods is told by the complaint's row. The clocks of the merchant are ours and softer than law:
a first answer within the policy's grace, a proposal within seven days. Those of the authority begin once
the complaint is with it, which nobody tells us; so they are given as from today
(市场监督管理投诉举报处理暂行办法: accepted or not within 7 working days, mediation at an end 45 working days
later).
"""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

import orjson
from sqlalchemy import Connection

from app.credit.workdays import deadline
from app.db.engine import Database
from app.kit.clock import Clock, parse_time
from app.ledger import sealstore, store
from app.ledger.reading import each_of
from app.ledger.record import stream_key
from app.ledger.vault import Vault
from app.oversight.outcomes import Outcome, with_reply
from app.parties.identity import CONSUMER
from app.trace.code import normalise_inner
from app.trace.proof import ProofInvalid, Proofs
from app.trace.secret_index import SecretIndex
from app.trace.texts import hidden_texts
from app.trace.voicestore import find_voice

PROPOSAL_WITHIN: Final = timedelta(days=7)
ACCEPTED_WORKING_DAYS: Final = 7
MEDIATED_WORKING_DAYS: Final = 45

MOST_SAID: Final = 100
"""Of one matter so many are shown from its beginning, and as many from its end."""

_MOST_CHARACTERS = 64
_OF_MATTER = frozenset({"reply", "message", "referral", "return", "hiding"})

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Until when the merchant owes something. met_at: when it came, None while it has not."""

    name: Literal["reply", "proposal"]
    due_at: datetime
    met_at: datetime | None
    late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One thing that was said or done in the matter; actor: `consumer` or a party.

    text: "" where it holds none, None where it was erased. hidden: the reason of its hiding, or "".
    outcome: of a reply; of a `referral` to whom. contact: of who complained. closed: it holds words that
    were not opened for this reader.
    """

    kind: str
    at: datetime
    actor: str
    text: str | None = ""
    hidden: str = ""
    outcome: str = ""
    reason: str = ""
    rating: int | None = None
    settled: bool = False
    contact: str = ""
    closed: bool = False
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A complaint and what came of it. accepted_by, mediated_by: if it goes to 12315 today.

    approximate: these two count days for which no notice on holidays is out yet. left_out: how many things
    were said between the first and the newest that are here. seller: "" where no row tells of it.
    outcome: what stands of the seller's own.
    """

    ticket: str
    code: str
    id: str
    consignment: str | None
    category: str
    wish: str
    at: datetime
    said: tuple[Said, ...]
    dues: tuple[Due, ...]
    accepted_by: datetime
    mediated_by: datetime
    approximate: bool
    left_out: int = 0
    seller: str = ""
    outcome: Outcome | None = None

    @property
    def erased(self) -> bool:
        """Whether the words of the complaint are gone: nobody can act on it any more."""
        return self.said[0].text is None

    @property
    def is_open(self) -> bool:
        """Whether something is still to come of it: neither settled nor taken back."""
        return self.status not in ("settled", "returned")

    @property
    def status(self) -> Literal["settled", "returned", "answered", "overdue", "waiting"]:
        """How the matter stands; settled is what who complained said last of it."""
        messages = [one for one in self.said if one.kind == "message" and one.actor == CONSUMER]
        if messages and messages[-1].settled:
            return "settled"
        if any(one.kind == "return" for one in self.said):
            return "returned"
        if any(_answers(one) for one in self.said):
            return "answered"
        return "overdue" if any(due.late for due in self.dues) else "waiting"


class Located(NamedTuple):
    """A complaint that was found by its ticket."""

    ticket: str
    stream: str
    complaint: Fields


@dataclass(slots=True)
class _Heard:
    """What was said in a matter, of which the first and the newest are kept, however long it goes on.

    And the first answer and the first proposal, from which the clocks are told, and what who complained
    said last, from which it is told whether the matter is settled; and what stands of the outcomes.
    """

    seller: str
    first: list[Fields] = field(default_factory=list)
    marked: list[Fields] = field(default_factory=list)
    newest: deque[Fields] = field(default_factory=deque)
    own: Fields | None = None
    """The newest message of who complained that has left `newest`."""
    heard: int = 0
    outcome: Outcome | None = None

    def add(self, fields: Fields) -> None:
        self.heard += 1
        self.outcome = with_reply(self.outcome, self.seller, fields)
        if len(self.first) < MOST_SAID:
            self.first.append(fields)
            return
        self.newest.append(fields)
        if len(self.newest) > MOST_SAID:
            oldest = self.newest.popleft()
            kept = [*self.first, *self.marked]
            if _is_own(oldest):
                self.own = oldest
            elif any(
                is_it(oldest) and not any(map(is_it, kept)) for is_it in (_is_answer, _proposes)
            ):
                self.marked.append(oldest)

    @property
    def kept(self) -> list[Fields]:
        """Those that are kept, in order."""
        own = () if self.own is None or any(map(_is_own, self.newest)) else (self.own,)
        between = sorted((*self.marked, *own), key=lambda fields: int(fields["seq"]))
        return [*self.first, *between, *self.newest]

    @property
    def left_out(self) -> int:
        return self.heard - len(self.kept)


class Cases:
    """Finds complaints by their tickets. reply_within: the policy's grace for a first answer. Read-only."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        vault: Vault,
        proofs: Proofs,
        index: SecretIndex,
        reply_within: timedelta,
    ) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._proofs = proofs
        self._index = index
        self._reply_within = reply_within

    def find(self, ticket: str, query: str) -> Case:
        """Returns the matter of a ticket. Raises ProofInvalid, the same for a wrong number and code."""
        with self._database.read() as connection:
            found = self.locate(connection, ticket)
            if found is not None:
                self._proofs.check_query(
                    query[:_MOST_CHARACTERS], stream=found.stream, record_id=found.complaint["id"]
                )
                return self.tell(connection, found)
        raise ProofInvalid("query_code")

    def of(self, stream: str, complaint: Fields) -> Case:
        """Returns the matter of a complaint's record, without what its author sealed. Read-only."""
        found = Located(self.ticket_of(stream, complaint["id"]), stream, complaint)
        with self._database.read() as connection:
            return self.tell(connection, found, opens=False)

    def ticket_of(self, stream: str, complaint: str) -> str:
        """Returns the number of a complaint, by its record's id."""
        return self._proofs.ticket(stream, complaint)

    def clocks(self) -> tuple[timedelta, timedelta]:
        """Returns how long after a complaint a first answer is owed, and a proposal."""
        return self._reply_within, PROPOSAL_WITHIN

    def locate(self, connection: Connection, ticket: str) -> Located | None:
        """Returns the complaint of a ticket, None where there is none. Read-only."""
        number = normalise_inner(ticket[:_MOST_CHARACTERS])
        for key, seq, kind in store.find_side(connection, self._index.digest("ticket", number)):
            stream = store.stream_name(connection, key)
            if kind != "ticket" or stream is None:
                continue
            told = _readable(store.load_record(connection, stream, seq))
            if told is None or told["type"] != "complaint":
                continue
            # The row is an index; number and code are those of the record itself.
            own = self._proofs.ticket(stream, told["id"])
            if hmac.compare_digest(own.encode(), number.encode("utf-8", "replace")):
                return Located(own, stream, told)
        return None

    def tell(self, connection: Connection, found: Located, *, opens: bool = True) -> Case:
        """Returns the matter; opens: with the words that who complained sealed. Read-only.

        Of a matter in which very much was said, the first and the newest; `left_out` are the others.
        """
        stream, complaint = found.stream, found.complaint
        row = find_voice(connection, stream_key(stream), complaint["id"])
        heard, hidden = _heard(connection, found, "" if row is None else row.seller)
        sections = {"reply": "text", "return": ""}
        said = [
            self._said(
                connection,
                stream,
                fields,
                sections.get(fields["type"], "detail"),
                hidden,
                opens=opens or fields["type"] not in ("complaint", "message"),
            )
            for fields in (complaint, *heard.kept)
        ]
        now, at = self._clock.now(), parse_time(complaint["recorded_at"])
        accepted = deadline(now, working_days=ACCEPTED_WORKING_DAYS)
        mediated = deadline(accepted.at, working_days=MEDIATED_WORKING_DAYS)
        return Case(
            ticket=found.ticket,
            code=stream,
            id=complaint["id"],
            consignment=complaint["data"].get("consignment"),
            category=complaint["data"]["category"],
            wish=complaint["data"].get("wish", ""),
            at=at,
            said=tuple(said),
            dues=tuple(self._dues(at, said, now)),
            accepted_by=accepted.at,
            mediated_by=mediated.at,
            approximate=accepted.approximate or mediated.approximate,
            left_out=heard.left_out,
            seller=heard.seller,
            outcome=heard.outcome,
        )

    def _dues(self, at: datetime, said: Sequence[Said], now: datetime) -> Iterator[Due]:
        answers = [one for one in said if _answers(one)]
        proposals = [one for one in answers if one.kind == "return" or one.outcome]
        clocks: tuple[tuple[Literal["reply", "proposal"], timedelta, list[Said]], ...] = (
            ("reply", self._reply_within, answers),
            ("proposal", PROPOSAL_WITHIN, proposals),
        )
        for name, within, met in clocks:
            due_at, met_at = at + within, met[0].at if met else None
            yield Due(name=name, due_at=due_at, met_at=met_at, late=(met_at or now) > due_at)

    def _said(
        self,
        connection: Connection,
        stream: str,
        fields: Fields,
        section: str,
        hidden: Mapping[str, str],
        *,
        opens: bool,
    ) -> Said:
        """opens: also what who complained sealed; what the other side said is open to both."""
        data, place = fields["data"], (stream, fields["id"], section)
        text: str | None = ""
        contact, closed = "", False
        if section in fields.get("sealed", {}):
            own = fields["type"] == "complaint" or fields["actor"] == CONSUMER
            if own and not opens:
                row = sealstore.sealed_sections(connection, stream, fields["id"]).get(section)
                closed = row is not None and row.sealed is not None
                text = "" if closed else None
            else:
                told = sealstore.open_section(connection, self._vault, place)
                words = None if told is None else orjson.loads(told)
                text = None if words is None else str(words.get("text", ""))
                contact = str(words.get("contact", "")) if words is not None and own else ""
        return Said(
            kind=fields["type"],
            at=parse_time(fields["recorded_at"]),
            actor=fields["actor"],
            text=text,
            hidden=hidden.get(fields["id"], ""),
            outcome=str(data.get("outcome") or data.get("to", "")),
            reason=str(data.get("reason", "")),
            rating=data.get("rating"),
            settled=data.get("settled") is True,
            contact=contact,
            closed=closed,
            seq=fields["seq"],
        )


def _answers(one: Said) -> bool:
    """Whether the seller's side answers a complaint by it."""
    return one.kind in ("reply", "return") or (one.kind == "message" and one.actor != CONSUMER)


def _is_own(fields: Fields) -> bool:
    """Whether who complained said it."""
    return bool(fields["type"] == "message" and fields["actor"] == CONSUMER)


def _is_answer(fields: Fields) -> bool:
    """The same of a record."""
    kind = fields["type"]
    return kind in ("reply", "return") or (kind == "message" and fields["actor"] != CONSUMER)


def _proposes(fields: Fields) -> bool:
    return fields["type"] == "return" or (
        _is_answer(fields) and bool(fields["data"].get("outcome"))
    )


def _heard(connection: Connection, found: Located, seller: str) -> tuple[_Heard, dict[str, str]]:
    """Returns what was said and done about a complaint, and which texts are hidden now, by record."""
    complaint = found.complaint
    consignment, of = complaint["data"].get("consignment"), complaint["id"]
    heard, named, hidings, is_over = _Heard(seller), {of}, list[Fields](), False
    for fields in each_of(connection, found.stream, _OF_MATTER, after_seq=complaint["seq"]):
        data, kind = fields["data"], fields["type"]
        if kind == "hiding":
            hidings.append(fields)
        elif is_over:
            continue  # it is about the next buyer
        # A reply on a lot names no consignment; it names what it answers.
        elif kind == "reply":
            if data["of"] in named:
                heard.add(fields)
        elif data.get("consignment") != consignment:
            continue
        elif kind == "return":
            heard.add(fields)
            is_over = True
        elif data["of"] == of:
            if kind == "message":
                named.add(fields["id"])
            heard.add(fields)
    return heard, hidden_texts(hidings)


def _readable(record: store.StoredRecord | None) -> Fields | None:
    """Returns what a record says; altered bytes say nothing, and the audit tells of them."""
    try:
        return None if record is None else record.fields
    except ValueError:
        return None
