"""Scores of several parties at once: counted anew, or kept while nothing can have changed them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock

from sqlalchemy import Connection

from app.credit import store
from app.credit.policy import Entry, Hold, Reason, ScoreCard, score
from app.credit.rules import Policy
from app.kit.clock import to_ms
from app.ledger.submission import StreamHead

_KEPT = 20_000
_LASTS = timedelta(minutes=1)
_FADING_LASTS = timedelta(seconds=1)


def count_cards(
    connection: Connection,
    parties: Sequence[str],
    policy: Policy,
    at: datetime,
    *,
    chains_at_most: int | None = None,
) -> dict[str, ScoreCard]:
    """Returns the scores of several parties. chains_at_most: as `Credit.cards`. Read-only."""
    return {
        party: card
        for party, (card, *_) in _count(connection, parties, policy, at, chains_at_most).items()
    }


class KeptCards:
    """Scores, kept as long as their party's stream has no new record and time changes nothing.

    A score follows from the records of `party/{id}` and from time. A record is shown at once; points
    that fade are shown a second late at most, a new version of the policy a minute. Whether data is
    enough follows from chains and is counted each time.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = Lock()

    def of(
        self,
        connection: Connection,
        heads: Mapping[str, StreamHead],
        policy: Policy,
        at: datetime,
    ) -> dict[str, ScoreCard]:
        """Returns the scores of the parties whose heads these are, by party. Read-only.

        Whole chains are counted no further than data is enough at.
        """
        found: dict[str, ScoreCard] = {}
        with self._lock:
            for party, head in heads.items():
                kept = self._kept.get(party)
                if kept is not None and kept.seq == head.seq and kept.since <= at < kept.until:
                    found[party] = kept.card
        enough = policy.data_enough_count
        known = [*found]
        if known:
            chains = store.completed_counts(connection, known, now_ms=to_ms(at), most=enough)
            for party in known:
                count = chains.get(party, 0)
                found[party] = replace(
                    found[party], completed_chains=count, data_enough=count >= enough
                )
        missing = [party for party in heads if party not in found]
        if missing:
            counted = _count(connection, missing, policy, at, enough)
            self._keep(counted, heads, at)
            found |= {party: card for party, (card, *_) in counted.items()}
        return found

    def _keep(
        self,
        counted: Mapping[str, _Counted],
        heads: Mapping[str, StreamHead],
        at: datetime,
    ) -> None:
        with self._lock:
            for party, (card, entries, holds) in counted.items():
                fades = any(weight.reason is Reason.FADING for weight in card.weights.values())
                until = at + (_FADING_LASTS if fades else _LASTS)
                until = min([until, *(turn for turn in _turns(entries, holds) if turn > at)])
                self._kept[party] = _Kept(heads[party].seq, at, until, card)
                self._kept.move_to_end(party)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)


_Counted = tuple[ScoreCard, Sequence[Entry], Sequence[Hold]]


@dataclass(frozen=True, slots=True)
class _Kept:
    seq: int
    since: datetime
    until: datetime
    card: ScoreCard


def _count(
    connection: Connection,
    parties: Sequence[str],
    policy: Policy,
    at: datetime,
    chains_at_most: int | None,
) -> dict[str, _Counted]:
    """Returns by party its score, and what that follows from."""
    entries = store.load_entries_of(connection, parties)
    holds = store.load_holds_of(connection, parties)
    chains = store.completed_counts(connection, parties, now_ms=to_ms(at), most=chains_at_most)
    return {
        party: (
            score(entries[party], holds[party], at, policy, completed_chains=chains.get(party, 0)),
            entries[party],
            holds[party],
        )
        for party in parties
    }


def _turns(entries: Sequence[Entry], holds: Sequence[Hold]) -> list[datetime]:
    """Returns the moments at which time alone changes a score."""
    moments = [
        moment
        for one in entries
        for moment in (one.effective_at, one.earliest_repair_at, one.expires_at, one.ended_at)
    ]
    moments += [moment for one in holds for moment in (one.since, one.lifts_at)]
    return [moment for moment in moments if moment is not None]
