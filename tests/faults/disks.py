"""A small file system that fills up."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

_PAGE = 4096


class Disk:
    """A tmpfs at `folder`. Mounting needs root, and a machine that allows it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, size: str = "1500k") -> None:
        """Raises OSError, with the reason, where nothing may be mounted."""
        self.folder.mkdir()
        self._call("mount", "-t", "tmpfs", "-o", f"size={size}", "suxin-test", self.folder)

    def resize(self, size: str) -> None:
        self._call("mount", "-o", f"remount,size={size}", self.folder)

    def fill(self, *, left: int = 0) -> None:
        """Leaves so many bytes free."""
        with (self.folder / "filler").open("wb", buffering=0) as filler:
            with suppress(OSError):
                while True:
                    filler.write(b"x" * _PAGE)
            filler.truncate(max(0, filler.tell() - left))

    def unmount(self) -> None:
        self._call("umount", "--lazy", self.folder)

    def _call(self, *command: str | Path) -> None:
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as err:
            raise OSError(err.stderr.strip()) from err
