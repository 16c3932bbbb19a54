"""Evidence packages: a chain and all that a third party needs to check it without us, as one zip file.

Beside the evidence bundle: the signed checkpoints with their cosignatures, the public keys, the programs
that check, how to run them, and a statement of who made it, when and how, what it proves and what not.
`MANIFEST.txt` is a signed note (by the key of `/log/receipt-key`) over the SHA-256 of every file:

    suxin-package/1
    <name of the chain>
    <when it was made>
    <SHA-256>  <file>
    …

Sealed sections are there only for who may open them and asked to; an authority states a purpose, and the
look is logged. They come with their salts, so that anybody can hold them against the commitments.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import orjson

from app import __version__
from app.db.engine import Database
from app.i18n import LANGUAGES, Lang, format_moment, text
from app.kit.clock import SHANGHAI, Clock, format_time
from app.kit.errors import Conflict, Unavailable
from app.kit.tables import write_csv
from app.ledger.note import NoteSigner, VerifierKey, sign_note
from app.ledger.prover import InLog
from app.ledger.store import StoredRecord
from app.ledger.witnesses import Cosigning
from app.oversight.casework import Casework
from app.oversight.finding_rows import as_text
from app.oversight.looks import Look, Looks
from app.oversight.sealed import SealedAccess
from app.parties.principal import Principal
from app.trace.code import Code
from app.trace.evidence import make_bundle
from app.trace.identifiers import parse_code
from app.trace.story_part import ChainTooLong, whole

FORMAT: Final = "suxin-package/1"
MANIFEST: Final = "MANIFEST.txt"
MOST_RECORDS: Final = 20_000
MOST_BYTES: Final = 64 * 1024 * 1024

_SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
_PROGRAMS = ("verify_proof.py", "verify_bundle.py")
_CHUNK = 64 * 1024
_COLUMNS = (
    "stream", "seq", "recorded_at", "occurred_at", "type", "actor", "source", "hash", "log", "leaf_index",
)  # fmt: skip


class NoChain(Conflict):
    """The finding is about no goods, so there is no chain to pack."""

    slug = "no-chain"


@dataclass(frozen=True, slots=True)
class Package:
    """A package before it is sent. parts: (name, bytes), the manifest last."""

    stream: str
    made_at: datetime
    parts: Sequence[tuple[str, bytes]]

    @property
    def file_name(self) -> str:
        """What to call the zip: letters, digits and hyphens."""
        safe = "".join(char if char.isascii() and char.isalnum() else "-" for char in self.stream)
        return f"evidence-{safe}.zip"

    def stream_zip(self) -> Iterator[bytes]:
        """Yields the zip file in parts of some 64 KiB."""
        sink = _Sink()
        local = self.made_at.astimezone(SHANGHAI).timetuple()[:6]
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for name, raw in self.parts:
                info = zipfile.ZipInfo(name, local)
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = 0o644 << 16
                with archive.open(info, "w") as member:
                    for start in range(0, len(raw), _CHUNK):
                        member.write(raw[start : start + _CHUNK])
                        yield from sink.take()
        yield from sink.take()


class _Sink(io.RawIOBase):
    """Where a zip file is written to that is sent as it grows: it cannot go back."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raw = bytes(data)
        self._waiting.append(raw)
        return len(raw)

    def take(self) -> Iterator[bytes]:
        """Yields what was written since."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            yield b"".join(waiting)


class Packages:
    """Makes packages. Writes `access_log` where somebody opens what others sealed."""

    def __init__(
        self,
        database: Database,
        looks: Looks,
        casework: Casework,
        sealed: SealedAccess,
        cosigning: Cosigning,
        signer: NoteSigner,
        *,
        clock: Clock,
        log_keys: Sequence[VerifierKey],
        base_url: str,
    ) -> None:
        self._database = database
        self._looks = looks
        self._casework = casework
        self._sealed = sealed
        self._cosigning = cosigning
        self._signer = signer
        self._clock = clock
        self._log_keys = log_keys
        self._base_url = base_url

    def of_code(
        self,
        code: Code,
        principal: Principal | None = None,
        *,
        sealed: bool = False,
        purpose: str | None = None,
    ) -> Package:
        """Returns the package of a chain. sealed: with the sections that `principal` may open.

        Raises CodeUnknown, ChainTooLong, Unavailable; with `sealed` what `SealedAccess.read` raises.
        """
        return self._make(code, principal, sealed=sealed, purpose=purpose, finding=None)

    def of_finding(
        self,
        finding: str,
        principal: Principal,
        *,
        sealed: bool = False,
        purpose: str | None = None,
    ) -> Package:
        """Returns the package of a finding's chain, with the finding.

        Raises FindingUnknown, also for one that is not the principal's to see; NoChain; else as `of_code`.
        """
        row = self._casework.get(principal, finding)
        if not row.stream_name.startswith("01/"):
            raise NoChain("no_chain", id=finding)
        code = parse_code(row.stream_name)
        return self._make(code, principal, sealed=sealed, purpose=purpose, finding=row)

    def _make(
        self,
        code: Code,
        principal: Principal | None,
        *,
        sealed: bool,
        purpose: str | None,
        finding: Any | None,
    ) -> Package:
        now = self._clock.now()
        look = self._looks.look(code, whole(MOST_RECORDS))
        if len(look.story.records) > MOST_RECORDS:
            raise ChainTooLong("chain_too_long", limit=MOST_RECORDS)
        opened = None
        if sealed and principal is not None:
            opened = self._sealed.open_with_salts(principal, code, purpose=purpose)
        with self._database.read() as connection:
            bundle = make_bundle(
                connection, look.story, look.verification, log_keys=self._log_keys, now=now
            )
        parts = dict(self._parts(look, bundle))
        if finding is not None:
            parts["finding.json"] = _pretty(as_text(finding))
        if opened is not None:
            parts["sealed.json"] = _pretty({"purpose": purpose or "", "sections": opened})
        for lang in LANGUAGES:
            parts[f"README.{lang}.txt"] = self._readme(lang, code, parts)
            parts[f"STATEMENT.{lang}.txt"] = self._statement(lang, look, bundle, now, parts)
        for name in _PROGRAMS:
            parts[name] = _program(name)
        if sum(map(len, parts.values())) > MOST_BYTES:
            raise ChainTooLong("chain_too_long", limit=MOST_RECORDS)
        manifest = self._manifest(code.stream, now, parts)
        ordered = [*sorted(parts.items()), (MANIFEST, manifest.encode())]
        return Package(code.stream, now, ordered)

    def _parts(self, look: Look, bundle: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
        yield "bundle.json", orjson.dumps(bundle)
        yield "records.csv", _table(look.story.records, look.verification.in_log)
        witnesses: dict[str, None] = {}
        for number, one in enumerate(bundle["checkpoints"], 1):
            yield f"checkpoints/{number}.txt", one["note"].encode()
            witnesses |= {str(seen.key): None for seen in self._cosigning.read(one["note"])}
        yield "keys/log.vkey", "".join(f"{key}\n" for key in self._log_keys).encode()
        yield "keys/receipt.vkey", f"{self._signer.vkey}\n".encode()
        if witnesses:
            yield "keys/witnesses.vkey", "".join(f"{key}\n" for key in witnesses).encode()

    def _readme(self, lang: Lang, code: Code, parts: Mapping[str, bytes]) -> bytes:
        listed = [
            f"  {name}  {text(lang, f'package.file.{_kind(name)}')}"
            for name in (*parts, "STATEMENT", *_PROGRAMS, MANIFEST)
            if not name.startswith(("README", "STATEMENT."))
        ]
        told = text(
            lang,
            "package.readme",
            stream=code.stream,
            service=self._base_url,
            files="\n".join(listed),
        )
        return f"{told.rstrip()}\n".encode()

    def _statement(
        self,
        lang: Lang,
        look: Look,
        bundle: Mapping[str, Any],
        now: datetime,
        parts: Mapping[str, bytes],
    ) -> bytes:
        def moment(at: datetime) -> str:
            return f"{format_moment(lang, at)} ({format_time(at)})"

        signed = [
            text(
                lang,
                "package.statement.log",
                origin=one["origin"],
                size=one["note"].split("\n")[1],
                root=one["note"].split("\n")[2],
                witnesses=", ".join(
                    f"{seen.key.name} {moment(seen.at)}"
                    for seen in self._cosigning.read(one["note"])
                )
                or text(lang, "package.statement.no_witness"),
            )
            for one in bundle["checkpoints"]
        ]
        heads = bundle.get("heads")
        told = text(
            lang,
            "package.statement",
            stream=look.story.code.stream,
            service=self._base_url,
            signer=str(self._signer.vkey),
            made_at=moment(now),
            version=__version__,
            verdict=text(lang, f"package.verdict.{look.verdict}"),
            count=sum(len(one["records"]) for one in bundle["streams"]),
            pending=len(bundle["pending"]),
            logs="\n".join(signed),
            complete=text(
                lang,
                "package.statement.complete" if heads else "package.statement.no_heads",
                **({"seq": heads["head"]["seq"]} if heads else {}),
            ),
            sealed=text(
                lang,
                "package.statement.sealed"
                if "sealed.json" in parts
                else "package.statement.closed",
            ),
        )
        return f"{told.rstrip()}\n".encode()

    def _manifest(self, stream: str, now: datetime, parts: Mapping[str, bytes]) -> str:
        lines = [FORMAT, stream, format_time(now)]
        lines += [f"{sha256(parts[name]).hexdigest()}  {name}" for name in sorted(parts)]
        return sign_note("\n".join([*lines, ""]), self._signer)


def _table(records: Iterable[StoredRecord], in_log: Mapping[tuple[str, int], InLog]) -> bytes:
    """Returns the records one a line, to be looked at; what is checked is the bundle."""
    return b"".join(write_csv([_COLUMNS, *(_line(record, in_log) for record in records)]))


def _line(record: StoredRecord, in_log: Mapping[tuple[str, int], InLog]) -> list[object]:
    place = in_log[(record.stream, record.seq)]
    try:
        fields: Mapping[str, Any] = record.fields
    except ValueError:  # altered bytes; the hash tells which
        fields = {}
    told = [str(fields.get(name, "")) for name in _COLUMNS[2:7]]
    index = "" if place.index is None else str(place.index)
    return [record.stream, record.seq, *told, record.hash.hex(), place.origin, index]


def _kind(name: str) -> str:
    """Returns which sentence says what a file is."""
    return name.partition("/")[0].partition(".")[0].lower()


def _pretty(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


def _program(name: str) -> bytes:
    try:
        return (_SCRIPTS / name).read_bytes()
    except OSError as err:  # installed without its checkout
        raise Unavailable("verifier_missing", path=str(_SCRIPTS / name)) from err
