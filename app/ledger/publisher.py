"""The publisher: signs what the log has become, after checking it by a path of its own.

Before it signs, it takes the last anchored checkpoint and its right edge from outside the database,
re-hashes every record that came since from its stored bytes, and lets the edge grow over them: only
if that gives the sequencer's root is the new tree an extension of the old one, and only then is it
signed. Where a leaf row was altered since it was sequenced, the tiles may tell what it was; they too
must lead to that very root. Then the anchor is replaced by compare-and-swap, then witnesses are asked
where there are any (app.ledger.witnesses), and only then is the checkpoint served.

What it does not do: judge records that are already in the signed log. An altered record, leaf or
tile is a finding of the audit and never stops the log.

Known gap: a database without a checkpoint row and a keys folder without an anchor look like a new
log, so whoever restores an old database must not lose the anchor at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import structlog
from sqlalchemy import Connection

from app.db.engine import Database
from app.db.lease import Lease, NotLeading
from app.kit.clock import Clock, to_ms
from app.kit.errors import Fault
from app.ledger import checkpointstore, logstore
from app.ledger.anchor import Anchor, AnchorMoved
from app.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from app.ledger.finals import Mending, find_damage, mend
from app.ledger.heads import rotating_to
from app.ledger.hindrance import Hindrance
from app.ledger.logstore import Fenced, LeavesMissing, Published, TreeState
from app.ledger.merkle import EMPTY_ROOT, Edge, edge_append, edge_root
from app.ledger.note import NoteSigner, VerifierKey
from app.ledger.policy import NONE
from app.ledger.rehash import read_tree, rehash
from app.ledger.served import foreign_problem, foreign_sizes, load_checkpoint
from app.ledger.verifier import Problem
from app.ledger.witnesses import (
    Cosigning,
    QuorumMissing,
    Seen,
    Unwitnessed,
    check_seen,
    is_beginning,
)

log = structlog.get_logger(__name__)

_CHUNK = 5_000
_LOOKS = 5  # of a start, where somebody signs between its looks at the anchor and at the tree


class LogFault(Fault):
    """The log must not go on: signing would fork it, or seal an error for ever."""


class DatabaseBehindAnchor(LogFault):
    """The database holds a smaller tree than the one that was signed: an old copy was restored."""


class DatabaseContradictsAnchor(LogFault):
    """The database holds another tree than the one that was signed."""


class AnchorMissing(LogFault):
    """A checkpoint was signed, but the anchor that keeps it is gone: who knows what came after it."""


class AnchorForeign(LogFault):
    """The log is signed under the anchor of another folder: this one knows nothing of what came last."""


class AnchorBehind(LogFault):
    """A checkpoint was served that this anchor never held: it is an old copy of the one in use."""


class WitnessesUnheard(LogFault):
    """Hosts share no anchor, and too few witnesses say what they last saw: it could be more than ours."""


class LogOfOtherOrigin(LogFault):
    """The keys folder belongs to another log than the database."""


class RotationUnfinished(LogFault):
    """A rotation was interrupted: the old log has said its last word, and the new one not its first."""


class Publisher:
    """Owns its transactions. One process signs; the anchor's compare-and-swap notices a second.

    signer: of the log that goes on. frozen: keys of the logs before it, oldest first. report: is told
    which foreign checkpoints were taken away, since no audit can find those again. cosigning: asks the
    witnesses of what is anchored.
    lease: None where one process alone has the database. Where several may lead, all must share one
    anchor, or whoever leads next could sign what a restored database says.
    own_anchor: they share none. Then whoever begins to lead signs only once it has heard from witnesses
    without whom no checkpoint can have been served what they last saw. Any two quorums of the policy
    must share a witness (Policy.quorums_meet), which keeps what is served from forking meanwhile.
    """

    def __init__(
        self,
        database: Database,
        *,
        signer: NoteSigner,
        anchor: Anchor,
        clock: Clock,
        frozen: Sequence[VerifierKey] = (),
        lease: Lease | None = None,
        own_anchor: bool = False,
        report: Callable[[Sequence[Problem]], object] = lambda _: None,
        cosigning: Cosigning | None = None,
    ) -> None:
        self._database = database
        self._signer = signer
        self._frozen = frozen
        self._anchor = anchor
        self._clock = clock
        self._lease = lease
        self._own_anchor = own_anchor and lease is not None
        self._heard_in: int | None = None
        self._report = report
        self._cosigning = cosigning or Unwitnessed()
        self._hindrance = Hindrance()

    @property
    def fault(self) -> Fault | None:
        """What keeps this process from publishing, or None (app.ledger.hindrance)."""
        return self._hindrance.fault(leads=self._lease is None or self._lease.leads())

    def check_start(self, *, signs: bool = True) -> None:
        """Returns if the database's tree may go on from the anchored checkpoint.

        signs: False in a process that never does, which may stand on a host without the anchor.

        Compares the committed tree (size, root), never the checkpoint row, which travels in backups.
        And from what the witnesses that answer have seen. Raises DatabaseBehindAnchor, AnchorMissing,
        DatabaseContradictsAnchor, AnchorForeign, AnchorBehind, LogOfOtherOrigin, RotationUnfinished,
        WitnessAhead or WitnessContradicts.
        """
        # Before the anchor: witnesses may take their time, in which a leader signs again and again.
        seen = self._cosigning.last_seen(self._signer.vkey)
        for looks_left in reversed(range(_LOOKS)):
            note = self._anchor.read()
            try:
                with self._database.read() as connection:
                    # First: it explains whatever else would be found.
                    if (origin := rotating_to(connection)) is not None:
                        raise RotationUnfinished("rotation_unfinished", origin=origin)
                    state, _ = self._look(connection, note)
                    check_seen(connection, state, seen)
            except (AnchorForeign, AnchorBehind, AnchorMissing) as fault:
                if looks_left and self._anchor.read() != note:
                    continue
                if signs:
                    raise
                log.info("publisher.no_anchor", fault=fault.key)
            return

    def publish(self) -> Published | None:
        """Signs and serves the tree as it is now; returns the checkpoint, or None if nothing is new.

        None too while too few witnesses cosigned it: the next call offers them the same note. Raises LogFault
        if the tree is no extension of the anchored one; anchor.AnchorMoved if somebody else signs; NotLeading
        or logstore.Fenced where another process leads; OSError where the anchor's folder is not there.
        `fault` keeps what it was until it goes again.
        """
        try:
            published = self._publish()
        except QuorumMissing as fault:
            self._hindrance.keep(fault)
            log.warning("publisher.quorum_missing", **fault.params)
            return None
        except (NotLeading, Fenced):
            raise  # another process leads; what kept this one from it stays said
        except Exception as err:
            self._hindrance.keep(err)
            raise
        self._hindrance.clear()
        return published

    def _publish(self) -> Published | None:
        epoch = None if self._lease is None else self._lease.require()
        # The anchor first: it may only be older than the tree we then see.
        note = self._anchor.read()
        heard = self._hear(epoch)
        with self._database.read() as connection:
            try:
                state, anchored = self._look(connection, note)
            except (AnchorBehind, AnchorMissing) as fault:
                if self._anchor.read() != note:
                    raise AnchorMoved("somebody signed since it was read") from fault
                raise
            served = load_checkpoint(connection, self._signer.vkey)
            if heard is not None:
                self._check_heard(connection, state, served, heard)
            now_ms = to_ms(self._clock.now())
            mending = find_damage(connection, self._frozen, self._anchor, now_ms=now_ms)
            is_served = served is not None and self._cosigning.is_complete(note or "", served.note)
            foreign = foreign_sizes(connection, self._signer.vkey)
            is_done = state.size == anchored.size and is_served and not foreign
            edge = () if is_done else self._extend(connection, anchored, state)
        self._heard_in = epoch
        self._mend_finals(mending, epoch)
        if is_done:
            return None
        tree = Checkpoint(state.origin, state.size, state.root)
        before = None if served is None else served.note
        unserved = anchored.size > (0 if served is None else served.size)
        if note is not None and unserved and self._cosigning.is_awaited(note):
            tree = anchored  # what came since is signed next time
        if note is None or tree.size > anchored.size:
            signed = sign_checkpoint(tree, self._signer)
            self._check_leading(epoch)
            self._anchor.replace(old=note, new=signed, edge=edge)
        else:
            # We died between anchoring and serving, or the row was changed, or witnesses are slow:
            # what is anchored is what was signed.
            signed = note
            self._anchor.sync()  # another process may have put it there
        # No transaction is open: a witness may take its time.
        cosigned = self._cosigning.cosign(signed, before)
        now_ms = to_ms(self._clock.now())
        if served is not None and served.note.startswith(signed):
            if cosigned == served.note and not foreign:
                return None
            now_ms = served.published_at_ms  # it only gained cosignatures
        published = Published(state.log, tree.size, tree.root, cosigned, now_ms)
        with self._database.write() as connection:
            if epoch is not None:
                logstore.check_epoch(connection, epoch)
            # Asked again: on PostgreSQL another process may have published meanwhile.
            sizes = foreign_sizes(connection, self._signer.vkey)
            checkpointstore.delete_checkpoints(connection, state.log, sizes)
            checkpointstore.save_checkpoint(connection, published)
        if foreign:
            self._report([foreign_problem(size, state.origin) for size in foreign])
        return published

    def _mend_finals(self, mending: Mending, epoch: int | None) -> None:
        if not mending.told:
            return
        with self._database.write() as connection:
            if epoch is not None:
                logstore.check_epoch(connection, epoch)
            mend(connection, mending)
        self._report(mending.told)

    def _hear(self, epoch: int | None) -> tuple[Seen, Collection[str]] | None:
        """Returns what witnesses have last seen, and who of them said so; None where nobody need be asked.

        Whoever has led alone since it asked knows by its own anchor what was signed.
        """
        if not self._own_anchor or self._heard_in == epoch:
            return None
        seen = self._cosigning.last_seen(self._signer.vkey)
        heard = {name for name, checkpoint in seen.items() if checkpoint is not None}
        if self._frozen and len(heard) < len(seen):
            # Who shows the log before this one, and nothing of this one, has not seen it yet.
            before = self._cosigning.last_seen(self._frozen[-1])
            heard |= {name for name in seen if before.get(name) is not None}
        return seen, heard

    def _check_heard(
        self,
        connection: Connection,
        state: TreeState,
        served: Published | None,
        heard: tuple[Seen, Collection[str]],
    ) -> None:
        """Returns if nothing can have been served that the tree does not go on from."""
        seen, names = heard
        check_seen(connection, state, seen)
        is_new = not self._frozen and not checkpointstore.has_checkpoint(connection)
        is_new = is_new and logstore.anchor_of_log(connection) is None
        if not is_new and not self._cosigning.is_binding(names):
            raise WitnessesUnheard("witnesses_unheard", got=", ".join(sorted(names)) or NONE)
        if served is not None:
            checkpoint = Checkpoint(state.origin, served.size, served.root)
            if not is_beginning(connection, state, checkpoint):
                raise DatabaseContradictsAnchor("database_contradicts_anchor", size=served.size)

    def _check_leading(self, epoch: int | None) -> None:
        """Returns if nobody has taken the lease, and the log is signed under our anchor from now on.

        Who then sleeps before the anchor is replaced anchors what extends it all the same, since the
        tree is committed and the anchor is one; and serves nothing, because that asks again.
        """
        if epoch is None:
            return
        mine = self._anchor.identify()
        with self._database.write() as connection:
            logstore.check_epoch(connection, epoch)
            known = logstore.anchor_of_log(connection)
            if known != mine:
                if known is not None and not self._own_anchor:
                    raise AnchorForeign("anchor_foreign", known=known, got=mine)
                logstore.set_anchor(connection, mine)

    def _check_anchor(self, connection: Connection, anchored: Checkpoint) -> None:
        """Returns if the log was signed last under this very anchor."""
        if self._lease is None or self._own_anchor:
            return
        known = logstore.anchor_of_log(connection)
        if known is not None and known != self._anchor.identify():
            raise AnchorForeign("anchor_foreign", known=known, got=self._anchor.identify())
        served = load_checkpoint(connection, self._signer.vkey)
        if served is not None and served.size > anchored.size:
            raise AnchorBehind("anchor_behind", served=served.size, anchored=anchored.size)

    def _look(self, connection: Connection, note: str | None) -> tuple[TreeState, Checkpoint]:
        """Returns the committed tree and the anchored one, after seeing that one may follow."""
        state = logstore.load_state(connection)
        if state is None:
            raise LogFault("log_not_begun")
        name = self._signer.vkey.name
        if state.origin in {vkey.name for vkey in self._frozen}:
            raise DatabaseBehindAnchor("database_before_rotation", got=state.origin, expected=name)
        if state.origin != name:
            raise LogOfOtherOrigin("log_of_other_origin", expected=state.origin, got=name)
        if state.log.number and not state.size:
            raise RotationUnfinished("rotation_unfinished", origin=name)
        if state.log.number != len(self._frozen):
            raise LogFault("frozen_key_missing", number=len(self._frozen))
        if note is None:
            nothing = Checkpoint(name, 0, EMPTY_ROOT)
            self._check_anchor(connection, nothing)
            if checkpointstore.has_checkpoint(connection) and not self._own_anchor:
                raise AnchorMissing("anchor_missing", size=state.size)
            return state, nothing
        anchored = self._open(note)
        if anchored.origin != name:
            # The last word of the log before this one, which was not signed yet here.
            before = logstore.load_states(connection)[-2]
            if anchored != Checkpoint(before.origin, before.size, before.root) and not (
                self._own_anchor and is_beginning(connection, before, anchored)
            ):
                raise DatabaseContradictsAnchor("database_contradicts_anchor", size=before.size)
            nothing = Checkpoint(name, 0, EMPTY_ROOT)
            self._check_anchor(connection, nothing)
            return state, nothing
        if state.size < anchored.size:
            raise DatabaseBehindAnchor(
                "database_behind_anchor", size=state.size, anchored=anchored.size
            )
        if state.size == anchored.size and state.root != anchored.root:
            raise DatabaseContradictsAnchor("database_contradicts_anchor", size=state.size)
        self._check_anchor(connection, anchored)
        return state, anchored

    def _open(self, note: str) -> Checkpoint:
        """Returns the anchored checkpoint: of the log that goes on, or the last of the one before."""
        claimed = note.partition("\n")[0]
        before = [key for key in self._frozen[-1:] if key.name == claimed]
        key = before[0] if before else self._signer.vkey
        return open_checkpoint(note, [key], origin=key.name)

    def _extend(self, connection: Connection, anchored: Checkpoint, state: TreeState) -> Edge:
        """Returns the edge of the state's tree, grown over the anchored one's."""
        before = self._anchored_edge(connection, anchored, state)
        for read in (rehash, read_tree):
            edge, at = before, anchored.size
            while at < state.size:
                end = min(at + _CHUNK, state.size)
                hashes = list(read(connection, state.log, at, end))
                if len(hashes) != end - at:
                    break
                edge = edge_append(at, edge, hashes)
                at = end
            if at == state.size and edge_root(at, edge) == state.root:
                return edge
            log.error("publisher.leaf_altered", start=anchored.size, end=state.size)
        raise DatabaseContradictsAnchor("database_contradicts_anchor", size=state.size)

    def _anchored_edge(
        self, connection: Connection, anchored: Checkpoint, state: TreeState
    ) -> Edge:
        """Returns the anchored tree's right edge; a kept one that does not fold to it is not used."""
        if not anchored.size:
            return ()  # a log's beginning: what is kept beside the anchor is of the one before
        kept = self._anchor.read_edge()
        if kept is not None:
            try:
                if edge_root(anchored.size, kept) == anchored.root:
                    return kept
            except ValueError:
                log.warning("anchor.edge_unusable", size=anchored.size)
        try:
            edge = logstore.edge_of_leaves(connection, state.log, anchored.size)
        except LeavesMissing as err:
            raise DatabaseContradictsAnchor(
                "database_contradicts_anchor", size=anchored.size
            ) from err
        if edge_root(anchored.size, edge) != anchored.root:
            raise DatabaseContradictsAnchor("database_contradicts_anchor", size=anchored.size)
        return edge
