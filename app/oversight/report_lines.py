"""A record of a chain as a report holds it: what it is, who says so, hashes, place, what was verified.

Not what it says in its data: that is in the evidence package, and the hash here binds it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.kit.clock import format_time
from app.ledger.verifier import Problem
from app.oversight.chains import Line

_RESULTS = {True: "agrees", False: "differs", None: "unchecked"}
_ABSENT = frozenset({"attached.none", "signature.none", "signature.system", "signature.consumer"})
"""There is nothing of it in the record that could be verified."""
_VOICES = {
    "signature.right": "own_key",
    "signature.wrong": "own_key_differs",
    "signature.none": "service",
    "signature.system": "system",
    "signature.consumer": "consumer",
}


def tell_line(line: Line) -> dict[str, Any]:
    """Returns a record as data without nulls; of one that is gone or unreadable what is known of it."""
    fields = line.fields
    checks = {one.name: one for one in line.checked}
    told: dict[str, Any] = {
        "stream": line.stream,
        "seq": line.seq if isinstance(line.seq, int) else str(line.seq),
        "own": line.own,
        "checks": {
            name: "absent" if one.said in _ABSENT else _RESULTS[one.ok]
            for name, one in checks.items()
        },
    }
    if line.body is None:
        told["state"] = "gone"
    elif not fields:
        told["state"] = "unreadable"
    unsaid = {name: one.said for name, one in checks.items() if one.ok is not True}
    if unsaid:
        told["why"] = unsaid
    for name in ("id", "type", "actor", "via", "source", "prev"):
        if isinstance(value := fields.get(name), str):
            told[name] = value
    for name, moment in (("occurred_at", line.occurred_at), ("recorded_at", line.recorded_at)):
        if moment is not None:
            told[name] = format_time(moment)
    if (signature := checks.get("signature")) is not None and signature.said in _VOICES:
        told["voice"] = _VOICES[signature.said]
    if isinstance(signed := fields.get("signed"), Mapping):
        told["key"] = str(signed.get("key"))
    if line.hash is not None:
        told["hash"] = line.hash.hex()
    if line.in_log.index is not None:
        told |= {"log": line.in_log.origin, "leaf_index": line.in_log.index}
    if line.first is not None:
        told["anchor"] = line.first.size
    if fields.get("type") == "correction" and isinstance(data := fields.get("data"), Mapping):
        told["corrects"] = {"id": str(data.get("of")), "fields": _changed(data)}
    if line.problems:
        told["problems"] = [problem_as_json(one) for one in line.problems]
    return told


def tell_corrections(records: Sequence[dict[str, Any]]) -> None:
    """Adds to a correction which record it is of, and to that one by which it was corrected."""
    by_id = {(one["stream"], one["id"]): one for one in records if "id" in one}
    for one in records:
        if "corrects" not in one:
            continue
        corrected = by_id.get((one["stream"], one["corrects"]["id"]))
        if corrected is not None:
            one["corrects"]["seq"] = corrected["seq"]
            corrected.setdefault("corrected_by", []).append(one["seq"])


def problem_as_json(problem: Problem) -> dict[str, Any]:
    """Returns what does not agree, with what was expected and found."""
    told: dict[str, Any] = {"kind": problem.kind, "evidence": dict(problem.evidence)}
    if problem.stream is not None:
        told["stream"] = problem.stream
    if problem.seq is not None:
        told["seq"] = problem.seq
    return told


def _changed(data: Mapping[str, Any]) -> list[str]:
    """Returns the names of the fields that a correction sets right."""
    changes = data.get("changes")
    names = set(changes) if isinstance(changes, Mapping) else set()
    return sorted(names | ({"waybill_tail"} & data.keys()))
