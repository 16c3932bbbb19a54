"""A store for others: takes the changes of other people's credit ledgers, each exactly once.

Each change becomes a record of our own chain, `store/{sender}/{party}`, under an id that follows from
sender and key: whoever sends it again meets the record that is there and gets its first answer. A
sender is let in by the operator, with a name that we give it and its key; that is a record, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import uuid_utils

from app.credit import exchangestore as store
from app.credit.exchangestore import Place, SenderRow
from app.credit.loader import Policies
from app.credit.policy import Entry, Hold, ScoreCard, score
from app.credit.rows import replay
from app.db.engine import Database
from app.exchange.change import Change, EarlierRefused, read_change
from app.exchange.package import Package, read_package, write_receipt
from app.exchange.signing import key_id_of, verify_request
from app.kit.clock import Clock, to_ms
from app.kit.errors import Conflict, Fault, Invalid, NotFound, TooLarge
from app.ledger.note import Signer, VerifierKey, parse_vkey
from app.ledger.record import Claim, stream_key
from app.ledger.recorder import Recorder
from app.ledger.store import as_bytes, load_stream
from app.ledger.submission import Draft, Effect, Recorded, Submission, View, all_recorded
from app.parties.identity import SYSTEM

MAX_CHANGES = 200
RECEIVED, SENDER, SENDER_ENDED = "store_received", "store_sender", "store_sender_ended"
_PREFIX = "store/"
_NOT_NOW = ("unavailable", "overloaded", "internal")
_NAME = re.compile(r"[a-z0-9][a-z0-9.\-]{0,62}", re.ASCII)
_NAMESPACE = UUID("5b0f3f0a-5c0e-5d53-9d0e-6b8a3a4f7c11")


class SenderNameRefused(Invalid):
    """A sender's name is a short lower-case word, as it will stand in streams."""


class SenderUnknown(NotFound):
    """Nobody of this name keeps its credit here."""


class SenderKeyTaken(Conflict):
    """This key is another sender's."""


class ChangeConflict(Conflict):
    """The key of this change was sent before, with another record: the sender's ledger was rewritten."""

    slug = "id-conflict"


class NothingKnown(NotFound):
    """Nobody has sent anything about this party."""


@dataclass(frozen=True, slots=True)
class Told:
    """A change as it came in, not looked at yet."""

    key: str
    hash: str
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """Our record of a change."""

    change: Change
    recorded: Recorded


class Receiver:
    """What others keep here."""

    def __init__(
        self, database: Database, recorder: Recorder, *, clock: Clock, policies: Policies
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._clock = clock
        self._policies = policies

    # --- who may send ------------------------------------------------------------------------

    def senders(self) -> list[SenderRow]:
        """Returns everybody who was ever let in. Read-only."""
        with self._database.read() as connection:
            return store.list_senders(connection)

    def let_in(self, name: str, vkey_text: str) -> VerifierKey:
        """Lets a sender in, or gives one another key; returns the key. The same again does nothing.

        Raises SenderNameRefused, KeyMalformed, SenderKeyTaken.
        """
        if not _NAME.fullmatch(name):
            raise SenderNameRefused("sender_name", got=name[:64])
        vkey = parse_vkey(vkey_text.strip())
        for row in self.senders():
            if row.vkey == str(vkey) and row.name != name:
                raise SenderKeyTaken("sender_key_taken", name=row.name)
            if row.vkey == str(vkey) and row.ended_at_ms is None:
                return vkey
        at_ms = to_ms(self._clock.now())
        row_ = {"name": name, "vkey": str(vkey), "since_at": at_ms, "ended_at": None}
        self._record_sender(name, SENDER, {"key": str(vkey)}, Effect("credit_sender", row_))
        return vkey

    def end(self, name: str) -> None:
        """Takes nothing more from a sender; what it sent stays. Raises SenderUnknown."""
        if name not in {row.name for row in self.senders()}:
            raise SenderUnknown("sender_unknown", name=name[:64])
        row = {"name": name, "ended_at": to_ms(self._clock.now())}
        self._record_sender(name, SENDER_ENDED, {}, Effect("credit_sender_ended", row))

    def authenticate(
        self, *, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> str:
        """Returns which sender signed a request. Raises RequestUnsigned, RequestStale."""
        allowed = self.keys()
        key_id = verify_request(
            method=method,
            url=url,
            headers=headers,
            body=body,
            keys={key_id: vkey for key_id, (_, vkey) in allowed.items()},
            now=self._clock.now(),
        )
        return allowed[key_id][0]

    def keys(self) -> dict[str, tuple[str, VerifierKey]]:
        """Returns (name, key) of everybody who may send now, by key id."""
        found = {}
        for row in self.senders():
            if row.ended_at_ms is None:
                vkey = parse_vkey(row.vkey)
                found[key_id_of(vkey)] = (row.name, vkey)
        return found

    # --- what they send ----------------------------------------------------------------------

    def take(
        self, sender: str, told: Sequence[Told], refused: set[str] | None = None
    ) -> list[Kept | Fault]:
        """Returns one answer a change, in order, after all that were taken are committed.

        What follows a refused one of the same party is held back, so that order is kept. refused:
        streams of which that is so already; added to. Raises TooLarge, and Unavailable or Overloaded
        where nothing is known of the outcome.
        """
        if len(told) > MAX_CHANGES:
            raise TooLarge("too_many_changes", limit=MAX_CHANGES, got=len(told))
        judged = self._judge(sender, told, set() if refused is None else refused)
        now = self._clock.now()
        submissions = [_submission(sender, one, now) for one in judged if isinstance(one, Change)]
        recorded = iter(self._recorder.submit_and_wait(submissions))
        answers: list[Kept | Fault] = []
        for one in judged:
            answer = one if isinstance(one, Fault) else next(recorded)
            if isinstance(answer, Recorded):
                assert isinstance(one, Change)
                answers.append(Kept(one, answer))
            elif answer.slug in _NOT_NOW:
                raise answer
            else:
                answers.append(answer)
        return answers

    def _judge(self, sender: str, told: Sequence[Told], refused: set[str]) -> list[Change | Fault]:
        """Returns each change that is to be recorded, or the fault for which it is not."""
        read = [_read(one) for one in told]
        places = [_place(one) for one in read if isinstance(one, Change)]
        with self._database.read() as connection:
            known = store.find_received(connection, sender, places)
        judged: list[Change | Fault] = []
        for one, change in zip(told, read, strict=True):
            stream = one.key.rpartition("/")[0]
            if stream in refused:
                judged.append(_held(one.key))
                continue
            fault = change if isinstance(change, Fault) else _conflict(change, known)
            if fault is not None:
                refused.add(stream)
            judged.append(change if fault is None else fault)
        return judged

    def take_package(self, raw: bytes, signer: Signer) -> tuple[Package, str]:
        """Returns a package of changes that was taken in, and its receipt. Again: the same again.

        Raises PackageMalformed where nothing of it can be believed, and Unavailable.
        """
        known = self.keys()
        package, vkey = read_package(raw, [key for _, key in known.values()])
        sender = known[key_id_of(vkey)][0]
        results: list[Mapping[str, Any]] = []
        refused: set[str] = set()
        told = [Told(one["key"], one["hash"], one["record"]) for one in package.told]
        for start in range(0, len(told), MAX_CHANGES):
            part = told[start : start + MAX_CHANGES]
            for one, answer in zip(part, self.take(sender, part, refused), strict=True):
                results.append(_result(one.key, answer))
        return package, write_receipt(package, results, signer=signer, at=self._clock.now())

    def list_received(self, sender: str, *, after: Place | None, limit: int) -> Sequence[Any]:
        """Returns rows of what a sender has here, by source and seq. Read-only."""
        with self._database.read() as connection:
            return store.list_received(connection, sender, after=after, limit=limit)

    def card(self, party: str) -> tuple[ScoreCard, list[str]]:
        """Returns a party's score by all that was sent about it, and who sent it. Read-only.

        One fact counts once, also where two senders tell it: entries have the id of their fact.
        Raises NothingKnown.
        """
        with self._database.read() as connection:
            senders = store.senders_of(connection, party)
            streams = [load_stream(connection, f"{_PREFIX}{name}/{party}") for name in senders]
        if not senders:
            raise NothingKnown("store_knows_nothing", party=party[:64])
        entries: dict[str, Entry] = {}
        holds: dict[str, Hold] = {}
        for records in streams:
            told = sorted((one.fields["data"]["record"] for one in records), key=lambda r: r["seq"])
            told_entries, told_holds = replay(told).scored()
            for entry in told_entries:
                entries.setdefault(entry.id, entry)
            for hold in told_holds:
                holds.setdefault(hold.finding, hold)
        now = self._clock.now()
        return score(entries.values(), holds.values(), now, self._policies.at(now)), senders

    # --- records -----------------------------------------------------------------------------

    def _record_sender(
        self, name: str, type_: str, data: Mapping[str, Any], effect: Effect
    ) -> None:
        claim = Claim(
            stream=f"{_PREFIX}{name}",
            id=str(uuid_utils.uuid7()),
            type=type_,
            actor=SYSTEM,
            occurred_at=self._clock.now(),
            data={"sender": name, **data},
            sealed={},
        )
        submission = Submission(
            claim, SYSTEM, lambda *_: Draft({}, effects=(effect,)), time_given=False
        )
        all_recorded(self._recorder.submit_and_wait([submission]))


def _read(told: Told) -> Change | Fault:
    try:
        return read_change(key=told.key, hash_hex=told.hash, record=told.record)
    except Fault as fault:
        return fault


def _result(key: str, answer: Kept | Fault) -> dict[str, Any]:
    """Returns the line of a receipt; its words are keys, since a file has no reader's language."""
    match answer:
        case EarlierRefused():
            return {"key": key, "result": "held"}
        case Fault():
            return {"key": key, "result": "refused", "why": f"{answer.slug}: {answer.key}"}
        case Kept(recorded=recorded):
            return {
                "key": key,
                "result": "stored",
                "stream": recorded.stream,
                "seq": recorded.seq,
                "hash": recorded.hash.hex(),
            }


def _held(key: str) -> EarlierRefused:
    return EarlierRefused("earlier_refused", reason="earlier_refused", change=key[:100])


def _conflict(change: Change, known: Mapping[Place, Any]) -> Fault | None:
    row = known.get(_place(change))
    if row is None or as_bytes(row.hash) == change.hash:
        return None
    return ChangeConflict("change_conflict", change=change.key)


def _place(change: Change) -> Place:
    return stream_key(change.stream), change.seq


def _submission(sender: str, change: Change, now: datetime) -> Submission:
    claim = Claim(
        stream=f"{_PREFIX}{sender}/{change.party}",
        id=str(uuid5(_NAMESPACE, f"{sender} {change.key}")),
        type=RECEIVED,
        actor=SYSTEM,
        occurred_at=now,
        data={"sender": sender, "hash": change.hash.hex(), "record": change.record},
        sealed={},
    )
    return Submission(claim, SYSTEM, lambda _, view: _draft(sender, change, view), time_given=False)


def _draft(sender: str, change: Change, view: View) -> Draft:
    head = view.heads[f"{_PREFIX}{sender}/{change.party}"]
    row = {
        "sender": sender,
        "source": stream_key(change.stream),
        "seq": change.seq,
        "party": change.party,
        "type": change.record["type"],
        "hash": change.hash,
        "place": head.seq + 1,
        "received_at": to_ms(view.now),
    }
    return Draft({}, effects=(Effect("credit_received", row),))
