"""Appending to a party's stream: claim, seals and reads put together, the answer unpacked."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import uuid_utils

from app.kit.canonical import canonical_bytes
from app.kit.clock import Clock
from app.kit.tokens import RandomBytes
from app.ledger.record import Claim, seal_commitment
from app.ledger.recorder import Recorder
from app.ledger.submission import Read, Recorded, Seal, Submission, all_recorded
from app.ledger.vault import SALT_BYTES
from app.parties.identity import SYSTEM
from app.parties.principal import Principal
from app.parties.rules import Decide, party_stream, voice


def party_claim(
    party: str,
    record_id: str,
    type_: str,
    data: Mapping[str, Any],
    *,
    actor: str,
    at: datetime,
    seals: Sequence[Seal] = (),
) -> Claim:
    """Returns the claim of a record on the stream of a party, committed to its sealed sections."""
    return Claim(
        stream=party_stream(party),
        id=record_id,
        type=type_,
        actor=actor,
        occurred_at=at,
        data=data,
        sealed={s.name: seal_commitment(s.name, salt=s.salt, content=s.content) for s in seals},
    )


class PartyChain:
    """The one way in which this room writes records."""

    def __init__(
        self,
        recorder: Recorder,
        *,
        clock: Clock,
        random: RandomBytes = secrets.token_bytes,
        new_id: Callable[[], str] = lambda: str(uuid_utils.uuid7()),
    ) -> None:
        self._recorder = recorder
        self._clock = clock
        self.random = random
        self._new_id = new_id

    def append(
        self,
        principal: Principal,
        party: str,
        type_: str,
        data: Mapping[str, Any],
        decide: Decide,
        *,
        action: str,
        reads: tuple[Read, ...] = (),
        sealed: Mapping[str, Mapping[str, Any]] | None = None,
        id_: str | None = None,
    ) -> Recorded:
        """Returns the committed record of `party/{party}`; the operator speaks as `system`.

        id_: the same with the same content is answered as before; None: a new one.

        action: of roles.ACTIONS, for which the principal was let in; it gives the record's source.
        sealed: section name -> content, to which the record only commits. Raises what `decide`
        raises, and Unavailable.
        """
        seals = tuple(
            Seal(name, self.random(SALT_BYTES), canonical_bytes(content))
            for name, content in (sealed or {}).items()
        )
        actor, at = principal.party or SYSTEM, self._clock.now()
        record = id_ or self._new_id()
        claim = party_claim(party, record, type_, data, actor=actor, at=at, seals=seals)
        submission = Submission(
            claim=claim,
            source=voice(principal.roles, action),
            decide=decide,
            seals=seals,
            reads=reads,
            time_given=False,
        )
        (recorded,) = all_recorded(self._recorder.submit_and_wait([submission]))
        return recorded
