"""Events by the row: goods by their code, or by the order or waybill that they were sold or sent under.

What a shop or a carrier has as a list: signatures, refusals, returns, what was seen on the way. A row may
be about several units, and then holds for all of them or for none. It is decided like any event, with the
rights of who sends it; who has no say in goods learns nothing of them: to it their numbers are unknown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from app.db.engine import Database
from app.kit.canonical import canonical_bytes
from app.kit.clock import format_time
from app.kit.errors import Fault, NotFound, Unavailable
from app.ledger import store
from app.ledger.recorder import Recorder
from app.ledger.submission import Abandoned, Answer, Effect, Recorded, Submission, with_effects
from app.parties.principal import Principal
from app.trace import pushstore
from app.trace.identifiers import parse_code
from app.trace.pushes import life_of, mandates_of, speaks_of_parcel
from app.trace.recording import Recording
from app.trace.requests import EventRequest
from app.trace.secret_index import SecretIndex
from app.trace.sides import seller_of
from app.trace.store import load_lives

TYPES = ("signature", "refusal", "return", "transit")
"""What can be told by the row; sales and dispatches come as orders."""

_NAMESPACE = UUID("3c1de0a4-58f7-5b6e-8d20-94b6a1f7c352")
_SOUGHT = ("waybill", "order")


class NumberUnknown(NotFound):
    """No goods in which the sender has a say go under this waybill or order number."""


class RowEvent(NamedTuple):
    """An event as a row tells it: of one code, else of what goes under a waybill, else an order."""

    type: str
    data: Mapping[str, Any]
    occurred_at: datetime
    code: str = ""
    consignment: str = ""
    waybill: str = ""
    order: str = ""


class Happened(NamedTuple):
    """What came of a row: its events, none of them new where it is a repeat."""

    events: tuple[Recorded, ...]

    @property
    def is_new(self) -> bool:
        """Whether any of it was not known before."""
        return any(not one.replayed for one in self.events)


class _Goods(NamedTuple):
    """A unit or consignment. actor: in whose name the sender speaks, None for its own.

    current: whether the sender has a say in it, and the number is that of its present sale or parcel. Of
    others it is only asked whether the sender itself has said this before.
    """

    stream: str
    consignment: str
    actor: str | None
    current: bool


_Told = tuple[EventRequest, bool]
"""An event, and whether the sender has a say in the goods now."""


class RowEvents:
    """Says what rows would come to, and records them."""

    def __init__(
        self, database: Database, recorder: Recorder, recording: Recording, *, index: SecretIndex
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._recording = recording
        self._index = index

    def preview(self, principal: Principal, rows: Sequence[RowEvent]) -> list[Happened | Fault]:
        """Returns what each row would come to, each seeing those before it. Read-only."""
        prepared = self._prepare(principal, rows)
        ready = [one for one in prepared if not isinstance(one, Fault)]
        answers = iter(self._recorder.preview(ready))
        return [one if isinstance(one, Fault) else _outcome(next(answers)) for one in prepared]

    def record(
        self, principal: Principal, rows: Sequence[RowEvent], *, effects: Sequence[Effect]
    ) -> list[Happened | Fault]:
        """Returns what came of each row, in order, at low priority.

        effects: one for each row, to be written with its first record; a repeat writes none. Raises
        Unavailable where the database does not take it now.
        """
        found: list[Happened | Fault] = []
        for together in _runs(self._prepare(principal, rows), effects):
            if isinstance(together, Fault):
                found.append(together)
                continue
            submissions, is_one_row = together
            answers = self._recorder.submit_and_wait(
                submissions, atomic=is_one_row, low_priority=True
            )
            for one in [answers] if is_one_row else [[answer] for answer in answers]:
                outcome = _outcome(one)
                if isinstance(outcome, Unavailable):
                    raise outcome
                found.append(outcome)
        return found

    def _prepare(
        self, principal: Principal, rows: Sequence[RowEvent]
    ) -> list[list[Submission] | Fault]:
        principal.check_may("event.send")
        goods = self._goods(principal, rows)
        told = [_events_of(principal, row, goods) for row in rows]
        known = self._known(
            event
            for of in told
            if not isinstance(of, Fault)
            for event, current in of
            if not current
        )
        return [of if isinstance(of, Fault) else self._ready(principal, of, known) for of in told]

    def _ready(
        self, principal: Principal, of: Sequence[_Told], known: Collection[tuple[str, str]]
    ) -> list[Submission] | Fault:
        """Returns a row's events as they go to the recorder. known: of those without a say, the repeats."""
        said = [event for event, current in of if current or _place(event) in known]
        if not said:
            return NumberUnknown("number_unknown")
        try:
            return [self._recording.prepare(principal, one, None) for one in said]
        except Fault as fault:
            return fault

    def _known(self, events: Iterable[EventRequest]) -> Collection[tuple[str, str]]:
        """Returns what the sender said of goods in which it has no say under this number now. Read-only."""
        places = {_place(event) for event in events}
        if not places:
            return ()
        with self._database.read() as connection:
            return store.find_by_id(connection, sorted(places))

    def _goods(
        self, principal: Principal, rows: Sequence[RowEvent]
    ) -> dict[tuple[str, str], list[_Goods]]:
        """Returns by (kind, number) the goods that were sold or sent under it. Read-only."""
        found: dict[tuple[str, str], list[_Goods]] = {}
        for kind in _SOUGHT:
            told = {str(getattr(row, kind)) for row in rows if not row.code} - {""}
            if not told:
                continue
            digests = {self._index.digest(kind, number): number for number in told}
            with self._database.read() as connection:
                sealed = pushstore.sealings(connection, digests, kind=kind)
                places = sorted({life_of(one) for at in sealed.values() for one in at})
                lives = load_lives(connection, places)
                mandates = mandates_of(connection, principal, lives.values())
            for digest, at in sealed.items():
                known = found.setdefault((kind, digests[digest]), [])
                for sealing in at:
                    one = _one(principal, sealing, lives[life_of(sealing)], mandates, kind=kind)
                    if one not in known:
                        known.append(one)
        return found


def _events_of(
    principal: Principal,
    row: RowEvent,
    goods: Mapping[tuple[str, str], Sequence[_Goods]],
) -> list[_Told] | Fault:
    """Returns an event for each of the goods."""
    if row.code:
        try:
            stream = parse_code(row.code).stream
        except Fault as fault:
            return fault
        return [(_event(principal, row, _Goods(stream, row.consignment, None, current=True)), True)]
    number = ("waybill", row.waybill) if row.waybill else ("order", row.order)
    return [(_event(principal, row, one), one.current) for one in goods.get(number, ())]


def _place(event: EventRequest) -> tuple[str, str]:
    return event.code, str(event.id)


def _one(
    principal: Principal,
    sealing: pushstore.Sealing,
    life: Mapping[str, Any],
    mandates: frozenset[str],
    *,
    kind: str,
) -> _Goods:
    """Returns the goods of a record that seals a number."""
    consignment = str(sealing.fields["data"].get("consignment", ""))
    allowed, actor = _speaks(principal, life, mandates, kind)
    step = life.get("dispatch" if kind == "waybill" else "sale")
    current = allowed and step is not None and sealing.seq >= int(step["seq"])
    if not consignment:
        # A number that was set right by a correction is that of other goods, or of none.
        current = current and sealing.is_last
    return _Goods(sealing.stream, consignment, actor, current)


def _speaks(
    principal: Principal, life: Mapping[str, Any], mandates: frozenset[str], kind: str
) -> tuple[bool, str | None]:
    """Returns whether the sender has a say in goods found by such a number, and in whose name.

    An order number is between seller and buyer: a carrier knows waybills.
    """
    if principal.own_party() in (seller_of(life), life.get("sale", {}).get("platform")):
        return True, None
    if kind == "waybill" and "dispatch" in life:
        return speaks_of_parcel(principal, life, mandates)
    return False, None


def _event(principal: Principal, row: RowEvent, goods: _Goods) -> EventRequest:
    """Returns the event, whose id follows from what the row says: the same again is a repeat."""
    data = dict(row.data)
    if goods.consignment:
        data["consignment"] = goods.consignment
    said = canonical_bytes(data).decode()
    place = (principal.own_party(), goods.stream, row.type, said, format_time(row.occurred_at))
    return EventRequest(
        code=goods.stream,
        type=row.type,
        data=data,
        id=str(uuid5(_NAMESPACE, "\x00".join(place))),
        occurred_at=row.occurred_at,
        actor=goods.actor,
    )


_Run = Fault | tuple[list[Submission], bool]


def _runs(
    prepared: Sequence[list[Submission] | Fault], effects: Sequence[Effect]
) -> Iterator[_Run]:
    """Yields rows in order: faults, rows of several units alone, rows of one unit together.

    With the latter whether they are one row.
    """
    single: list[Submission] = []
    for one, effect in zip(prepared, effects, strict=True):
        if not isinstance(one, Fault) and len(one) == 1:
            single.append(with_effects(one[0], effect))
            continue
        if single:
            yield single, False
            single = []
        yield one if isinstance(one, Fault) else ([with_effects(one[0], effect), *one[1:]], True)
    if single:
        yield single, False


def _outcome(answers: Sequence[Answer]) -> Happened | Fault:
    """Returns what came of one row; of several faults the one that the others follow from."""
    faults = [answer for answer in answers if isinstance(answer, Fault)]
    if faults:
        return next((one for one in faults if not isinstance(one, Abandoned)), faults[0])
    return Happened(tuple(answer for answer in answers if isinstance(answer, Recorded)))
