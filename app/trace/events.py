"""The event types of the contract: where each may stand, what it must say and what it may seal.

One table, EVENT_TYPES, and the check that reads it. Who may send a type is decided by the parties'
roles, whether it fits the life of the goods by `lifecycle`; here only its shape is judged.
Regions are GB/T 2260 codes (six digits, city level is enough); places, names and numbers that
identify a person have no field here: they travel in sealed sections.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal

from app.kit.errors import FieldFault, Invalid
from app.trace.fields import FieldReader, Rule
from app.trace.quick_fields import QuickReader

Level = Literal["product", "lot", "unit", "party"]

FUTURE_TOLERANCE = timedelta(minutes=5)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

SIGNATURE_KINDS = ("in_person", "proxy", "locker", "pickup", "auto")
COMPLAINT_CATEGORIES = (
    "quality", "after_sales", "contract", "advertising", "price", "counterfeit", "food_safety",
    "privacy", "other",
)  # fmt: skip
WISHES = ("return", "refund", "exchange", "repair", "apology", "other")
REPLY_OUTCOMES = ("accepted", "refused")
# Goods that need not be taken back without a reason: Consumer Law art. 25.
RETURN_EXCEPTIONS = (
    "custom_made", "perishable", "digital_opened", "periodical", "confirmed_at_purchase",
)  # fmt: skip
HANDED_TO = ("platform", "regulator")
MEASURE_KINDS = ("delist", "suspend", "warn")
DOCUMENTS = ("agree", "differ", "absent")
PROOFS = ("platform", "carrier", "inner", "ticket")
PRODUCT_CATEGORIES = (
    "edible_agricultural", "food", "drug", "medical_device", "agricultural_input", "hazardous",
    "rare_earth", "cross_border", "consumer_goods", "other",
)  # fmt: skip
IMPORT_MODES = ("1210", "9610", "9710", "9810", "general")


@dataclass(frozen=True, slots=True)
class EventType:
    """One type of the contract.

    fields: by name, on every level; by_level adds to them on one level. any_of: of each group at
    least one field must be given. consignment: on a lot it belongs to the life of one consignment.
    """

    levels: tuple[Level, ...]
    fields: Mapping[str, Rule] = field(default_factory=dict)
    by_level: Mapping[Level, Mapping[str, Rule]] = field(default_factory=dict)
    any_of: tuple[tuple[str, ...], ...] = ()
    sealed: tuple[str, ...] = ()
    consignment: bool = False

    def fields_on(self, level: Level) -> dict[str, Rule]:
        """Returns the rules of every field that the type may carry on `level`."""
        rules = {**self.fields, **self.by_level.get(level, {})}
        if self.consignment and level == "lot":
            rules["consignment"] = Rule("text", required=True)
        return rules


def _text(max_length: int = 64, *, required: bool = False) -> Rule:
    return Rule("text", required=required, max_length=max_length)


def _choice(choices: tuple[str, ...], *, required: bool = True) -> Rule:
    return Rule("choice", required=required, choices=choices)


# A party id or a free name: a name of 64 characters holds every id, and whether a text names a
# party is a question for the parties, not for the shape.
_NAMED = _text(required=True)
_REASON = _text(500, required=True)
_RATING = Rule("integer", required=True, low=1, high=5)
_RECORD = Rule("record_id", required=True)
_PROOF = Rule("choice", choices=PROOFS, by="system")
_TAIL = Rule("tail", by="signer")
_REGION = Rule("region")
# Of a unit: said of all that is in a case, by each of its units.
_IN_CASE: Mapping[Level, Mapping[str, Rule]] = {"unit": {"case": Rule("sscc")}}

# Whether order, payment and waybill (三单) agreed: what our comparison found (app.oversight.customs),
# and nobody's word for it.
_DOCUMENTS = Rule("choice", choices=DOCUMENTS, by="system")

_GOODS: tuple[Level, ...] = ("product", "lot", "unit")
_LIFE: tuple[Level, ...] = ("unit", "lot")

_IMPORT = Rule(
    "object",
    fields={
        "mode": _choice(IMPORT_MODES),
        "port": _text(required=True),
        "hs_code": _text(16),
        "origin": _text(required=True),
        "certificate": _text(),
        "plant": _text(),
        "recall_agent": _text(),
    },
)

EVENT_TYPES: Mapping[str, EventType] = {
    "registration": EventType(
        _GOODS,
        {"issuer": _NAMED},
        by_level={
            "product": {
                "name": _text(200, required=True),
                "category": _choice(PRODUCT_CATEGORIES),
                "brand": _text(100),
                "spec": _text(200),
                "origin": _text(100),
                "standard": _text(100),
                "licence": _text(100),
                "item_code": Rule("flag"),
            },
            "lot": {
                "produced_on": Rule("date"),
                "expires_on": Rule("date"),
                "import": _IMPORT,
            },
            "unit": {
                "lot": _text(20),
                "brand_owner": Rule("flag"),
                "inner_digest": Rule("digest", by="system"),
            },
        },
        sealed=("quantity", "declaration"),
    ),
    "listing": EventType(
        _GOODS,
        {
            "platform": Rule("named"),
            "url": Rule("url"),
            "title": _text(200),
            "content_digest": Rule("digest"),
            "ended": Rule("flag"),
        },
        any_of=(("platform", "url"),),
    ),
    "pack": EventType(("unit",), {"case": Rule("sscc", required=True)}),
    "unpack": EventType(("unit",), {"case": Rule("sscc", required=True)}),
    "transfer": EventType(_LIFE, {"to": _NAMED}, by_level=_IN_CASE),
    "acceptance": EventType(_LIFE, {"from": _NAMED}, by_level=_IN_CASE),
    "sale": EventType(
        _LIFE,
        {"platform": Rule("named"), "region": _REGION},
        by_level=_IN_CASE,
        sealed=("order", "payment", "buyer", "terms"),
        consignment=True,
    ),
    "dispatch": EventType(
        _LIFE,
        {
            "carrier": Rule("named", required=True),
            "from": _REGION,
            "to": _REGION,
            "real_name": Rule("flag"),
            "waybill_tail": _TAIL,
        },
        by_level=_IN_CASE,
        sealed=("waybill", "recipient"),
        consignment=True,
    ),
    "transit": EventType(
        _LIFE,
        {"region": _REGION, "status": _text()},
        any_of=(("region", "status"),),
        consignment=True,
    ),
    "signature": EventType(
        _LIFE,
        {"kind": _choice(SIGNATURE_KINDS), "proof": _PROOF},
        by_level=_IN_CASE,
        consignment=True,
    ),
    "refusal": EventType(
        _LIFE, {"reason": _REASON, "proof": _PROOF}, by_level=_IN_CASE, consignment=True
    ),
    "return": EventType(_LIFE, {"reason": _REASON}, by_level=_IN_CASE, consignment=True),
    "review": EventType(
        _LIFE, {"rating": _RATING, "proof": _PROOF}, sealed=("text",), consignment=True
    ),
    "follow_up": EventType(
        _LIFE, {"rating": _RATING, "proof": _PROOF}, sealed=("text",), consignment=True
    ),
    "carrier_rating": EventType(
        _LIFE,
        {"of": _RECORD, "carrier": _NAMED, "rating": _RATING, "proof": _PROOF},
        sealed=("text",),
        consignment=True,
    ),
    # What is said of a person is sealed, the number too.
    "buyer_rating": EventType(_LIFE, {"of": _RECORD}, sealed=("rating",), consignment=True),
    "complaint": EventType(
        _LIFE,
        {
            "category": _choice(COMPLAINT_CATEGORIES),
            "wish": _choice(WISHES, required=False),
            "proof": _PROOF,
        },
        sealed=("detail",),
        consignment=True,
    ),
    # What is said on in the matter of a complaint: by whoever has its ticket and query code, and by the
    # seller or the platform of the sale, who may neither rate nor settle it.
    "message": EventType(
        _LIFE,
        {
            "of": _RECORD,
            "rating": Rule("integer", low=1, high=5),
            "settled": Rule("flag"),
            "proof": _PROOF,
        },
        sealed=("detail",),
        consignment=True,
    ),
    # The seller, or its platform, hands a complaint on that it does not settle itself.
    "referral": EventType(
        _LIFE,
        {"of": _RECORD, "to": _choice(HANDED_TO)},
        sealed=("detail",),
        consignment=True,
    ),
    # basis: the law by which an authority orders it; whoever recalls its own goods needs none.
    "recall": EventType(
        _GOODS,
        {"reason": _REASON, "level": Rule("grade", low=1, high=3), "basis": _text(500)},
    ),
    "recall_lifted": EventType(_GOODS, {"reason": _REASON, "level": Rule("grade", low=1, high=3)}),
    "measure": EventType(
        ("party",),
        {"kind": _choice(MEASURE_KINDS), "basis": _REASON, "until": Rule("time")},
    ),
    "measure_lifted": EventType(("party",), {"kind": _choice(MEASURE_KINDS), "basis": _REASON}),
    "void": EventType(("unit",), {"reason": _REASON}),
    "correction": EventType(
        (*_GOODS, "party"),
        {"of": _RECORD, "changes": Rule("changes", max_length=500), "waybill_tail": _TAIL},
        # A lot's own records are corrected without one.
        by_level={"lot": {"consignment": _text()}},
        # A changed waybill is a correction of the dispatch: its number is as secret as the first.
        sealed=(
            "order",
            "payment",
            "buyer",
            "terms",
            "waybill",
            "recipient",
            "text",
            "detail",
        ),
    ),
    "reply": EventType(
        _GOODS,
        {
            "of": _RECORD,
            "outcome": _choice(REPLY_OUTCOMES, required=False),
            "exception": _choice(RETURN_EXCEPTIONS, required=False),
        },
        sealed=("text",),
    ),
    # Where the authority made a measure public, and on which day.
    "publication": EventType(
        ("party",), {"of": _RECORD, "on": Rule("date", required=True), "url": Rule("url")}
    ),
    "notice": EventType(_GOODS, {"text": _text(2000, required=True)}),
    "inspection": EventType(
        _GOODS,
        {"result": _NAMED, "body": _text(100), "report_digest": Rule("digest")},
    ),
    # What is declared and why goods are held is between customs and the declarant.
    "customs_release": EventType(
        _LIFE,
        {"port": _NAMED, "certificate": _text(), "documents": _DOCUMENTS},
        sealed=("declaration",),
    ),
    "customs_hold": EventType(
        _LIFE,
        {"port": _NAMED, "documents": _DOCUMENTS},
        sealed=("declaration", "reason"),
    ),
}


def check_event(
    type_name: str,
    level: Level,
    data: object,
    sealed_names: Collection[str],
    *,
    signed: bool = False,
    system: bool = False,
) -> dict[str, Any]:
    """Returns the data as it will stand in the record: canonical values, ids and digests lowered.

    signed: the sender signs the claim, so it gives `waybill_tail` itself, and every value must
    already have the form it would be given here (kind `signed_form`), or the signature would not hold.
    system: the data is our own and may hold the fields reserved to us.

    Raises Invalid with every wrong place at once: `("type",)`, `("code",)` for a level where the
    type may not stand, `("data", name, …)`, `("sealed", name)`.
    """
    event_type = EVENT_TYPES.get(type_name)
    if event_type is None:
        raise Invalid(
            "invalid", errors=(FieldFault(("type",), "unknown_type", {"got": str(type_name)[:64]}),)
        )
    if not signed and not system and type(data) is dict and level in event_type.levels:
        kept = _quick(type_name, level).read(data, sealed_names)
        if kept is not None:
            return kept
    faults: list[FieldFault] = []
    if level not in event_type.levels:
        expected = ", ".join(event_type.levels)
        params = {"expected": expected, "got": level}
        words = dict.fromkeys(params, "level")
        faults.append(FieldFault(("code",), "level", params, words=words))
    faults += [
        FieldFault(("sealed", name), "unknown_field", {"name": name})
        for name in sorted(sealed_names)
        if name not in event_type.sealed
    ]
    reader = FieldReader(faults, signed=signed, system=system)
    kept = reader.read_object(_fields(type_name, level), data, ("data",))
    given: Mapping[str, object] = data if isinstance(data, Mapping) else {}
    for group in event_type.any_of:
        if not any(name in given for name in group):
            # The first is named: giving it is enough.
            params = {"any_of": ", ".join(group)}
            faults.append(FieldFault(("data", group[0]), "missing", params))
    if faults:
        raise Invalid("invalid", errors=tuple(faults))
    return kept


@cache
def _fields(type_name: str, level: Level) -> Mapping[str, Rule]:
    return EVENT_TYPES[type_name].fields_on(level)


@cache
def _quick(type_name: str, level: Level) -> QuickReader:
    event_type = EVENT_TYPES[type_name]
    rules = event_type.fields_on(level)
    return QuickReader(rules, any_of=event_type.any_of, sealed=event_type.sealed)


def check_changes(type_name: str, level: Level, changes: object) -> dict[str, Any]:
    """Returns the corrected fields of a record of `type_name`, normalised; any may be absent.

    For a correction whose `changes` is an object, once the record that it names is known; the
    correction itself keeps the changes as they were sent. What is ours in that record stays ours.

    Raises Invalid as `check_event` does, at `("data", "changes", name)`.
    """
    faults: list[FieldFault] = []
    rules = EVENT_TYPES[type_name].fields_on(level) if type_name in EVENT_TYPES else {}
    loc = ("data", "changes")
    kept = FieldReader(faults, signed=False, system=False).read_object(
        rules, changes, loc, part=True
    )
    if faults:
        raise Invalid("invalid", errors=tuple(faults))
    return kept


def check_time(occurred_at: datetime, now: datetime) -> None:
    """Raises Invalid for a time more than 5 min ahead (`future_time`) or before 2000 (`range`).

    Senders' clocks run ahead of ours by a little; goods with a code are younger than the century.
    """
    params: dict[str, object]
    if occurred_at > now + FUTURE_TOLERANCE:
        kind, params = "future_time", {"got": occurred_at, "now": now}
    elif occurred_at < EARLIEST:
        kind, params = "range", {"got": occurred_at, "expected": "≥ 2000-01-01"}
    else:
        return
    raise Invalid("invalid", errors=(FieldFault(("occurred_at",), kind, params),))


def waybill_tail(number: str) -> str | None:
    """Returns the last four letters or digits of a waybill number, in upper case.

    None for a number of fewer than eight: four of so few would give it away.
    """
    plain = [char for char in number if char.isascii() and char.isalnum()]
    return "".join(plain[-4:]).upper() if len(plain) >= 8 else None
