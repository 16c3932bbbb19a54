"""How often a party may have its webhooks tested, or messages sent again: no way to flood an address."""

from __future__ import annotations

from app.kit.errors import TooMany
from app.parties.account_rules import OF_ASKING
from app.parties.throttle import Throttle, TriedTooOften


class HooksAskedTooOften(TooMany):
    """The party had so much tested and sent again that it waits."""


class HookLimit:
    """Counts in the database, for all processes together."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle

    def take(self, party: str) -> None:
        """Counts one message more that a party asks for. Raises HooksAskedTooOften."""
        try:
            self._throttle.take(("webhook", party, OF_ASKING))
        except TriedTooOften as often:
            raise HooksAskedTooOften(
                "webhook_asked_too_often", retry_after_s=often.retry_after_s
            ) from often
