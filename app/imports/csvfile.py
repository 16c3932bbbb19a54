"""CSV as it comes: UTF-8 with a mark or without, GBK and its superset GB 18030, Excel's Unicode text.

The encoding is decided, not guessed: what is valid UTF-8 and reads as text of people who write is UTF-8,
else GB 18030 must decode every byte. A few words of GBK are valid UTF-8 too (示 is CA BE, "ʾ" there), never
with Chinese in it: so where UTF-8 shows no character of three bytes, and one that no table of goods has,
it is GBK, if all of it is of the common characters (GB 2312): of tones of pinyin, accents that stand apart,
Hebrew and Arabic, GBK makes rare ones that nobody writes. RFC 4180 with any of three separators.
"""

from __future__ import annotations

import csv
import io
import re

from app.imports.grid import FileUnusable, Grid, Line, check_line_count, read_line

SEPARATORS = (",", ";", "\t")
_BOM_8 = b"\xef\xbb\xbf"
_BOM_16 = (b"\xff\xfe", b"\xfe\xff")
_QUOTED = re.compile(r'"[^"]*"')
# Excel's own note to itself in the first line, as in `sep=;`.
_SEP_LINE = re.compile(r"sep=([,;\t])\r?\n", re.IGNORECASE)
# What tables hold: Chinese (any character of three bytes proves UTF-8), or Latin, Greek, Cyrillic alone.
_WRITTEN = re.compile("[\x00-\x7f\xa0-\u017f\u0370-\u052f]*|.*[\u0800-\U0010ffff].*", re.DOTALL)
_NOT_TEXT = re.compile("[\x00-\x08\x0e-\x1f\x7f\ufffe\uffff]")
_LOOKED_AT = 20


def read_csv(raw: bytes) -> Grid:
    """Returns the lines of a CSV file. Raises FileUnusable, FileTooLarge."""
    text, encoding = decode(raw)
    found = _SEP_LINE.match(text)
    skipped = 0 if found is None else 1
    if found is not None:
        text = text[found.end() :]
    separator = found[1] if found is not None else find_separator(text)
    lines: list[Line] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number = skipped
    try:
        for cells in reader:
            number += 1
            line = read_line(number, cells)
            if line is not None:
                lines.append(line)
                check_line_count(len(lines))
    except csv.Error as err:
        raise FileUnusable("import_csv", line=reader.line_num + skipped) from err
    return Grid(tuple(lines), "csv", encoding=encoding, separator=separator)


def decode(raw: bytes) -> tuple[str, str]:
    """Returns the text and the name of its encoding. Raises FileUnusable for what is no text."""
    if raw.startswith(_BOM_16):
        text, encoding = _decoded(raw, "utf-16"), "UTF-16"
    else:
        try:
            encoding = "UTF-8 BOM" if raw.startswith(_BOM_8) else "UTF-8"
            text = raw.decode("utf-8-sig")
            as_gbk = None if encoding == "UTF-8 BOM" else _nearly_gbk(raw, text)
            if as_gbk is not None:
                text, encoding = as_gbk, "GB18030"
        except UnicodeDecodeError:
            text, encoding = _decoded(raw, "gb18030"), "GB18030"
    if _NOT_TEXT.search(text):
        raise FileUnusable("import_not_table")
    return text, encoding


def _nearly_gbk(raw: bytes, text: str) -> str | None:
    """Returns the text in GB 2312 of what UTF-8 would read as letters that no table of goods has."""
    if _WRITTEN.fullmatch(text):
        return None
    try:
        return raw.decode("gb2312")
    except UnicodeDecodeError:
        return None


def _decoded(raw: bytes, codec: str) -> str:
    try:
        return raw.decode(codec)
    except UnicodeDecodeError as err:
        line = raw[: err.start].count(b"\n") + 1
        raise FileUnusable("import_encoding", line=line) from err


def find_separator(text: str) -> str:
    """Returns the separator that stands most often outside quotes in the first lines; comma if none does."""
    head: list[str] = []
    for line in io.StringIO(text):
        head.append(line)
        if len(head) == _LOOKED_AT:
            break
    plain = _QUOTED.sub("", "".join(head))
    return max(SEPARATORS, key=plain.count)
