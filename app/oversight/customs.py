"""Release of what a customs declaration is about: its goods, and whether its three documents agree.

For retail imports customs compare order, payment and waybill (三单) with the declaration list. Here each
of the three is a commitment that whoever knew it made: the seller or platform of order and payment with
the sale, the carrier or shop of the waybill with the dispatch. Customs type the numbers of their list;
they are compared by keyed digests, and nothing is opened. They agree if all three were told of the same
goods, and those are goods of this declaration; and each is said by itself, so that one wrong number does
not speak against the two others.

Only what was compared here stands in a record as compared: no event can bring `documents` along.
What is decided is a record of the lot or unit (`customs_release`, `customs_hold`), the later one of
which holds. The port says whose decision it is, not a region of GB/T 2260, so customs act on goods of a
declaration wherever they belong (`offices.acts_on`), and learn of no others here: a number of goods out of
their reach stands as one that nobody told. Each look by a number is logged with its stated purpose,
and so is one that found nothing; the number itself is stored nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.canonical import check_canonical
from app.kit.clock import Clock, parse_time
from app.kit.errors import Fault, FieldFault, Invalid, NotFound, invalid
from app.ledger import store as ledger_store
from app.ledger.submission import Recorded
from app.oversight import seekstore
from app.parties.identity import Declaration, parse_declaration, parse_waybill
from app.parties.looking import log_numbers, read_purpose
from app.parties.principal import Principal
from app.trace.identifiers import parse_code
from app.trace.offices import acts_on, with_lot
from app.trace.recording import Recording
from app.trace.requests import EventRequest, SealedInput
from app.trace.secret_index import SecretIndex

DocumentName = Literal["order", "payment", "waybill"]
DOCUMENTS: tuple[DocumentName, ...] = ("order", "payment", "waybill")
Standing = Literal["agrees", "differs", "absent", "not_given"]
Outcome = Literal["agree", "differ", "absent"]
Decision = Literal["release", "hold"]
_DECIDED = frozenset({"registration", "customs_release", "customs_hold"})
_MAX_NUMBER, _MAX_REASON = 64, 500
_MOST_GOODS = 200
_Told = TypeVar("_Told")


class NothingDeclared(NotFound):
    """No goods on record name this declaration."""


@dataclass(frozen=True, slots=True)
class Document:
    """One of the three. told_of: the goods whose records commit to this number.

    standing: `differs` where it is told, of goods other than those of the declaration that most of the
    numbers are told of; `absent` where no record tells it of goods that the caller acts on.
    """

    name: DocumentName
    standing: Standing
    told_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Goods:
    """A lot or unit that a declaration is about. facts: the import section of its registration.

    decision: the newest of customs, None before the first.
    """

    code: str
    party: str | None
    facts: Mapping[str, Any]
    decision: Decision | None = None
    decided_at: datetime | None = None
    decided_by: str | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Declared:
    """A declaration as the records tell of it. outcome: of the three, None where no number was given.

    streams: of all its goods. goods: the first 200 of them, to be looked at.
    """

    declaration: Declaration
    streams: frozenset[str]
    goods: tuple[Goods, ...]
    documents: tuple[Document, ...]
    outcome: Outcome | None

    @property
    def is_doubtful(self) -> bool:
        """Whether a number that was given is not of these goods, or of none that are known."""
        return any(one.standing in ("differs", "absent") for one in self.documents)


class CustomsDesk:
    """Looks declarations up and records what customs decide. Owns its short transactions."""

    def __init__(
        self, database: Database, recording: Recording, *, clock: Clock, index: SecretIndex
    ) -> None:
        self._database = database
        self._recording = recording
        self._clock = clock
        self._index = index

    def look(
        self,
        principal: Principal,
        number: str,
        documents: Mapping[DocumentName, str],
        *,
        purpose: str,
    ) -> Declared:
        """Returns what is on record of a declaration. Writes `access_log`.

        documents: numbers as the declaration list has them. Raises NothingDeclared, Invalid.
        """
        principal.check_may("customs.decide")
        declaration, given, why = self._read(number, documents, purpose)
        with self._database.read() as connection:
            numbers = {"declaration": declaration.number} | {
                str(n): told for n, told in given.items()
            }
            found = self._told_of(connection, principal, numbers)
            streams = frozenset(row.name for row in found["declaration"])
            goods = _goods_of(connection, streams)
            compared = _compare(connection, given, found, streams)
        self._log(principal, found, why)
        if not goods:
            raise NothingDeclared("nothing_declared")
        return Declared(declaration, streams, goods, compared, _outcome(compared))

    def decide(
        self,
        principal: Principal,
        number: str,
        code: str,
        decision: Decision,
        *,
        port: str,
        certificate: str = "",
        reason: str = "",
        documents: Mapping[DocumentName, str],
        purpose: str,
        despite: bool = False,
        id: str | None = None,
    ) -> Recorded:
        """Returns the record of a decision about goods of a declaration; it commits to what was compared.

        It looks as `look` does, and raises and writes as that. reason: of a hold, sealed. despite: release
        although a given number is doubtful. Raises what the recording raises, too.
        """
        principal.check_may("customs.decide")
        stream, told = parse_code(code).stream, reason.strip()
        if decision == "hold" and not 1 <= len(told) <= _MAX_REASON:
            params = {"expected": f"1..{_MAX_REASON}", "got": len(told)}
            raise invalid(FieldFault(("reason",), "length", params))
        declared = self.look(principal, number, documents, purpose=purpose)
        if stream not in declared.streams:
            raise NothingDeclared("nothing_declared")
        if decision == "release" and declared.is_doubtful and not despite:
            raise invalid(FieldFault(("despite",), "missing", sentence="number_unfit"))
        data: dict[str, Any] = {"port": port.strip()}
        given = _read_documents(documents)
        numbers = {"number": declared.declaration.number}
        numbers |= {str(name): value for name, value in given.items()}
        sealed = {"declaration": SealedInput(numbers)}
        if decision == "hold":
            check_canonical(told, ("reason",))
            sealed["reason"] = SealedInput({"text": told})
        elif certificate.strip():
            data["certificate"] = certificate.strip()
        request = EventRequest(
            code=stream,
            type=f"customs_{decision}",
            data=data,
            id=id,
            sealed=sealed,
            compared=declared.outcome,
        )
        answer = self._recording.record_and_wait(principal, [request])[0]
        if isinstance(answer, Fault):
            raise answer
        return answer

    def _read(
        self, number: str, documents: Mapping[DocumentName, str], purpose: str
    ) -> tuple[Declaration, dict[DocumentName, str], str]:
        """Returns what was typed, read. Raises Invalid, with everything that is wrong."""
        faults: list[FieldFault] = []
        year, loc = self._clock.now().year, ("number",)
        declaration = _read_one(
            lambda: parse_declaration(number.replace(" ", ""), year_now=year, loc=loc), faults
        )
        given = _read_one(lambda: _read_documents(documents), faults)
        why = _read_one(lambda: read_purpose(purpose, loc=("purpose",)), faults)
        if declaration is None or given is None or why is None:
            raise invalid(*faults)
        return declaration, given, why

    def _told_of(
        self, connection: Connection, principal: Principal, numbers: Mapping[str, str]
    ) -> dict[str, list[Any]]:
        """Returns by kind the records that commit to a number of it, of goods that the caller acts on."""
        acts = cache(lambda stream: acts_on(connection, principal, stream))
        found = {}
        for kind, number in numbers.items():
            # Each by itself: of many records under one number the others must not be cut away.
            rows = seekstore.indexed(connection, self._index.digest(kind, number))
            found[kind] = [row for row in rows if row.kind == kind and acts(row.name)]
        return found

    def _log(self, principal: Principal, found: Mapping[str, Sequence[Any]], purpose: str) -> None:
        """Logs the records that were found, and the kinds of the numbers that lead to none."""
        looks = [(row.stream, row.seq, row.kind) for rows in found.values() for row in rows]
        log_numbers(self._database, principal, found, looks, purpose, clock=self._clock)


def _read_one(read: Callable[[], _Told], faults: list[FieldFault]) -> _Told | None:
    """Returns what is read; None where it is refused, its faults added to the others."""
    try:
        return read()
    except Invalid as refused:
        faults += refused.errors
        return None


def _read_documents(documents: Mapping[DocumentName, str]) -> dict[DocumentName, str]:
    read: dict[DocumentName, str] = {}
    for name in DOCUMENTS:
        told = documents.get(name, "").strip()
        if not told:
            continue
        if name == "waybill":
            told = parse_waybill(told, loc=("waybill",))
        elif len(told) > _MAX_NUMBER:
            params = {"expected": f"1..{_MAX_NUMBER}", "got": len(told)}
            raise invalid(FieldFault((name,), "length", params))
        check_canonical(told, (name,))
        read[name] = told
    return read


def _goods_of(connection: Connection, streams: frozenset[str]) -> tuple[Goods, ...]:
    found = []
    for stream in sorted(streams)[:_MOST_GOODS]:
        goods = Goods(stream, None, {})
        for record in ledger_store.load_some(connection, stream, types=_DECIDED):
            try:
                fields = record.fields
            except ValueError:
                continue
            if fields["type"] == "registration":
                facts = fields["data"].get("import") or {}
                goods = Goods(stream, fields["data"].get("issuer"), facts)
            else:
                decision: Decision = "release" if fields["type"] == "customs_release" else "hold"
                goods = Goods(
                    stream, goods.party, goods.facts, decision,
                    parse_time(fields["recorded_at"]), fields["actor"], record.seq,
                )  # fmt: skip
        found.append(goods)
    return tuple(found)


def _compare(
    connection: Connection,
    given: Mapping[DocumentName, str],
    found: Mapping[str, Sequence[Any]],
    declared: frozenset[str],
) -> tuple[Document, ...]:
    told_of = {name: {row.name for row in found.get(name, ())} for name in given}
    fitting = _fitting(connection, told_of, declared)
    compared = []
    for name in DOCUMENTS:
        if name not in given:
            compared.append(Document(name, "not_given"))
            continue
        standing: Standing = "absent"
        if told_of[name]:
            standing = "agrees" if name in fitting else "differs"
        compared.append(Document(name, standing, tuple(sorted(told_of[name]))))
    return tuple(compared)


def _fitting(
    connection: Connection,
    told_of: Mapping[DocumentName, Collection[str]],
    declared: frozenset[str],
) -> frozenset[DocumentName]:
    """Returns the numbers that are told of the goods of the declaration of which most of them are told.

    Where the numbers name several such goods, each with as many of them, those that all of these have in
    common: two numbers of two units of one lot contradict each other, and neither is the right one.
    """
    names: dict[str, frozenset[DocumentName]] = {}
    for stream in {one for streams in told_of.values() for one in streams}:
        names[stream] = frozenset(name for name, told in told_of.items() if stream in told)
    for most in range(len(told_of), 0, -1):
        best = [
            fits
            for stream, fits in names.items()
            # Named by the declaration, or a unit of a lot that it names.
            if len(fits) == most and any(one in declared for one in with_lot(connection, stream))
        ]
        if best:
            return frozenset.intersection(*best)
    return frozenset()


def _outcome(compared: Sequence[Document]) -> Outcome | None:
    standings = {one.standing for one in compared}
    if standings == {"not_given"}:
        return None
    if standings == {"agrees"}:
        return "agree"
    return "differ" if "differs" in standings else "absent"
