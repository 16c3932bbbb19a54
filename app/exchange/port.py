"""The adapter interface: what the sender asks of a credit store that lives elsewhere.

Two are there: another Suxin over HTTP (app.exchange.remote) and a folder of packages and receipts
(app.exchange.folder). What both must keep:

- an Outcome says what the store itself said of one change; silence is no outcome, and the change is
  sent again;
- the same change may be handed over again and again, and is stored once;
- changes of one party arrive in the order in which they were handed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from app.exchange.change import Change


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one change. refused: why it can never be stored; None: it is stored.

    held: it waits for an earlier one of its party, and is to be sent again.
    """

    key: str
    refused: str | None = None
    held: bool = False


class StoreDown(Exception):
    """The store did not answer, or not as a store does: nothing is known of what was sent.

    why: a word for people and logs. retry_after_s: as the store asked for.
    """

    def __init__(self, why: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.retry_after_s = retry_after_s


class BatchRefused(Exception):
    """The store refuses this request for what is in it; fewer changes at once may find out which.

    fatal: whether a single change that is so refused is dead, and not merely put off.
    """

    def __init__(self, why: str, *, fatal: bool) -> None:
        super().__init__(why)
        self.why = why
        self.fatal = fatal


class CreditStore(Protocol):
    """A store elsewhere. Not for two threads at once, but for `read_card`."""

    @property
    def kind(self) -> Literal["http", "file"]:
        """Returns how it is reached."""

    def room(self) -> int:
        """Returns how many changes it takes now at most; 0 while an answer is awaited."""

    def collect(self) -> Sequence[Outcome]:
        """Returns outcomes that came since it was asked last; the same may come twice.

        `forget` says that they were acted upon. Raises StoreDown.
        """

    def forget(self) -> None:
        """Lets what `collect` told go: everything in it is committed."""

    def deliver(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        """Hands changes over, at most `room()`; returns the outcomes known at once.

        Raises StoreDown, BatchRefused.
        """

    def read_card(self, party: str, /, *, timeout_s: float) -> dict[str, Any] | None:
        """Returns the store's score of a party, None where it has none to tell. Raises StoreDown."""

    def close(self) -> None:
        """Ends connections."""
