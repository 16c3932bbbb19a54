"""Bytes to a grid, by what they are and not by what they are called."""

from __future__ import annotations

from app.imports.csvfile import read_csv
from app.imports.grid import MAX_BYTES, FileTooLarge, FileUnusable, Grid
from app.imports.xlsx import read_xlsx

_ZIP = b"PK\x03\x04"
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
# Pictures, documents, archives and pages that somebody named .csv.
_FOREIGN = (
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"%PDF",
    b"Rar!",
    b"\x1f\x8b",
    b"7z\xbc\xaf",
    b"PK\x05\x06",
)
_MARKUP = (b"<!doctype", b"<html", b"<table", b"<?xml")


def read_grid(raw: bytes) -> Grid:
    """Returns the lines of a `.csv` or `.xlsx` file. Raises FileUnusable, FileTooLarge."""
    if len(raw) > MAX_BYTES:
        raise FileTooLarge("import_too_large", limit=MAX_BYTES // 2**20)
    if not raw.strip():
        raise FileUnusable("import_empty")
    if raw.startswith(_OLE):
        # Both old workbooks and encrypted new ones are OLE compound files.
        raise FileUnusable("import_encrypted" if _ENCRYPTED in raw else "import_xls")
    if raw.startswith(_FOREIGN) or raw.lstrip()[:16].lower().startswith(_MARKUP):
        raise FileUnusable("import_not_table")
    grid = read_xlsx(raw) if raw.startswith(_ZIP) else read_csv(raw)
    if not grid.lines:
        raise FileUnusable("import_empty")
    return grid
