"""How an evidence bundle and the records in it are built: names and types, before any meaning.

Only what verification reads is looked at; a bundle may carry more. Plain tests over parsed JSON, so
that `scripts/verify_bundle.py` can have the same ones without a library.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from app.kit.canonical import canonical_bytes, parse_json
from app.kit.clock import parse_time
from app.kit.errors import Fault

Test = Callable[[Any], bool]
Shape = Mapping[str, Test]

_HASH = re.compile("[0-9a-f]{64}")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z"
)


def misshapen_place(bundle: Mapping[str, Any]) -> str:
    """Returns the first place where a bundle is not built as its format says, "" if none."""
    if wrong := _wrong_field(bundle, _BUNDLE, _BUNDLE_OPTIONAL):
        return wrong
    for place, item, needed, optional in _items(bundle):
        if _wrong_field(item, needed, optional):
            return place
    return ""


def wrong_record_field(fields: Mapping[str, Any]) -> str:
    """Returns the first field of a record that is not as it must be, "" if all are."""
    if isinstance(fields, dict) and _is_record(fields):
        return _wrong_field(fields, {}, _RECORD_OPTIONAL) if fields.keys() & _OPTIONAL else ""
    return _wrong_field(fields, _RECORD, _RECORD_OPTIONAL)


def canonical_fields(body: bytes) -> dict[str, Any] | None:
    """Returns the fields of a record's body, None unless the body is their canonical bytes."""
    try:
        fields = parse_json(body)
        if isinstance(fields, dict) and canonical_bytes(fields) == body:
            return fields
    except Fault:
        pass
    return None


def is_map_root(data: Mapping[str, Any]) -> bool:
    """Whether a record's data is that of a map's root."""
    return not _wrong_field(data, _MAP_ROOT, {})


def _is_record(fields: dict[str, Any]) -> bool:
    """Whether all of `_RECORD` hold: the same tests in one expression, for an audit's millions."""
    get = fields.get
    seq, version = get("seq"), get("v")
    prev, at = get("prev"), get("recorded_at")
    return (
        type(version) is int
        and version == 1
        and type(seq) is int
        and seq >= 0
        and type(get("stream")) is str
        and type(get("type")) is str
        and type(get("actor")) is str
        and type(get("data")) is dict
        and type(prev) is str
        and _HASH.fullmatch(prev) is not None
        and _is_time(at)
    )


def _items(bundle: Mapping[str, Any]) -> Iterator[tuple[str, Any, Shape, Shape]]:
    """Yields the parts in the order in which they are looked at; what is inside one, after it."""
    for n, checkpoint in enumerate(bundle["checkpoints"]):
        yield f"checkpoints[{n}]", checkpoint, _CHECKPOINT, {}
    for n, stream in enumerate(bundle["streams"]):
        yield f"streams[{n}]", stream, _STREAM, {}
        for m, item in enumerate(stream["records"]):
            yield f"streams[{n}].records[{m}]", item, _ITEM, _ITEM_OPTIONAL
    for n, item in enumerate(bundle.get("pending", ())):
        yield f"pending[{n}]", item, _ITEM, _ITEM_OPTIONAL


def _wrong_field(value: Any, needed: Shape, optional: Shape) -> str:
    if not isinstance(value, dict):
        return next(iter(needed))
    for name, test in needed.items():
        if not test(value.get(name)):
            return name
    for name, test in optional.items():
        if name in value and not test(value[name]):
            return name
    return ""


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_integer(value: Any) -> bool:
    return type(value) is int  # a boolean is an int to isinstance


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_seq(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_version(value: Any) -> bool:
    return type(value) is int and value == 1


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def _is_time(value: Any) -> bool:
    if not isinstance(value, str) or _TIME.fullmatch(value) is None:
        return False
    try:
        parse_time(value)
    except ValueError:  # there is no such day
        return False
    return True


def _has(fields: Shape) -> Test:
    return lambda value: not _wrong_field(value, fields, {})


def _each(test: Test) -> Test:
    return lambda value: isinstance(value, list) and all(map(test, value))


def _maybe(test: Test) -> Test:
    return lambda value: value is None or test(value)


_BUNDLE: Shape = {"subject": _is_text, "streams": _is_list, "checkpoints": _is_list}
_BUNDLE_OPTIONAL: Shape = {
    "pending": _is_list,
    "heads": _has(
        {
            "seq": _is_seq,
            "head": _has({"seq": _is_seq, "hash": _is_hash}),
            "siblings": _each(_is_text),
        }
    ),
}
_CHECKPOINT: Shape = {"origin": _is_text, "key": _is_text, "note": _is_text}
_STREAM: Shape = {"stream": _is_text, "records": _is_list}
_ITEM: Shape = {"body": _is_text, "hash": _is_text}
_ITEM_OPTIONAL: Shape = {
    "leaf_index": _maybe(_is_integer),
    "log": _maybe(_is_text),
    "inclusion": _maybe(_each(_is_text)),
}
_RECORD: Shape = {
    "v": _is_version,
    "stream": _is_text,
    "seq": _is_seq,
    "prev": _is_hash,
    "recorded_at": _is_time,
    "type": _is_text,
    "actor": _is_text,
    "data": _is_object,
}
_RECORD_OPTIONAL: Shape = {
    "refs": _each(_has({"hash": _is_hash, "seq": _is_seq, "stream": _is_text})),
    "signed": _has({"key": _is_text, "value": _is_text}),
    "sealed": _is_object,
}
_MAP_ROOT: Shape = {"log": _is_text, "root": _is_hash, "size": _is_seq, "streams": _is_seq}
_OPTIONAL = frozenset(_RECORD_OPTIONAL)
