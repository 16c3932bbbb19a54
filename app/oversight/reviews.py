"""Reviews of a party's goods for who answers them: with follow-up and reply, by rating, by what waits.

Public words, read from the chain as the scan page has them: what is hidden or was erased stays so here too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.clock import from_ms, parse_time
from app.ledger import sealstore, store
from app.ledger.vault import Vault
from app.oversight.complaints import READ
from app.parties.principal import Principal
from app.trace import voicestore
from app.trace.texts import hidden_texts
from app.trace.voicestore import Place

_TYPES = frozenset({"review", "follow_up", "reply", "hiding"})
_MOST = 5_000
"""Records of these types read of one stream: of a lot that was reviewed more often the first ones'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What somebody wrote. text: "" for none, None where it was erased. hidden: why it is not to be read."""

    at: datetime
    actor: str
    text: str | None
    hidden: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """A review or follow-up with the replies to it."""

    id: str
    rating: int
    said: Words
    replies: tuple[Words, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A review with what its author added later."""

    code: str
    gtin: str
    proof: str
    first: Rated
    later: tuple[Rated, ...]
    place: Place

    @property
    def waits(self) -> tuple[Rated, ...]:
        """Which of its parts nobody has answered."""
        return tuple(one for one in (self.first, *self.later) if not one.replies)


class Reviews:
    """Lists reviews. Read-only."""

    def __init__(self, database: Database, *, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def page(
        self,
        principal: Principal,
        *,
        rating: int | None = None,
        unanswered: bool = False,
        after: Place | None = None,
        limit: int,
    ) -> list[Review]:
        """Returns reviews of the caller's own sales, the newest first. Raises what `check_may` raises."""
        principal.check_may(READ)
        party = principal.own_party()
        with self._database.read() as connection:
            rows = voicestore.list_reviews(
                connection, party, rating=rating, unanswered=unanswered, after=after, limit=limit
            )
            later: dict[tuple[int, str], list[Any]] = {}
            for row in voicestore.follow_ups(connection, sorted({row.stream for row in rows})):
                later.setdefault((row.stream, row.subject), []).append(row)
            codes = {row.code for row in rows}
            chains = {code: _Chain(connection, self._vault, code) for code in codes}
            return [_review(row, later, chains[row.code]) for row in rows]


class _Chain:
    """What was said on one stream, by record."""

    def __init__(self, connection: Connection, vault: Vault, stream: str) -> None:
        self._connection = connection
        self._vault = vault
        self._stream = stream
        records = store.load_some(connection, stream, types=_TYPES, limit=_MOST)
        self.fields: dict[str, Any] = {}
        self._replies: dict[str, list[Any]] = {}
        for record in records:
            try:
                fields = record.fields
            except ValueError:
                continue  # altered bytes say nothing; the audit tells of them
            self.fields[fields["id"]] = fields
            if fields["type"] == "reply":
                self._replies.setdefault(fields["data"]["of"], []).append(fields)
        self._hidden = hidden_texts(list(self.fields.values()))

    def rated(self, row: Any) -> Rated:
        return Rated(
            id=row.id,
            rating=row.rating,
            said=self._words(self.fields.get(row.id), row),
            replies=tuple(self._words(one, row) for one in self._replies.get(row.id, ())),
        )

    def next_review(self, row: Any) -> int | None:
        """Returns where the next buyer's review stands: what comes after it is that one's."""
        found = (
            fields["seq"]
            for fields in self.fields.values()
            if fields["type"] == "review"
            and str(fields["data"].get("consignment") or "") == row.subject
            and fields["seq"] > row.seq
        )
        return min(found, default=None)

    def _words(self, fields: Any, row: Any) -> Words:
        if fields is None:
            return Words(at=from_ms(row.at), actor="", text=None, hidden="")
        hidden = self._hidden.get(fields["id"], "")
        told: str | None = ""
        if "text" in fields.get("sealed", {}):
            place = (self._stream, fields["id"], "text")
            told = sealstore.open_words(self._connection, self._vault, place)
        if hidden and told is not None:
            told = ""
        return Words(
            at=parse_time(fields["recorded_at"]), actor=fields["actor"], text=told, hidden=hidden
        )


def _review(row: Any, later: dict[tuple[int, str], list[Any]], chain: _Chain) -> Review:
    until = chain.next_review(row)
    mine = [
        one
        for one in later.get((row.stream, row.subject), ())
        if one.seq > row.seq and (until is None or one.seq < until)
    ]
    fields = chain.fields.get(row.id)
    return Review(
        code=row.code,
        gtin=row.gtin,
        proof="" if fields is None else str(fields["data"].get("proof", "")),
        first=chain.rated(row),
        later=tuple(chain.rated(one) for one in mine),
        place=(row.at, row.stream, row.seq),
    )
