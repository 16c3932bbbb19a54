"""A witness of other people's logs: what it cosigns, and what it never will (c2sp.org/tlog-witness).

For each log that it watches it keeps one thing, the last checkpoint that it cosigned, and cosigns
another only with the proof that the log went on from there. It keeps the new one before it answers,
and compares and keeps under one lock: of two requests at once the second sees what the first did.

What it keeps is written by itself: the text, the log's signatures that were verified, its own. Lines
that a request brings besides are dropped, whatever they claim.

What it does not do: HTTP (app.web.witness), fetch entries, judge what is in them. TRUST: who can
write the folder can make it forget; who can read the key can cosign in its name.
"""

from __future__ import annotations

import fcntl
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from app.kit.clock import Clock
from app.kit.errors import Conflict, Denied, Fault, Invalid, Malformed, NotFound
from app.ledger.anchor import write_file
from app.ledger.checkpoint import (
    MAX_SIZE,
    Checkpoint,
    CheckpointMalformed,
    open_checkpoint,
    parse_checkpoint,
)
from app.ledger.cosign import Cosigner
from app.ledger.merkle import EMPTY_ROOT, ProofError, verify_consistency
from app.ledger.note import (
    NoteMalformed,
    NoteUnsigned,
    VerifierKey,
    decode_base64,
    open_note,
    split_note,
)
from app.ledger.signatures import SignatureInvalid

MAX_REQUEST = 64 * 1024  # bytes; 63 hashes and a note with a dozen signatures are 5 KiB
MAX_PROOF = 63

_OLD = re.compile("old (0|[1-9][0-9]{0,18})")


class RequestMalformed(Malformed):
    """These bytes are no add-checkpoint request (400)."""


class LogUnknown(NotFound):
    """A log that this witness does not watch (404)."""


class LogUnsigned(Denied):
    """No true signature by a key of the log that the checkpoint names (403)."""


class OldDiffers(Conflict):
    """The request does not start from what was cosigned last; `size` is where that is (409)."""

    def __init__(self, size: int) -> None:
        super().__init__("witness_old_differs", size=size)
        self.size = size


class NotConsistent(Invalid):
    """The checkpoint is not proven to go on from the one cosigned last (422)."""


class HeadsInUse(Fault):
    """Another process keeps this witness's memory: two would each know half of it."""


class HeadsMissing(Fault):
    """The witness's memory is not there: without it, it would cosign a fork."""


class HeadDamaged(Fault):
    """What is kept of a log cannot be read; it must not be taken for nothing."""


class Heads:
    """What was cosigned last of each log: a file of its own, whole or not there, also after a crash.

    Held by one process from beginning to `close`. Raises HeadsMissing, HeadsInUse.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise HeadsMissing("witness_heads_missing", path=str(folder))
        self._folder = folder
        self._one = threading.Lock()
        self._held = (folder / "lock").open("a")
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            self._held.close()
            raise HeadsInUse("witness_in_use", path=str(folder)) from err

    def close(self) -> None:
        self._held.close()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else reads or writes a head meanwhile."""
        with self._one:
            yield

    def read(self, place: str) -> str | None:
        """Returns the note kept at a place (`place_of`), None where nothing was ever cosigned."""
        try:
            return (self._folder / place).read_text("utf-8", errors="replace")
        except FileNotFoundError:
            return None

    def write(self, place: str, note: str) -> None:
        """Keeps a note; returns when it is on disk."""
        write_file(self._folder / place, note.encode())


def place_of(origin: str) -> str:
    """Returns where a log's head is kept and read: SHA-256 of its origin, hex."""
    return sha256(origin.encode()).hexdigest()


class Witness:
    """Cosigns checkpoints of the logs with these keys; a key's name is the log's origin."""

    def __init__(
        self, signer: Cosigner, logs: Iterable[VerifierKey], heads: Heads, *, clock: Clock
    ) -> None:
        self._signer = signer
        self._heads = heads
        self._clock = clock
        self._logs: dict[str, list[VerifierKey]] = {}
        for key in logs:
            self._logs.setdefault(key.name, []).append(key)

    def add_checkpoint(self, request: bytes) -> str:
        """Returns our cosignature line, once the checkpoint is kept.

        Raises RequestMalformed, LogUnknown, LogUnsigned, OldDiffers, NotConsistent, HeadDamaged.
        """
        old, proof, note = read_request(request)
        text, signatures, checkpoint = self._open(note)
        if old > checkpoint.size:
            raise RequestMalformed("witness_request", part="old")
        place = place_of(checkpoint.origin)
        with self._heads.locked():
            kept = self._kept(checkpoint.origin)
            if old != kept.size:
                raise OldDiffers(kept.size)
            _check_goes_on(kept, checkpoint, proof)
            line = self._signer.cosign(text, at=self._clock.now())
            self._heads.write(place, f"{text}\n{signatures}{line}")
        return line

    def last(self, place: str) -> str | None:
        """Returns the last checkpoint of a log by the hex SHA-256 of its origin, None where none is."""
        if not any(place_of(origin) == place for origin in self._logs):
            return None
        return self._heads.read(place)

    def _open(self, note: str) -> tuple[str, str, Checkpoint]:
        """Returns the text, the log's own signature lines, and what they say."""
        try:
            text, lines = split_note(note)
        except NoteMalformed as err:
            raise RequestMalformed("witness_request", part="note") from err
        origin, _, rest = text.partition("\n")
        keys = self._logs.get(origin)
        if keys is None:
            raise LogUnknown("witness_log_unknown")
        try:
            open_note(note, keys)
        except (NoteUnsigned, SignatureInvalid) as err:
            raise LogUnsigned("witness_log_unsigned") from err
        try:
            checkpoint = parse_checkpoint(text)
        except CheckpointMalformed as err:
            if rest.startswith("0\n") and err.params["part"] == "root":
                raise NotConsistent("witness_not_consistent") from err
            raise RequestMalformed("witness_request", part="checkpoint") from err
        if checkpoint.extensions:
            # A cosignature covers them, and nobody knows what we would be saying.
            raise RequestMalformed("witness_request", part="extensions")
        ours = {(key.name, key.key_id) for key in keys}
        kept = dict.fromkeys(str(line) for line in lines if (line.name, line.key_id) in ours)
        return text, "".join(kept), checkpoint

    def _kept(self, origin: str) -> Checkpoint:
        note = self._heads.read(place_of(origin))
        if note is None:
            return Checkpoint(origin, 0, EMPTY_ROOT)
        try:
            return open_checkpoint(note, self._logs[origin], origin=origin)
        except Fault as err:
            raise HeadDamaged("witness_head_damaged", origin=origin) from err


def read_request(request: bytes) -> tuple[int, list[bytes], str]:
    """Returns old size, consistency proof and note of an add-checkpoint request.

    Raises RequestMalformed.
    """
    try:
        head, blank, note = request.decode().partition("\n\n")
        first, *lines = head.split("\n")
        old = _OLD.fullmatch(first)
        proof = [decode_base64(line) for line in lines]
    except ValueError as err:
        raise RequestMalformed("witness_request", part="proof") from err
    if old is None or int(old[1]) > MAX_SIZE:
        raise RequestMalformed("witness_request", part="old")
    if not blank or len(proof) > MAX_PROOF or any(len(part) != 32 for part in proof):
        raise RequestMalformed("witness_request", part="proof")
    return int(old[1]), proof, note


def _check_goes_on(kept: Checkpoint, new: Checkpoint, proof: list[bytes]) -> None:
    try:
        if kept.size:
            verify_consistency(
                size1=kept.size, size2=new.size, root1=kept.root, root2=new.root, proof=proof
            )
            return
    except ProofError as err:
        raise NotConsistent("witness_not_consistent") from err
    if proof:  # nothing goes on from nothing
        raise NotConsistent("witness_not_consistent")
