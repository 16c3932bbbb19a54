"""What is static, by the version of its content: an address that names it may be kept for ever."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

STATIC: Final = Path(__file__).parents[3] / "static"
LOCALES: Final = Path(__file__).parents[2] / "locales"


def _version(*files: Path) -> str:
    """Returns a name for the content of files, so that it may be cached for ever."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


@cache
def file_version(path: Path) -> str:
    """Returns the same of one file, which does not change while the service runs."""
    return _version(path)


def folder_version(*places: Path) -> str:
    """Returns the same of files, and of the modules of folders."""
    files = [file for place in places for file in (sorted(place.glob("*.js")) or [place])]
    return _version(*files)


# Modules name each other by relative paths, so their version stands in the folder's name.
MODULES_PATH: Final = f"/static/verify-{folder_version(STATIC / 'verify')}"

DESK_PATH: Final = f"/static/desk-{folder_version(STATIC / 'desk')}"

# Of all sentences, which the scripts ask for by it.
WORDS_VERSION: Final = _version(*sorted(LOCALES.glob("*/*.json")))
