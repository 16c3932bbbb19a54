"""Repeats: a submission whose id is recorded already. Same content: the first answer again.

Salts of ours differ from one sending to the next, and so do the commitments made with them. A
section is the same if its content, under the salt that was kept, gives the commitment in the record.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping

import structlog

from app.kit.canonical import canonical_bytes_unchecked
from app.kit.errors import Conflict
from app.ledger import store
from app.ledger.record import seal_commitment
from app.ledger.submission import Recorded, Submission
from app.ledger.vault import SealBroken, Vault

log = structlog.get_logger(__name__)


class IdConflict(Conflict):
    """The id stands in this stream with other content."""

    slug = "id-conflict"


def check_repeat(
    submission: Submission, earlier: Recorded, kept_salts: Callable[[], Mapping[str, bytes]]
) -> None:
    """Raises IdConflict unless the submission says what the record with its id says.

    kept_salts: the salts of the record's sections that are still there, by section. Of an erased
    section only the name is left to compare.
    """
    claim = submission.claim
    stored = store.StoredRecord(
        earlier.stream, earlier.seq, earlier.hash, earlier.body, None
    ).fields
    committed = stored.get("sealed", {})
    told = claim.fields()
    told.pop("sealed", None)
    if not submission.time_given:
        told["occurred_at"] = stored["occurred_at"]
    same = (
        # As bytes: a tuple that was sent and the list that it became are the same content.
        canonical_bytes_unchecked(told)
        == canonical_bytes_unchecked({name: stored.get(name) for name in told})
        and stored.get("via") == submission.via
        and (stored.get("signed") is None) == (submission.signed is None)
        and set(committed) == {seal.name for seal in submission.seals}
    )
    if same and committed:
        salts = kept_salts()
        same = all(
            hmac.compare_digest(
                seal_commitment(seal.name, salt=salts[seal.name], content=seal.content),
                committed[seal.name],
            )
            for seal in submission.seals
            if seal.name in salts
        )
    if not same:
        raise IdConflict("id_conflict", id=claim.id, stream=claim.stream)


def open_salts(
    vault: Vault,
    *,
    stream: str,
    record_id: str,
    sections: Iterable[tuple[str, bytes | None, bytes | None]],
) -> dict[str, bytes]:
    """Returns the salts of those sections (name, sealed, wrapped key) that still open."""
    salts: dict[str, bytes] = {}
    for name, sealed, wrapped_key in sections:
        if sealed is None or wrapped_key is None:
            continue  # erased
        try:
            salts[name], _ = vault.open(
                place=(stream, record_id, name), sealed=sealed, wrapped_key=wrapped_key
            )
        except SealBroken:
            log.warning("vault.section_broken", stream=stream, section=name)
    return salts
