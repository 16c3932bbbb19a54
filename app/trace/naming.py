"""The record that another one names by `of`: what a correction, a reply or a rating is about. Read-only.

Asked ahead of the transaction, since a record never changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.canonical import canonical_bytes
from app.kit.errors import Denied, Fault, FieldFault, NotFound, invalid
from app.ledger import store
from app.ledger.reading import each_holding
from app.ledger.record import Claim
from app.ledger.submission import Submission
from app.parties.roles import AGGREGATOR, CARRIER
from app.parties.store import find_party
from app.trace import ratingstore
from app.trace.events import check_changes
from app.trace.identifiers import parse_code
from app.trace.party_events import PREFIX as PARTY_PREFIX
from app.trace.ratings import (
    CARRIER_RATING,
    NAMING,
    OF_SHIPMENTS,
    Fields,
    Named,
    check_rating,
    check_type,
    find_named,
)
from app.trace.spoken import has_spoken, names_anew
from app.trace.voices import root_of

NAMES_ANOTHER = NAMING | {"correction", "reply"}
"""Types of records that name another one."""

_MOST = 2_000
"""Records of shipments looked through for the sale beside a named one: no unit's life comes near."""


class OfUnknown(NotFound):
    """The record that a correction, reply, message or rating names is not in this stream."""


class OfForeign(Denied):
    """Only the actor of a record corrects it."""


def find_fields(connection: Connection, stream: str, of: str) -> Fields | None:
    """Returns the fields of the record with this id in the stream, None where there is none. Read-only."""
    found = store.find_by_id(connection, [(stream, of)]).get((stream, of))
    return None if found is None else store.StoredRecord(stream, *found, None).fields


class MeasureForeign(Denied):
    """Only the authority that took a measure says where it was published."""


class About(NamedTuple):
    """A record that another one names. source: of that record, None while it is not decided.

    unsays: whether a correction of it names another in the place of a carrier or platform that has spoken.
    root: of a reply, the review, follow-up or complaint that it goes on with.
    """

    source: str | None
    unsays: bool = False
    root: str | None = None


class Naming:
    """Finds what records name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def about(self, claim: Claim, before: Sequence[Submission | Fault]) -> About:
        """Returns what is to be known of the record that a correction or reply names; it is read once.

        before: those of the same all-or-none request; one of them is known by its claim, and nobody else has
        spoken yet. A signature that comes between is seen in the transaction (app.trace.spoken); a transit
        that does brings nobody's proof. Raises OfUnknown, OfForeign or Invalid.
        """
        of = str(claim.data["of"])
        with self._database.read() as connection:
            fields = find_fields(connection, claim.stream, of)
            if fields is not None:
                if claim.type != "correction":
                    return About(fields["source"], root=root_of(fields))
                _check_correction(claim, fields["type"], fields["actor"])
                return About(fields["source"], unsays=_unsays(connection, claim, fields))
        claims = [one.claim for one in before if isinstance(one, Submission)]
        named = next((c for c in claims if (c.stream, c.id) == (claim.stream, of)), None)
        if named is None:
            raise OfUnknown("of_unknown", of=of)
        if claim.type != "correction":
            return About(None, root=root_of(named.fields()))
        _check_correction(claim, named.type, named.actor)
        return About(None)

    def source_of(self, claim: Claim, before: Sequence[Submission | Fault]) -> str | None:
        """Returns the source of the record that a correction names, as `about` does."""
        return self.about(claim, before).source

    def check_publisher(self, claim: Claim) -> None:
        """Raises MeasureForeign where a `publication` is of another authority's measure.

        Of what is no record of this party nothing is said: the decision refuses it.
        """
        of = str(claim.data["of"])
        with self._database.read() as connection:
            fields = find_fields(connection, claim.stream, of)
        if fields is not None and fields["actor"] != claim.actor:
            raise MeasureForeign("measure_foreign", of=of)

    def find_rated(self, claim: Claim) -> Named:
        """Returns the record that a rating names, after asking who had a part in it.

        Raises OfUnknown, or what `check_rating` raises; Invalid for a carrier not registered as one.
        """
        of, stream = str(claim.data["of"]), claim.stream
        with self._database.read() as connection:
            own = find_fields(connection, stream, of)
            if own is None:
                raise OfUnknown("of_unknown", of=of)
            check_type(claim.type, own["type"])
            records = [
                one.fields
                for one in store.load_some(connection, stream, types=OF_SHIPMENTS, limit=_MOST)
            ]
            consignment = claim.data.get("consignment")
            named = find_named(records, of, consignment=consignment) or find_named(
                [own], of, consignment=consignment
            )
            if named is None:  # of another consignment
                raise OfUnknown("of_unknown", of=of)
            check_rating(claim.type, claim.actor, claim.data, named)
            if claim.type != CARRIER_RATING:
                return named
            carrier = find_party(connection, claim.data["carrier"])
            if carrier is None or not {CARRIER, AGGREGATOR} & set(carrier.roles):
                params = {"expected": CARRIER, "got": claim.data["carrier"]}
                raise invalid(FieldFault(("data", "carrier"), "value", params))
            return named._replace(parcel=ratingstore.parcel_of(connection, stream, named.seq))


def _check_correction(claim: Claim, type_: str, actor: str) -> None:
    """Raises OfForeign or Invalid where a correction is not its actor's to make, or not of this type.

    An outcome it does not change: who complained was given that word. Another reply says another, and
    which of them stands is told beside both (app.oversight.outcomes).
    """
    if actor != claim.actor:
        raise OfForeign("of_foreign", of=str(claim.data["of"]))
    changes = claim.data.get("changes")
    if type_ == "reply" and isinstance(changes, Mapping) and "outcome" in changes:
        loc = ("data", "changes", "outcome")
        raise invalid(
            FieldFault(loc, "unknown_field", {"name": "outcome"}, sentence="outcome_said")
        )
    if isinstance(changes, Mapping) and not claim.stream.startswith(PARTY_PREFIX):
        check_changes(type_, parse_code(claim.stream).level, changes)


def _unsays(connection: Connection, claim: Claim, of: Fields) -> bool:
    changes = claim.data.get("changes")
    if not isinstance(changes, Mapping) or not names_anew(of, changes):
        return False
    return has_spoken(of, changes, _life_of(connection, of))


def _life_of(connection: Connection, of: Fields) -> Iterator[Fields]:
    """Yields the records of the life that a record is of, and its corrections, in order of seq. Read-only."""
    consignment = of["data"].get("consignment")
    parts: list[bytes] = []  # of a unit all are of its life
    after_seq = -1
    if consignment is not None:
        named = {"consignment": consignment}, {"of": of["id"]}
        parts = [canonical_bytes(one)[1:-1] for one in named]
        # From where it began: a lot's stream may hold a hundred thousand records of others.
        place = (of["stream"], f"consignment/{consignment}")
        life = store.load_facts(connection, [place]).get(place, {})
        begun = [life[step]["seq"] for step in ("sale", "dispatch") if step in life]
        after_seq = min([of["seq"], *begun]) - 1
    for fields in each_holding(connection, of["stream"], parts, after_seq=after_seq):
        of_life = fields["data"].get("consignment") == consignment
        if of_life or fields["data"].get("of") == of["id"]:
            yield fields
