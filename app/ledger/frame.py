"""A record's body taken apart without parsing it: all but its data and references stands in columns.

Canonical JSON has its names in one order, so a body is known but for a few parts of known length and
place. They are cut out, the whole is put together again from them and from the columns, and compared:
what is equal cannot say anything else than the columns do. An audit does it a million times, and it
costs half of parsing a record and comparing its fields. Pure.
"""

from __future__ import annotations

import re
import struct
from binascii import hexlify
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from app.kit.clock import CLOCK_MS, HOURS_MS, REST_MS

Frame = tuple[str, str, str, str, int, int, bytes, bytes, Mapping[str, Any], list[Any]]
"""Type, actor, source, sender (`via`, else the actor), times of occurrence and record in ms, id,
data as written and as read, references."""

_ID, _OCCURRED, _PREV, _RECORDED = (
    b',"id":"',
    b'","occurred_at":"',
    b'","prev":"',
    b'","recorded_at":"',
)
_VIA = b',"via":"'
_TIME = 24
_ID_BYTES = 16
# What stands between the data and what follows the second time; of a time: hours, clock, rest.
_PARTS = struct.Struct(
    f"{len(_ID)}x36s{len(_OCCURRED)}x13s6s5s{len(_PREV) + 64 + len(_RECORDED)}x13s6s5s"
)
_TO_RECORDED = _PARTS.size - _TIME - len(_RECORDED)
_AFTER_RECORDED = len(_RECORDED) + _TIME

_PLAIN = re.compile(r"[ !#-\[\]-~]*")  # printable ASCII but for quote and backslash
_MOST = 4_096
_LONGEST_KEPT = 512
_MOST_BRACKETS = 100  # what may be too deep for a record is for who reads all of it
_NOTHING: tuple[int, str, list[Any]] = (-1, "", [])

# What columns of another type, damaged data and a body that is too short raise here.
_UNUSUAL = (ValueError, TypeError, KeyError, AttributeError, struct.error)


def in_json(text: Any) -> bytes:
    """Returns a text that stands in JSON as it is, in bytes. Raises ValueError, TypeError for others."""
    if _PLAIN.fullmatch(text) is None:
        raise ValueError(text)
    return bytes(text, "ascii")


class _Known(dict[Any, bytes]):
    """What was made of a text before; forgotten when there is too much of it."""

    def __init__(self, before: bytes, after: bytes) -> None:
        super().__init__()
        self._around = before, after

    def __missing__(self, text: Any) -> bytes:
        before, after = self._around
        made = before + in_json(text) + after
        if len(self) >= _MOST:
            self.clear()
        self[text] = made
        return made


def name_part(name: str) -> bytes:
    """Returns how a stream's name stands in its records. Raises ValueError."""
    return b'","stream":"' + in_json(name)


class FrameReader:
    """Reads frames. is_known_ref: whether what a reference says was proven; others are not framed."""

    def __init__(self, is_known_ref: Callable[[Any], bool]) -> None:
        self._is_known_ref = is_known_ref
        self._openings = _Known(b'{"actor":"', b'","data":')
        self._endings = _Known(b'","type":"', b'","v":1}')
        self._between: dict[bytes, tuple[int, str, list[Any]]] = {}
        self._data: dict[bytes, Mapping[str, Any]] = {}

    def read(
        self,
        body: bytes,
        name: bytes,
        seq: int,
        id_: bytes,
        type_: str,
        actor: str,
        at_ms: int,
        link: bytes,
    ) -> Frame | None:
        """Returns the frame of a record that says what its columns say; None: not that plainly.

        name: as `name_part` gives the stream's. link: hex of the hash before it. Nothing is said of
        the record's own hash. Arguments by position, for it is called a million times.
        """
        try:
            opening, ending, sender = self._openings[actor], self._endings[type_], actor
            if not body.endswith(ending):
                sender, ending = _read_via(body, ending)
            at = body.rfind(_RECORDED)
            start = at - _TO_RECORDED
            id_text, hour, clock, rest, hour_r, clock_r, rest_r = _PARTS.unpack_from(body, start)
            raw = body[len(opening) : start]
            between = body[at + _AFTER_RECORDED : -len(name) - len(ending)]
            whole = b"".join(
                (
                    opening, raw, _ID, id_text, _OCCURRED, hour, clock, rest, _PREV, link,
                    _RECORDED, hour_r, clock_r, rest_r, between, name, ending,
                )
            )  # fmt: skip
            if body != whole:
                return None
            told_seq, source, refs = self._between.get(between) or self._read_between(between)
            data = self._data.get(raw)
            if data is None:
                data = self._read_data(raw)
            if (
                told_seq != seq
                or not type(seq) is type(at_ms) is int
                or len(id_) != _ID_BYTES
                or hexlify(id_) != id_text.replace(b"-", b"")
                or id_text[8:24:5] != b"----"
                or HOURS_MS[hour_r] + CLOCK_MS[clock_r] + REST_MS[rest_r] != at_ms
            ):
                return None
            occurred_ms = HOURS_MS[hour] + CLOCK_MS[clock] + REST_MS[rest]
        except _UNUSUAL:
            return None
        return type_, actor, source, sender, occurred_ms, at_ms, id_text, raw, data, refs

    def _read_between(self, between: bytes) -> tuple[int, str, list[Any]]:
        """Returns seq, source and references, from the second time's end to the stream's name."""
        fields = orjson.loads(b"{" + between[2:] + b'"}') if between[:2] == b'",' else {}
        refs = fields.pop("refs", [])
        if (
            fields.keys() != {"seq", "source"}
            or not (type(fields["seq"]) is int and type(fields["source"]) is str)
            or type(refs) is not list
            or not all(map(self._is_known_ref, refs))
        ):
            return _NOTHING
        read = fields["seq"], fields["source"], refs
        if len(self._between) >= _MOST:
            self._between.clear()
        self._between[between] = read
        return read

    def _read_data(self, raw: bytes) -> Mapping[str, Any]:
        data = orjson.loads(raw)
        if type(data) is not dict or raw.count(b"{") + raw.count(b"[") > _MOST_BRACKETS:
            raise TypeError(raw)
        if len(raw) <= _LONGEST_KEPT:
            if len(self._data) >= _MOST:
                self._data.clear()
            self._data[raw] = data
        return data


def _read_via(body: bytes, ending: bytes) -> tuple[str, bytes]:
    """Returns who sent the record for its actor, and how the body ends then."""
    via = body[body.rfind(_VIA) + len(_VIA) : -len(b'"}')]
    sender = via.decode("ascii")
    return sender, ending[: -len(b"}")] + _VIA + in_json(sender) + b'"}'
