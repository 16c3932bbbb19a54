"""A page of a story: own records in their order, with those from above that they need. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from app.ledger.store import StoredRecord
from app.trace.story import Story, refs_of

MOST = 1_000
"""Own records on a page unless fewer are asked for: nearly every chain is on one."""


@dataclass(frozen=True, slots=True)
class StoryPage:
    """records: in the story's order. before: the own record before its first.

    after: behind which own seq it begins; following: behind which the next one does, None on the last.
    """

    own: str
    records: tuple[StoredRecord, ...]
    before: StoredRecord | None
    after: int
    following: int | None

    def covers(self, stream: str | None, seq: int | None) -> bool:
        """Whether a record of this place would stand on this page."""
        if stream != self.own or seq is None:
            return self.after < 0
        return seq > self.after and (self.following is None or seq <= self.following)


def page_of(story: Story, *, after: int, most: int) -> StoryPage:
    """Returns the page behind the own seq `after`, at most so many own records; -1: the first.

    What applies from above stands on the first page, what a record refers to beside it.
    """
    # A hand in the database can have made a number a text.
    own = [one for one in story.own if type(one.seq) is not int or one.seq > after]
    passed = len(story.own) - len(own)
    before = None if story.part is None else story.part.before
    if passed:
        before = story.own[passed - 1]
    shown = own[:most]
    more = len(own) > most or (story.part is not None and not story.part.ends)
    last = shown[-1].seq if shown else None
    if more and not isinstance(last, int):
        # Nothing can be asked for behind a text.
        shown, more = own, False
    named = {(ref["stream"], ref["seq"]) for record in shown for ref in refs_of(record)}
    here = {id(record) for record in shown}
    stream = story.code.stream
    records = tuple(
        one
        for one in story.records
        if id(one) in here
        or (one.stream != stream and (after < 0 or (one.stream, one.seq) in named))
    )
    return StoryPage(stream, records, before, after, last if more else None)
