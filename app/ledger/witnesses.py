"""The witnesses of our own log: asked for cosignatures at once, judged by the policy.

A checkpoint that the policy's quorum has not cosigned is not served; it stays anchored, and the same
note is offered again. Whoever is late is added when the answer comes. A witness that fails is asked
again after 1, 2, 4 … 30 s, so that one which is down costs a time-out now and then, and stops nobody.

At start they are asked for what they have last seen: a database that is behind any of it, or another
log, is a restored copy. The answers are signed by our own key, so no witness can make one up. Where
hosts share no anchor, enough of them must have answered before anything is signed (app.ledger.publisher).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Protocol

import structlog
from sqlalchemy import Connection

from app.kit.errors import Fault
from app.ledger import logstore
from app.ledger.checkpoint import Checkpoint, parse_checkpoint
from app.ledger.cosign import Cosignature, CosignerKey, read_cosignatures
from app.ledger.logstore import LeavesMissing, TreeState
from app.ledger.merkle import edge_root, verify_consistency
from app.ledger.note import VerifierKey, split_note
from app.ledger.policy import NONE, Policy
from app.ledger.prover import prove_consistency
from app.ledger.witnessclient import Prove, WitnessClient, WitnessFailed
from app.outgoing import new_client

log = structlog.get_logger(__name__)

TIMEOUT_S = 1.0

_PATIENCE = 4  # a late answer is taken for so many time-outs; nobody waits for it
_LONGEST_PAUSE_S = 30.0
_GRACE_S = 0.1  # for the others, once there are enough

Seen = Mapping[str, Checkpoint | None]
"""What witnesses have last seen of a log, by the witness's key name; None: they show nothing of it."""


class QuorumMissing(Fault):
    """Too few witnesses cosigned the anchored checkpoint: it is not served, and offered again."""


class QuorumUnreachable(Fault):
    """The policy's witnesses that have a URL could never be enough."""


class QuorumsDisjoint(Fault):
    """Hosts that share no anchor would need a policy of which any two quorums share a witness."""


class WitnessAhead(Fault):
    """A witness has cosigned a larger tree than the database holds: an old copy was restored."""


class WitnessContradicts(Fault):
    """A witness has cosigned a checkpoint that is no beginning of the database's tree."""


class Cosigning(Protocol):
    """What the publisher asks between anchoring and serving."""

    def last_seen(self, log_key: VerifierKey) -> Seen:
        """Returns what the witnesses that answer have last seen; may take a time-out."""

    def is_binding(self, heard: Collection[str]) -> bool:
        """Whether one of these, by key name, is in every quorum: nothing was served unseen by all."""

    def is_complete(self, signed: str, served: str) -> bool:
        """Whether `served` is what is to be served of the signed note, with nobody left to ask now."""

    def is_awaited(self, signed: str) -> bool:
        """Whether a note that is not served yet has its quorum, or may have it by answers to come.

        Then nothing newer is signed: a log that never rests would never be served otherwise. An
        answer comes within four time-outs, or never.
        """

    def cosign(self, signed: str, served: str | None) -> str:
        """Returns the note to be served: `signed` with the cosignatures that are there.

        served: what is served now, of which the cosignatures are kept. Raises QuorumMissing.
        """

    def read(self, note: str) -> Sequence[Cosignature]:
        """Returns the cosignatures of a served note that verify under the policy. Read-only."""

    def close(self) -> None:
        """Ends all connections."""


class Unwitnessed:
    """No policy: what was signed is what is served."""

    def last_seen(self, log_key: VerifierKey) -> Seen:  # noqa: ARG002 - nobody is asked
        return {}

    def is_binding(self, heard: Collection[str]) -> bool:  # noqa: ARG002 - there is nobody
        return False

    def is_complete(self, signed: str, served: str) -> bool:
        return signed == served

    def is_awaited(self, signed: str) -> bool:  # noqa: ARG002 - as above
        return False

    def cosign(self, signed: str, served: str | None) -> str:  # noqa: ARG002 - as above
        return signed

    def read(self, note: str) -> Sequence[Cosignature]:  # noqa: ARG002 - nobody's key is known
        return ()

    def close(self) -> None:
        pass


@dataclass(slots=True)
class _Standing:
    """How a witness does. pause_until: monotonic seconds. asked: whose answer is still awaited."""

    client: WitnessClient
    failures: int = 0
    failed: int = 0
    pause_until: float = 0.0
    asked: _Round | None = None

    @property
    def key(self) -> CosignerKey:
        return self.client.witness.key


@dataclass(slots=True)
class _Round:
    """One checkpoint and what was cosigned of it so far."""

    note: str
    text: str
    checkpoint: Checkpoint
    found: dict[CosignerKey, Cosignature] = field(default_factory=dict)


class Witnesses:
    """Asks the policy's witnesses that have a URL. Raises PolicyMalformed, QuorumUnreachable.

    prove: opens a snapshot of its own, since witnesses are asked in threads. timeout_s: how long a
    checkpoint waits for its witnesses.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        prove: Prove,
        timeout_s: float = TIMEOUT_S,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._prove = prove
        self._timeout_s = timeout_s
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._round: _Round | None = None
        self._http = new_client(most_connections=100)
        self._standings = [
            _Standing(WitnessClient(witness, self._http, timeout_s=timeout_s * _PATIENCE))
            for witness in policy.witnesses
            if witness.url is not None
        ]
        if not policy.is_met([standing.key for standing in self._standings]):
            raise QuorumUnreachable("quorum_unreachable", quorum=policy.quorum)
        # No thread is started before there is somebody to ask.
        self._pool = ThreadPoolExecutor(max(len(self._standings), 1), thread_name_prefix="witness")

    @property
    def failed(self) -> Mapping[str, int]:
        """How often each witness failed since the process began, by its key's name."""
        return {standing.key.name: standing.failed for standing in self._standings}

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._http.close()  # who is still asking fails
        self._pool.shutdown(wait=True)

    def read(self, note: str) -> Sequence[Cosignature]:
        try:
            return read_cosignatures(note, self._policy.witness_keys)
        except Fault:
            return ()

    def is_complete(self, signed: str, served: str) -> bool:
        found = {one.key: one for one in self.read(served)}
        if served != signed + self._lines(found) or not self._policy.is_met(found.keys()):
            return False
        with self._lock:
            now = self._round
            if now is not None and now.note == signed and now.found.keys() - found.keys():
                return False  # somebody was late
            return not any(self._due(found))

    def is_awaited(self, signed: str) -> bool:
        with self._lock:
            now = self._round
            if now is None or now.note != signed:
                return False
            asked = [one.key for one in self._standings if one.asked is now]
            return self._policy.is_met({*now.found, *asked})

    def is_binding(self, heard: Collection[str]) -> bool:
        keys = [key for key in self._policy.witness_keys if key.name in heard]
        return self._policy.is_unmet_without(keys)

    def cosign(self, signed: str, served: str | None) -> str:
        with self._lock:
            self._begin(signed, served)
            assert self._round is not None
            now = self._round
            due = list(self._due(now.found))
            for standing in due:
                standing.asked = now
        self._await([self._pool.submit(self._ask, standing, now) for standing in due], now)
        with self._lock:
            found = dict(now.found)
        if not self._policy.is_met(found.keys()):
            names = ", ".join(key.name for key in found) or NONE
            raise QuorumMissing("quorum_missing", size=now.checkpoint.size, got=names)
        return signed + self._lines(found)

    def last_seen(self, log_key: VerifierKey) -> Seen:
        asked = [
            (s, self._pool.submit(s.client.last_seen, log_key, timeout_s=self._timeout_s))
            for s in self._standings
        ]
        seen: dict[str, Checkpoint | None] = {}
        for standing, answer in asked:
            name = standing.key.name
            try:
                seen[name] = answer.result()
            except Exception as err:  # noqa: BLE001 - one that is down does not stop the start
                why, told = _reason(err)
                log.warning("witness.not_heard", witness=name, why=why, **told)
        return seen

    def _begin(self, signed: str, served: str | None) -> None:
        if self._round is not None and self._round.note == signed:
            return
        text, _ = split_note(signed)
        self._round = _Round(signed, text, parse_checkpoint(text))
        if served is not None and served.startswith(signed):
            self._round.found.update({one.key: one for one in self.read(served)})

    def _due(self, found: Mapping[CosignerKey, Cosignature]) -> Iterable[_Standing]:
        now_s = self._monotonic_s()
        return (
            standing
            for standing in self._standings
            if standing.key not in found
            and standing.asked is None
            and standing.pause_until <= now_s
        )

    def _await(self, asked: Sequence[Future[None]], now: _Round) -> None:
        until = time.monotonic() + self._timeout_s
        waiting = set(asked)
        enough = False
        while waiting and (rest_s := until - time.monotonic()) > 0:
            _, waiting = wait(waiting, rest_s, return_when=FIRST_COMPLETED)
            with self._lock:
                met = self._policy.quorum != NONE and self._policy.is_met(now.found.keys())
            if met and not enough:
                enough = True
                until = min(until, time.monotonic() + _GRACE_S)

    def _ask(self, standing: _Standing, now: _Round) -> None:
        try:
            cosignature = standing.client.add_checkpoint(
                now.note, now.text, now.checkpoint, self._prove
            )
        except Exception as err:  # noqa: BLE001 - whatever it is, it must not end the others
            self._note_failure(standing, err)
            return
        with self._lock:
            standing.asked = None
            standing.failures = 0
            now.found[standing.key] = cosignature

    def _note_failure(self, standing: _Standing, err: Exception) -> None:
        with self._lock:
            standing.asked = None
            standing.failures += 1
            standing.failed += 1
            pause_s = min(2.0 ** min(standing.failures - 1, 10), _LONGEST_PAUSE_S)
            standing.pause_until = self._monotonic_s() + pause_s
        why, told = _reason(err)
        log.warning(
            "witness.failed",
            witness=standing.key.name,
            why=why,
            failures=standing.failures,
            pause_s=pause_s,
            **told,
        )

    def _lines(self, found: Mapping[CosignerKey, Cosignature]) -> str:
        """Returns the lines to be served, in the policy's order."""
        return "".join(found[key].line for key in self._policy.witness_keys if key in found)


def _reason(err: Exception) -> tuple[str, Mapping[str, object]]:
    return (err.why, err.told) if isinstance(err, WitnessFailed) else (type(err).__name__, {})


def check_seen(connection: Connection, state: TreeState, seen: Seen) -> None:
    """Returns if all that witnesses have seen is a beginning of the committed tree. Read-only.

    state: read after they were asked, so that it may only be ahead. Raises WitnessAhead,
    WitnessContradicts.
    """
    for witness, checkpoint in seen.items():
        if checkpoint is None:
            continue
        if checkpoint.size > state.size:
            raise WitnessAhead(
                "witness_ahead", witness=witness, theirs=checkpoint.size, size=state.size
            )
        if checkpoint.size and not is_beginning(connection, state, checkpoint):
            raise WitnessContradicts("witness_contradicts", witness=witness, size=checkpoint.size)


def is_beginning(connection: Connection, state: TreeState, checkpoint: Checkpoint) -> bool:
    """Whether the committed tree goes on from a checkpoint of at least one entry. Read-only."""
    size = checkpoint.size
    if size >= state.size:
        return (size, checkpoint.root) == (state.size, state.root)
    try:
        signed = (state.size, state.root)
        proof = prove_consistency(connection, state.log, size, state.size, signed=signed)
        verify_consistency(
            size1=size, size2=state.size, root1=checkpoint.root, root2=state.root, proof=proof
        )
    except Fault:
        # A damaged tile is a finding of the audit and stops nobody: the leaves say the same.
        try:
            edge = logstore.edge_of_leaves(connection, state.log, size)
        except LeavesMissing:
            return False
        return edge_root(size, edge) == checkpoint.root
    return True
