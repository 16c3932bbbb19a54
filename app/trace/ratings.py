"""Ratings: which shipment one is of, who was party to it, and the row that it is counted by. Pure.

Three kinds. A `review` rates the seller. A `carrier_rating` names the dispatch and its carrier; the shop
that sent says it, or the consumer who was sent to. A `buyer_rating` names what its author did in the
order, the shop its sale and the carrier the dispatch; what it says of the buyer is sealed, and no row
holds it. All three are information: no point and no rank follows from them.

Said again, the newest word of a side on a shipment counts. A correction of a rating changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from app.kit.clock import parse_ms
from app.kit.errors import Denied, FieldFault, invalid
from app.ledger.record import stream_key
from app.parties.identity import CONSUMER, is_party_id

Fields = Mapping[str, Any]
Kind = Literal["seller", "carrier", "buyer"]
Side = Literal["consumer", "merchant", "carrier"]

REVIEW, CARRIER_RATING, BUYER_RATING = "review", "carrier_rating", "buyer_rating"
NAMING = frozenset({CARRIER_RATING, BUYER_RATING})
"""Types that name a record of the shipment."""
TYPES = NAMING | {REVIEW}
KINDS: Mapping[str, Kind] = {REVIEW: "seller", CARRIER_RATING: "carrier", BUYER_RATING: "buyer"}
OPINION = "rating"
"""The section of a `buyer_rating` that holds what is said: `{rating, text?}`."""
BEST = 5

_NAMED = ("sale", "dispatch")
_ENDS = frozenset({"return", "refusal"})
OF_SHIPMENTS = frozenset({*_NAMED, *_ENDS, "correction", "acceptance", "registration"})
"""Types of the records that tell a shipment."""


class NotInShipment(Denied):
    """Only who was party to a shipment rates the others."""


class OwnRating(Denied):
    """Nobody rates itself."""


class Named(NamedTuple):
    """The record that a rating names. carrier: of a dispatch, as it is corrected by now.

    sale: seq of the sale of the same cycle, None where none is recorded. parcel: what makes several
    units one parcel.
    """

    type: str
    id: str
    seq: int
    actor: str
    carrier: str | None
    sale: int | None
    parcel: bytes = b""


def find_named(records: Iterable[Fields], of: str, *, consignment: object = None) -> Named | None:
    """Returns the sale or dispatch `of` among the records of goods, in order; None where it is none.

    consignment: of the lot whose life is meant.
    """
    found: Fields | None = None
    carrier, sale = None, None
    for fields in records:
        type_, data = fields["type"], fields["data"]
        if data.get("consignment") != consignment and type_ != "correction":
            continue
        if type_ in _ENDS:
            if found is not None:
                break
            sale = None
        elif type_ == "sale":
            sale = fields["seq"]
        if type_ in _NAMED and fields["id"] == of:
            found, carrier = fields, data.get("carrier")
        elif found is not None and type_ == "correction" and data.get("of") == of:
            changes = data.get("changes")
            if isinstance(changes, Mapping) and fields["actor"] == found["actor"]:
                carrier = changes.get("carrier", carrier)
    if found is None:
        return None
    return Named(found["type"], of, found["seq"], found["actor"], carrier, sale)


def check_type(type_: str, named: str) -> None:
    """Raises Invalid where a rating of this type cannot name a record of that one."""
    wanted = ("dispatch",) if type_ == CARRIER_RATING else _NAMED
    if named not in wanted:
        raise _wrong("of", " | ".join(wanted), named)


def check_rating(type_: str, actor: str, data: Fields, named: Named) -> None:
    """Raises what is wrong with whom a rating is of and by.

    Invalid where it names another carrier; NotInShipment where the author had no part in it; OwnRating.
    Whether a consumer had, its proof tells.
    """
    if type_ == CARRIER_RATING:
        carrier = str(named.carrier)
        if not is_party_id(carrier) or data["carrier"] != carrier:
            raise _wrong("carrier", carrier, data["carrier"])
        if actor == carrier:
            raise OwnRating("own_rating")
        author = actor in (CONSUMER, named.actor)
    elif named.type == "sale":
        author = actor == named.actor
    else:
        author = actor == named.carrier
    if not author:
        raise NotInShipment("not_in_shipment")


def check_opinion(sealed: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises Invalid unless a `buyer_rating` seals a rating of 1 to 5."""
    if OPINION not in sealed:
        raise invalid(FieldFault(("sealed", OPINION), "missing", {"name": OPINION}))
    given = sealed[OPINION].get("rating")
    if type(given) is not int or not 1 <= given <= BEST:
        params = {"expected": f"1..{BEST}", "got": str(given)[:40]}
        raise invalid(FieldFault(("sealed", OPINION, "content", "rating"), "range", params))


def rating_row(
    stream: str,
    gtin: str,
    *,
    seq: int,
    type_: str,
    actor: str,
    data: Fields,
    at_ms: int,
    seller: str,
    named: Named | None,
) -> dict[str, Any]:
    """Returns the row of `rating` that a rating is counted by.

    seller: of the goods, for a review. named: for the others.
    """
    key = stream_key(stream)
    merchant, side, of_seq = seller, _side(actor, seller), seq
    if named is not None:
        of_seq = named.seq
        merchant = named.actor
        side = _side(actor, merchant)
    rated = {"seller": seller, "carrier": str(data.get("carrier", "")), "buyer": ""}[KINDS[type_]]
    return {
        "stream": key,
        "seq": seq,
        "kind": KINDS[type_],
        "side": side,
        "party": rated,
        "merchant": merchant,
        "gtin": gtin,
        "of_seq": of_seq,
        "sale_seq": None if named is None else named.sale,
        "rating": data.get("rating"),
        "proof": data.get("proof"),
        "parcel": (named.parcel if named else b"") or key.to_bytes(8) + of_seq.to_bytes(8),
        "at": at_ms,
    }


def told_rows(stream: str, gtin: str, records: Sequence[Fields]) -> Iterator[dict[str, Any]]:
    """Yields the rows that a stream's records give, but for `parcel`: for audits and rebuilding."""
    for place, fields in enumerate(records):
        if fields["type"] not in TYPES:
            continue
        before, data = records[:place], fields["data"]
        consignment = data.get("consignment")
        named = None
        if fields["type"] in NAMING:
            named = find_named(before, data["of"], consignment=consignment)
            if named is None:
                continue
        yield rating_row(
            stream,
            gtin,
            seq=fields["seq"],
            type_=fields["type"],
            actor=fields["actor"],
            data=data,
            at_ms=parse_ms(fields["recorded_at"]),
            seller=_seller(before, consignment),
            named=named,
        )


def _seller(records: Iterable[Fields], consignment: object) -> str:
    """Returns who sold the goods last, else who holds them: as a life tells it while they are sold."""
    holder, seller = "", None
    for fields in records:
        type_, data = fields["type"], fields["data"]
        if type_ == "registration":
            holder = str(data.get("issuer", fields["actor"]))
        elif type_ == "acceptance":
            holder = fields["actor"]
        elif type_ == "sale" and data.get("consignment") == consignment:
            seller = fields["actor"]
    return seller or holder


def _side(actor: str, merchant: str) -> Side:
    if actor == CONSUMER:
        return "consumer"
    return "merchant" if actor == merchant else "carrier"


def _wrong(name: str, expected: str, got: str) -> Exception:
    params = {"expected": expected, "got": str(got)[:80]}
    return invalid(FieldFault(("data", name), "value", params))
