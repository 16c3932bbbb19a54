"""The anchor: the last signed checkpoint in a file outside the database and its backups.

It is what makes a restored backup or a rolled-back disk visible: the log never signs a tree that
does not extend the anchored one. Replaced by compare-and-swap under a file lock; each file is
written whole beside its place, synced and renamed, and the folder synced.

Beside it stands `anchor.edge`: the right edge of the anchored tree, so that the publisher can extend
it without trusting the database. It proves itself (it folds to the anchored root) and may be lost.

Of a log that another one went on from, the final note stays beside it as `anchor.<number>`. The anchor
itself names the old log until the new one is signed for the first time: there is never none.
"""

from __future__ import annotations

import base64
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.ledger.merkle import Edge


class AnchorMoved(Exception):
    """The anchor is not what it was when we looked: somebody else signs for this log."""


class Anchor:
    """The anchor files of a deployment. TRUST: who can write it can let a forked log start."""

    def __init__(self, keys_dir: Path) -> None:
        self._keys_dir = keys_dir
        self._path = keys_dir / "anchor"
        self._edge_path = keys_dir / "anchor.edge"
        self._lock_path = keys_dir / "anchor.lock"

    def read(self) -> str | None:
        """Returns the anchored signed note, or None before the first."""
        try:
            # Bytes that are no text are no note either; whoever opens it says so.
            return self._path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None

    def read_all(self) -> list[str]:
        """Returns the anchored notes of all logs: the final ones, then the last signed one."""
        paths = [*self._keys_dir.glob("anchor.[0-9]*"), self._path]
        return [path.read_text("utf-8", errors="replace") for path in paths if path.exists()]

    def keep_final(self, number: int, note: str) -> None:
        """Keeps the final note of log `number`."""
        write_file(self._keys_dir / f"anchor.{number}", note.encode("utf-8"))

    def read_final(self, number: int) -> str | None:
        """Returns the final note of log `number`, or None where none was kept."""
        try:
            path = self._keys_dir / f"anchor.{number}"
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
        """
        with self._locked():
            if self.read() != old:
                raise AnchorMoved(str(self._path))
            lines = "".join(base64.b64encode(h).decode() + "\n" for h in edge)
            write_file(self._edge_path, lines.encode("ascii"))
            write_file(self._path, new.encode("utf-8"))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock_path.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # freed when the file closes, or by any death
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
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)  # of one that died half way
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return temporary


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
