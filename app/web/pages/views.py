"""What the pages show, as plain values: decided, checked and cut down before they come here.

A view holds only what the public may see. There is no field for a buyer, an order number, a whole
waybill number, a price or a place finer than a city, so that none can slip onto a page. Words of our own
are not in a view but in the locales, chosen by the kinds named here; texts in a view are other people's
(names, reasons, reviews) and are escaped when shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from app.i18n import Lang

VerdictKind = Literal["intact", "incomplete", "broken", "unknown"]
Level = Literal["unit", "lot", "product"]
StepStatus = Literal["ok", "due", "missing", "broken", "corrected"]
Source = Literal[
    "merchant", "platform", "carrier", "aggregator", "consumer", "regulator", "customs", "system"
]
Obliged = Literal["merchant", "platform", "carrier", "aggregator", "operator"]
WarningKind = Literal[
    "recalled",
    "expired",
    "under_measure",
    "clone_suspected",
    "sold_before",
    "provisional_gap",
    "customs_hold",
    "seller_warned",
]
Proof = Literal["carried", "claim", "inner"]
FormName = Literal["review", "follow_up", "complaint", "report"]

STAGES: tuple[str, ...] = ("listing", "sale", "dispatch", "signature")


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """What shows an answer to a form once more, posted: what it holds must not stand in an address.

    Only for what may be sent any number of times and changes nothing.
    """

    action: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What every page needs.

    path: this page's own path, percent-encoded, without a query; the language switch links to it. On
    a page that answers a POST it is the page the form stands on.
    language_chosen: the reader asked for this language by `?lang=`; links within then keep it.
    showing: a UUID made for this one showing; forms send it, so that one sent twice is taken once.
    query: what was asked of the page beside the language, percent-encoded; the switch keeps it.
    again: on an answer to a form that no address brings back; the switch then is a form too.
    """

    lang: Lang
    path: str
    language_chosen: bool = False
    showing: str = ""
    query: str = ""
    again: Again | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The verdict over everything the subject relies on.

    record_count: records drawn in the chain. total: of its own ones where not all were read, else 0.
    pending: those of them that no signed checkpoint covers
    yet. attributed_to: who answers for an integrity break; None while nobody has been named.
    by_log: broken only because the log itself is not the one that was signed.
    """

    kind: VerdictKind
    record_count: int
    checked_at: datetime
    total: int = 0
    pending: int = 0
    attributed_to: Obliged | None = None
    by_log: bool = False

    @property
    def title(self) -> str:
        """The key of the headline of what the records alone give, as whoever checks them reaches it too."""
        if self.by_log:
            return "page.verdict.log"
        return f"page.verdict.{'part' if self.total and self.kind == 'intact' else self.kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One node of the drawn chain: a record, or one that ought to be there.

    type: event type; `record` for one whose type can no longer be told.
    status: `due` is awaited and in its grace, `missing` is overdue, `broken` is the record at fault,
    `corrected` was replaced by a later record.
    on: the stream it stands in. earlier: it belongs to a life that a return has ended.
    by, platform, carrier: names of organisations, never of a natural person.
    regions: six-digit codes, at most from and to.
    kind: signature kind, measure kind, import mode, as the event names it. category: of a complaint.
    reason, transit (how far it is), result, port: short texts as recorded. rating: 1..5.
    text: a public text (review, reply, notice); text_state says why it is not shown.
    hash: 64 hex digits, "" where there is no record. leaf_index: None until sequenced.
    outweighed: a signature after which the carrier's own word came.
    sent_at: of a signature, when the dispatch is said to have been where that is later than it.
    tail: of a corrected waybill number. of: of a correction, the type of the record that it corrects.
    due_at, obliged: for `due` and `missing`. fault: for `broken`, the finding's kind without its
    family, as in `hash_mismatch`.
    """

    type: str
    status: StepStatus = "ok"
    on: Level = "unit"
    earlier: bool = False
    occurred_at: datetime | None = None
    recorded_at: datetime | None = None
    source: Source | None = None
    by: str = ""
    platform: str = ""
    carrier: str = ""
    regions: tuple[str, ...] = ()
    kind: str = ""
    category: str = ""
    reason: str = ""
    transit: str = ""
    result: str = ""
    port: str = ""
    rating: int | None = None
    proof: str = ""
    text: str = ""
    text_state: Literal["shown", "hidden", "erased"] = "shown"
    hidden_reason: str = ""
    signed: bool = False
    hash: str = ""
    leaf_index: int | None = None
    due_at: datetime | None = None
    obliged: Obliged | None = None
    fault: str = ""
    sent_at: datetime | None = None
    tail: str = ""
    of: str = ""
    outweighed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sold:
    """What a buyer compares with the parcel. times: how often the unit was sold in all its lives.

    sold_at: None where it was sent and the record of the sale is still missing.
    shop: the seller's name as registered. region: six-digit code of the destination.
    waybill_tail: the last four characters, never more.
    """

    state: Literal["not_sold", "sold", "returned", "void"]
    times: int = 0
    sold_at: datetime | None = None
    shop: str = ""
    platform: str = ""
    region: str = ""
    carrier: str = ""
    waybill_tail: str = ""
    signed_at: datetime | None = None
    returned_at: datetime | None = None

    def __post_init__(self) -> None:
        # The one place where a mistake upstream would publish a personal number.
        if len(self.waybill_tail) > 4:
            raise ValueError("a waybill tail has at most four characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scans:
    """How often this code was looked up, this time included. first_at: None only at count 0."""

    count: int
    first_at: datetime | None = None
    devices: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """A lot's import section; the declaration number itself stays sealed.

    mode: `1210`, `9610`, `9710`, `9810`, `general`. certificate: as whoever registered the lot told it,
    not that of a release.
    """

    mode: str
    port: str = ""
    origin: str = ""
    certificate: str = ""
    plant: str = ""
    recall_agent: str = ""
    declared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomsDecision:
    """What customs recorded last of the goods, as that record says it. certificate: of a release.

    documents: what was found when order, payment and waybill were compared, "" where none were.
    """

    decision: Literal["release", "hold"]
    at: datetime
    port: str = ""
    certificate: str = ""
    documents: Literal["agree", "differ", "absent", ""] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """An inspection that applies. result: as recorded."""

    result: str
    by: str
    at: datetime
    on: Level = "lot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """The product's public facts. gtin: as printed on the pack, at its own length.

    own_code: a party-scoped item code stands in for a GTIN. category: the enum of the contract.
    expired: judged at the time of looking, by the lot's date.
    """

    name: str
    gtin: str
    own_code: bool = False
    serial: str = ""
    lot: str = ""
    category: str = ""
    brand: str = ""
    spec: str = ""
    origin: str = ""
    standard: str = ""
    licence: str = ""
    produced_on: date | None = None
    expires_on: date | None = None
    expired: bool = False
    imported: Import | None = None
    customs: CustomsDecision | None = None
    inspections: tuple[Inspection, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """A licence as shown to the public. url: official place to check it; only http(s) is linked.

    begins: its first day, where that is still to come.
    """

    kind: str
    number: str
    valid_until: date | None = None
    expired: bool = False
    begins: date | None = None
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """A party's credit. score counts holds, score_without_holds does not; equal without a hold.

    data_enough: False shows "not enough data" in place of the grade's weight. url: public dossier.
    """

    score: int
    score_without_holds: int
    grade: Literal["A", "B", "C", "D"]
    data_enough: bool
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A party that answers for the goods. id: its USCC, or `EX…` for an exempt person."""

    role: Literal[
        "issuer", "producer", "registrant", "brand_owner", "seller", "importer", "recall_agent"
    ]
    name: str
    id: str
    verified: bool
    exempt: bool = False
    region: str = ""
    licences: tuple[Licence, ...] = ()
    credit: Credit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something in force that a buyer must know before anything else."""

    kind: Literal["recall", "measure", "notice"]
    on: Literal["unit", "lot", "product", "party"]
    by: str
    at: datetime
    reason: str = ""
    level: str = ""
    measure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was checked for this page. ok: None means not checked, and why is in detail."""

    name: str
    ok: bool | None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The public log as last signed. pending: records of the whole log not yet under a checkpoint."""

    origin: str
    size: int
    published_at: datetime | None
    pending: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Where a reader takes the evidence; an empty one is not shown."""

    evidence: str = ""
    chain: str = ""
    events: str = ""
    verification: str = ""
    checkpoint: str = ""
    key: str = ""
    verify_page: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """What the reader may do: form targets (same origin, POST), each empty when not open.

    follow_up and review exclude each other. proofs: the ways of proof this unit takes;
    `carried`: one was brought along, and none need be typed. unproven: it is sold, and there is no way.
    """

    review: str = ""
    follow_up: str = ""
    complaint: str = ""
    report: str = ""
    proofs: tuple[Proof, ...] = ("claim",)
    unproven: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FormState:
    """A form that was sent and refused, shown again as it was, open.

    message: the refusal in the reader's language. errors: field name -> sentence. A proof is never
    sent back to the page; proof_again: one was typed that nothing is said against, and is to be typed
    once more. sent_as: the form that was sent, where what it said goes on in another.
    """

    form: FormName
    message: str
    sent_as: FormName | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    proof_again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanView:
    """The page that a scan opens, for a unit, a lot or a product (`/01/…`).

    code: the canonical code without a leading slash. sold: None on lots and products.
    steps: oldest first, awaited ones where they belong. warnings: of the contract, any order.
    label_lot: the lot that the label names where the unit is of another; "" elsewhere.
    """

    frame: Frame
    level: Level
    code: str
    verdict: Verdict
    product: Product
    parties: tuple[Party, ...]
    steps: tuple[Step, ...]
    actions: Actions
    links: Links
    sold: Sold | None = None
    scans: Scans | None = None
    notices: tuple[Notice, ...] = ()
    warnings: tuple[WarningKind, ...] = ()
    label_lot: str = ""
    checks: tuple[Check, ...] = ()
    log: Log | None = None
    form: FormState | None = None

    @property
    def stages(self) -> tuple[tuple[str, str], ...]:
        """The four steps at a glance, each with its latest status in this life, or `waiting`."""
        latest = {step.type: step.status for step in self.steps if not step.earlier}
        return tuple((stage, latest.get(stage, "waiting")) for stage in STAGES)

    def with_status(self, *statuses: StepStatus) -> tuple[Step, ...]:
        """The steps of these statuses, in order."""
        return tuple(step for step in self.steps if step.status in statuses)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownView:
    """No such code (404), or text that is no code at all (malformed).

    code: as the reader gave it. problem: why it is malformed, in the reader's language; "" if it is
    well-formed but not on record.
    """

    frame: Frame
    code: str
    lookup: str
    report: str
    problem: str = ""
    form: FormState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultView:
    """The thanks after a form. ticket: "" where there is none (reviews). back: the code's page.

    query: the query code with which a complaint is followed.
    """

    frame: Frame
    form: FormName
    back: str
    ticket: str = ""
    query: str = ""
    hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyView:
    """The page that checks a bundle. script: where the program for a terminal is; "" if not here."""

    frame: Frame
    script: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorView:
    """Something went wrong on our side, too often, or is not the reader's to do.

    request_id: what a person can quote. told: what is said of this very case, "" where the kind says all.
    back: the page on which a form stood that was opened in another session, "" for none.
    """

    frame: Frame
    kind: Literal[
        "internal", "unavailable", "too_many", "too_large", "not_found", "forbidden", "outside_region",
        "stale", "too_long",
    ]  # fmt: skip
    told: str = ""
    back: str = ""
    request_id: str = ""
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneItem:
    """A product of the traceable zone. chains: of units sold lately, those without an open gap."""

    name: str
    url: str
    seller: str
    chains: int
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeView:
    """The front page. lookup: where the code form goes (GET, field `code`)."""

    frame: Frame
    lookup: str
    log: Log | None = None
    zone: tuple[ZoneItem, ...] = ()
    api_docs: str = ""
