"""Fills the public dossier of a party: its score, every point of it, and what would change it when.

Public entries alone, as the API shows them to a stranger. Nothing here is a judgement of its own: the
numbers are the score function's, the words the policy's.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from app.credit.history import Event, Happening, Moment, follow_score, span_of
from app.credit.ledger import Filed
from app.credit.policy import Entry, Hold, ScoreCard, Status, score
from app.credit.ratings import DAYS
from app.credit.rules import Policy, Rule
from app.kit.clock import to_ms
from app.kit.errors import Fault
from app.web.deps import Rooms
from app.web.pages.conduct import fill_grades, fill_listings, fill_promises, fill_rated
from app.web.pages.facts import licences_of
from app.web.pages.proofs import ProofReader
from app.web.pages.standing_views import (
    Deed,
    DossierView,
    Gains,
    Held,
    Holder,
    Line,
    Row,
    Sum,
    Told,
)
from app.web.pages.views import Frame

MOST_LOSSES = 50
MOST_GAINS_EACH = 20
MOST_ROWS = 40
WORTH_A_ROW = 10
"""Points earned at once that stand in the table by themselves; losses and holds always do."""
_ASKED_WITHOUT = 20
_MOST_ASKED = 10_000
"""Entries looked at in all to say what the score would be without one; each costs a score."""


def fill_dossier(rooms: Rooms, frame: Frame, party: str, *, script: str) -> DossierView:
    """Returns the dossier of a party, all of it as of one moment. Raises PartyUnknown. Read-only."""
    with rooms.database.one_snapshot():
        return _Dossier(rooms, frame, party).fill(script)


class _Dossier:
    """One party's file as it is being read."""

    def __init__(self, rooms: Rooms, frame: Frame, party: str) -> None:
        self._rooms = rooms
        self._frame = frame
        self._party = party
        self._now = rooms.clock.now()
        self._policy = rooms.credit.policy
        self._proofs = ProofReader(rooms)

    def fill(self, script: str) -> DossierView:
        filed, card = self._rooms.credit_ledger.file_of(self._party, None)
        entries = [one.entry for one in filed]
        lost = sorted(
            (one for one in filed if one.entry.points < 0),
            key=lambda one: (one.entry.effective_at, one.entry.id),
            reverse=True,
        )
        numbers = {one.entry.id: n for n, one in enumerate(lost[:MOST_LOSSES], start=1)}
        holder = self._holder()
        start, until = span_of(entries, since=self._since, now=self._now)
        course = follow_score(
            entries,
            card.holds,
            self._rooms.credit.policies.at,
            start=start,
            now=self._now,
            until=until,
        )
        rows = _Rows({one.entry.id: one.entry for one in filed}, card.holds, numbers, self._title)
        return DossierView(
            frame=self._frame,
            holder=holder,
            policy=self._policy,
            score=card.score,
            without_holds=card.score_without_holds,
            grade=card.grade,
            grade_without_holds=card.grade_without_holds,
            as_of=self._now,
            data_enough=card.data_enough,
            completed_chains=card.completed_chains,
            earned=min(card.earned, self._policy.positive_cap),
            lost=card.lost,
            sums=tuple(
                Sum(title=self._title_now(one.rule), count=one.count, points=one.points)
                for one in card.breakdown
            ),
            holds=tuple(self._held(hold) for hold in card.holds),
            losses=tuple(
                self._line(one, card, number=numbers[one.entry.id], entries=entries)
                for one in lost[:MOST_LOSSES]
            ),
            more_losses=max(0, len(lost) - MOST_LOSSES),
            gains=tuple(self._gains(filed, card)),
            course=course,
            numbers=numbers,
            past=tuple(rows.tell(course.past)),
            coming=tuple(rows.tell(course.coming)),
            base_url=self._rooms.base_url,
            script=script,
            rated=fill_rated(self._rooms, self._party),
            rated_days=DAYS,
            promises=fill_promises(self._rooms, self._party, self._frame.lang),
            listings=fill_listings(self._rooms, self._party, self._frame.lang),
            grades=fill_grades(self._rooms, self._party),
        )

    def _holder(self) -> Holder:
        view = self._rooms.parties.get(self._party)
        self._since = view.created_at
        now_ms = to_ms(self._now)
        measures = {
            str(one["kind"])
            for one in view.measures.values()
            if one["since_ms"] <= now_ms < one.get("until_ms", now_ms + 1)
        }
        return Holder(
            name=view.name,
            id=view.id,
            exempt=view.exempt,
            verified=view.status == "verified",
            roles=view.roles,
            region=view.region or "",
            licences=licences_of(view.licences, self._now),
            measures=tuple(sorted(measures)),
        )

    def _rule(self, entry: Entry) -> tuple[Policy, Rule | None]:
        """Returns the version that made an entry, as far as it is here, and its rule."""
        try:
            policy = self._rooms.credit.policies.get(entry.policy_version)
        except Fault:
            policy = self._policy
        return policy, policy.rules.get(entry.rule)

    def _title(self, entry: Entry) -> str:
        rule = self._rule(entry)[1]
        return entry.rule if rule is None else rule.title[self._frame.lang]

    def _title_now(self, rule: str) -> str:
        known = self._policy.rules.get(rule)
        return rule if known is None else known.title[self._frame.lang]

    def _line(
        self,
        filed: Filed,
        card: ScoreCard,
        *,
        number: int = 0,
        entries: Sequence[Entry] = (),
    ) -> Line:
        entry, lang = filed.entry, self._frame.lang
        policy, rule = self._rule(entry)
        weight = card.weights[entry.id]
        loses = entry.points < 0
        status = Status.EFFECTIVE if entry.status is Status.NOTICE else entry.status
        repair = entry.earliest_repair_at if loses else None
        without = None
        if loses and weight.points and number <= min(_ASKED_WITHOUT, _MOST_ASKED // len(entries)):
            others = [one for one in entries if one.id != entry.id]
            without = score(others, card.holds, self._now, self._policy).score
        return Line(
            id=entry.id,
            rule=entry.rule,
            title=self._title(entry),
            text="" if rule is None else rule.text[lang],
            rule_class="" if rule is None else str(rule.rule_class),
            class_title="" if rule is None else policy.classes[rule.rule_class].title[lang],
            points=entry.points,
            weight=weight.points,
            why=str(weight.reason),
            status=str(status),
            policy=entry.policy_version,
            day=entry.day,
            effective_at=entry.effective_at,
            proof=self._proofs.read(entry.evidence),
            number=number,
            repair_from=repair,
            repair_open=status is Status.EFFECTIVE and repair is not None and repair <= self._now,
            expires_at=entry.expires_at,
            object_until=filed.object_until if loses else None,
            approximate=filed.approximate,
            forces=(rule.forces_grade or "") if rule is not None else "",
            without=without,
            deeds=tuple(
                Deed(step=one.step, at=one.at, decide_by=one.decide_by) for one in filed.steps
            ),
        )

    def _gains(self, filed: Sequence[Filed], card: ScoreCard) -> Iterator[Gains]:
        by_rule: defaultdict[str, list[Filed]] = defaultdict(list)
        for one in filed:
            if one.entry.points > 0:
                by_rule[one.entry.rule].append(one)
        for some in by_rule.values():
            newest = sorted(some, key=lambda one: (one.entry.effective_at, one.entry.id))[::-1]
            rule = self._rule(newest[0].entry)[1]
            yield Gains(
                title=self._title(newest[0].entry),
                text="" if rule is None else rule.text[self._frame.lang],
                count=len(some),
                points=sum(card.weights[one.entry.id].points for one in some),
                shown=tuple(self._line(one, card) for one in newest[:MOST_GAINS_EACH]),
            )

    def _held(self, hold: Hold) -> Held:
        return Held(
            finding=hold.finding,
            points=hold.points,
            since=hold.since,
            lifts_at=hold.lifts_at,
            proof=self._proofs.read({"finding": hold.finding}),
        )


class _Rows:
    """Says moments of the course as lines of a table."""

    def __init__(
        self,
        entries: Mapping[str, Entry],
        holds: Sequence[Hold],
        numbers: Mapping[str, int],
        title: Callable[[Entry], str],
    ) -> None:
        self._entries = entries
        self._holds = {hold.finding: hold for hold in holds}
        self._numbers = numbers
        self._title = title

    def tell(self, moments: Sequence[Moment]) -> list[Row]:
        """Returns first and last, and between them what moved the score; MOST_ROWS at most."""
        rows: list[Row] = []
        waiting: list[Happening] = []
        for place, moment in enumerate(moments):
            waiting.extend(moment.happenings)
            told = tuple(self._told(waiting))
            edge = place in (0, len(moments) - 1)
            # What only fades is told where it brings another grade.
            moved = bool(rows) and moment.grade != rows[-1].grade
            weighty = any(one.points < 0 or one.points >= WORTH_A_ROW for one in told)
            if edge or moved or weighty:
                rows.append(
                    Row(
                        at=moment.at,
                        score=moment.score,
                        without_holds=moment.score_without_holds,
                        grade=moment.grade,
                        told=told,
                    )
                )
                waiting = []
        return rows if len(rows) <= MOST_ROWS else [rows[0], *rows[1 - MOST_ROWS :]]

    def _told(self, happenings: Sequence[Happening]) -> Iterator[Told]:
        count: Counter[tuple[str, str, int, int]] = Counter()
        for one in happenings:
            entry, hold = self._entries.get(one.of), self._holds.get(one.of)
            if entry is not None and one.event in (Event.EFFECT, Event.REPAIR_FROM, Event.END):
                key = (
                    str(one.event),
                    self._title(entry),
                    entry.points,
                    self._numbers.get(entry.id, 0),
                )
                count[key] += 1
            elif hold is not None:
                count[str(one.event), "", -hold.points, 0] += 1
        for (event, title, points, number), times in count.items():
            yield Told(event=event, title=title, count=times, points=points, number=number)
