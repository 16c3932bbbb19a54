"""The log of purposes: who of an authority looked at what others had sealed, or for it, when, and why.

For the authority's own supervisor, who holds the scope `parties` (an owner, or a key with it), and for the
operator, who sees that of all. A supervisor with a region sees the looks of those in office inside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.db.engine import Database
from app.kit.clock import from_ms
from app.ledger.record import stream_key
from app.oversight import lookstore
from app.oversight.casestore import names_of_accounts
from app.oversight.store import names_of
from app.parties import accountstore
from app.parties.looking import NO_RECORD
from app.parties.principal import Principal
from app.parties.roles import reach
from app.trace.identifiers import parse_code

_ACCOUNT = "account/"
_PART = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedLooks:
    """Which looks. by: a login name or a key's id. code: of the goods, in any form.

    purpose: part of what was stated. party: an authority, for the operator. since_ms, until_ms: when.
    """

    by: str | None = None
    code: str | None = None
    purpose: str | None = None
    party: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class LoggedLook:
    """One look at one section. by: a login name, or an API key's id. code: "" where that chain is gone.

    seq: None of a look by a number that found nothing, or no record of these goods that customs decided
    on; `section` then says what kind of number it was.
    """

    id: str
    at: datetime
    by: str
    party: str | None
    region: str | None
    code: str
    seq: int | None
    section: str
    purpose: str
    place: tuple[int, str]


class Lookbook:
    """Reads the log of looks. Read-only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(
        self,
        principal: Principal,
        wanted: WantedLooks,
        *,
        after: tuple[int, str] | None,
        limit: int,
    ) -> Sequence[LoggedLook]:
        """Returns looks, the newest first, behind `after` = (at, id). Raises Invalid."""
        principal.check_may("access.read", owner=wanted.party)
        asked = wanted
        if reach(principal.roles, "access.read") != "any":
            asked = replace(asked, party=principal.party)
        stream = None
        if wanted.code:
            stream = stream_key(parse_code(wanted.code, loc=("query", "code")).stream)
        with self._database.read() as connection:
            key_id = None
            if wanted.by:
                account = accountstore.find_by_name(connection, wanted.by.strip().lower())
                key_id = wanted.by.strip() if account is None else f"{_ACCOUNT}{account.id}"
            rows = lookstore.list_looks(
                connection,
                party=asked.party,
                office=principal.region,
                key_id=key_id,
                stream=stream,
                purpose=asked.purpose,
                since_ms=asked.since_ms,
                until_ms=asked.until_ms,
                after=after,
                limit=limit,
            )
            codes = names_of(connection, sorted({row.stream for row in rows}))
            people = names_of_accounts(
                connection,
                sorted({row.key_id.removeprefix(_ACCOUNT) for row in rows}),
            )
        return [_look(row, codes, people) for row in rows]

    def all(self, principal: Principal, wanted: WantedLooks) -> Iterator[LoggedLook]:
        """Yields every such look, a part at a time."""
        after: tuple[int, str] | None = None
        while True:
            part = self.list(principal, wanted, after=after, limit=_PART)
            yield from part
            if len(part) < _PART:
                return
            after = part[-1].place


def _look(row: Any, codes: dict[int, str], people: dict[str, str]) -> LoggedLook:
    by = row.key_id.removeprefix(_ACCOUNT)
    return LoggedLook(
        row.id, from_ms(row.at), people.get(by, by), row.party, row.region,
        codes.get(row.stream, ""), None if row.seq == NO_RECORD else row.seq, row.section,
        row.purpose, (row.at, row.id),
    )  # fmt: skip
