"""Reviews of a party's goods for who answers them: with follow-up and reply, by rating, by what waits.

Public words, read from the chain as the scan page has them: what is hidden or was erased stays so here too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.clock import from_ms, parse_time
from app.ledger import sealstore
from app.ledger.vault import Vault
from app.oversight.complaints import READ
from app.parties.principal import Principal
from app.trace import voicestore
from app.trace.answerstore import answers_to, fields_at
from app.trace.texts import hidden_texts
from app.trace.voicestore import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What somebody wrote. text: "" for none, None where it was erased. hidden: why it is not to be read.

    unreadable: its record was altered or is gone, so nobody can say what it holds; the audit tells of it.
    """

    at: datetime
    actor: str
    text: str | None
    hidden: str
    unreadable: bool = False


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
            by_stream: dict[str, list[Any]] = {}
            for row in rows:
                by_stream.setdefault(row.code, []).append(row)
            chains = {
                code: _Chain(connection, self._vault, code, mine)
                for code, mine in by_stream.items()
            }
            return [_review(row, chains[row.code]) for row in rows]

    def count_unanswered(self, principal: Principal, *, most: int) -> int:
        """Returns how many reviews of the caller's own sales wait for a reply, at most `most`."""
        principal.check_may(READ)
        with self._database.read() as connection:
            rows = voicestore.list_reviews(
                connection,
                principal.own_party(),
                rating=None,
                unanswered=True,
                after=None,
                limit=most,
            )
        return len(rows)


class _Chain:
    """What was said on one stream about some of its reviews: by their places, however long it is.

    reviews: rows of the stream's.
    """

    def __init__(
        self, connection: Connection, vault: Vault, stream: str, reviews: Sequence[Any]
    ) -> None:
        self._connection = connection
        self._vault = vault
        self._stream = stream
        key, since = reviews[0].stream, min(row.seq for row in reviews)
        subjects = sorted({row.subject for row in reviews})
        self._said: dict[str, list[Any]] = {subject: [] for subject in subjects}
        for row in voicestore.reviews_behind(connection, key, subjects, since=since):
            self._said[row.subject].append(row)
        asked = [*reviews, *(one for row in reviews for one in self.later(row))]
        self.fields = fields_at(connection, key, [row.seq for row in asked])
        self._replies: dict[str, list[Any]] = {}
        # Replies first: they may be hidden too.
        for fields in self._answers({row.id for row in asked}, "reply", since):
            self._replies.setdefault(fields["data"]["of"], []).append(fields)
        said = {one["id"] for some in self._replies.values() for one in some}
        hidings = self._answers({row.id for row in asked} | said, "hiding", since)
        self._hidden = hidden_texts(list(hidings))

    def later(self, row: Any) -> list[Any]:
        """Returns the follow-ups of a review: those before the next buyer's."""
        found = []
        for one in self._said[row.subject]:
            if one.seq > row.seq:
                if one.kind == "review":
                    break
                found.append(one)
        return found

    def rated(self, row: Any) -> Rated:
        return Rated(
            id=row.id,
            rating=row.rating,
            said=self._words(self.fields.get(row.id), row),
            replies=tuple(self._words(one, row) for one in self._replies.get(row.id, ())),
        )

    def _answers(self, ids: set[str], type_: str, after: int) -> Iterator[Any]:
        return answers_to(
            self._connection, self._stream, ids, types=frozenset({type_}), after=after
        )

    def _words(self, fields: Any, row: Any) -> Words:
        if fields is None:
            return Words(at=from_ms(row.at), actor="", text="", hidden="", unreadable=True)
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


def _review(row: Any, chain: _Chain) -> Review:
    fields = chain.fields.get(row.id)
    return Review(
        code=row.code,
        gtin=row.gtin,
        proof="" if fields is None else str(fields["data"].get("proof", "")),
        first=chain.rated(row),
        later=tuple(chain.rated(one) for one in chain.later(row)),
        place=(row.at, row.stream, row.seq),
    )
