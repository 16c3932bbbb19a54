"""Writes the vectors that every verifier of ours is held to: `python -m tests.vectors.make`.

Python's two verifiers and the browser's module read the same files and must accept and refuse the same,
for the same reason where they name one. A test compares what is committed with what this makes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.ledger.bundle import verify_bundle_bytes
from app.ledger.merkle import EMPTY_ROOT, leaf_hash, root_of
from app.ledger.note import encode_base64, sign_note
from app.ledger.tiles import append_tiles, consistency_proof_from_tiles, inclusion_proof_from_tiles
from tests.ledger.bundles import (
    LIVES,
    LOG_KEY,
    MANIPULATIONS,
    ORIGIN,
    OTHER_LOG_KEY,
    VKEY,
    WITNESS,
    intact,
    mapped_bundle,
)

FOLDER = Path(__file__).parent
Vector = dict[str, Any]

# c2sp.org/signed-note: the specification's own key and note.
C2SP_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
C2SP_NOTE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlT"
    "gK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
# golang.org/x/mod and transparency-dev: `+` inside the base64 of key and signature.
TESTDATA_VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
TESTDATA_NOTE = (
    "example.com/log/testdata\n15\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=\n\n"
    "— example.com/log/testdata M9e0luh4jTG+UMBqOUo9/q+yAEvx1ilBEniMvjf1zfcBOhg+CKubMt53MvIt/uEWP6zd"
    "kdIQzd/fmwlM/dlPWF74ewI=\n"
)
ROOT = encode_base64(bytes(range(32)))
TEXT = f"{ORIGIN}\n9\n{ROOT}\n"
NOTE = sign_note(TEXT, LOG_KEY)
FALSE_LINE = sign_note("another text\n", LOG_KEY).split("\n\n")[1]

# What was done -> a bundle of each fate; the whole list is compared as it is made, in the tests.
CHOSEN = (
    "flipped byte in a body", "record hashed anew", "removed record in the middle",
    "body not canonical", "proof one hash too long", "size with a leading zero",
    "a log of the forger's own", "missing ref", "revoked key", "a list", "an empty key",
    "the last record left out", "a sibling too few", "a leaf beside nothing",
    "a map by somebody else", "heads of another shape: siblings",
)  # fmt: skip


def vkeys() -> Iterator[Vector]:
    name, key_id, encoded = VKEY.split("+", 2)

    def made(name_: str, text: str, refused: str = "") -> Vector:
        return {"name": name_, "vkey": text, "refused": refused}

    yield made("of the signed-note specification", C2SP_VKEY)
    yield made("with + inside its base64", TESTDATA_VKEY)
    yield made("ours", VKEY)
    yield made("empty", "", "note_key.form")
    yield made("without its key", f"{name}+{key_id}", "note_key.form")
    yield made("id in capitals", f"{name}+{key_id.upper()}+{encoded}", "note_key.form")
    yield made("id too short", f"{name}+{key_id[:7]}+{encoded}", "note_key.form")
    yield made("id of another key", f"{name}+00000000+{encoded}", "note_key.id")
    yield made("another name", f"x{VKEY}", "note_key.id")
    yield made("no name", f"+{key_id}+{encoded}", "note_key.name")
    yield made("a space in its name", f"a b+{key_id}+{encoded}", "note_key.name")
    yield made("a wide space in its name", f"a\u3000b+{key_id}+{encoded}", "note_key.name")
    yield made("base64 without padding", f"{name}+{key_id}+{encoded[:-2]}A", "note_key.base64")
    yield made("base64 with - for +", f"{name}+{key_id}+-{encoded[1:]}", "note_key.base64")
    yield made("base64 with stray low bits", f"{name}+{key_id}+AB==", "note_key.base64")
    yield made("one byte too many", f"{name}+{key_id}+{_key(1, bytes(33))}", "note_key.kind")
    yield made("of a witness", f"{name}+{key_id}+{_key(4, bytes(32))}", "note_key.kind")
    one = b"\x01" + bytes(31)
    yield made("of small order", f"{name}+{key_id}+{_key(1, one)}", "public_key")
    off = b"\x02" + bytes(31)
    yield made("no point of the curve", f"{name}+{key_id}+{_key(1, off)}", "public_key")
    large = b"\xff" * 32
    yield made("not canonical", f"{name}+{key_id}+{_key(1, large)}", "public_key")


def _key(kind: int, raw: bytes) -> str:
    return encode_base64(bytes([kind]) + raw)


def notes() -> Iterator[Vector]:
    def made(name: str, note: str, refused: str = "", vkey: str = VKEY) -> Vector:
        return {"name": name, "note": note, "vkey": vkey, "refused": refused}

    line = NOTE.split("\n\n")[1]
    yield made("of the signed-note specification", C2SP_NOTE, vkey=C2SP_VKEY)
    yield made("with + inside its base64", TESTDATA_NOTE, vkey=TESTDATA_VKEY)
    yield made("ours", NOTE)
    yield made("with a signature of somebody else", sign_note(TEXT, WITNESS, LOG_KEY))
    yield made("empty lines in its text", sign_note("a\n\nb\n", LOG_KEY))
    yield made("by another key of the name", sign_note(TEXT, OTHER_LOG_KEY), "note_unsigned")
    yield made("by somebody else", sign_note(TEXT, WITNESS), "note_unsigned")
    yield made("text changed", NOTE.replace("\n9\n", "\n8\n"), "signature_invalid")
    yield made("signed truly and falsely", NOTE + FALSE_LINE, "signature_invalid")
    yield made("signature one byte short", f"{TEXT}\n{_line(line, 63)}", "signature_invalid")
    yield made("signature one byte long", f"{TEXT}\n{_line(line, 65)}", "signature_invalid")
    yield made("empty", "", "note_form.signatures")
    yield made("without signatures", TEXT, "note_form.signatures")
    yield made("without an empty line", NOTE.replace("\n\n", "\n"), "note_form.signatures")
    yield made("without its last line feed", NOTE[:-1], "note_form.signatures")
    yield made("an empty line below", f"{NOTE}\n", "note_form.signatures")
    yield made("101 signatures", NOTE + line * 100, "note_form.signatures")
    yield made("a carriage return", NOTE.replace("\n9\n", "\r\n9\n"), "note_form.control")
    yield made("a tab", NOTE.replace("\n9\n", "\n9\t\n"), "note_form.control")
    yield made("a hyphen for its dash", NOTE.replace("— ", "- "), "note_form.signature")
    yield made("a name with +", NOTE.replace(f"— {ORIGIN}", "— a+b"), "note_form.signature")
    yield made("a signature without padding", f"{NOTE[:-2]}\n", "note_form.signature")
    yield made("a signature of 4 bytes", f"{TEXT}\n— {ORIGIN} AAAAAA==\n", "note_form.signature")
    yield made("two spaces", NOTE.replace(f"{ORIGIN} ", f"{ORIGIN}  "), "note_form.signature")


def _line(line: str, length: int) -> str:
    mark, name, encoded = line.rstrip("\n").split(" ")
    blob = (base64.b64decode(encoded) + bytes(1))[: 4 + length]
    return f"{mark} {name} {encode_base64(blob)}\n"


def checkpoints() -> Iterator[Vector]:
    empty = encode_base64(EMPTY_ROOT)

    def made(name: str, text: str, refused: str = "") -> Vector:
        return {"name": name, "text": text, "refused": refused}

    yield made("of nine entries", TEXT)
    yield made("of none", f"{ORIGIN}\n0\n{empty}\n")
    yield made("with an extension", f"{TEXT}more\n")
    yield made("the largest", f"{ORIGIN}\n{2**63 - 1}\n{ROOT}\n")
    yield made("too large", f"{ORIGIN}\n{2**63}\n{ROOT}\n", "checkpoint_form.size")
    yield made("far too large", f"{ORIGIN}\n{'9' * 40}\n{ROOT}\n", "checkpoint_form.size")
    for size in ("09", "00", "0x9", "+9", "-9", " 9", "9 ", "9.0", "1e1", "٩", "９"):
        yield made(f"size {size}", f"{ORIGIN}\n{size}\n{ROOT}\n", "checkpoint_form.size")
    yield made("none, with a root", f"{ORIGIN}\n0\n{ROOT}\n", "checkpoint_form.root")
    yield made(
        "root too short", f"{ORIGIN}\n9\n{encode_base64(bytes(31))}\n", "checkpoint_form.root"
    )
    yield made("root without padding", f"{ORIGIN}\n9\n{ROOT[:-1]}\n", "checkpoint_form.root")
    yield made("root with stray low bits", f"{ORIGIN}\n9\n{ROOT[:-2]}9=\n", "checkpoint_form.root")
    yield made("no root", f"{ORIGIN}\n9\n", "checkpoint_form.lines")
    yield made("no last line feed", TEXT[:-1], "checkpoint_form.lines")
    yield made("an empty line", f"{ORIGIN}\n\n{ROOT}\n", "checkpoint_form.lines")


def proofs() -> Iterator[Vector]:
    size = 13
    entries = [bytes([n]) * 32 for n in range(size)]
    leaves = [leaf_hash(entry) for entry in entries]
    root, old = root_of(leaves), root_of(leaves[:6])
    tiles = append_tiles(0, entries, lambda *_: None)
    proof = inclusion_proof_from_tiles(5, size, lambda *at: tiles.get(at))
    grown = consistency_proof_from_tiles(6, size, lambda *at: tiles.get(at))
    spare = bytes(32)

    def inclusion(name: str, refused: str = "", **more: Any) -> Vector:
        told = {"index": 5, "size": size, "leaf": leaves[5], "proof": proof, "root": root} | more
        return _proof("inclusion", name, refused, told)

    def consistency(name: str, refused: str = "", **more: Any) -> Vector:
        told = {"size1": 6, "size2": size, "root1": old, "root2": root, "proof": grown} | more
        return _proof("consistency", name, refused, told)

    yield inclusion("true")
    yield inclusion("one hash too long", "proof_length", proof=[*proof, spare])
    yield inclusion("one hash too short", "proof_length", proof=proof[:-1])
    yield inclusion("none", "proof_length", proof=[])
    yield inclusion("a hash of 31 bytes", "proof_hash", proof=[proof[0][:31], *proof[1:]])
    yield inclusion("two hashes swapped", "proof_root", proof=[proof[1], proof[0], *proof[2:]])
    yield inclusion("of another leaf", "proof_root", leaf=leaves[4])
    yield inclusion("at another place", "proof_root", index=4)
    yield inclusion("another root", "proof_root", root=spare)
    yield inclusion("index below", "proof_index", index=-1)
    yield inclusion("index at the size", "proof_index", index=size)
    yield inclusion("index beyond 2^53", "proof_index", index=2**53 + 1)
    yield inclusion("index and size beyond 2^53", "proof_length", index=5, size=2**60)
    yield consistency("true")
    yield consistency("of itself", size1=size, root1=root, proof=[])
    yield consistency("one hash too long", "proof_length", proof=[*grown, spare])
    yield consistency("one hash too short", "proof_length", proof=grown[:-1])
    yield consistency(
        "of itself, with a hash", "proof_length", size1=size, root1=root, proof=[spare]
    )
    yield consistency("of itself, another root", "proof_root", size1=size, proof=[])
    yield consistency("another old root", "proof_root", root1=spare)
    yield consistency("another new root", "proof_root", root2=spare)
    yield consistency("roots swapped", "proof_root", root1=root, root2=old)
    yield consistency("a hash of 33 bytes", "proof_hash", proof=[grown[0] + b"\0", *grown[1:]])
    yield consistency("from nothing", "proof_sizes", size1=0, root1=EMPTY_ROOT, proof=[])
    yield consistency("shrinking", "proof_sizes", size1=size + 1)


def _proof(kind: str, name: str, refused: str, told: dict[str, Any]) -> Vector:
    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [encode_base64(part) for part in value]
        # Numbers as text: a browser's JSON.parse would round the large ones.
        return encode_base64(value) if isinstance(value, bytes) else str(value)

    shown = {key: plain(value) for key, value in told.items()}
    return {"name": f"{kind}: {name}", "kind": kind, **shown, "refused": refused}


def tile_paths() -> Iterator[Vector]:
    right = (
        "tile/0/000", "tile/7/000.p/1", "tile/entries/999.p/255", "tile/0/x001/000",
        "tile/0/x001/x234/067", "tile/2/x036/x028/x797/x018/x963/967",
    )  # fmt: skip
    wrong = (
        "", "tile/0", "tile/8/000", "tile/-1/000", "tile/00/000", "tile/0/0", "tile/0/0000",
        "tile/0/x000/001", "tile/0/001/000", "tile/0/x001", "tile/0/000.p/0", "tile/0/000.p/01",
        "tile/0/000.p/256", "tile/0/000.p/1000", "tile/0/000.p/", "tile/0/000/", "/tile/0/000",
        "tile/0/x036/x028/x797/x018/x963/968", "tile/0/x999/x999/x999/x999/x999/999",
        "tile/0/x001/x001/x001/x001/x001/x001/001", "tile/0/٠٠٠", "tile/0/000\n", "tile/data/000",
    )  # fmt: skip
    for path in right:
        yield {"name": path, "path": path, "refused": ""}
    for path in wrong:
        yield {"name": path, "path": path, "refused": "tile_path"}


def bodies() -> Iterator[Vector]:
    """Texts of a record's body; base64, since some are no UTF-8."""
    for body, refused in (
        ('{"a":"端砚","b":[true,-1,{}],"c":""}', ""),
        ('{"a":9007199254740991}', ""),
        ('{"a":"\u2028"}', ""),
        ('{"a":"\u0378e\u0301"}', ""),  # of what is not assigned nobody can tell
        ('{"__proto__":1,"constructor":2}', ""),
        ("{}", ""),
        ('{"a":[[[[[[[1]]]]]]]}', ""),
        ('{"a":[[[[[[[[1]]]]]]]]}', "invalid.depth"),
        ('{"a":9007199254740992}', "invalid.range"),
        ('{"a":12345678901234567890}', "invalid.range"),
        ('{"a":1.0}', "invalid.float"),
        ('{"a":1E2}', "invalid.float"),
        ('{"a":1e999}', "invalid.float"),
        ('{"a":null}', "invalid.null"),
        ('{"é":1}', "invalid.key"),
        ('{"a\x7f":1}', "invalid.key"),
        ('{"a":"e\u0301"}', "invalid.nfc"),
        ('{"a":"\u212b"}', "invalid.nfc"),
        ('{"a":"\u0085"}', "invalid.control"),
        ('{"a":"\x7f"}', "invalid.control"),
        ('{"a":"\\n"}', "invalid.control"),
        ('{"a":1,"a":1}', "duplicate_key"),
        ('{"a":1,"\\u0061":2}', "duplicate_key"),
        ('{"a":{"b":1,"b":2}}', "duplicate_key"),
        ('{"a":"\\ud800"}', "lone_surrogate"),
        ('{"a":"\\udc00\\ud800"}', "lone_surrogate"),
        ('{"b":1,"a":1}', "not_canonical"),
        ('{"a": 1}', "not_canonical"),
        ('{"a":1}\n', "not_canonical"),
        ('{"a":-0}', "not_canonical"),
        ('{"a":"\\u00e9"}', "not_canonical"),
        ('{"a":"\\/"}', "not_canonical"),
        ('{"a":"\\ud83d\\ude00"}', "not_canonical"),
        ("1", "not_object"),
        ("[]", "not_object"),
        ('"a"', "not_object"),
        ("", "not_json"),
        ("{", "not_json"),
        ("{}{}", "not_json"),
        ("{'a':1}", "not_json"),
        ('{"a":01}', "not_json"),
        ('{"a":+1}', "not_json"),
        ('{"a":1.}', "not_json"),
        ('{"a":.5}', "not_json"),
        ('{"a":NaN}', "not_json"),
        ('{"a":-Infinity}', "not_json"),
        ('{"a":1,}', "not_json"),
        ('{"a":tru}', "not_json"),
        ('{"a":"\t"}', "not_json"),
        ('{"a":"\\x"}', "not_json"),
        ('{"a":"\\u12"}', "not_json"),
        ("\ufeff{}", "not_json"),
        ('{"a":\u00a01}', "not_json"),
        ('{"a":' + "9" * 5000 + "}", "not_json"),
    ):
        yield {"name": body[:40], "body": encode_base64(body.encode()), "refused": refused}
    for raw in (b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xc0\x80"}', b"\xff\xfe{\0}\0"):
        yield {"name": raw.hex(), "body": encode_base64(raw), "refused": "not_utf8"}


def bundles() -> Iterator[Vector]:
    chosen = [case for case in MANIPULATIONS if case.name in CHOSEN]
    good = [
        ("in order", intact, VKEY),
        ("in order, without a key", intact, None),
        ("complete by a map", mapped_bundle(), VKEY),
        *((name, build, VKEY) for name, build, _ in LIVES[1:]),
    ]
    for name, build, vkey in [*good, *((case.name, case.build, case.vkey) for case in chosen)]:
        raw = json.dumps(build(), ensure_ascii=False)
        report = verify_bundle_bytes(raw.encode(), vkey=vkey).as_json()
        yield {"name": name, "bundle": raw, "vkey": vkey, "report": report}


KINDS = {
    "vkeys": vkeys, "notes": notes, "checkpoints": checkpoints, "proofs": proofs,
    "tile_paths": tile_paths, "bodies": bodies, "bundles": bundles,
}  # fmt: skip


def text_of(kind: str) -> str:
    return json.dumps(list(KINDS[kind]()), ensure_ascii=True, indent=1) + "\n"


def read(kind: str) -> list[Vector]:
    vectors: list[Vector] = json.loads((FOLDER / f"{kind}.json").read_text("ascii"))
    return vectors


if __name__ == "__main__":
    for name in KINDS:
        (FOLDER / f"{name}.json").write_text(text_of(name), "ascii")
