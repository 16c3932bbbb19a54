"""Rotation: one log ends, the next goes on from it, and no moment has two.

In this order, each step safe to repeat: the new key on disk; `rotated` as the old log's last leaf; the
old log published and anchored to its very end, its final note and verifier key kept; the new log opened
in one transaction; the new key in the place of the old one, whose secret is gone then; `continued` as the
new log's first leaf; the new log published and anchored.

Killed anywhere it leaves the old log going on (before `rotated`), or a database on which nothing serves
until it is run again, which goes on where it was. Two logs never grow: leaves share one sequence of
positions, and the anchor names one log at a time. Only while nothing serves, which the caller sees to.
And if something did: a rotation leads from before its first write to after its last, all under one epoch,
which each of its transactions compares. So nobody gave a record its place in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5

from sqlalchemy import Connection

from app.db.engine import Database
from app.db.lease import NotLeading, Standing
from app.kit.clock import Clock
from app.kit.errors import Conflict, Fault, Invalid
from app.ledger import keyring, logstore
from app.ledger.anchor import Anchor
from app.ledger.checkpoint import Checkpoint, open_checkpoint
from app.ledger.handover import CONTINUED, ROTATED, continued_data, last_rotated, rotated_data
from app.ledger.heads import HEADS, ROTATING, State, rotating_to, submit_head
from app.ledger.keyring import KeyLost, Keyring, load_keys
from app.ledger.logstore import Log, TreeState
from app.ledger.note import NoteSigner, is_key_name
from app.ledger.publisher import DatabaseBehindAnchor, Publisher
from app.ledger.record import stream_key
from app.ledger.recorder import Recorder
from app.ledger.sequencer import Sequencer
from app.ledger.served import load_checkpoint

_NAMESPACE = UUID("6f0a7d0e-6a3e-5f0c-9d3b-6a1f6f9b1c52")


class OriginTaken(Conflict):
    """A log of this name is there, or was."""


class OriginMalformed(Invalid):
    """This cannot be a log's name."""


class RotationBegun(Conflict):
    """A rotation to another origin was begun and must be completed first."""


class FinalUnpublished(Fault):
    """The old log could not be signed to its end."""


class RotationOvertaken(Fault):
    """Another process leads since, or has rotated the log; what was done so far stands."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rotation will do. size: leaves of the old log now.

    resumed: an earlier run has begun it. done: the new log has just begun, so nothing is left to do.
    """

    old: str
    new: str
    size: int
    resumed: bool = False
    done: bool = False


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did. size, root: of the old log's final checkpoint. key: the new log's vkey."""

    old: str
    size: int
    root: bytes
    new: str
    key: str


class Rotation:
    """Owns its transactions. It leads by the sequencer's lease, if that has one.

    publisher_of: a publisher that signs with these keys, under the same lease. reached: is told each
    step once it is done.
    """

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        sequencer: Sequencer,
        *,
        keys_dir: Path,
        anchor: Anchor,
        clock: Clock,
        publisher_of: Callable[[Keyring], Publisher],
        reached: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._sequencer = sequencer
        self._keys_dir = keys_dir
        self._anchor = anchor
        self._clock = clock
        self._publisher_of = publisher_of
        self._reached = reached
        self._epoch: int | None = None

    def plan(self, origin: str | None = None) -> Plan:
        """Returns what `run` will do; origin: of the new log, by default the next yearly one. Read-only.

        Raises OriginMalformed, OriginTaken, RotationBegun, and what a service would not start on.
        """
        if origin is not None and not (is_key_name(origin) and "://" not in origin):
            raise OriginMalformed("origin_form", got=origin)
        with self._database.read() as connection:
            states = logstore.load_states(connection)
            rotating = rotating_to(connection)
            waiting = logstore.count_waiting(connection)
        last, before = states[-1], states[-2] if len(states) > 1 else None
        if before is not None and (not last.size or self._anchored().origin != last.origin):
            plan = Plan(before.origin, last.origin, before.size, resumed=True)
        elif rotating is not None:
            plan = Plan(last.origin, rotating, last.size, resumed=True)
        elif before is not None and last.size == 1 and not waiting:
            plan = Plan(before.origin, last.origin, before.size, done=True)
        else:
            self._publisher_of(load_keys(self._keys_dir)).check_start()
            taken = {state.origin for state in states}
            begun = keyring.next_key(self._keys_dir)
            chosen = origin or (begun.vkey.name if begun else None)
            plan = Plan(last.origin, chosen or self._next_origin(last.origin, taken), last.size)
            if plan.new in taken:
                raise OriginTaken("origin_taken", origin=plan.new)
        if origin is not None and origin != plan.new:
            raise RotationBegun("rotation_begun", origin=plan.new)
        return plan

    def run(self, plan: Plan, *, waiting: Callable[[Standing], object] = lambda _: None) -> Rotated:
        """Returns what was done. Writes records, logs, keys and anchor; again: what is left to do.

        waiting: is told whom it waits for, now and then, before it begins. Raises OtherLeads before
        anything is written; RotationOvertaken, which running it again mends; what recorder, sequencer
        and publisher raise; and KeyLost.
        """
        if not plan.done:
            with self._leading(waiting):
                # What was planned before we led may have been done by another since.
                now = self.plan(plan.new)
                if now.old != plan.old:
                    raise RotationOvertaken("rotation_overtaken")
                self._carry_out(now)
        with self._database.read() as connection:
            old = logstore.load_states(connection)[-2]
        key = load_keys(self._keys_dir).log.vkey
        return Rotated(old.origin, old.size, old.root, key.name, str(key))

    @contextmanager
    def _leading(self, waiting: Callable[[Standing], object]) -> Iterator[None]:
        """Leads until the block ends; where one process alone has the database there is nothing to do."""
        lease = self._sequencer.lease
        if lease is None:
            yield
            return
        try:
            with lease.held(waiting=waiting) as self._epoch:
                yield
        except (NotLeading, logstore.Fenced) as err:
            raise RotationOvertaken("rotation_overtaken") from err
        finally:
            self._epoch = None

    def _check_epoch(self, connection: Connection) -> None:
        """Returns if nobody else has led since we do, and keeps everybody from it until the commit."""
        if self._epoch is None:
            return
        try:
            logstore.check_epoch(connection, self._epoch)
        except logstore.Fenced as err:  # as a fault, which a recorder hands on
            raise RotationOvertaken("rotation_overtaken") from err

    def _carry_out(self, plan: Plan) -> None:
        if plan.done:
            return
        signer = self._new_key(plan)
        self._reached("key")
        if self._state().origin == plan.old:
            self._end(plan, signer)
            self._open(plan)
            self._reached("opened")
        self._begin(plan)

    def _next_origin(self, origin: str, taken: set[str]) -> str:
        base, _, last = origin.rpartition("/")
        base = base if last.isdecimal() else origin
        year = self._clock.now().year
        while f"{base}/{year}" in taken:
            year += 1
        return f"{base}/{year}"

    def _new_key(self, plan: Plan) -> NoteSigner:
        keys = load_keys(self._keys_dir)
        if keys.log.vkey.name == plan.new:
            return keys.log
        begun = keyring.next_key(self._keys_dir)
        if plan.resumed and (begun is None or begun.vkey.name != plan.new):
            # It is named in a record already; another one in its place could never sign.
            raise KeyLost("key_lost_next", path=str(self._keys_dir))
        if begun is not None and begun.vkey.name != plan.new:
            keyring.drop_next_key(self._keys_dir)
        return keyring.create_next_key(self._keys_dir, plan.new)

    def _end(self, plan: Plan, signer: NoteSigner) -> None:
        """Gives the old log its last leaf, and has it signed and anchored to its very end."""
        with self._database.read() as connection:
            said = last_rotated(connection, self._state()) == plan.new
            begun = rotating_to(connection) is not None
        if not said:
            while not begun and self._sequencer.sequence():
                pass
            # By the place that it will have: one that was not the last leaf after all is said again.
            self._say(
                ROTATED,
                f"{ROTATED} {plan.new} {self._state().end}",
                rotated_data(signer.vkey),
                lambda state: {**state, ROTATING: plan.new},
            )
        keys = load_keys(self._keys_dir)
        if keys.log.vkey.name == plan.old:
            publisher = self._publisher_of(keys)
            publisher.publish()
            if publisher.fault is not None:
                # Too few witnesses: no next checkpoint of this log comes that they would cosign.
                raise publisher.fault
        self._check_final(self._state())
        self._reached("published")

    def _check_final(self, state: TreeState) -> None:
        """Returns if the old log is anchored as it is. Raises FinalUnpublished."""
        if self._anchored() != Checkpoint(state.origin, state.size, state.root):
            raise FinalUnpublished("final_unpublished", origin=state.origin, size=state.size)

    def _open(self, plan: Plan) -> None:
        """Begins the new log where the old one ends."""
        state = self._state()
        note = self._anchor.read()
        assert note is not None, "the old log was published"
        keys = load_keys(self._keys_dir)
        if keys.log.vkey.name == plan.old:
            with self._database.read() as connection:
                served = load_checkpoint(connection, keys.log.vkey)
            if served is not None and served.note.startswith(note):
                note = served.note  # with its cosignatures, which are served for ever
        self._anchor.keep_final(state.log.number, note)
        self._reached("final kept")
        if keys.log.vkey.name == plan.old:
            keyring.keep_vkey(self._keys_dir, state.log.number, keys.log.vkey)
        self._reached("vkey kept")
        with self._database.write() as connection:
            self._check_epoch(connection)
            self._check_final(state)
            if logstore.load_state(connection) != state:
                raise logstore.TreeMoved
            logstore.open_log(connection, Log(state.log.number + 1, state.end), plan.new)

    def _begin(self, plan: Plan) -> None:
        """Puts the new key in force, and gives the new log its first leaf and its first checkpoint."""
        if load_keys(self._keys_dir).log.vkey.name != plan.new:
            keyring.take_next_key(self._keys_dir)
        self._reached("key taken")
        keys = load_keys(self._keys_dir)
        if not self._state().size:
            if (anchored := self._anchored()).origin == plan.new:
                raise DatabaseBehindAnchor("database_behind_anchor", size=0, anchored=anchored.size)
            with self._database.read() as connection:
                old = logstore.load_states(connection)[-2]
            self._say(
                CONTINUED,
                f"{CONTINUED} {plan.new}",
                continued_data(keys.frozen[-1], Checkpoint(old.origin, old.size, old.root)),
                lambda state: {name: value for name, value in state.items() if name != ROTATING},
            )
        self._publisher_of(keys).publish()
        self._reached("begun")

    def _say(
        self, type_: str, name: str, data: dict[str, object], change: Callable[[State], State]
    ) -> None:
        """Records a hand-over, once, and makes it the log's next leaf whatever else may wait."""
        record = submit_head(
            self._recorder,
            id_=str(uuid5(_NAMESPACE, name)),
            type_=type_,
            data=data,
            at=self._clock.now(),
            change=change,
            guard=self._check_epoch,
        )
        self._reached(f"{type_} recorded")
        self._sequencer.sequence_record(stream_key(HEADS), record.seq)
        self._reached(f"{type_} sequenced")

    def _state(self) -> TreeState:
        with self._database.read() as connection:
            state = logstore.load_state(connection)
        assert state is not None, "the log has begun"
        return state

    def _anchored(self) -> Checkpoint:
        """Returns the anchored checkpoint; one of no log where nothing was anchored yet."""
        note = self._anchor.read()
        if note is None:
            return Checkpoint("", 0, b"")
        origin = note.partition("\n")[0]
        keys = load_keys(self._keys_dir)
        key = next((key for key in keys.logs if key.name == origin), keys.log.vkey)
        return open_checkpoint(note, [key], origin=key.name)
