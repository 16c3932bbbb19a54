"""Release of what a customs declaration is about: its goods, and whether its three documents agree.

For retail imports customs compare order, payment and waybill (三单) with the declaration list. Here each
of the three is a commitment that whoever knew it made: the seller or platform of order and payment with
the sale, the carrier or shop of the waybill with the dispatch. Customs type the numbers of their list;
they are compared by keyed digests, and nothing is opened (`threefold`). They agree if all three were told
of the same goods, and those are goods of this declaration; and each is said by itself, so that one wrong
number does not speak against the two others. A declaration of more goods than a page holds is read a part
at a time; what is compared and decided is of all of them.

Only what was compared here stands in a record as compared: no event can bring `documents` along.
What is decided is a record of the lot or unit (`customs_release`, `customs_hold`), the later one of
which holds. The port says whose decision it is, not a region of GB/T 2260, so customs act on goods of a
declaration wherever they belong (`offices.acts_on`), and learn of no others here: a number of goods out of
their reach stands as one that nobody told. Each look by a number is logged with its stated purpose,
and so is one that found nothing; a decision is, at the goods that it is about alone. The number itself is
stored nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.canonical import check_canonical
from app.kit.clock import Clock, parse_time
from app.kit.errors import Fault, FieldFault, Invalid, NotFound, invalid
from app.ledger import store as ledger_store
from app.ledger.record import stream_key
from app.ledger.submission import Recorded
from app.oversight.numbers import Part, Told
from app.oversight.threefold import DOCUMENTS, DocumentName, Threefold
from app.parties.identity import Declaration, parse_declaration, parse_waybill
from app.parties.looking import NO_RECORD, log_numbers, read_purpose
from app.parties.principal import Principal
from app.trace.identifiers import parse_code
from app.trace.recording import Recording
from app.trace.requests import EventRequest, SealedInput
from app.trace.secret_index import SecretIndex

Standing = Literal["agrees", "differs", "absent", "not_given"]
Outcome = Literal["agree", "differ", "absent"]
Decision = Literal["release", "hold"]
_DECIDED = frozenset({"registration", "customs_release", "customs_hold"})
_MAX_NUMBER, _MAX_REASON = 64, 500
_MOST_GOODS = 200
_Told = TypeVar("_Told")
_Look = tuple[int, int, str]
"""What is logged as looked at: a stream's key, a seq, a kind of number."""


class NothingDeclared(NotFound):
    """No goods on record name this declaration."""


@dataclass(frozen=True, slots=True)
class Document:
    """One of the three. told_of: the goods whose records commit to this number.

    standing: `differs` where it is told, of goods other than those of the declaration that most of the
    numbers are told of; `absent` where no record tells it of goods that the caller acts on. told_of: the
    first of these; more: there may be others.
    """

    name: DocumentName
    standing: Standing
    told_of: tuple[str, ...] = ()
    more: bool = False


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

    goods: those of one part. onward: from where to go on with them, None: that was all; percent: how much
    of them up to here.
    """

    declaration: Declaration
    goods: tuple[Goods, ...]
    documents: tuple[Document, ...]
    outcome: Outcome | None
    onward: int | None = None
    percent: int = 100

    @property
    def is_doubtful(self) -> bool:
        """Whether a number that was given is not of these goods, or of none that are known."""
        return _is_doubtful(self.documents)


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
        after: int = 0,
    ) -> Declared:
        """Returns what is on record of a declaration. Writes `access_log`.

        documents: numbers as the declaration list has them. after: only goods behind this place. Raises
        NothingDeclared, Invalid.
        """
        principal.check_may("customs.decide")
        declaration, given, why = self._read(number, documents, purpose)
        kinds, found = ("declaration", *given), list[_Look]()
        try:
            with self._database.read() as connection:
                told = Threefold(connection, principal, self._index, declaration.number, given)
                part = told.goods(after=after, most=_MOST_GOODS)
                found += _looks(part.goods)
                goods = _goods_of(connection, sorted(one.name for one in part.goods))
                documents_told = {name: told.told_of(name, most=_MOST_GOODS) for name in given}
                for told_of in documents_told.values():
                    found += _looks(told_of.goods)
                fitting = told.fitting()
        except Invalid:
            # That more have a number than can be compared is told of it, too.
            self._log(principal, kinds, found, why)
            raise
        self._log(principal, kinds, found, why)
        if not goods and not part.onward and not after:
            raise NothingDeclared("nothing_declared")
        compared = _compare(documents_told, fitting)
        return Declared(
            declaration,
            goods,
            compared,
            _outcome(compared),
            part.onward.get("declaration"),
            part.percent,
        )

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

        It compares as `look` does, and raises as that. reason: of a hold, sealed. despite: release
        although a given number is doubtful. Writes `access_log`: these goods alone, once for each kind of
        number. Raises what the recording raises, too.
        """
        principal.check_may("customs.decide")
        stream, told = parse_code(code).stream, reason.strip()
        if decision == "hold" and not 1 <= len(told) <= _MAX_REASON:
            params = {"expected": f"1..{_MAX_REASON}", "got": len(told)}
            raise invalid(FieldFault(("reason",), "length", params))
        declaration, given, why = self._read(number, documents, purpose)
        compared = self._compare_for(principal, declaration, given, stream, why)
        if decision == "release" and _is_doubtful(compared) and not despite:
            raise invalid(FieldFault(("despite",), "missing", sentence="number_unfit"))
        data: dict[str, Any] = {"port": port.strip()}
        numbers = {"number": declaration.number}
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
            compared=_outcome(compared),
        )
        answer = self._recording.record_and_wait(principal, [request])[0]
        if isinstance(answer, Fault):
            raise answer
        return answer

    def _compare_for(
        self,
        principal: Principal,
        declaration: Declaration,
        given: Mapping[DocumentName, str],
        stream: str,
        purpose: str,
    ) -> tuple[Document, ...]:
        """Returns the documents for a decision about these goods. Writes `access_log`.

        Raises NothingDeclared unless the declaration names them; Invalid, as `fitting` does.
        """
        kinds, looks = ("declaration", *given), list[_Look]()
        try:
            with self._database.read() as connection:
                told = Threefold(connection, principal, self._index, declaration.number, given)
                if not told.declared([stream]):
                    raise NothingDeclared("nothing_declared")
                key, newest = stream_key(stream), told.newest_of(stream)
                looks += (
                    (key, NO_RECORD if seq is None else seq, kind) for kind, seq in newest.items()
                )
                documents_told = {name: told.told_of(name, most=_MOST_GOODS) for name in given}
                fitting = told.fitting()
        except (NothingDeclared, Invalid):
            self._log(principal, kinds, looks, purpose)
            raise
        self._log(principal, kinds, looks, purpose)
        return _compare(documents_told, fitting)

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

    def _log(
        self, principal: Principal, kinds: Sequence[str], found: Sequence[_Look], purpose: str
    ) -> None:
        """Logs the records that were found, and the kinds of the numbers that lead to none."""
        log_numbers(self._database, principal, kinds, found, purpose, clock=self._clock)


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


def _goods_of(connection: Connection, streams: Sequence[str]) -> tuple[Goods, ...]:
    found = []
    for stream in streams:
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


def _looks(goods: Iterable[Told[str]]) -> Iterable[_Look]:
    return ((one.stream, one.seq, one.kind) for one in goods)


def _compare(
    told: Mapping[DocumentName, Part[str]], fitting: Collection[str]
) -> tuple[Document, ...]:
    return tuple(_document(name, told.get(name), fitting) for name in DOCUMENTS)


def _is_doubtful(documents: Sequence[Document]) -> bool:
    return any(one.standing in ("differs", "absent") for one in documents)


def _document(name: DocumentName, part: Part[str] | None, fitting: Collection[str]) -> Document:
    if part is None:
        return Document(name, "not_given")
    told_of = tuple(sorted(one.name for one in part.goods))
    standing: Standing = "absent"
    if name in fitting:
        standing = "agrees"
    elif told_of:
        standing = "differs"
    return Document(name, standing, told_of, bool(part.onward))


def _outcome(compared: Sequence[Document]) -> Outcome | None:
    standings = {one.standing for one in compared}
    if standings == {"not_given"}:
        return None
    if standings == {"agrees"}:
        return "agree"
    return "differ" if "differs" in standings else "absent"
