"""What keeps a process from publishing the log: for /readyz, and whoever is woken by it at night."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from app.kit.errors import Fault
from app.ledger.anchor import AnchorMoved

# What may keep whoever leads from signing, and would not go better in another process: a database that
# does not answer, an anchor that moved between two looks.
PASSING = (SQLAlchemyError, AnchorMoved)


class PublishFailed(Fault):
    """Something that has no sentence of its own kept the log from being signed.

    why: its class; of what the database said, the driver's (`LockNotAvailable`).
    """


class Hindrance:
    """What the last try to publish met, until one goes well."""

    def __init__(self) -> None:
        # Replaced as one: whether it passes, and what it was.
        self._met: tuple[bool, Fault] | None = None

    def keep(self, err: Exception) -> None:
        """Keeps what a try met; what is no Fault becomes PublishFailed."""
        if isinstance(err, Fault):
            self._met = (False, err)
            return
        why = type(getattr(err, "orig", None) or err).__name__
        self._met = (isinstance(err, PASSING), PublishFailed("publish_failed", why=why))

    def clear(self) -> None:
        """A try went well."""
        self._met = None

    def fault(self, *, leads: bool) -> Fault | None:
        """Returns what stands in the way of this process, or None.

        What says nothing of the process itself is over once it leads no more: one that was paused finds
        its connections gone, and has nothing to do with how the next one publishes.
        """
        if self._met is None:
            return None
        passes, fault = self._met
        return None if passes and not leads else fault
