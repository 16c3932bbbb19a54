"""The anchor: the last signed checkpoint in a file outside the database and its backups.

It is what makes a restored backup or a rolled-back disk visible: the log never signs a tree that
does not extend the anchored one. Replaced by compare-and-swap under a file lock; each file is
written whole beside its place, synced and renamed, and the folder synced. Under the lock there are
only the comparison and the renames: a process that is stopped while it has the lock keeps everybody
from signing, so it must not have it while it waits for a disk.

Beside it stands `anchor.edge`: the right edge of the anchored tree, so that the publisher can extend
it without trusting the database. It proves itself (it folds to the anchored root) and may be lost.

Of a log that another one went on from, the final note stays beside it as `anchor.<number>`. The anchor
itself names the old log until the new one is signed for the first time: there is never none.

`anchor.id` is a random name of the folder. Where several hosts may lead, the database remembers it, so
that none signs under an anchor that knows nothing of what another signed: they share one folder.
"""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.ledger.merkle import Edge

# How long to wait for who has the lock, which takes microseconds; how often to look.
_BUSY_S = 2.0
_LOOK_S = 0.005
_LEFT_S = 3600.0


class AnchorMoved(Exception):
    """The anchor is not what it was when we looked: somebody else signs for this log."""


class AnchorBusy(Exception):
    """A process holds the anchor's lock and does not go on; nothing was written."""


class Anchor:
    """The anchor files of a deployment. TRUST: who can write it can let a forked log start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "anchor"
        self._edge_path = folder / "anchor.edge"
        self._lock_path = folder / "anchor.lock"
        self._id_path = folder / "anchor.id"

    def identify(self) -> str:
        """Returns the folder's random name, 32 hex digits; gives it one where it has none."""
        with self._locked():
            create_file(self._id_path, f"{secrets.token_hex(16)}\n".encode("ascii"))
        return self._id_path.read_text(encoding="ascii", errors="replace").strip()

    def read(self) -> str | None:
        """Returns the anchored signed note, or None before the first."""
        try:
            # Bytes that are no text are no note either; whoever opens it says so.
            return self._path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None

    def read_all(self) -> list[str]:
        """Returns the anchored notes of all logs: the final ones, then the last signed one."""
        paths = [*self._folder.glob("anchor.[0-9]*"), self._path]
        return [path.read_text("utf-8", errors="replace") for path in paths if path.exists()]

    def keep_final(self, number: int, note: str) -> None:
        """Keeps the final note of log `number`."""
        write_file(self._folder / f"anchor.{number}", note.encode("utf-8"))

    def read_final(self, number: int) -> str | None:
        """Returns the final note of log `number`, or None where none was kept."""
        try:
            path = self._folder / f"anchor.{number}"
            return path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None

    def read_edge(self) -> Edge | None:
        """Returns the kept right edge, unproven, or None where it is missing or unreadable."""
        try:
            lines = self._edge_path.read_text(encoding="ascii").split()
            return tuple(base64.b64decode(line, validate=True) for line in lines)
        except (OSError, ValueError):
            return None

    def replace(self, *, old: str | None, new: str, edge: Edge) -> None:
        """Replaces the note `old` by `new`. Raises AnchorMoved if another note stands there.

        The edge goes first: one that is ahead of its note does not fold to it, and is not used.
        Raises AnchorBusy where somebody else has the lock and does not let go.
        """
        lines = "".join(base64.b64encode(h).decode() + "\n" for h in edge)
        written: list[Path] = []
        try:
            for path, content in ((self._edge_path, lines), (self._path, new)):
                written.append(_write_beside(path, content.encode("utf-8")))
            with self._locked():
                if self.read() != old:
                    raise AnchorMoved(str(self._path))
                for path, temporary in zip((self._edge_path, self._path), written, strict=True):
                    temporary.replace(path)
        finally:
            for temporary in written:
                temporary.unlink(missing_ok=True)
        self.sync()

    def sync(self) -> None:
        """Returns when what stands here is on the disk, whoever put it there."""
        _sync_folder(self._path.parent)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        until = time.monotonic() + _BUSY_S
        with self._lock_path.open("a") as lock:
            while True:
                try:
                    # Freed when the file closes, or by any death.
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as err:
                    if time.monotonic() > until:
                        raise AnchorBusy(str(self._lock_path)) from err
                    time.sleep(_LOOK_S)
            yield


def write_file(path: Path, content: bytes) -> None:
    """Writes a file so that it is there whole or not at all, also after a power cut; mode 0600."""
    temporary = _write_beside(path, content)
    temporary.replace(path)
    _sync_folder(path.parent)


def create_file(path: Path, content: bytes) -> bool:
    """Like `write_file`, but leaves a file alone that is there; returns whether it was written."""
    if path.exists():
        return False
    temporary = _write_beside(path, content)
    try:
        path.hardlink_to(temporary)  # fails where a file is, unlike a rename
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    _sync_folder(path.parent)
    return True


def move_file(path: Path, place: Path) -> None:
    """Puts a file in another's place, so that one or the other is there, also after a power cut."""
    path.replace(place)
    _sync_folder(place.parent)


def _write_beside(path: Path, content: bytes) -> Path:
    # Not by the process alone: in containers that share the folder each may have the same number.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
        ) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _clear_away(path, temporary)
    return temporary


def _clear_away(path: Path, ours: Path) -> None:
    """Removes what those left who died half way, long ago by the file system's own clock."""
    now = ours.stat().st_mtime
    for left in path.parent.glob(f".{path.name}.*"):
        with suppress(FileNotFoundError):
            if now - left.stat().st_mtime > _LEFT_S:
                left.unlink()


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
