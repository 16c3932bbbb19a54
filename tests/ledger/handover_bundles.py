"""Evidence over three logs that went on from each other, and the ways in which a hand-over can be false."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.ledger.checkpoint import parse_checkpoint
from app.ledger.note import NoteSigner
from tests.ledger.bundles import (
    CARRIER,
    CARRIER_KEY,
    LOG_KEY,
    ORIGIN,
    UNIT,
    Entry,
    Manipulation,
    SmallLog,
    sold_unit,
)

HEADS = "log/heads"
KEYS = (
    LOG_KEY,
    NoteSigner(f"{ORIGIN}/2026", b"\x06" * 32),
    NoteSigner(f"{ORIGIN}/2027", b"\x07" * 32),
)
FORGER = NoteSigner(f"{ORIGIN}/2026", b"\x08" * 32)
OLD, MIDDLE, NEW = (str(signer.vkey) for signer in KEYS)


@dataclass
class NextLog(SmallLog):
    """A log in which the streams of another go on."""

    before: SmallLog = field(default_factory=SmallLog)

    def heads(self, stream: str) -> list[Entry]:
        return [*self.before.heads(stream), *super().heads(stream)]


def rotate(
    log: SmallLog,
    old: NoteSigner,
    new: NoteSigner,
    *,
    rotated: dict[str, Any] | None = None,
    continued: dict[str, Any] | None = None,
    said: bool = True,
) -> NextLog:
    """Lets a log go on under another key. rotated, continued: what they say otherwise than is so."""
    if said:
        data = {"origin": new.vkey.name, "key": str(new.vkey)} | (rotated or {})
        log.add(HEADS, "rotated", data, actor="system")
    final = parse_checkpoint(log.checkpoint(old).split("\n\n")[0] + "\n")
    following = NextLog(origin=new.vkey.name, seconds=log.seconds, before=log)
    data = {
        "origin": old.vkey.name, "key": str(old.vkey), "root": final.root.hex(), "size": final.size,
    }  # fmt: skip
    following.add(HEADS, "continued", data | (continued or {}), actor="system")
    return following


def bundle_of(*logs: SmallLog, signers: Sequence[NoteSigner] = KEYS) -> dict[str, Any]:
    """Returns the evidence for the unit as the service makes it."""
    by_stream: dict[str, list[dict[str, Any]]] = {UNIT: []}
    for log in logs:
        for entry in log.entries:
            by_stream.setdefault(entry.stream, []).append(log._item(entry))
    bundle = logs[0].bundle()
    return bundle | {
        "streams": [{"stream": name, "records": items} for name, items in by_stream.items()],
        "checkpoints": [
            {"origin": log.origin, "key": str(signer.vkey), "note": log.checkpoint(signer)}
            for log, signer in zip(logs, signers, strict=False)
        ],
    }


def logs_of_a_life(**false: Any) -> list[SmallLog]:
    """The life of one unit over three logs; options change the first hand-over."""
    first = sold_unit()
    second = rotate(first, *KEYS[:2], **false)
    second.add(UNIT, "return", {"reason": "regret"}, actor=CARRIER, signed_by=CARRIER_KEY)
    third = rotate(second, *KEYS[1:])
    third.add(UNIT, "sale", {"region": "440300"})
    return [first, second, third]


def whole() -> dict[str, Any]:
    return bundle_of(*logs_of_a_life())


def changed(change: Callable[[dict[str, Any]], Any]) -> Callable[[], dict[str, Any]]:
    def build() -> dict[str, Any]:
        bundle = copy.deepcopy(whole())
        change(bundle)
        return bundle

    return build


def lying(**false: Any) -> Callable[[], dict[str, Any]]:
    return lambda: bundle_of(*logs_of_a_life(**false))


def heads_in(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    (records,) = [s["records"] for s in bundle["streams"] if s["stream"] == HEADS]
    return records


def _own_middle(bundle: dict[str, Any]) -> None:
    """A middle log of the forger's own: the same records, under a key of the same name."""
    middle = logs_of_a_life()[1]
    bundle["checkpoints"][1] |= {"key": str(FORGER.vkey), "note": middle.checkpoint(FORGER)}


def _own_key_named(bundle: dict[str, Any]) -> None:
    """The same, and the record that hands over was made to name the forger's key."""
    _own_middle(bundle)
    item = heads_in(bundle)[0]
    item["body"] = item["body"].replace(MIDDLE, str(FORGER.vkey))
    item["hash"] = hashlib.sha256(item["body"].encode()).hexdigest()


def _another_end(bundle: dict[str, Any]) -> None:
    """The old log as its operator would have it now: signed by its key, with other leaves."""
    other = sold_unit()
    other.add(UNIT, "void")
    rotate(other, *KEYS[:2])
    bundle["checkpoints"][0]["note"] = other.checkpoint(LOG_KEY)


def _unproven(*numbers: int) -> Callable[[dict[str, Any]], None]:
    def change(bundle: dict[str, Any]) -> None:
        for number in numbers:
            heads_in(bundle)[number]["inclusion"] = []

    return change


def _without(*numbers: int) -> Callable[[dict[str, Any]], None]:
    def change(bundle: dict[str, Any]) -> None:
        for number in sorted(numbers, reverse=True):
            heads_in(bundle).pop(number)

    return change


def _of_another_stream(bundle: dict[str, Any]) -> None:
    """Hand-overs that anybody could have had recorded elsewhere."""
    for stream in bundle["streams"]:
        if stream["stream"] == HEADS:
            stream["stream"] = f"{HEADS}/x"


_MIDDLE, _FIRST = "checkpoints[1]", "checkpoints[0]"

# Of the first hand-over, records 0 and 1 of log/heads; of the second, 2 and 3.
FALSE = [
    Manipulation("a middle log of the forger's own", changed(_own_middle), "key_differs", _MIDDLE, vkey=OLD),
    Manipulation("the same, seen from the new log", changed(_own_middle), "key_differs", _FIRST, vkey=NEW),
    Manipulation("a record made to name it", changed(_own_key_named), "key_differs", _MIDDLE, vkey=OLD),
    Manipulation("another end of the old log", changed(_another_end), "key_differs", _FIRST, vkey=NEW),
    Manipulation("the last word unproven", changed(_unproven(0)), "key_differs", _MIDDLE, vkey=OLD),
    Manipulation("the first word unproven", changed(_unproven(1)), "key_differs", _FIRST, vkey=NEW),
    Manipulation("the second first word unproven", changed(_unproven(3)), "key_differs", _FIRST, vkey=NEW),
    Manipulation("no last word", changed(_without(0)), "key_differs", _MIDDLE, vkey=OLD),
    Manipulation("no first word", changed(_without(1)), "key_differs", _FIRST, vkey=NEW),
    Manipulation("said elsewhere", changed(_of_another_stream), "key_differs", _MIDDLE, vkey=OLD),
    Manipulation("a key of nobody here", whole, "key_differs", _FIRST, vkey=str(FORGER.vkey)),
    Manipulation(
        "a log that named another key",
        lying(rotated={"key": str(FORGER.vkey)}), "key_differs", _MIDDLE, vkey=OLD,
    ),
    Manipulation(
        "a log that named another log",
        lying(rotated={"origin": "else.test/log"}), "key_differs", _MIDDLE, vkey=OLD,
    ),
    Manipulation(
        "a log that goes on from another size",
        lying(continued={"size": 9}), "key_differs", _FIRST, vkey=NEW,
    ),
    Manipulation(
        "a log that goes on from a size of text",
        lying(continued={"size": "10"}), "key_differs", _FIRST, vkey=NEW,
    ),
    Manipulation(
        "a log that goes on from another root",
        lying(continued={"root": "00" * 32}), "key_differs", _FIRST, vkey=NEW,
    ),
    Manipulation(
        "a log that goes on from another key",
        lying(continued={"key": str(FORGER.vkey)}), "key_differs", _FIRST, vkey=NEW,
    ),
    Manipulation(
        "a log that goes on from a list",
        lying(continued={"origin": [ORIGIN]}), "key_differs", _FIRST, vkey=NEW,
    ),
]  # fmt: skip


def _note_of_middle(text: Callable[[str], str], signer: NoteSigner) -> Callable[[dict], None]:
    from app.ledger.note import sign_note

    def change(bundle: dict[str, Any]) -> None:
        checkpoint = bundle["checkpoints"][1]
        checkpoint["note"] = sign_note(text(checkpoint["note"].split("\n\n")[0] + "\n"), signer)

    return change


# The key is handed over, and what stands under it is false in itself.
FALSE += [
    Manipulation(
        "a middle checkpoint of somebody else's hand",
        changed(_note_of_middle(lambda text: text, FORGER)), "checkpoint_signature", _MIDDLE, vkey=OLD,
    ),
    Manipulation(
        "a middle checkpoint that is none",
        changed(_note_of_middle(lambda text: text.replace("\n", "\n0", 1), KEYS[1])),
        "checkpoint_form", _MIDDLE, vkey=OLD,
    ),
    Manipulation(
        "a middle checkpoint twice",
        changed(lambda b: b["checkpoints"].append(b["checkpoints"][1])),
        "checkpoint_twice", "checkpoints[3]", vkey=OLD,
    ),
]  # fmt: skip


# What the first of these says alone carries the rest, in whatever order it stands.
TRUE = [
    ("the old key", whole, OLD, 1),
    ("the middle key", whole, MIDDLE, 1),
    ("the new key", whole, NEW, 1),
    ("the old and the new key", whole, f"{OLD}\n{NEW}", 2),
    ("all keys", whole, f"{NEW}\n{MIDDLE}\n{OLD}", 3),
    ("checkpoints in another order", changed(lambda b: b["checkpoints"].reverse()), OLD, 1),
    ("hand-overs before what they rest on", changed(lambda b: b["streams"].reverse()), NEW, 1),
    ("what only the new key needs", changed(_without(0, 2)), NEW, 1),
    ("what only the old key needs", changed(_without(1, 3)), OLD, 1),
]
