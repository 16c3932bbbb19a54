"""Documents that parties hand in with objections, wishes for repair, decisions and entries.

A record names a document by its digest and keeps nothing of it; here it is kept, sealed, for those who
are to read it: who handed it in, the party whose record names it, since nobody can answer to what is kept
from it, and regulators in office for that party. What is handed in is no part of the chain: it is removed
when no record names it within a day, or three years after the last matter that named it has ended. The
digest in the record stays.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection

from app.credit import documentstore
from app.credit.document_bodies import fault_of_body
from app.credit.document_kinds import MOST_BYTES, WORDS, clean_name, kind_of, plain_name
from app.credit.document_uses import TYPES, Named, digests_of
from app.db.engine import Database
from app.kit.clock import Clock, from_ms, to_ms
from app.kit.errors import Fault, FieldFault, NotFound, invalid
from app.ledger import store as ledger_store
from app.ledger.vault import SALT_BYTES, SealBroken, Vault
from app.parties.looking import log_look
from app.parties.offices import sees_whole
from app.parties.principal import Principal
from app.parties.roles import ACTIONS

KEEP, READ = "document.keep", "document.read"
UNNAMED: Final = timedelta(days=1)
"""For how long a document waits for a record to name it."""
AFTER_END: Final = timedelta(days=3 * 366)
"""For how long it is kept after the last matter that named it has ended."""

_MB: Final = 1024 * 1024
_PAGE: Final = 100


class DocumentUnknown(NotFound):
    """There is no such document, or not for you."""


class DocumentAltered(Fault):
    """What is kept is not what was handed in: it does not open, or does not fit its digest."""

    slug = "document-altered"


@dataclass(frozen=True, slots=True)
class Handed:
    """A file as it came. loc: where, for a refusal. name: as its sender called it."""

    loc: tuple[str, ...]
    name: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """A document that is kept. size: bytes. waits_until: when it is removed unless a record names it."""

    digest: str
    name: str
    kind: str
    size: int
    kept_at: datetime
    waits_until: datetime | None


@dataclass(frozen=True, slots=True)
class Told:
    """What a reader is told of a digest that a record names. document: None where he may not read it."""

    digest: str
    kept: bool
    document: Kept | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A document with its content, which fits its digest."""

    name: str
    kind: str
    content: bytes


class Documents:
    """Keeps documents and hands them out. most_mb: MB (of 1,048,576 bytes) that a party may keep here.

    `forget` is a loop of the worker.
    """

    def __init__(self, database: Database, *, clock: Clock, vault: Vault, most_mb: int) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._most_mb = most_mb

    def keep(self, principal: Principal, files: Sequence[Handed]) -> list[tuple[Kept, bool]]:
        """Returns each file as it is kept, and whether it was before: all of them, or none.

        What is kept already keeps its first name, and is taken though a rule that came since would refuse it.
        Raises what `check_may` raises; Invalid, with every file that is empty, too large, of another kind,
        damaged, or more than the party may keep; Overloaded. Writes `document`.
        """
        principal.check_may(KEEP)
        party = principal.own_party()
        with self._database.read() as connection:
            known = _find_kept(connection, party, files)
        _check(files, known)
        sealed = {row["digest"]: row for row in (self._sealed(party, file) for file in files)}
        rows = dict(sorted(sealed.items()))
        made: dict[str, bool] = {}
        with self._database.write() as connection:
            self._check_room(connection, party, files)
            for digest, row in rows.items():
                made[digest] = documentstore.put_document(connection, row)
            kept = documentstore.find_some(connection, [(party, digest) for digest in rows])
        return [
            (self._kept(kept[party, digest]), not made[digest]) for digest in map(_digest_of, files)
        ]

    def read(self, principal: Principal, digest: str) -> Opened:
        """Returns a document. Raises what `check_may` raises, DocumentUnknown, DocumentAltered.

        To who handed it in; of an authority with several offices to those in office for what names it, and
        to any until something does. To others only one that a record names which is about themselves, or
        for which they are in office, handed in by that record's own actor: to name somebody's digest opens
        nothing. It is addressed to those in charge, so nobody is asked why; each look at what is neither
        one's own nor about oneself says for which matter. Writes `access_log`.
        """
        principal.check_may(READ)
        party = principal.own_party()
        with self._database.read() as connection:
            row = documentstore.find_document(connection, party, digest)
        if row is not None and not self._keeps(principal, digest):
            row = None  # another office's
        if row is None:
            row = self._named_for(principal, digest)
        if row is None:
            raise DocumentUnknown("document_unknown")
        return Opened(self._name_of(row), row.kind, open_content(self._vault, row))

    def tell(
        self, viewer: Principal | None, about: str, named: Iterable[Named]
    ) -> dict[Named, Told]:
        """Returns what a viewer is told of documents that records of `party/{about}` name. Read-only.

        Nothing but to that party and to regulators in office there, who may read them all.
        """
        asked = dict.fromkeys(named)
        if viewer is None or not asked or not self._reads(viewer, about):
            return {}
        may_read = ACTIONS[READ].scope in viewer.scopes
        with self._database.read() as connection:
            kept = documentstore.find_some(connection, asked)
        return {
            (who, digest): Told(
                digest,
                (who, digest) in kept,
                self._kept(kept[who, digest]) if may_read and (who, digest) in kept else None,
            )
            for who, digest in asked
        }

    def forget(self) -> bool:
        """Removes what no record named in time and what is done with; returns whether there may be more."""
        now = self._clock.now()
        now_ms, before_ms = to_ms(now), to_ms(now - AFTER_END)
        with self._database.read() as connection:
            old = documentstore.overdue(connection, now_ms=now_ms)
            old += documentstore.done_with(connection, before_ms=before_ms)
        if old:
            with self._database.write() as connection:
                documentstore.drop(connection, old, now_ms=now_ms, before_ms=before_ms)
        return bool(old)

    def _keeps(self, principal: Principal, digest: str) -> bool:
        """Whether a document that the caller's party handed in is for this account.

        It is until a record names it, and then where one does that the account reads.
        """
        is_named = False
        for use, is_read in self._uses(principal, digest, own=True):
            # Of those that are not read only the first one matters.
            if (is_read or not is_named) and self._says_so(use):
                if is_read:
                    return True
                is_named = True
        return not is_named

    def _named_for(self, principal: Principal, digest: str) -> Any | None:
        """Returns a document that another one handed in and named in what the caller reads, or None."""
        for use, is_read in self._uses(principal, digest, own=False):
            if not is_read or not self._says_so(use):
                continue
            with self._database.read() as connection:
                row = documentstore.find_document(connection, use.party, use.digest)
            if row is not None and use.about != principal.party:
                place, why = [(use.seq, "document")], f"work on case {use.matter}"
                about = f"party/{use.about}"
                log_look(self._database, principal, about, place, why, clock=self._clock)
            return row
        return None

    def _uses(self, principal: Principal, digest: str, *, own: bool) -> Iterator[tuple[Any, bool]]:
        """Yields the rows that name a document, and whether the caller reads what they are about.

        own: by the caller's party, or by others. A page at a time: a record is read for none of them.
        """
        reads: dict[str, bool] = {}
        last, party = None, principal.own_party()
        while True:
            with self._database.read() as connection:
                page = documentstore.uses_of(
                    connection, digest, party, own=own, after=last, limit=_PAGE
                )
            for use in page:
                if use.about not in reads:
                    reads[use.about] = self._reads(principal, use.about)
                yield use, reads[use.about]
            if len(page) < _PAGE:
                return
            last = page[-1]

    def _says_so(self, use: Any) -> bool:
        with self._database.read() as connection:
            return _says_so(connection, use)

    def _reads(self, viewer: Principal, about: str) -> bool:
        """Whether a viewer reads what records about a party name: that party, and who is in office for it."""
        return sees_whole(self._database, viewer, about, READ)

    def _check_room(self, connection: Connection, party: str, files: Sequence[Handed]) -> None:
        """Raises Invalid at the first file that is more than a party may keep.

        Two calls at the same moment may on PostgreSQL each find room for its own.
        """
        there = _find_kept(connection, party, files)
        had, most = documentstore.bytes_of(connection, party), self._most_mb * _MB
        for file in files:
            if (digest := _digest_of(file)) in there:
                continue
            there.add(digest)
            if had + len(file.raw) > most:
                params = {
                    "file": plain_name(file.name) or "?",
                    "expected": self._most_mb,
                    "got": f"{had / _MB:.1f}",
                }
                raise invalid(FieldFault(file.loc, "documents_full", params))
            had += len(file.raw)

    def _sealed(self, party: str, file: Handed) -> dict[str, Any]:
        kind, digest = kind_of(file.raw) or "", _digest_of(file)
        name = clean_name(file.name, kind).encode()
        content = self._seal(party, digest, "content", file.raw)
        called = self._seal(party, digest, "name", name)
        now = self._clock.now()
        return {
            "party": party,
            "digest": digest,
            "kind": kind,
            "size": len(file.raw),
            "kept_at": to_ms(now),
            "waits_until": to_ms(now + UNNAMED),
            "name_sealed": called.sealed,
            "name_key": called.wrapped_key,
            "sealed": content.sealed,
            "wrapped_key": content.wrapped_key,
        }

    def _seal(self, party: str, digest: str, part: str, content: bytes) -> Any:
        salt = secrets.token_bytes(SALT_BYTES)
        return self._vault.seal(place=_place(party, digest, part), salt=salt, content=content)

    def _kept(self, row: Any) -> Kept:
        waits = None if row.waits_until is None else from_ms(row.waits_until)
        return Kept(row.digest, self._name_of(row), row.kind, row.size, from_ms(row.kept_at), waits)

    def _name_of(self, row: Any) -> str:
        """Returns a document's name; where it was altered, what any of its kind is called."""
        try:
            _, name = self._vault.open(
                place=_place(row.party, row.digest, "name"),
                sealed=row.name_sealed,
                wrapped_key=row.name_key,
            )
            return clean_name(name.decode(), row.kind)
        except (SealBroken, UnicodeDecodeError):
            return clean_name("", row.kind)


def open_content(vault: Vault, row: Any) -> bytes:
    """Returns the content of a document's row, which fits its digest. Raises DocumentAltered."""
    try:
        _, content = vault.open(
            place=_place(row.party, row.digest, "content"),
            sealed=row.sealed,
            wrapped_key=row.wrapped_key,
        )
    except SealBroken as err:
        raise DocumentAltered("document_altered", digest=row.digest) from err
    if not hmac.compare_digest(sha256(content).hexdigest(), row.digest):
        raise DocumentAltered("document_altered", digest=row.digest)
    if kind_of(content) != row.kind:
        raise DocumentAltered("document_altered", digest=row.digest)
    return content


def unsound(
    connection: Connection, vault: Vault, party: str, *, only: Collection[str] | None = None
) -> Iterator[str]:
    """Yields the digests of a party's documents that are not what was handed in. Read-only.

    only: these are opened, None for all.
    """
    for row in documentstore.each_of(connection, party, only=only):
        if not is_sound(vault, row):
            yield row.digest


def is_sound(vault: Vault, row: Any) -> bool:
    """Whether a document's row is what was handed in."""
    try:
        open_content(vault, row)
    except DocumentAltered:
        return False
    return True


def _says_so(connection: Connection, use: Any) -> bool:
    """Whether the record itself names the document, by this actor: the row beside it is but an index."""
    record = ledger_store.load_record(connection, f"party/{use.about}", use.seq)
    if record is None or not record.is_sound:
        return False
    fields = record.fields
    told: Mapping[str, Any] = fields["data"]
    return (
        fields["type"] in TYPES and fields["actor"] == use.party and use.digest in digests_of(told)
    )


def _find_kept(connection: Connection, party: str, files: Sequence[Handed]) -> set[str]:
    """Returns the digests of those of these files that the party keeps already. Read-only."""
    asked = [(party, digest) for digest in dict.fromkeys(map(_digest_of, files))]
    return {digest for _, digest in documentstore.find_some(connection, asked)}


def _check(files: Sequence[Handed], known: Collection[str]) -> None:
    """Raises Invalid with everything that is wrong with these files. known: digests of those kept already."""
    faults = []
    for file in files:
        named = {"file": plain_name(file.name) or "?"}
        if not file.raw:
            faults.append(FieldFault(file.loc, "file_empty", named))
        elif len(file.raw) > MOST_BYTES:
            params = {"expected": MOST_BYTES // _MB, "got": f"{len(file.raw) / _MB:.1f}"}
            faults.append(FieldFault(file.loc, "file_too_large", named | params))
        elif (kind := kind_of(file.raw)) is None:
            params = {"expected": ", ".join(WORDS.values())}
            faults.append(FieldFault(file.loc, "file_kind", named | params))
        elif _digest_of(file) in known:
            continue
        elif (wrong := fault_of_body(file.raw, kind)) is not None:
            faults.append(FieldFault(file.loc, wrong[0], named | {"expected": wrong[1]}))
    if faults:
        raise invalid(*faults)


def _digest_of(file: Handed) -> str:
    return sha256(file.raw).hexdigest()


def _place(party: str, digest: str, part: str) -> tuple[str, str, str]:
    """Returns where the vault holds a part of a document."""
    return f"document/{party}", digest, part
