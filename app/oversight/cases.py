"""The matter of a complaint as who made it follows it: what was said, by whom, and until when who must act.

Everything is read from the chain; a ticket is found by the keyed index and proven by its query code. The
clocks of the merchant are ours and softer than law: a first answer within the policy's grace, a proposal
within seven days. Those of the authority begin once the complaint is with it, which nobody tells us; so
they are given as from today (市场监督管理投诉举报处理暂行办法: accepted or not within 7 working days,
mediation at an end 45 working days later).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

import orjson
from sqlalchemy import Connection

from app.credit.workdays import deadline
from app.db.engine import Database
from app.kit.clock import Clock, parse_time
from app.ledger import sealstore, store
from app.ledger.vault import Vault
from app.parties.identity import CONSUMER
from app.trace.code import normalise_inner
from app.trace.proof import ProofInvalid, Proofs
from app.trace.secret_index import SecretIndex
from app.trace.texts import hidden_texts

PROPOSAL_WITHIN: Final = timedelta(days=7)
ACCEPTED_WORKING_DAYS: Final = 7
MEDIATED_WORKING_DAYS: Final = 45

_MOST_CHARACTERS = 64

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

    approximate: these two count days for which no notice on holidays is out yet.
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

    @property
    def erased(self) -> bool:
        """Whether the words of the complaint are gone: nobody can act on it any more."""
        return self.said[0].text is None

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
    """A complaint that was found, with all readable records of its stream."""

    ticket: str
    stream: str
    complaint: Fields
    records: Sequence[Fields]


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

    def ticket_of(self, stream: str, complaint: str) -> str:
        """Returns the number of a complaint, by its record's id."""
        return self._proofs.ticket(stream, complaint)

    def clocks(self) -> tuple[timedelta, timedelta]:
        """Returns how long after a complaint a first answer is owed, and a proposal."""
        return self._reply_within, PROPOSAL_WITHIN

    def locate(self, connection: Connection, ticket: str) -> Located | None:
        """Returns the complaint of a ticket with its stream's records, None where there is none."""
        number = normalise_inner(ticket[:_MOST_CHARACTERS])
        for key, seq, kind in store.find_side(connection, self._index.digest("ticket", number)):
            stream = store.stream_name(connection, key)
            if kind != "ticket" or stream is None:
                continue
            records = list(_readable(store.load_stream(connection, stream)))
            told = next((one for one in records if one["seq"] == seq), None)
            if told is None or told["type"] != "complaint":
                continue
            # The row is an index; number and code are those of the record itself.
            own = self._proofs.ticket(stream, told["id"])
            if hmac.compare_digest(own.encode(), number.encode("utf-8", "replace")):
                return Located(own, stream, told, records)
        return None

    def tell(self, connection: Connection, found: Located, *, opens: bool = True) -> Case:
        """Returns the matter; opens: with the words that who complained sealed. Read-only."""
        stream, complaint, records = found.stream, found.complaint, found.records
        after = [one for one in records if one["seq"] > complaint["seq"]]
        hidden = hidden_texts(after)
        named = {complaint["id"]}
        said = [self._said(connection, stream, complaint, "detail", hidden, opens=opens)]
        consignment = complaint["data"].get("consignment")
        for fields in after:
            data, kind = fields["data"], fields["type"]
            # A reply on a lot names no consignment; it names what it answers.
            if kind == "reply" and data["of"] in named:
                said.append(self._said(connection, stream, fields, "text", hidden, opens=True))
            elif data.get("consignment") != consignment:
                continue
            elif kind == "message" and data["of"] == complaint["id"]:
                named.add(fields["id"])
                said.append(self._said(connection, stream, fields, "detail", hidden, opens=opens))
            elif kind == "referral" and data["of"] == complaint["id"]:
                said.append(self._said(connection, stream, fields, "detail", hidden, opens=True))
            elif kind == "return":
                said.append(self._said(connection, stream, fields, "", hidden, opens=True))
                break  # what comes after is the next buyer's
        now, at = self._clock.now(), parse_time(complaint["recorded_at"])
        accepted = deadline(now, working_days=ACCEPTED_WORKING_DAYS)
        mediated = deadline(accepted.at, working_days=MEDIATED_WORKING_DAYS)
        return Case(
            ticket=found.ticket,
            code=stream,
            id=complaint["id"],
            consignment=consignment,
            category=complaint["data"]["category"],
            wish=complaint["data"].get("wish", ""),
            at=at,
            said=tuple(said),
            dues=tuple(self._dues(at, said, now)),
            accepted_by=accepted.at,
            mediated_by=mediated.at,
            approximate=accepted.approximate or mediated.approximate,
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


def _readable(records: Sequence[store.StoredRecord]) -> Iterator[Fields]:
    for record in records:
        try:
            yield record.fields
        except ValueError:
            continue  # altered bytes say nothing; the audit tells of them
