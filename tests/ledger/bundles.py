"""A small signed log in memory, evidence from it, and the ways in which evidence can be false."""

from __future__ import annotations

import copy
import hashlib
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.kit.canonical import canonical_bytes
from app.kit.clock import format_time, parse_time
from app.ledger.checkpoint import Checkpoint, sign_checkpoint
from app.ledger.headmap import HEADS_STREAM as HEADS
from app.ledger.headmap import Leaf, map_key, prove, root_of_map
from app.ledger.merkle import leaf_hash, root_of
from app.ledger.note import NoteSigner, encode_base64, sign_note
from app.ledger.record import Claim, Ref, Signed, claim_message, record_body, record_hash
from app.ledger.tiles import append_tiles, inclusion_proof_from_tiles
from tests.fakes import START

ORIGIN = "suxin.test/log"
UNIT = "01/06901234567892/21/8F3K2M9QZ7AB"
LOT = "01/06901234567892/10/L1%2F2"
PRODUCT = "01/06901234567892"
SELLER = "91441200MA4TE5T00Q"
CARRIER = "92441202MA4TE5T01M"

LOG_KEY = NoteSigner(ORIGIN, b"\x01" * 32)
OTHER_LOG_KEY = NoteSigner(ORIGIN, b"\x02" * 32)
WITNESS = NoteSigner("witness.test/w1", b"\x03" * 32)
SELLER_KEY = Ed25519PrivateKey.from_private_bytes(b"\x04" * 32)
CARRIER_KEY = Ed25519PrivateKey.from_private_bytes(b"\x05" * 32)
VKEY = str(LOG_KEY.vkey)


def key_id(key: Ed25519PrivateKey) -> str:
    return hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest()[:16]


@dataclass
class Entry:
    stream: str
    seq: int
    body: bytes
    hash: bytes
    sequenced: bool


@dataclass
class SmallLog:
    """Streams of records, one leaf each in the order they came. Says what it is told, true or not."""

    origin: str = ORIGIN
    entries: list[Entry] = field(default_factory=list)
    seconds: float = 0
    maps: list[list[Leaf]] = field(default_factory=list)

    def heads(self, stream: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.stream == stream]

    def add(
        self,
        stream: str,
        kind: str,
        data: dict[str, Any] | None = None,
        *,
        actor: str = SELLER,
        refs: tuple[Entry | Ref, ...] = (),
        sealed: dict[str, str] | None = None,
        signed_by: Ed25519PrivateKey | None = None,
        signature: str | None = None,
        sequenced: bool = True,
        seq: int | None = None,
        prev: bytes | None = None,
        after_s: float = 1,
        change: Callable[[dict], None] | None = None,
    ) -> Entry:
        """Adds the next record of a stream. seq, prev, change: say otherwise than is right."""
        self.seconds += after_s
        moment = START + timedelta(seconds=self.seconds)
        own = self.heads(stream)
        claim = Claim(
            stream=stream,
            id=str(uuid.UUID(int=len(self.entries))),
            type=kind,
            actor=actor,
            occurred_at=moment,
            data=data or {},
            sealed=sealed or {},
        )
        signed = None
        if signed_by is not None:
            message = claim_message(claim.fields())
            value = signature or encode_base64(signed_by.sign(message))
            signed = Signed(key_id(signed_by), value)
        body = record_body(
            claim,
            seq=len(own) if seq is None else seq,
            prev=prev or (own[-1].hash if own else bytes(32)),
            recorded_at=moment,
            source="merchant",
            via=None,
            refs=tuple(r if isinstance(r, Ref) else Ref(r.stream, r.seq, r.hash) for r in refs),
            signed=signed,
        )
        if change is not None:
            fields = json.loads(body)
            change(fields)
            body = canonical_bytes(fields)
        entry = Entry(stream, len(own) if seq is None else seq, body, record_hash(body), sequenced)
        self.entries.append(entry)
        return entry

    def map_heads(self, *, below: int | None = None, **options: Any) -> Entry:
        """Records the root of a map over the first `below` leaves (all), as the service does."""
        size = len(self.leaves()) if below is None else below
        self.maps.append(map_of(self.leaves()[:size]))
        leaves = self.maps[-1]
        data = {
            "log": self.origin,
            "root": root_of_map(leaves).hex(),
            "size": size,
            "streams": len(leaves),
        } | options.pop("data", {})
        return self.add(
            HEADS, options.pop("kind", "map_root"), data, **{"actor": "system"} | options
        )

    def proof_of_head(self, subject: str, seq: int = -1) -> dict[str, Any]:
        """Returns the proof of a stream's head against one of the maps, the last unless told."""
        path = prove(self.maps[seq], map_key(subject))
        assert path.leaf is not None
        return {
            "seq": seq % len(self.maps),
            "head": {"seq": path.leaf.seq, "hash": path.leaf.hash.hex()},
            "siblings": [encode_base64(sibling) for sibling in path.siblings],
        }

    def leaves(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.sequenced]

    def checkpoint(self, *signers: NoteSigner) -> str:
        leaves = [leaf_hash(entry.hash) for entry in self.leaves()]
        head = Checkpoint(self.origin, len(leaves), root_of(leaves))
        return sign_checkpoint(head, *(signers or (LOG_KEY,)))

    def bundle(self, subject: str = UNIT, *streams: str) -> dict[str, Any]:
        """Returns the evidence for a subject, as the service makes it."""
        names = [subject, *(streams or dict.fromkeys(e.stream for e in self.entries))]
        shown = list(dict.fromkeys(names))
        return {
            "format": "suxin-evidence/1",
            "subject": subject,
            "streams": [
                {
                    "stream": stream,
                    "records": [self._item(e) for e in self.heads(stream) if e.sequenced],
                }
                for stream in shown
            ],
            "checkpoints": [{"origin": self.origin, "key": VKEY, "note": self.checkpoint()}],
            "pending": [
                {"stream": e.stream, "body": e.body.decode(), "hash": e.hash.hex()}
                for e in self.entries
                if not e.sequenced and e.stream in shown
            ],
            "made_at": format_time(START),
        } | ({"heads": self.proof_of_head(subject)} if self.maps else {})

    def _item(self, entry: Entry) -> dict[str, Any]:
        leaves = self.leaves()
        index = leaves.index(entry)
        tiles = append_tiles(0, [leaf.hash for leaf in leaves], lambda *_: None)
        proof = inclusion_proof_from_tiles(index, len(leaves), lambda *at: tiles.get(at))
        return {
            "body": entry.body.decode(),
            "hash": entry.hash.hex(),
            "log": self.origin,
            "leaf_index": index,
            "inclusion": [encode_base64(part) for part in proof],
        }


def map_of(entries: list[Entry]) -> list[Leaf]:
    """The leaves of the map over these records."""
    heads = {entry.stream: entry for entry in entries}
    return [Leaf(map_key(e.stream), e.seq, e.hash) for e in heads.values()]


def register_key(log: SmallLog, party: str, key: Ed25519PrivateKey, **options: Any) -> Entry:
    data = {
        "key_id": key_id(key),
        "public_key": encode_base64(key.public_key().public_bytes_raw()),
    }
    return log.add(f"party/{party}", "signing_key", data, actor=party, **options)


def revoke_key(log: SmallLog, party: str, key: Ed25519PrivateKey, **options: Any) -> Entry:
    data = {"key_id": key_id(key)}
    return log.add(f"party/{party}", "signing_key_revoked", data, actor=party, **options)


def sold_unit(**at_dispatch: Any) -> SmallLog:
    """The life of one unit up to its signature; options change how the dispatch is recorded."""
    log = SmallLog()
    log.add(PRODUCT, "registration", {"name": "端砚", "issuer": SELLER})
    register_key(log, SELLER, SELLER_KEY)
    listing = log.add(PRODUCT, "listing", {"platform": "商城", "title": "老坑端砚"})
    lot = log.add(LOT, "registration", {"issuer": SELLER})
    register_key(log, CARRIER, CARRIER_KEY)
    log.add(UNIT, "registration", {"issuer": SELLER, "lot": "L1/2"})
    log.add(UNIT, "sale", {"region": "440100"}, refs=(listing, lot), sealed={"order": "ab" * 32})
    dispatch = {"refs": (lot,), "signed_by": SELLER_KEY} | at_dispatch
    log.add(UNIT, "dispatch", {"carrier": CARRIER}, **dispatch)
    log.add(UNIT, "signature", {"kind": "locker"}, actor=CARRIER, signed_by=CARRIER_KEY)
    return log


def intact() -> dict[str, Any]:
    return sold_unit().bundle()


def mapped(after: Callable[[SmallLog], Any] = lambda _: None, **options: Any) -> SmallLog:
    """The same life with a map of all heads recorded behind it. after: what came after that."""
    log = sold_unit()
    log.map_heads(**options)
    after(log)
    return log


def mapped_bundle(change: Callable[[dict], Any] = lambda _: None, **options: Any) -> Any:
    """Evidence with a proof of completeness, and what somebody then changed."""

    def build() -> dict[str, Any]:
        bundle = mapped(**options).bundle()
        change(bundle)
        return bundle

    return build


def unit_records(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of the subject, which is the first stream."""
    return bundle["streams"][0]["records"]


def changed(change: Callable[[dict], Any]) -> Callable[[], dict[str, Any]]:
    """Evidence from an honest log that somebody changed afterwards."""

    def build() -> dict[str, Any]:
        bundle = copy.deepcopy(intact())
        change(bundle)
        return bundle

    return build


def dishonest(**at_dispatch: Any) -> Callable[[], dict[str, Any]]:
    """Evidence from a log that itself holds something false, and proves that it does."""
    return lambda: sold_unit(**at_dispatch).bundle()


@dataclass(frozen=True)
class Manipulation:
    """What was done, and what the first thing is that verification must say about it."""

    name: str
    build: Callable[[], Any]
    key: str
    place: str = ""
    exit_code: int = 1
    vkey: str | None = VKEY


def _swap(items: list, one: int, other: int) -> None:
    items[one], items[other] = items[other], items[one]


def _flip_body(bundle: dict) -> None:
    item = unit_records(bundle)[1]
    item["body"] = item["body"].replace('"440100"', '"440101"')


def _swap_bodies(bundle: dict) -> None:
    one, other = unit_records(bundle)[1:3]
    one["body"], other["body"] = other["body"], one["body"]


def _rehash(bundle: dict) -> None:
    """The last record, changed by somebody who also puts the new hash beside it."""
    item = unit_records(bundle)[3]
    item["body"] = item["body"].replace('"locker"', '"in_person"')
    item["hash"] = hashlib.sha256(item["body"].encode()).hexdigest()


def _not_canonical(bundle: dict) -> None:
    item = unit_records(bundle)[1]
    item["body"] = item["body"].replace('":', '": ', 1)
    item["hash"] = hashlib.sha256(item["body"].encode()).hexdigest()


def _note(text: Callable[[str], str], *signers: NoteSigner) -> Callable[[dict], None]:
    def change(bundle: dict) -> None:
        checkpoint = bundle["checkpoints"][0]
        signed = checkpoint["note"].split("\n\n")[0] + "\n"
        checkpoint["note"] = sign_note(text(signed), *(signers or (LOG_KEY,)))

    return change


def _own_log(bundle: dict) -> None:
    """A whole log of the forger's own, signed by a key of the same name."""
    bundle["checkpoints"][0] |= {
        "key": str(OTHER_LOG_KEY.vkey),
        "note": sold_unit().checkpoint(OTHER_LOG_KEY),
    }


def _set(path: str, value: Any) -> Callable[[dict], None]:
    """Sets one member of the bundle: `streams.0.records.1.hash`."""

    def change(bundle: dict) -> None:
        at: Any = bundle
        *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        for step in way:
            at = at[step]
        at[last] = value

    return change


def _without_stream(name: str) -> Callable[[dict], None]:
    def change(bundle: dict) -> None:
        bundle["streams"] = [s for s in bundle["streams"] if s["stream"] != name]

    return change


def _forked_pending() -> dict[str, Any]:
    """A record that is not in the log, at a place that the log has filled otherwise."""
    log = sold_unit()
    bundle = log.bundle()
    other = sold_unit(signed_by=None)
    entry = other.heads(UNIT)[2]
    bundle["pending"] = [{"body": entry.body.decode(), "hash": entry.hash.hex()}]
    return bundle


def _revoked(*, before_dispatch_s: float) -> Callable[[], dict[str, Any]]:
    """A key revoked so long before it signed; at most 0: the signature came first."""

    def build() -> dict[str, Any]:
        log = SmallLog()
        register_key(log, SELLER, SELLER_KEY)
        log.add(UNIT, "registration")
        if before_dispatch_s > 0:
            revoke_key(log, SELLER, SELLER_KEY)
        log.add(UNIT, "dispatch", signed_by=SELLER_KEY, after_s=max(before_dispatch_s, 1))
        if before_dispatch_s <= 0:
            revoke_key(log, SELLER, SELLER_KEY, after_s=-before_dispatch_s)
        return log.bundle()

    return build


def _registered(*, after_dispatch_s: float) -> Callable[[], dict[str, Any]]:
    """A key that was registered so long after it signed."""

    def build() -> dict[str, Any]:
        log = SmallLog()
        log.add(UNIT, "dispatch", signed_by=SELLER_KEY)
        register_key(log, SELLER, SELLER_KEY, after_s=after_dispatch_s)
        return log.bundle()

    return build


def _signed_with(public_key: Any) -> Callable[[], dict[str, Any]]:
    """A log that registered something else as the seller's key."""

    def build() -> dict[str, Any]:
        log = SmallLog()
        data = {"key_id": key_id(SELLER_KEY), "public_key": public_key}
        log.add(f"party/{SELLER}", "signing_key", data)
        log.add(UNIT, "dispatch", signed_by=SELLER_KEY)
        return log.bundle()

    return build


def _time_falls() -> dict[str, Any]:
    return sold_unit(after_s=-3).bundle()


def _ref_to_another() -> dict[str, Any]:
    return sold_unit(refs=(Ref(LOT, 0, b"\x09" * 32),)).bundle()


_RECORD_1 = "streams[0].records[1]"
_NOTE = "checkpoints[0]"

MANIPULATIONS = [
    # somebody changed the bundle
    Manipulation("flipped byte in a body", changed(_flip_body), "hash_mismatch", _RECORD_1),
    Manipulation("swapped bodies", changed(_swap_bodies), "hash_mismatch", _RECORD_1),
    Manipulation(
        "swapped records",
        changed(lambda b: _swap(unit_records(b), 1, 2)),
        "seq_gap",
        _RECORD_1,
    ),
    Manipulation(
        "removed record in the middle",
        changed(lambda b: unit_records(b).pop(1)),
        "seq_gap",
        _RECORD_1,
    ),
    Manipulation(
        "removed first record",
        changed(lambda b: unit_records(b).pop(0)),
        "seq_gap",
        "streams[0].records[0]",
    ),
    Manipulation(
        "removed every record",
        changed(lambda b: unit_records(b).clear()),
        "subject_missing",
        "subject",
    ),
    Manipulation(
        "repeated record",
        changed(lambda b: unit_records(b).insert(1, unit_records(b)[0])),
        "seq_gap",
        _RECORD_1,
    ),
    Manipulation(
        "swapped records of another stream",
        changed(lambda b: b["streams"][1]["records"].reverse()),
        "seq_order",
        "streams[1].records[1]",
    ),
    Manipulation("record hashed anew", changed(_rehash), "not_included", "streams[0].records[3]"),
    Manipulation("body not canonical", changed(_not_canonical), "body_form", _RECORD_1),
    Manipulation(
        "body of a number", changed(_set("streams.0.records.1.body", "1")), "body_form", _RECORD_1
    ),
    Manipulation(
        "body with a float",
        changed(_set("streams.0.records.1.body", '{"v":1.0}')),
        "body_form",
        _RECORD_1,
    ),
    Manipulation(
        "body without a field",
        changed(_set("streams.0.records.1.body", '{"v":1}')),
        "record_form",
        _RECORD_1,
    ),
    Manipulation(
        "stated hash of nothing",
        changed(_set("streams.0.records.1.hash", "")),
        "hash_mismatch",
        _RECORD_1,
    ),
    Manipulation(
        "another stream's name",
        changed(_set("streams.1.stream", "01/06901234567908")),
        "stream_mismatch",
        "streams[1].records[0]",
    ),
    Manipulation(
        "wrong index", changed(_set("streams.0.records.1.leaf_index", 5)), "not_included", _RECORD_1
    ),
    Manipulation(
        "negative index",
        changed(_set("streams.0.records.1.leaf_index", -1)),
        "not_included",
        _RECORD_1,
    ),
    Manipulation(
        "index past the log",
        changed(_set("streams.0.records.1.leaf_index", 9)),
        "not_included",
        _RECORD_1,
    ),
    Manipulation(
        "no index",
        changed(lambda b: unit_records(b)[3].pop("leaf_index")),
        "index_missing",
        "streams[0].records[3]",
    ),
    Manipulation(
        "proof one hash too long",
        changed(lambda b: unit_records(b)[1]["inclusion"].append(encode_base64(bytes(32)))),
        "not_included",
        _RECORD_1,
    ),
    Manipulation(
        "proof one hash too short",
        changed(lambda b: unit_records(b)[1]["inclusion"].pop()),
        "not_included",
        _RECORD_1,
    ),
    Manipulation(
        "proof with a hash too short",
        changed(_set("streams.0.records.1.inclusion.0", "AAAA")),
        "not_included",
        _RECORD_1,
    ),
    Manipulation(
        "proof in no base64",
        changed(_set("streams.0.records.1.inclusion.0", "AAA")),
        "not_included",
        _RECORD_1,
    ),
    Manipulation(
        "no proof", changed(_set("streams.0.records.1.inclusion", None)), "not_included", _RECORD_1
    ),
    Manipulation(
        "record of a log without checkpoint",
        changed(_set("streams.0.records.1.log", "other.test/log")),
        "checkpoint_missing",
        _RECORD_1,
    ),
    Manipulation(
        "no checkpoint",
        changed(_set("checkpoints", [])),
        "checkpoint_missing",
        "streams[0].records[0]",
    ),
    Manipulation(
        "two checkpoints",
        changed(lambda b: b["checkpoints"].append(b["checkpoints"][0])),
        "checkpoint_twice",
        "checkpoints[1]",
    ),
    Manipulation(
        "size with a leading zero",
        changed(_note(lambda text: text.replace("\n9\n", "\n09\n"))),
        "checkpoint_form",
        _NOTE,
    ),
    Manipulation(
        "checkpoint of another root",
        changed(_note(lambda _: f"{ORIGIN}\n9\n{encode_base64(bytes(32))}\n")),
        "not_included",
        "streams[0].records[0]",
    ),
    Manipulation(
        "checkpoint of another log",
        changed(_note(lambda text: text.replace("/log", "/log/2027"))),
        "checkpoint_origin",
        _NOTE,
    ),
    Manipulation(
        "checkpoint signed by somebody else",
        changed(_note(lambda text: text, WITNESS)),
        "checkpoint_signature",
        _NOTE,
    ),
    Manipulation(
        "checkpoint text changed",
        changed(
            lambda b: _set("checkpoints.0.note", b["checkpoints"][0]["note"].replace("9", "8", 1))(
                b
            )
        ),
        "checkpoint_signature",
        _NOTE,
    ),
    Manipulation(
        "checkpoint is no note",
        changed(_set("checkpoints.0.note", "9")),
        "checkpoint_signature",
        _NOTE,
    ),
    Manipulation("a log of the forger's own", changed(_own_log), "key_differs", _NOTE),
    Manipulation(
        "key of the bundle damaged",
        changed(_set("checkpoints.0.key", VKEY[:-4])),
        "key_form",
        _NOTE,
    ),
    Manipulation("another key given", intact, "key_differs", _NOTE, vkey=str(OTHER_LOG_KEY.vkey)),
    Manipulation(
        "missing ref",
        changed(_without_stream(LOT)),
        "ref_missing",
        "streams[0].records[1].refs[1]",
    ),
    Manipulation("fork in what is pending", _forked_pending, "record_fork", "pending[0]"),
    # the log itself holds something false
    Manipulation(
        "ref to another record", _ref_to_another, "ref_mismatch", "streams[0].records[2].refs[0]"
    ),
    Manipulation("time that falls", _time_falls, "time_falls", "streams[0].records[2]"),
    Manipulation(
        "link to another record",
        dishonest(prev=b"\x08" * 32),
        "prev_mismatch",
        "streams[0].records[2]",
    ),
    Manipulation("number left out", dishonest(seq=4), "seq_gap", "streams[0].records[2]"),
    Manipulation(
        "time of another form",
        dishonest(change=lambda f: f.update(recorded_at="2026-11-23T07:00:08Z")),
        "record_form",
        "streams[0].records[2]",
    ),
    Manipulation(
        "record of another version",
        dishonest(change=lambda f: f.update(v=2)),
        "record_form",
        "streams[0].records[2]",
    ),
    Manipulation(
        "signed field changed by the log",
        dishonest(change=lambda f: f["data"].update(carrier="nobody")),
        "signature_wrong",
        "streams[0].records[2].signed",
    ),
    Manipulation(
        "signed with another key",
        _signed_with(encode_base64(CARRIER_KEY.public_key().public_bytes_raw())),
        "signature_wrong",
        "streams[0].records[0].signed",
    ),
    Manipulation(
        "a key of small order",
        _signed_with(encode_base64(b"\x01" + bytes(31))),
        "signature_wrong",
        "streams[0].records[0].signed",
    ),
    Manipulation(
        "a key that is none", _signed_with(5), "signature_wrong", "streams[0].records[0].signed"
    ),
    Manipulation(
        "signature in no base64",
        dishonest(signature="§"),
        "signature_wrong",
        "streams[0].records[2].signed",
    ),
    Manipulation(
        "revoked key",
        _revoked(before_dispatch_s=5.001),
        "signature_revoked",
        "streams[0].records[1].signed",
    ),
    Manipulation(
        "key registered after it signed",
        _registered(after_dispatch_s=5.001),
        "signature_early",
        "streams[0].records[0].signed",
    ),
    Manipulation(
        "time that is none",
        dishonest(change=lambda f: f.update(recorded_at="2026-02-30T07:00:08.000Z")),
        "record_form",
        "streams[0].records[2]",
    ),
    # not evidence at all
    Manipulation("a list", list, "format", "format", exit_code=2),
    Manipulation(
        "another format",
        changed(_set("format", "suxin-evidence/2")),
        "format",
        "format",
        exit_code=2,
    ),
    Manipulation("no subject", changed(_set("subject", None)), "shape", "subject", exit_code=2),
    Manipulation("no streams", changed(_set("streams", None)), "shape", "streams", exit_code=2),
    Manipulation("pending null", changed(_set("pending", None)), "shape", "pending", exit_code=2),
    Manipulation(
        "a stream of text", changed(_set("streams.1", "x")), "shape", "streams[1]", exit_code=2
    ),
    Manipulation(
        "a hash of number",
        changed(_set("streams.0.records.1.hash", 5)),
        "shape",
        _RECORD_1,
        exit_code=2,
    ),
    Manipulation(
        "an index of truth",
        changed(_set("streams.0.records.1.leaf_index", True)),
        "shape",
        _RECORD_1,
        exit_code=2,
    ),
    Manipulation(
        "a checkpoint without key",
        changed(_set("checkpoints.0.key", None)),
        "shape",
        _NOTE,
        exit_code=2,
    ),
    Manipulation(
        "a key that cannot be read", intact, "key_given", exit_code=2, vkey="suxin.test/log"
    ),
    Manipulation("an empty key", intact, "key_given", exit_code=2, vkey=" \n"),
]


def _drop_tail(bundle: dict, count: int = 1) -> None:
    del unit_records(bundle)[-count:]


def _siblings(change: Callable[[list], Any]) -> Callable[[dict], None]:
    return lambda bundle: change(bundle["heads"]["siblings"])


def _heads(name: str, value: Any) -> Callable[[dict], None]:
    return _set(f"heads.{name}", value)


def _head_of_product(bundle: dict) -> None:
    """Another stream's proof, true by itself."""
    bundle["heads"] = mapped().proof_of_head(PRODUCT)


def _older_head_told(bundle: dict) -> None:
    item = unit_records(bundle)[2]
    bundle["heads"]["head"] = {"seq": 2, "hash": item["hash"]}


def _without_map_record(bundle: dict) -> None:
    bundle["streams"] = [s for s in bundle["streams"] if s["stream"] != HEADS]


def _map_record_pending(bundle: dict) -> None:
    item = bundle["streams"].pop()["records"][0]
    bundle["pending"] = [{"body": item["body"], "hash": item["hash"]}]


def _of_a_log_that_hid() -> dict[str, Any]:
    """The last record is gone from a log that was then signed anew; the old map tells of it."""
    log = mapped()
    heads = log.proof_of_head(UNIT)
    del log.entries[8]
    bundle = log.bundle()
    bundle["heads"] = heads
    return bundle


# What is wrong with the proof of completeness: (name, build, key).
_INCOMPLETE = [
    ("the last record left out", mapped_bundle(_drop_tail), "tail_hidden"),
    ("the last two left out", mapped_bundle(lambda b: _drop_tail(b, 2)), "tail_hidden"),
    ("the last record taken out of the log", _of_a_log_that_hid, "tail_hidden"),
    ("an older head", mapped_bundle(_older_head_told), "heads_proof"),
    ("another stream's head", mapped_bundle(_head_of_product), "heads_proof"),
    ("a head past all", mapped_bundle(_heads("head.seq", 2**64)), "heads_proof"),
    (
        "a sibling too many",
        mapped_bundle(_siblings(lambda s: s.append(encode_base64(b"\x01" * 32)))),
        "heads_proof",
    ),
    ("a sibling too few", mapped_bundle(_siblings(lambda s: s.pop())), "heads_proof"),
    ("no sibling", mapped_bundle(_siblings(lambda s: s.clear())), "heads_proof"),
    (
        "a sibling too short",
        mapped_bundle(_siblings(lambda s: s.insert(0, "AAAA"))),
        "heads_proof",
    ),
    (
        "a sibling in no base64",
        mapped_bundle(_siblings(lambda s: s.insert(0, "=A"))),
        "heads_proof",
    ),
    (
        "a leaf beside nothing",
        mapped_bundle(_siblings(lambda s: s.insert(0, encode_base64(bytes(32))))),
        "heads_proof",
    ),
    (
        "more siblings than a key has bits",
        mapped_bundle(_siblings(lambda s: s.extend([encode_base64(b"\x01" * 32)] * 256))),
        "heads_proof",
    ),
    ("no such record of a map", mapped_bundle(_heads("seq", 1)), "heads_record_missing"),
    ("no record of the map", mapped_bundle(_without_map_record), "heads_record_missing"),
    ("a map's record that is not in the log", mapped_bundle(_map_record_pending), "heads_unproven"),
    ("a record of another type", mapped_bundle(kind="notice"), "heads_record_form"),
    ("a map by somebody else", mapped_bundle(actor=SELLER), "heads_record_form"),
    ("a map without a root", mapped_bundle(data={"root": "00"}), "heads_record_form"),
    ("a map of another root", mapped_bundle(data={"root": "0" * 64}), "heads_proof"),
    ("a map of no size", mapped_bundle(data={"size": -1}), "heads_record_form"),
]
MANIPULATIONS += [Manipulation(name, build, key, "heads") for name, build, key in _INCOMPLETE]
MANIPULATIONS += [
    Manipulation(f"heads of another shape: {name}", mapped_bundle(change), "shape", "heads", 2)
    for name, change in {
        "none": _set("heads", None),
        "a list": _set("heads", []),
        "seq": _heads("seq", "0"),
        "negative": _heads("seq", -1),
        "no head": lambda b: b["heads"].pop("head"),
        "hash": _heads("head.hash", "AB" * 32),
        "a truth for a number": _heads("head.seq", True),
        "siblings": _heads("siblings", [1]),
    }.items()
]


def _pending_tail() -> dict[str, Any]:
    log = sold_unit()
    log.add(UNIT, "review", {"rating": 5}, actor="consumer", sequenced=False)
    return log.bundle()


def _key_not_shown() -> dict[str, Any]:
    return sold_unit().bundle(UNIT, PRODUCT, LOT)


def _key_made_up() -> dict[str, Any]:
    """The signature is somebody's, the key record that would fit it is in no log."""
    log = sold_unit(signed_by=CARRIER_KEY)
    log.add(
        f"party/{SELLER}",
        "signing_key",
        {
            "key_id": key_id(CARRIER_KEY),
            "public_key": encode_base64(CARRIER_KEY.public_key().public_bytes_raw()),
        },
        sequenced=False,
    )
    return log.bundle()


def _sequenced_meanwhile() -> dict[str, Any]:
    bundle = intact()
    item = unit_records(bundle)[3]
    bundle["pending"] = [{"body": item["body"], "hash": item["hash"]}]
    return bundle


def _cosigned() -> dict[str, Any]:
    bundle = intact()
    bundle["checkpoints"][0]["note"] = sold_unit().checkpoint(WITNESS, LOG_KEY)
    return bundle


# Evidence that is in order, and what of it must be named as not checked.
def _life(*told: tuple[Any, ...] | str, listed: bool = True, pending: int = 0) -> Any:
    """Evidence of a unit to which these things happened, told by the records alone.

    told: type, data and actor, the seller unless told.
    """

    def build() -> dict[str, Any]:
        log = SmallLog()
        log.add(PRODUCT, "registration", {"name": "端砚", "issuer": SELLER})
        listing = log.add(PRODUCT, "listing", {"platform": "商城"}) if listed else None
        log.add(UNIT, "registration", {"issuer": SELLER})
        for n, one in enumerate(told, start=1):
            kind, data, *by = (one, {}) if isinstance(one, str) else one
            actor = by[0] if by else SELLER
            refs = (listing,) if kind == "sale" and listing is not None else ()
            sequenced = n <= len(told) - pending
            log.add(UNIT, kind, data, actor=actor, refs=refs, sequenced=sequenced)
        return log.bundle()

    return build


def _late_listing() -> dict[str, Any]:
    """A listing of before the sale that was told only after it."""
    log = SmallLog()
    log.add(PRODUCT, "registration", {"issuer": SELLER})
    log.add(UNIT, "registration", {"issuer": SELLER})
    sale = log.add(UNIT, "sale")
    before = json.loads(sale.body)["occurred_at"]
    log.add(
        PRODUCT,
        "listing",
        {"platform": "商城"},
        change=lambda fields: fields.update(occurred_at=before),
    )
    log.add(UNIT, "dispatch")
    log.add(UNIT, "signature")
    return log.bundle()


def _late_sale(*, hours: int) -> Any:
    """A sale told last, of so many hours from the dispatch, before which the seller said it was signed for.

    So it lies between two signatures; the carrier's, told after the seller's, is the one that bounds it.
    """

    def build() -> dict[str, Any]:
        log = SmallLog()
        log.add(PRODUCT, "registration", {"issuer": SELLER})
        listing = log.add(PRODUCT, "listing", {"platform": "商城"})
        log.add(UNIT, "registration", {"issuer": SELLER})
        sent = log.add(UNIT, "dispatch", {"carrier": CARRIER})
        at = parse_time(json.loads(sent.body)["occurred_at"])

        def said(of: int) -> Any:
            told = format_time(at + timedelta(hours=of))
            return lambda fields: fields.update(occurred_at=told)

        log.add(UNIT, "signature", change=said(-4))
        log.add(UNIT, "signature", {"kind": "locker"}, actor=CARRIER)
        log.add(UNIT, "sale", refs=(listing,), change=said(hours))
        return log.bundle()

    return build


_WHOLE = ("there", "there", "there", "there")
_SENT = ("dispatch", {"carrier": CARRIER})
LIVES = [
    ("whole", intact, _WHOLE),
    ("whole, the listing told late", _late_listing, _WHOLE),
    (
        "signed for and never sent",
        _life("sale", "signature"),
        ("there", "there", "missing", "there"),
    ),
    ("sent and never sold", _life("dispatch"), ("none", "missing", "there", "none")),
    ("signed for alone", _life("signature"), ("none", "missing", "missing", "there")),
    (
        "sold without a listing",
        _life("sale", "dispatch", "signature", listed=False),
        ("missing", "there", "there", "there"),
    ),
    ("on its way", _life("sale", "dispatch"), ("there", "there", "there", "none")),
    (
        "on its way without having been sent",
        _life("sale", "transit"),
        ("there", "there", "missing", "none"),
    ),
    (
        "fetched",
        _life("sale", ("signature", {"kind": "pickup"})),
        ("there", "there", "unneeded", "there"),
    ),
    (
        "signed for, not proven yet",
        _life("sale", "dispatch", "signature", pending=1),
        ("there", "there", "there", "pending"),
    ),
    ("offered", _life(), ("there", "none", "none", "none")),
    (
        "come back and sold again",
        _life("dispatch", "return", "sale"),
        ("there", "there", "none", "none"),
    ),
    (
        "signed for by the seller, then by the carrier",
        _life("sale", _SENT, "signature", ("signature", {"kind": "locker"}, CARRIER)),
        _WHOLE,
    ),
    (
        "signed for by the seller, and refused",
        _life("sale", _SENT, "signature", ("refusal", {}, CARRIER), listed=False),
        ("none", "none", "none", "none"),
    ),
    ("sold between two signatures, told late", _late_sale(hours=-2), _WHOLE),
    (
        "sold after it was sent, told late",
        _late_sale(hours=1),
        ("none", "missing", "there", "there"),
    ),
    ("voided", _life("void"), ("none", "none", "none", "none")),
]
"""Name, evidence, and how it stands with listing, sale, dispatch, signature of the present life."""

ACCEPTED = [
    ("whole", intact, set()),
    ("with a proof of completeness", mapped_bundle(), None),
    (
        "with a proof, and records since",
        mapped_bundle(after=lambda log: [log.add(UNIT, "review"), log.add(LOT, "notice")]),
        None,
    ),
    ("with a proof of an earlier moment", mapped_bundle(below=8), None),
    ("of the product", lambda: sold_unit().bundle(PRODUCT, PRODUCT), set()),
    ("cosigned by a witness we do not know", _cosigned, set()),
    (
        "last record removed, which no bundle can show",
        changed(lambda b: unit_records(b).pop()),
        set(),
    ),
    ("with a record that is not in the log yet", _pending_tail, {"unchecked_pending"}),
    ("with a record that is both", _sequenced_meanwhile, set()),
    ("without the signers' keys", _key_not_shown, {"unchecked_signatures"}),
    ("with a key that no log proves", _key_made_up, {"unchecked_signatures", "unchecked_pending"}),
    ("key revoked later", _revoked(before_dispatch_s=-1), set()),
    ("key revoked in the same moment", _revoked(before_dispatch_s=0), set()),
    ("key revoked by a stream that was ahead", _revoked(before_dispatch_s=5), set()),
    ("key of a stream that was ahead", _registered(after_dispatch_s=5), set()),
]
