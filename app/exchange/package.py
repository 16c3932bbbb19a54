"""Packages of changes as files, and the receipts that come back. Pure; formats in docs/credit-store.md.

A package is a ZIP of three members:

    manifest.json   what is in it: format, number, sender's key name, times, counts, first and last key,
                    name, bytes, lines and SHA-256 of each other file
    manifest.sig    signed note (c2sp.org/signed-note) over the SHA-256 of manifest.json
    entries.jsonl   one change a line, as in app.exchange.change

A receipt is a signed note whose text is one line of JSON under a heading: what became of each.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, NoReturn

from app.exchange.change import Change
from app.kit.canonical import canonical_bytes, parse_json
from app.kit.clock import format_time
from app.kit.errors import Fault, Invalid, Malformed
from app.ledger.note import Signer, VerifierKey, open_note, sign_note

FORMAT = "suxin-credit-package/1"
RECEIPT = "suxin-credit-receipt/1"
MAX_CHANGES = 2_000
MAX_BYTES = 64 * 1024 * 1024
"""Of a package, and of what is unpacked from it."""

_MANIFEST, _SIGNATURE, _ENTRIES = "manifest.json", "manifest.sig", "entries.jsonl"
_MEMBERS = {_MANIFEST, _SIGNATURE, _ENTRIES}
# All that the library is known to raise for bytes that are no archive, or none that we wrote.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,  # among them NotImplementedError, for a way of packing that is not ours
)
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same changes give the same file


class PackageMalformed(Malformed):
    """This file is no package, or not the one that its sender signed."""


class ReceiptMalformed(Invalid):
    """This file is no receipt of the store."""


@dataclass(frozen=True, slots=True)
class Package:
    """name: without its ending. digest: SHA-256 of the manifest, hex. told: the changes as they stand."""

    name: str
    digest: str
    told: Sequence[Mapping[str, Any]]


def package_name(number: int) -> str:
    """Returns the name of a package, in the order of which they were made."""
    return f"credit-{number:08}"


def write_package(changes: Sequence[Change], *, number: int, signer: Signer, at: datetime) -> bytes:
    """Returns the bytes of a package."""
    entries = b"".join(canonical_bytes(change.as_json()) + b"\n" for change in changes)
    manifest = canonical_bytes(
        {
            "format": FORMAT,
            "name": package_name(number),
            "number": number,
            "sender": signer.vkey.name,
            "made_at": format_time(at),
            "count": len(changes),
            "first": changes[0].key,
            "last": changes[-1].key,
            "files": {
                _ENTRIES: {
                    "sha256": sha256(entries).hexdigest(),
                    "bytes": len(entries),
                    "lines": len(changes),
                }
            },
        }
    )
    note = sign_note(_signed_text(manifest), signer)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (
            (_MANIFEST, manifest),
            (_SIGNATURE, note.encode()),
            (_ENTRIES, entries),
        ):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def read_package(raw: bytes, keys: Sequence[VerifierKey]) -> tuple[Package, VerifierKey]:
    """Returns a package that one of `keys` signed, and which of them. Raises PackageMalformed."""
    members = _unpack(raw)
    manifest = members[_MANIFEST]
    signed = _signed_by(members[_SIGNATURE], _signed_text(manifest), keys)
    told = _object(manifest)
    listed = told.get("files")
    about = listed.get(_ENTRIES) if isinstance(listed, dict) else None
    number = told.get("number")
    if told.get("format") != FORMAT or not isinstance(about, dict) or type(number) is not int:
        _malformed("manifest")
    entries = members[_ENTRIES]
    if about.get("sha256") != sha256(entries).hexdigest() or about.get("bytes") != len(entries):
        _malformed("checksum")
    lines = entries.split(b"\n")
    changes = [_object(line) for line in lines[:-1]]
    if lines[-1] or told.get("count") != len(changes) or about.get("lines") != len(changes):
        _malformed("count")
    if not 0 < len(changes) <= MAX_CHANGES or not all(_is_change(one) for one in changes):
        _malformed("count")
    return Package(package_name(number), sha256(manifest).hexdigest(), changes), signed


def write_receipt(
    package: Package, results: Sequence[Mapping[str, Any]], *, signer: Signer, at: datetime
) -> str:
    """Returns the receipt. results: of each change, with `key` and `result` stored or refused."""
    told = {
        "package": package.name,
        "manifest": package.digest,
        "taken_at": format_time(at),
        "stored": sum(one["result"] == "stored" for one in results),
        "refused": sum(one["result"] == "refused" for one in results),
        "results": list(results),
    }
    return sign_note(f"{RECEIPT}\n{canonical_bytes(told).decode()}\n", signer)


def read_receipt(raw: bytes, key: VerifierKey) -> Mapping[str, Any]:
    """Returns what a receipt of the store says. Raises ReceiptMalformed."""
    try:
        text = open_note(raw, [key]).text
        heading, told, rest = text.split("\n")
        found = parse_json(told.encode())
    except (Fault, ValueError) as err:
        raise ReceiptMalformed("receipt_malformed") from err
    results = found.get("results") if isinstance(found, dict) else None
    if heading != RECEIPT or rest or not isinstance(results, list):
        raise ReceiptMalformed("receipt_malformed")
    if not all(isinstance(one, dict) and isinstance(one.get("key"), str) for one in results):
        raise ReceiptMalformed("receipt_malformed")
    told_of: Mapping[str, Any] = found
    return told_of


def _signed_text(manifest: bytes) -> str:
    return f"{FORMAT}\n{sha256(manifest).hexdigest()}\n"


def _signed_by(note: bytes, text: str, keys: Sequence[VerifierKey]) -> VerifierKey:
    for key in keys:  # one by one: two senders may call their keys alike
        try:
            if open_note(note, [key]).text == text:
                return key
        except Fault:
            continue
    raise PackageMalformed("package_unsigned")


def _unpack(raw: bytes) -> dict[str, bytes]:
    if len(raw) > MAX_BYTES:
        _malformed("size")
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = archive.infolist()
            if len(members) != len(_MEMBERS) or {m.filename for m in members} != _MEMBERS:
                _malformed("members")
            for member in members:
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    _malformed("members")
                # What the directory says of a size may be a lie; what is read is bounded.
                with archive.open(member) as file:
                    content = file.read(MAX_BYTES + 1)
                if len(content) > MAX_BYTES:
                    _malformed("size")
                found[member.filename] = content
    except _DAMAGED as err:
        raise PackageMalformed("package_malformed", part="zip") from err
    return found


def _object(raw: bytes) -> dict[str, Any]:
    try:
        told = parse_json(raw)
    except Malformed as err:
        raise PackageMalformed("package_malformed", part="json") from err
    if not isinstance(told, dict):
        _malformed("json")
    return told


def _is_change(told: Mapping[str, Any]) -> bool:
    return (
        set(told) == {"key", "hash", "record"}
        and isinstance(told["key"], str)
        and isinstance(told["hash"], str)
        and isinstance(told["record"], dict)
    )


def _malformed(part: str) -> NoReturn:
    raise PackageMalformed("package_malformed", part=part)
