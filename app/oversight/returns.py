"""The 7-day return promise, held against the records: asked in time, and refused or never answered.

The clock starts with the signature (Civil Code art. 512: that is the delivery): the day itself does not
count, and the last day counts whole. A request is a complaint with `wish: return`; it is answered by a
`return` of the goods or the seller's `reply` to it. What looks like a breach puts the commitment in question
and says what was found; goods that art. 25 of the Consumer Law excepts are named by who refuses
(`exception`). A refusal is the seller's own, and one after an acceptance is one too: the acceptance
stands (app.oversight.outcomes), and who then refuses may not keep it. Whether it is a breach is judged
by a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from app import outbox
from app.credit.commitments import Commitments
from app.credit.steps import StepRefused
from app.credit.templates import SEVEN_DAY_RETURN, find_template
from app.credit.workdays import end_of_day
from app.db.engine import Database
from app.kit.clock import from_ms, local_day, parse_time, to_ms
from app.ledger import store as ledger
from app.ledger.record import stream_key
from app.ledger.store import StoredRecord
from app.trace.asked import RETURN_ASKED, RETURN_REFUSED
from app.trace.voicestore import find_voice

RETURN_DUE = "return.due"

_ENDS = frozenset({"return", "refusal"})
_CONSIGNMENT = "consignment/"
"""Begins the subject of a consignment."""


class Returns:
    """Handles the topics of returns; meeting a message twice changes nothing."""

    def __init__(self, database: Database, commitments: Commitments) -> None:
        self._database = database
        self._commitments = commitments
        self.topics: Mapping[str, Callable[[outbox.Message], None]] = {
            RETURN_ASKED: self._asked,
            RETURN_REFUSED: self._refused,
            RETURN_DUE: self._due,
        }

    def _asked(self, message: outbox.Message) -> None:
        # Whether it was asked in time is judged when it is due: the carrier's word may come after the
        # seller's, and tell another day.
        due = self._answer_due(message.payload)
        if due is None:
            return
        with self._database.write() as connection:
            outbox.ask(
                connection,
                stream=message.stream,
                topic=RETURN_DUE,
                payload={**message.payload, "seq": message.seq},
                # One moment each: two requests on one unit are two.
                at_ms=to_ms(due) + 1 + message.seq % 1_000,
            )

    def _due(self, message: outbox.Message) -> None:
        told = message.payload
        with self._database.read() as connection:
            records = ledger.load_stream(connection, told["code"], after_seq=told["seq"])
        answers = _sound_of(records, told["subject"].removeprefix(_CONSIGNMENT))
        if answers is None or not self._is_in_time(_signed_since(told, answers)):
            return
        returned = any(one.fields["type"] == "return" for one in answers)
        replied = _is_replied(records, told["id"], told["seller"])
        if not returned and not replied:
            self._question(told, {"outcome": "unanswered"})

    def _refused(self, message: outbox.Message) -> None:
        stream, of = message.payload["code"], message.payload["of"]
        with self._database.read() as connection:
            found = find_voice(connection, stream_key(stream), of)
            reply = ledger.load_record(connection, stream, message.seq)
            hashed = ledger.hash_at(connection, stream, message.seq)
            records = ledger.load_stream(connection, stream, limit=message.seq)
            asked = None if found is None else ledger.load_record(connection, stream, found.seq)
        if found is None or asked is None or reply is None or hashed is None:
            return  # no voice, or taken away behind our back: the audit says so
        before = _sound_of(records, found.subject)
        if before is None or not reply.is_sound or reply.fields["actor"] != found.seller:
            return
        fields = asked.fields
        if fields["type"] != "complaint" or fields["data"].get("wish") != "return":
            return
        asked_for = {
            "code": stream,
            "seller": found.seller,
            "id": fields["id"],
            "seq": asked.seq,
            "asked": to_ms(parse_time(fields["recorded_at"])),
            **_signed(one for one in before if one.seq < asked.seq),
        }
        told = _signed_since(asked_for, [one for one in before if one.seq > asked.seq])
        evidence = {"outcome": "refused", "reply": hashed.hex()}
        if "exception" in reply.fields["data"]:
            evidence["exception"] = reply.fields["data"]["exception"]
        if self._is_in_time(told):
            self._question(told, evidence)

    def _question(self, told: Mapping[str, Any], evidence: Mapping[str, Any]) -> None:
        row = self._promise(told)
        with self._database.read() as connection:
            hashed = ledger.hash_at(connection, told["code"], told["seq"])
        if row is None or hashed is None:
            return
        # By its hash: whoever holds the unit finds it, and nobody can list a shop's units.
        found = {"record": hashed.hex(), **evidence}
        try:
            self._commitments.question(row.id, once=str(told["id"]), evidence=found)
        except StepRefused:
            return  # withdrawn or judged meanwhile

    def _promise(self, told: Mapping[str, Any]) -> Any | None:
        """Returns the seller's promise as it stood when the return was asked for, or None."""
        at = from_ms(told["asked"])
        return self._commitments.in_force(told["seller"], SEVEN_DAY_RETURN, at)

    def _answer_due(self, told: Mapping[str, Any]) -> datetime | None:
        """Returns by when a request is to be answered, if it was made in time; None without a promise."""
        terms = self._terms(told)
        return None if terms is None else _days_after(from_ms(told["asked"]), terms.answer_days)

    def _is_in_time(self, told: Mapping[str, Any]) -> bool:
        """Whether the promise covers a request by when it was made."""
        terms = self._terms(told)
        if terms is None or "signed" not in told:
            return terms is not None
        return from_ms(told["asked"]) <= _days_after(from_ms(told["signed"]), terms.return_days)

    def _terms(self, told: Mapping[str, Any]) -> Any | None:
        row = self._promise(told)
        return None if row is None else find_template(row.name, row.version)


def _sound_of(records: Sequence[StoredRecord], consignment: str) -> list[StoredRecord] | None:
    """Returns those that speak of a consignment, "" for a unit; None where one was altered.

    Nobody can tell then what it said, and nobody is to answer for it; the audit says so.
    """
    if not all(one.is_sound for one in records):
        return None
    return [one for one in records if one.fields["data"].get("consignment", "") == consignment]


def _signed(records: Iterable[StoredRecord]) -> dict[str, int]:
    """Returns `signed` (ms) of the last signature among them, nothing where the sale has none."""
    signed: dict[str, int] = {}
    for one in records:
        if one.fields["type"] == "signature":
            signed = {"signed": to_ms(parse_time(one.fields["occurred_at"]))}
        elif one.fields["type"] in _ENDS:
            signed = {}
    return signed


def _signed_since(told: Mapping[str, Any], later: Iterable[StoredRecord]) -> Mapping[str, Any]:
    """Returns a request with the signature that stands: the carrier's own may come after the request.

    A first signature told only then changes nothing, nor does an earlier time: else a seller that says
    afterwards when it delivered would say that the request was late.
    """
    found = dict(told)
    for one in later if "signed" in told else ():
        if one.fields["type"] in _ENDS:
            break
        found["signed"] = max(found["signed"], _signed([one]).get("signed", found["signed"]))
    return found


def _is_replied(records: Iterable[StoredRecord], complaint: str, seller: str) -> bool:
    """Whether one of them is the seller's reply to the complaint or to a message of its matter.

    Of all that are sound: on a lot a reply names no consignment, it names what it answers. There its
    registrant may reply as well, which is not the seller's word.
    """
    matter = {complaint}
    for one in records:
        fields = one.fields
        if fields["data"].get("of") not in matter:
            continue
        if fields["type"] == "reply" and fields["actor"] == seller:
            return True
        if fields["type"] == "message":
            matter.add(fields["id"])
    return False


def _days_after(moment: datetime, days: int) -> datetime:
    """Returns the end of the n-th day after a moment (Civil Code art. 201, 203)."""
    return end_of_day(local_day(moment) + timedelta(days=days))
