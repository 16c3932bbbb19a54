"""Every table. Times are milliseconds since 1970 UTC (`_at`), hashes 32 bytes.

`stream` is the 63-bit key of a stream's name (ledger.record.stream_key); every table of a stream has
it first in its primary key and in every UNIQUE, and no foreign key crosses streams, so that the same
schema can be distributed by stream. Tables of the log have no stream in front: they stay on one node.

What is not `record`, `log_leaf`, `tile` or `checkpoint` is an index over records, a queue, or a
secret kept apart so that it can be erased.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel


class Blob(LargeBinary):
    """Bytes that come back as bytes, whatever a tampering hand put into the column.

    SQLite keeps a text where bytes should be; an audit must read it and say so, not fail on it.
    """

    def bind_processor(self, dialect: Any) -> Any:  # noqa: ARG002 - SQLAlchemy's
        return None  # both drivers take bytes as they are; wrapping each costs time on the hot path

    def result_processor(self, dialect: Any, coltype: object) -> Any:  # noqa: ARG002 - SQLAlchemy's
        return _to_bytes


def _to_bytes(value: Any) -> bytes | None:
    if value is None or type(value) is bytes:
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    return str(value).encode() if isinstance(value, (int, float)) else bytes(value)


_SERIAL = BigInteger().with_variant(Integer(), "sqlite")  # SQLite's row id, big everywhere


def _big(*, key: bool = False, null: bool = False) -> Any:
    return Field(sa_column=Column(BigInteger, primary_key=key, nullable=null, autoincrement=False))


def _text(*, key: bool = False, null: bool = False) -> Any:
    return Field(sa_column=Column(Text, primary_key=key, nullable=null))


def _bytes(*, key: bool = False, null: bool = False) -> Any:
    return Field(sa_column=Column(Blob, primary_key=key, nullable=null))


def _only(condition: str) -> dict[str, Any]:
    """Keeps an index to the rows that meet a condition: few of many."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


GRAVE = (
    "(substr(kind, 1, 10) = 'integrity.' OR substr(kind, 1, 4) = 'log.'"
    " OR substr(kind, 1, 6) = 'index.')"
)
SERIOUS = (
    "(substr(kind, 1, 9) IN ('identity.', 'brushing.')"
    " OR substr(kind, 1, 8) IN ('licence.', 'listing.'))"
)
ORDINARY = f"(NOT ({GRAVE} OR {SERIOUS}))"
"""How grave a finding is by its kind (app.oversight.kinds). Whoever asks says it in these very words, or no
index of findings is used."""


# --- ledger: streams and records -------------------------------------------------------------


class Head(SQLModel, table=True):
    """Where each stream stands: its last record, and the fold of the room that owns it (`state`)."""

    stream: int = _big(key=True)
    name: str = _text()
    seq: int = _big()
    hash: bytes = _bytes()
    recorded_at: int = _big()
    state: bytes = _bytes()


class RecordRow(SQLModel, table=True):
    """A record as hashed (`body`, canonical bytes) and an index beside it that audits compare.

    Immutable: triggers refuse UPDATE and DELETE.
    """

    __tablename__ = "record"
    __table_args__ = (UniqueConstraint("stream", "id"),)

    stream: int = _big(key=True)
    seq: int = _big(key=True)
    id: bytes = _bytes()
    type: str = _text()
    actor: str = _text()
    recorded_at: int = _big()
    hash: bytes = _bytes()
    body: bytes = _bytes()


class Fact(SQLModel, table=True):
    """A keyed part of a stream's state: a seller's listing, an agent's mandate, a consignment."""

    stream: int = _big(key=True)
    key: str = _text(key=True)
    value: bytes = _bytes()


class Unsequenced(SQLModel, table=True):
    """Committed records that wait for their index in the log."""

    __table_args__ = (Index("unsequenced_order", "recorded_at", "stream", "seq"),)

    stream: int = _big(key=True)
    seq: int = _big(key=True)
    recorded_at: int = _big()
    hash: bytes = _bytes()


class SealedSection(SQLModel, table=True):
    """What a commitment stands for: AES-256-GCM of salt ‖ content, its data key wrapped. Erasable."""

    __tablename__ = "sealed_section"

    stream: int = _big(key=True)
    record_id: bytes = _bytes(key=True)
    name: str = _text(key=True)
    sealed: bytes = _bytes(null=True)
    wrapped_key: bytes = _bytes(null=True)
    erased_at: int | None = _big(null=True)


class SideIndex(SQLModel, table=True):
    """HMAC of what must be found or compared (waybill, order, declaration, buyer) under its own key.

    Its index is read from any stream on: of a number that many records have no request reads them all.
    """

    __tablename__ = "side_index"
    __table_args__ = (Index("side_index_told", "digest", "stream", "seq", "kind"),)

    stream: int = _big(key=True)
    seq: int = _big(key=True)
    kind: str = _text(key=True)
    digest: bytes = _bytes()


class Outbox(SQLModel, table=True):
    """What a higher room must still do about a record. Handlers may meet a row twice."""

    __table_args__ = (
        Index("outbox_available", "available_at"),
        Index("outbox_topic", "topic", "available_at"),
    )

    stream: int = _big(key=True)
    seq: int = _big(key=True)
    topic: str = _text(key=True)
    payload: bytes = _bytes()
    available_at: int = _big()
    attempts: int = _big()
    last_error: str | None = _text(null=True)


# --- ledger: the log ---------------------------------------------------------------------------


class LogLeaf(SQLModel, table=True):
    """Which record stands at which position; `hash` is the entry, the record's hash. Immutable.

    leaf_index is the position over all logs: inside its log a leaf's index is that less the log's start.
    """

    __tablename__ = "log_leaf"
    __table_args__ = (UniqueConstraint("stream", "seq"),)

    leaf_index: int = Field(sa_column=Column(_SERIAL, primary_key=True, autoincrement=False))
    stream: int = _big()
    seq: int = _big()
    hash: bytes = _bytes()


class Tile(SQLModel, table=True):
    """The widest content of a tile of one log; level -1 holds entry bundles. c2sp.org/tlog-tiles."""

    log: int = _big(key=True)
    level: int = _big(key=True)
    tile_index: int = _big(key=True)
    data: bytes = _bytes()


class LogState(SQLModel, table=True):
    """The trees as committed, a row a log; that of the last log is moved by compare-and-swap on `size`."""

    __tablename__ = "log_state"

    log: int = _big(key=True)
    """0, 1, 2, …: the logs in the order in which they went on from each other."""
    start: int = _big()
    """The position of its first leaf: where the log before it ended."""
    origin: str = _text()
    size: int = _big()
    root: bytes = _bytes()
    edge: bytes = _bytes()
    """Concatenated hashes of the perfect subtrees of the right edge, largest first."""
    epoch: int = Field(
        default=0,
        sa_column=Column(BigInteger, nullable=False, autoincrement=False, server_default="0"),
    )
    """Of the last process that took the lease; who has another may not write. Always 0 on SQLite."""
    anchor: str | None = _text(null=True)
    """Id of the anchor folder under which the log is signed. PostgreSQL only."""


class Leader(SQLModel, table=True):
    """The lease of the one process that leads, moved by compare-and-swap. PostgreSQL only."""

    name: str = _text(key=True)
    holder: str = _text()
    epoch: int = _big()
    expires_at: int = _big()
    """By the database's clock, as in every other row in milliseconds."""


class CheckpointRow(SQLModel, table=True):
    """Signed checkpoints, as served. Of a log that another one went on from, the final one."""

    __tablename__ = "checkpoint"

    log: int = _big(key=True)
    size: int = _big(key=True)
    root: bytes = _bytes()
    note: str = _text()
    published_at: int = _big()


class HeadsMap(SQLModel, table=True):
    """A map over all streams' heads, as recorded or while it is made: at most the last two.

    size: leaves of the log `log` that it covers; target: the same as a place among all leaves.
    position: leaves done. root, streams: of what is done so far.
    """

    __tablename__ = "heads_map"

    version: int = _big(key=True)
    log: str = _text()
    size: int = _big()
    target: int = _big()
    position: int = _big()
    streams: int = _big()
    root: bytes = _bytes()
    seq: int | None = _big(null=True)
    """Of its record in `log/heads`; empty until it is recorded."""
    begun_at: int = _big()


class HeadsPage(SQLModel, table=True):
    """A page of the newest map (ledger.headpages). Derived: the log gives it again.

    before: what it was in the map before `version`; empty where it was not there.
    """

    __tablename__ = "heads_page"

    depth: int = _big(key=True)
    prefix: bytes = _bytes(key=True)
    version: int = _big()
    data: bytes = _bytes()
    before: bytes | None = _bytes(null=True)


# --- parties -----------------------------------------------------------------------------------


class Party(SQLModel, table=True):
    """Index over `party/{id}`: who acts. `name` of an exempt person stands here only, erasable."""

    __table_args__ = (Index("party_region", "region"),)

    id: str = _text(key=True)
    name: str = _text()
    roles: str = _text()
    region: str | None = _text(null=True)
    status: str = _text()
    licences: str = _text()
    exempt: bool
    next_check: str | None = _text(null=True)
    content: bytes = _bytes()
    """HMAC of what was registered, to tell a repeat from a conflict."""
    created_by: str | None = _text(null=True)
    created_at: int = _big()


class LicenceRow(SQLModel, table=True):
    """Index over the licences of `party/{id}`, one row a number: by number, by last day, by what waits."""

    __tablename__ = "licence"
    __table_args__ = (
        Index("licence_number", "number"),
        Index("licence_ends", "ends_on", **_only("ends_on IS NOT NULL")),
        Index("licence_waits", "told_at", **_only("told_at IS NOT NULL")),
    )

    party: str = _text(key=True)
    licence: str = _text(key=True)
    """Id of kind and number: `licence_book.licence_id`."""
    kind: str = _text()
    number: str = _text()
    ends_on: str | None = _text(null=True)
    """Last day (China) of what counts under it; empty: for ever, given up, struck out, or only told."""
    told_at: int | None = _big(null=True)
    """Since when it waits for somebody to look, ms; empty: it does not."""


class MeasureRow(SQLModel, table=True):
    """Index over the measures on `party/{id}`: whose they are, and since when they are public elsewhere."""

    __tablename__ = "measure"
    __table_args__ = (
        Index("measure_due", "authority", "decided_at", **_only("published_on IS NULL")),
        Index("measure_authority", "authority", "decided_at"),
    )

    party: str = _text(key=True)
    id: str = _text(key=True)
    """Of the record."""
    kind: str = _text()
    basis: str = _text()
    authority: str = _text()
    decided_at: int = _big()
    published_on: str | None = _text(null=True)
    """Day (China); empty: it is due."""
    url: str | None = _text(null=True)


class APIKey(SQLModel, table=True):
    """An API key: only SHA-256 of its 256-bit secret. `party` is empty for the operator's admin key."""

    __tablename__ = "api_key"
    __table_args__ = (Index("api_key_party", "party"),)

    key_id: str = _text(key=True)
    party: str | None = _text(null=True)
    scopes: str = _text()
    secret_hash: bytes = _bytes()
    label: str | None = _text(null=True)
    created_at: int = _big()
    revoked_at: int | None = _big(null=True)
    used_at: int | None = _big(null=True)
    """When it was last taken, to some minutes."""
    region: str | None = _text(null=True)
    """Of an authority's key: where who made it is in office (GB/T 2260); empty: everywhere."""


class Account(SQLModel, table=True):
    """A person who signs in: for a party, for the operator, or for an application (`party` empty).

    Configuration and no record; a name is a login name and need not be a person's.
    """

    __table_args__ = (Index("account_party", "party"), UniqueConstraint("name"))

    id: str = _text(key=True)
    name: str = _text()
    party: str | None = _text(null=True)
    role: str = _text()
    """owner, staff, operator or applicant."""
    scopes: str = _text()
    """Of staff: those chosen, separated by commas."""
    region: str | None = _text(null=True)
    """Of an authority's people: where they are in office (GB/T 2260); empty: as far as the party."""
    password: str | None = _text(null=True)
    """Argon2id in PHC form; empty where there is none."""
    password_at: int = _big()
    must_change: bool
    totp_sealed: bytes | None = _bytes(null=True)
    totp_key: bytes | None = _bytes(null=True)
    totp_step: int = _big()
    """The last time step whose code was taken (RFC 6238 5.2: once); 0: none yet."""
    created_at: int = _big()
    created_by: str | None = _text(null=True)
    seen_at: int | None = _big(null=True)
    """Last sign-in."""
    disabled_at: int | None = _big(null=True)


class RecoveryCode(SQLModel, table=True):
    """HMAC of a code that takes the authenticator's place once."""

    __tablename__ = "recovery_code"

    account: str = _text(key=True)
    digest: bytes = _bytes(key=True)
    used_at: int | None = _big(null=True)


class SignedSession(SQLModel, table=True):
    """Somebody who has signed in. Only SHA-256 of the cookie's 256 random bits is here."""

    __tablename__ = "signed_session"
    __table_args__ = (
        Index("signed_session_account", "account"),
        Index("signed_session_until", "until_at"),
    )

    digest: bytes = _bytes(key=True)
    id: str = _text()
    """By which a list names it; it stays when the cookie is changed."""
    account: str = _text()
    stage: str = _text()
    """code, password, full: what is still owed before it may do anything."""
    address: str = _text()
    agent: str = _text()
    created_at: int = _big()
    confirmed_at: int = _big()
    """When the password was last given."""
    seen_at: int = _big()
    until_at: int = _big()
    """At the latest; earlier where nothing is heard of it."""


class SignInTry(SQLModel, table=True):
    """How often somebody failed of late: HMAC of a login name, or of an address."""

    __tablename__ = "sign_in_try"
    __table_args__ = (Index("sign_in_try_last", "last_at"),)

    digest: bytes = _bytes(key=True)
    failures: int = _big()
    last_at: int = _big()
    until_at: int = _big()
    """Until when nothing more is tried."""


class AccountEvent(SQLModel, table=True):
    """The access log of an account: what happened to it and what it changed."""

    __tablename__ = "account_event"
    __table_args__ = (Index("account_event_account", "account", "at"),)

    id: str = _text(key=True)
    account: str = _text()
    at: int = _big()
    kind: str = _text()
    detail: str = _text()
    by: str | None = _text(null=True)
    """The account that did it; empty: itself, or the command line."""
    address: str = _text()


class Invitation(SQLModel, table=True):
    """A link that makes one account: SHA-256 of its 256 random bits."""

    __table_args__ = (Index("invitation_party", "party"),)

    digest: bytes = _bytes(key=True)
    id: str = _text()
    party: str | None = _text(null=True)
    role: str = _text()
    scopes: str = _text()
    region: str | None = _text(null=True)
    label: str = _text()
    created_by: str | None = _text(null=True)
    created_at: int = _big()
    until_at: int = _big()
    ended_at: int | None = _big(null=True)


class Application(SQLModel, table=True):
    """Somebody who asks to be a merchant. No record: anybody may ask in any name.

    The party is registered when the operator has seen who it is; several may ask for one.
    """

    __table_args__ = (Index("application_status", "status", "created_at"),)

    id: str = _text(key=True)
    account: str = _text()
    uscc: str = _text()
    name: str = _text()
    roles: str = _text()
    region: str | None = _text(null=True)
    licences: str = _text()
    contact: bytes | None = _bytes(null=True)
    """Sealed (vault): whom to ask, and how."""
    contact_key: bytes | None = _bytes(null=True)
    status: str = _text()
    """waiting, accepted or refused."""
    reason: str | None = _text(null=True)
    created_at: int = _big()
    decided_at: int | None = _big(null=True)
    decided_by: str | None = _text(null=True)


# --- trace -------------------------------------------------------------------------------------


class Product(SQLModel, table=True):
    """Index over `01/{gtin}`: public facts as registered, who registered, who owns the brand."""

    __table_args__ = (Index("product_registrant", "registrant"),)

    gtin: str = _text(key=True)
    name: str = _text()
    category: str = _text()
    facts: str = _text()
    item_code: bool
    registrant: str = _text()
    brand_owner: str | None = _text(null=True)
    owner_claim: str | None = _text(null=True)
    created_at: int = _big()


class Lot(SQLModel, table=True):
    """Index over `01/{gtin}/10/{lot}`: dates and import facts as registered, and by whom."""

    __table_args__ = (
        Index("lot_gtin", "gtin", "lot"),
        Index("lot_lot", "lot"),
        Index("lot_party", "party", "created_at"),
    )

    stream: int = _big(key=True)
    gtin: str = _text()
    lot: str = _text()
    party: str = _text()
    facts: str = _text()
    created_at: int = _big()


class Offer(SQLModel, table=True):
    """Index over listings: which seller offers which product where, and whether it still does."""

    __table_args__ = (Index("offer_seller", "seller", "gtin"),)

    gtin: str = _text(key=True)
    seller: str = _text(key=True)
    place: str = _text(key=True)
    """Platform id, platform name or URL."""
    stream: int = _big()
    seq: int = _big()
    title: str | None = _text(null=True)
    ended: bool
    listed_at: int = _big()


class Recall(SQLModel, table=True):
    """Index over recalls of products, lots and units; the boost of what is recalled is zero."""

    __table_args__ = (Index("recall_gtin", "gtin"), Index("recall_since", "since_at"))

    stream: int = _big(key=True)
    recaller: str = _text(key=True)
    gtin: str = _text()
    seller: str | None = _text(null=True)
    """Whose offers it touches; empty: every seller's, for the recall of a product."""
    since_at: int = _big()
    lifted_at: int | None = _big(null=True)


class Batch(SQLModel, table=True):
    """An order for codes: a resumable job; `done` moves in the transaction that writes the codes."""

    __table_args__ = (Index("batch_party", "party", "created_at"), Index("batch_status", "status"))

    batch_id: str = _text(key=True)
    party: str = _text()
    via: str | None = _text(null=True)
    source: str = _text()
    gtin: str = _text()
    lot: str | None = _text(null=True)
    count: int = _big()
    done: int = _big()
    inner: bool
    status: str = _text()
    error: str | None = _text(null=True)
    created_at: int = _big()


class BatchCode(SQLModel, table=True):
    """The serials of a batch in the order of printing."""

    __tablename__ = "batch_code"
    __table_args__ = (Index("batch_code_serial", "serial"),)

    batch_id: str = _text(key=True)
    n: int = _big(key=True)
    serial: str = _text()


class LabelPrint(SQLModel, table=True):
    """Who printed which labels of a batch: the party's log, no record: printing is no fact about goods."""

    __tablename__ = "label_print"
    __table_args__ = (Index("label_print_batch", "batch_id", "print_id"),)

    print_id: str = _text(key=True)
    """A UUIDv7: in the order of printing."""
    batch_id: str = _text()
    printed_by: str = _text()
    """Party, or `operator`."""
    key_id: str = _text()
    printed_at: int = _big()
    form: str = _text()
    layout: str = _text()
    symbol: str = _text()
    first: int = _big()
    """The first label's number in the batch, from 0."""
    count: int = _big()
    """How many of the batch it went through, those left out as void among them."""
    void: int = _big()
    again: int = _big()
    """How many of them an earlier print had."""
    reason: str | None = _text(null=True)


class ShipmentRow(SQLModel, table=True):
    """Which units a shipment was of, to tell a repeat from a conflict; its events tell the rest."""

    __tablename__ = "shipment"

    shipment_id: str = _text(key=True)
    content: bytes = _bytes()
    """SHA-256 over who sent it and its units."""
    created_at: int = _big()


class InnerCode(SQLModel, table=True):
    """SHA-256 of a unit's hidden code, and how often it was tried."""

    __tablename__ = "inner_code"

    stream: int = _big(key=True)
    digest: bytes = _bytes()
    tries: int = _big()
    hits: int = _big()
    window_at: int = _big()


class Due(SQLModel, table=True):
    """A step that is missing or still to come, and when its absence begins to count."""

    __table_args__ = (
        Index("due_at", "due_at"),
        Index("due_party", "party"),
        Index("due_waiting", "party", "kind", "due_at", "stream"),
    )

    stream: int = _big(key=True)
    subject: str = _text(key=True)
    """Empty for a unit; `consignment/<id>` on a lot."""
    step: str = _text(key=True)
    kind: str = _text()
    party: str | None = _text(null=True)
    """Whose step it is: by what the records name; once it was raised, who answers for it."""
    since_at: int = _big()
    due_at: int = _big()
    raised: bool


class SoldUnit(SQLModel, table=True):
    """One sale cycle of a unit or consignment: what ranking and credit count."""

    __tablename__ = "sold_unit"
    __table_args__ = (
        Index("sold_unit_offer", "seller", "gtin", "sold_at"),
        Index("sold_unit_completed", "seller", "completed_at"),
        Index("sold_unit_sold", "seller", "sold_at"),
        # Only what misses a step: ranking asks which gaps count by now.
        Index(
            "sold_unit_gap",
            "seller",
            "gtin",
            "gap_due_at",
            "sold_at",
            **_only("gap_due_at IS NOT NULL"),
        ),
        # Only what is on its way: of an old shop's goods most have long arrived.
        Index(
            "sold_unit_underway",
            "seller",
            "underway",
            "moved_at",
            "stream",
            **_only("underway IS NOT NULL"),
        ),
    )

    stream: int = _big(key=True)
    subject: str = _text(key=True)
    cycle: int = _big(key=True)
    gtin: str = _text()
    seller: str = _text()
    sold_at: int = _big()
    gap_due_at: int | None = _big(null=True)
    """Earliest moment at which a missing step counts; empty: nothing is missing."""
    steps: int = _big()
    independent: int = _big()
    completed_at: int | None = _big(null=True)
    underway: str | None = _text(null=True)
    """`sold`: not sent yet; `in_transit`; empty: neither, or no more."""
    moved_at: int | None = _big(null=True)
    """When the sale or dispatch occurred that brought it there."""


class SoldDay(SQLModel, table=True):
    """Of an offer's units sold on one day, counts: what ranking adds up. Derived from `sold_unit`.

    Of all streams at once, so no table of streams. Zeros are a day of which nothing is left.
    """

    __tablename__ = "sold_day"
    __table_args__ = {"sqlite_with_rowid": False}

    seller: str = _text(key=True)
    gtin: str = _text(key=True)
    day: int = _big(key=True)
    """Of the sale in Asia/Shanghai, in days since 1970-01-01."""
    units: int = _big()
    steps: int = _big()
    independent: int = _big()
    gaps: int = _big()
    """Units of which a step is missing, whether or not that counts already."""


class CaseUnit(SQLModel, table=True):
    """A unit that is, or was, in a case; of who holds it."""

    __tablename__ = "case_unit"
    __table_args__ = (
        Index("case_unit_sscc", "sscc"),
        Index("case_unit_party", "party", "inside", "sscc"),
    )

    stream: int = _big(key=True)
    sscc: str = _text(key=True)
    party: str = _text()
    packed_at: int = _big()
    inside: bool


class Scan(SQLModel, table=True):
    """A device that opened a code's page. `device` is an HMAC; of its place at most the city is kept."""

    __table_args__ = (Index("scan_device", "device"),)

    stream: int = _big(key=True)
    device: bytes = _bytes(key=True)
    first_at: int = _big()
    last_at: int = _big()
    loads: int = _big()
    region: str | None = _text(null=True)
    """GB/T 2260, city level; empty where the service is not told it."""


class LotSale(SQLModel, table=True):
    """A unit or consignment of a lot that was sold, at its first sale: what the lot's quantity bounds."""

    __tablename__ = "lot_sale"
    __table_args__ = (Index("lot_sale_lot", "lot", "sold_at"),)

    stream: int = _big(key=True)
    subject: str = _text(key=True)
    lot: int = _big()
    """Stream key of the lot."""
    seq: int = _big()
    record: str = _text()
    sold_at: int = _big()


class ReviewSign(SQLModel, table=True):
    """A review as signs of brushing see it: when, of which sale. Its words stay sealed elsewhere."""

    __tablename__ = "review_sign"
    __table_args__ = (
        Index("review_sign_seller", "seller", "month", "at"),
        Index("review_sign_category", "category", "at"),
    )

    stream: int = _big(key=True)
    seq: int = _big(key=True)
    record: str = _text()
    seller: str = _text()
    month: str = _text()
    """Of the review, in China: YYYY-MM."""
    gtin: str = _text()
    category: str = _text()
    rating: int = _big()
    at: int = _big()
    sold_at: int = _big()
    sale_seq: int = _big()
    signed_at: int | None = _big(null=True)


class Rating(SQLModel, table=True):
    """A rating as it is counted. Of a buyer the words and the number stay sealed in its record."""

    __table_args__ = (
        Index("rating_party", "party", "at"),
        Index("rating_merchant", "merchant", "kind", "at"),
    )

    stream: int = _big(key=True)
    seq: int = _big(key=True)
    kind: str = _text()
    """Who is rated: seller, carrier, buyer."""
    side: str = _text()
    """Who rates: consumer, merchant, carrier."""
    party: str = _text()
    """Who is rated; empty for a buyer."""
    merchant: str = _text()
    """The seller whose order it was."""
    gtin: str = _text()
    of_seq: int = _big()
    """Of the dispatch or sale that it names; of a review its own."""
    sale_seq: int | None = _big(null=True)
    rating: int | None = _big(null=True)
    """1 to 5; empty for a buyer."""
    proof: str | None = _text(null=True)
    parcel: bytes = _bytes()
    """Of one parcel a side's newest word counts: HMAC of the waybill, else stream and `of_seq`."""
    at: int = _big()


class Voice(SQLModel, table=True):
    """A review, a follow-up or a complaint, and what later records made of it (app.trace.voices)."""

    __table_args__ = (
        Index("voice_seller", "seller", "kind", "at"),
        Index("voice_platform", "platform", "at", **_only("platform IS NOT NULL")),
        Index("voice_referred", "referred_to", "at", **_only("referred_to IS NOT NULL")),
    )

    stream: int = _big(key=True)
    seq: int = _big(key=True)
    id: str = _text()
    kind: str = _text()
    seller: str = _text()
    platform: str | None = _text(null=True)
    """Of the sale, where it is a party."""
    gtin: str = _text()
    subject: str = _text()
    """The consignment of a lot; empty for a unit."""
    rating: int | None = _big(null=True)
    category: str | None = _text(null=True)
    at: int = _big()
    answered_at: int | None = _big(null=True)
    """Since when the seller's side has said or done something about it."""
    proposed_at: int | None = _big(null=True)
    """Of a complaint: since when there is an outcome, or the goods went back."""
    settled_at: int | None = _big(null=True)
    """Since when who complained calls it settled."""
    ended_at: int | None = _big(null=True)
    """Since when the goods went back."""
    referred_to: str | None = _text(null=True)
    referred_at: int | None = _big(null=True)


class Report(SQLModel, table=True):
    """A report by anyone: sealed text and contact, for a person to read; weighs nothing by itself."""

    ticket: str = _text(key=True)
    code: str | None = _text(null=True)
    sealed: bytes = _bytes()
    wrapped_key: bytes = _bytes()
    status: str = _text()
    created_at: int = _big()


class AccessLog(SQLModel, table=True):
    """Every look at sealed data that is not one's own: who, what, why."""

    __tablename__ = "access_log"
    __table_args__ = (
        Index("access_log_at", "at", "id"),
        Index("access_log_party", "party", "at", "id"),
    )

    id: str = _text(key=True)
    at: int = _big()
    key_id: str = _text()
    party: str | None = _text(null=True)
    stream: int = _big()
    seq: int = _big()
    section: str = _text()
    purpose: str = _text()
    region: str | None = _text(null=True)
    """Where who looked is in office (GB/T 2260); empty: everywhere."""


# --- credit ------------------------------------------------------------------------------------


class CreditEntry(SQLModel, table=True):
    """Index over `credit_entry` and `credit_status` records of `party/{id}`."""

    __tablename__ = "credit_entry"
    __table_args__ = (
        Index("credit_entry_party", "party", "effective_at"),
        Index("credit_entry_next", "next_at"),
        Index(
            "credit_entry_undecided", "status", **_only("status IN ('objected', 'repair_asked')")
        ),
    )

    id: str = _text(key=True)
    party: str = _text()
    rule: str = _text()
    points: int = _big()
    policy: int = _big()
    effective_at: int = _big()
    earliest_repair_at: int | None = _big(null=True)
    expires_at: int | None = _big(null=True)
    status: str = _text()
    ended_at: int | None = _big(null=True)
    evidence: str = _text()
    day: str | None = _text(null=True)
    """Day of the fact in Asia/Shanghai, for caps."""
    buyer: bytes | None = _bytes(null=True)
    """Pseudonym of the buyer, for caps; stands in no record."""
    chains: int | None = _big(null=True)
    seq: int = _big()
    created_at: int = _big()
    next_at: int | None = _big(null=True)
    """When time moves the entry to its next state; empty: never again."""
    object_until: int | None = _big(null=True)
    actor: str | None = _text(null=True)
    """Who made it; empty: the service, before that was kept."""
    approximate: bool | None = None
    """Whether its dates count working days for which no official calendar is known."""


class CreditStep(SQLModel, table=True):
    """Index over `credit_status` records: what happened to an entry, in order of seq."""

    __tablename__ = "credit_step"
    __table_args__ = (Index("credit_step_party", "party"),)

    entry: str = _text(key=True)
    seq: int = _big(key=True)
    party: str = _text()
    step: str = _text()
    status: str = _text()
    at: int = _big()
    actor: str = _text()
    record_id: str = _text()
    more: str = _text()
    """JSON of what else the record says: reason, decide_by, attachments."""


class CreditHold(SQLModel, table=True):
    """A provisional hold while an integrity finding waits for its attribution."""

    __tablename__ = "credit_hold"
    __table_args__ = (Index("credit_hold_party", "party"),)

    finding: str = _text(key=True)
    party: str = _text()
    points: int = _big()
    since_at: int = _big()
    lifts_at: int = _big()
    lifted_at: int | None = _big(null=True)


# --- ranking and search --------------------------------------------------------------------------


class OrderMonth(SQLModel, table=True):
    """Index over `order_counts` records of `party/{platform}`: orders of one offer in one month.

    since_at, until_at: what of the month the reports cover, in China's time; until is exclusive.
    """

    __tablename__ = "order_month"
    __table_args__ = (Index("order_month_platform", "platform"),)

    seller: str = _text(key=True)
    gtin: str = _text(key=True)
    month: str = _text(key=True)
    platform: str = _text(key=True)
    orders: int = _big()
    since_at: int = _big()
    until_at: int = _big()


class OfferFeature(SQLModel, table=True):
    """What ranking knew of an offer when it last changed. Derived: made again from other rows.

    version: larger with every change, over all offers. facts: JSON. boost: millionths.
    """

    __tablename__ = "offer_feature"
    __table_args__ = (UniqueConstraint("version"),)

    gtin: str = _text(key=True)
    seller: str = _text(key=True)
    version: int = _big()
    facts: str = _text()
    boost: int = _big()
    traceable: bool
    changed_at: int = _big()


class RankingReceipt(SQLModel, table=True):
    """A sampled answer of ranking with its inputs, zlib-compressed JSON, and the signed note over both."""

    __tablename__ = "ranking_receipt"
    __table_args__ = (Index("ranking_receipt_made", "made_at"),)

    id: str = _text(key=True)
    made_at: int = _big()
    body: bytes = _bytes()
    note: str = _text()


class SearchWord(SQLModel, table=True):
    """Index over what products and lots are called (trace.words). Derived from their records.

    tier: 0 is the best match. age: minus the product's time of registration, so that the newest is
    first. Small rows in the order in which they are read: SQLite keeps no second copy of the key.
    """

    __tablename__ = "search_word"
    __table_args__ = {"sqlite_with_rowid": False}

    word: str = _text(key=True)
    tier: int = _big(key=True)
    age: int = _big(key=True)
    product: int = _big(key=True)
    """The GTIN as a number."""


# --- credit: exchange with other stores ----------------------------------------------------------


class CreditLink(SQLModel, table=True):
    """How the sending to another store goes, one row; kept for whoever asks any process."""

    __tablename__ = "credit_link"

    name: str = _text(key=True)
    failures: int = _big()
    next_at: int = _big()
    last_error: str | None = _text(null=True)
    last_ok_at: int | None = _big(null=True)
    updated_at: int = _big()


class CreditCard(SQLModel, table=True):
    """What the other store last said of a party's score. A copy, never a truth of ours."""

    __tablename__ = "credit_card"

    party: str = _text(key=True)
    card: str = _text()
    fetched_at: int = _big()


class CreditSender(SQLModel, table=True):
    """Index over the records of `store/{name}`: who may keep its credit here, and its key."""

    __tablename__ = "credit_sender"

    name: str = _text(key=True)
    vkey: str = _text()
    since_at: int = _big()
    ended_at: int | None = _big(null=True)


class CreditReceived(SQLModel, table=True):
    """Index over `store_received` records of `store/{sender}/{party}`: one a change that was taken."""

    __tablename__ = "credit_received"
    __table_args__ = (Index("credit_received_party", "party"),)

    sender: str = _text(key=True)
    source: int = _big(key=True)
    """`stream_key` of the sender's stream, the order in which both sides list."""
    seq: int = _big(key=True)
    party: str = _text()
    type: str = _text()
    hash: bytes = _bytes()
    place: int = _big()
    """Seq of our record in `store/{sender}/{party}`."""
    received_at: int = _big()


# --- commitments, lists, grades over time; who is told -------------------------------------------


class Matter(SQLModel, table=True):
    """Index over records of `party/{id}`: commitments, red and black list (app.credit.matters)."""

    __table_args__ = (
        Index("matter_party", "party", "kind"),
        Index("matter_kind", "kind", "effective_at"),
        Index("matter_next", "next_at"),
        Index(
            "matter_undecided",
            "status",
            **_only("status IN ('objected', 'removal_asked', 'questioned')"),
        ),
    )

    id: str = _text(key=True)
    party: str = _text()
    kind: str = _text()
    name: str = _text()
    """The commitment's template, the list's criterion."""
    version: int = _big()
    """Of the template, of the policy."""
    status: str = _text()
    effective_at: int = _big()
    expires_at: int = _big()
    removal_at: int | None = _big(null=True)
    """From when on removal may be asked for."""
    object_until: int | None = _big(null=True)
    ended_at: int | None = _big(null=True)
    next_at: int | None = _big(null=True)
    approximate: bool | None = None
    evidence: str = _text()
    actor: str = _text()
    seq: int = _big()
    created_at: int = _big()


class MatterStep(SQLModel, table=True):
    """Index over the steps of matters, in order of seq."""

    __tablename__ = "matter_step"
    __table_args__ = (Index("matter_step_party", "party"),)

    matter: str = _text(key=True)
    seq: int = _big(key=True)
    party: str = _text()
    step: str = _text()
    status: str = _text()
    at: int = _big()
    actor: str = _text()
    record_id: str = _text()
    more: str = _text()
    """JSON of what else the record says."""


class Document(SQLModel, table=True):
    """A file that a party handed in with what it says. No part of any record: they name its digest.

    Content and name are sealed (ledger.vault), each under a data key of its own.
    """

    __table_args__ = (
        Index("document_waits", "waits_until", **_only("waits_until IS NOT NULL")),
        Index("document_kept", "kept_at"),
    )

    party: str = _text(key=True)
    digest: str = _text(key=True)
    """SHA-256 of the content, hex, as records name it."""
    kind: str = _text()
    """Its media type, told by its bytes."""
    size: int = _big()
    """Bytes of the content."""
    kept_at: int = _big()
    waits_until: int | None = _big(null=True)
    """When it is removed unless a record names it; empty: one does."""
    name_sealed: bytes = _bytes()
    name_key: bytes = _bytes()
    sealed: bytes = _bytes()
    wrapped_key: bytes = _bytes()


class DocumentUse(SQLModel, table=True):
    """Index over the records of `party/{about}` that name a document, kept or not."""

    __tablename__ = "document_use"
    __table_args__ = (
        Index("document_use_about", "about"),
        Index("document_use_digest", "digest"),
    )

    party: str = _text(key=True)
    """Who named it: the record's actor."""
    digest: str = _text(key=True)
    about: str = _text(key=True)
    """The party whose stream it is."""
    seq: int = _big(key=True)
    matter: str = _text()
    """Id of the entry, listing or commitment."""


class CreditSnapshot(SQLModel, table=True):
    """Index over `credit_snapshot` records: the grade of a party at the end of each month."""

    __tablename__ = "credit_snapshot"

    party: str = _text(key=True)
    month: str = _text(key=True)
    """YYYY-MM of Asia/Shanghai."""
    score: int = _big()
    score_without_holds: int = _big()
    grade: str = _text()
    data_enough: bool
    policy: int = _big()
    entries: int = _big()
    """How many entries weighed."""
    weighed_at: int = _big()
    seq: int = _big()
    at: int = _big()


class CreditWarning(SQLModel, table=True):
    """Index over `credit_warning` records: a party's score or its trend crossed a line."""

    __tablename__ = "credit_warning"
    __table_args__ = (Index("credit_warning_party", "party", "at"),)

    id: str = _text(key=True)
    party: str = _text()
    kind: str = _text()
    score: int = _big()
    grade: str = _text()
    before: int = _big()
    line: int = _big()
    policy: int = _big()
    seq: int = _big()
    at: int = _big()


class Webhook(SQLModel, table=True):
    """Where a party wants to be told; configuration, so no record. The secret is sealed (vault)."""

    __table_args__ = (Index("webhook_party", "party"),)

    id: str = _text(key=True)
    party: str = _text()
    url: str = _text()
    events: str = _text()
    """The kinds wanted, with a space around each."""
    sealed: bytes = _bytes()
    wrapped_key: bytes = _bytes()
    created_at: int = _big()
    ended_at: int | None = _big(null=True)


class PushAddress(SQLModel, table=True):
    """Where an aggregator pushes to for a party. Its salt follows from the keys, address and generation."""

    __tablename__ = "push_address"
    __table_args__ = (Index("push_address_address", "address"),)

    party: str = _text(key=True)
    address: str = _text()
    generation: int = _big()
    """Of the salt; each is good until the next."""
    made_at: int = _big()
    renewed_at: int | None = _big(null=True)
    ended_at: int | None = _big(null=True)
    pushed_at: int | None = _big(null=True)
    """When the last push came that nobody known signed, to about a minute."""
    outcome: str | None = _text(null=True)
    """What it was, a word."""


class PushTaken(SQLModel, table=True):
    """One of a party's newest 50 pushes, or of the newest 50 of which something was refused.

    How many items came to what. Names no goods and nobody.
    """

    __tablename__ = "push_taken"

    party: str = _text(key=True)
    id: str = _text(key=True)
    """UUIDv7, so that the newest is the last."""
    at: int = _big()
    feed: str = _text()
    recorded: int = _big()
    repeated: int = _big()
    """Known already, old news, or another's to tell."""
    refused: int = _big()
    reasons: str = _text()
    """JSON: `outcome`, a word; `why`, by a word of the contract how many were refused for it; `unread`, what
    could not be read; `untimed`, the parcel's state where its time could not; `cut`, that something of these
    was left out."""


class PushForged(SQLModel, table=True):
    """How many pushes a party's address refused on a day of China's, of which nobody known signed any."""

    __tablename__ = "push_forged"

    party: str = _text(key=True)
    day: str = _text(key=True)
    missing: int = _big()
    """Without a signature."""
    wrong: int = _big()
    unformed: int = _big()
    """No form, so not even that."""


class WebhookDelivery(SQLModel, table=True):
    """A message to one webhook: waiting, delivered, or dead after too many attempts."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index("webhook_delivery_due", "status", "available_at"),
        Index("webhook_delivery_party", "party", "created_at"),
    )

    id: str = _text(key=True)
    webhook: str = _text()
    party: str = _text()
    event: str = _text()
    body: bytes = _bytes()
    status: str = _text()
    attempts: int = _big()
    available_at: int = _big()
    created_at: int = _big()
    delivered_at: int | None = _big(null=True)
    last_error: str | None = _text(null=True)


# --- oversight ---------------------------------------------------------------------------------


class Finding(SQLModel, table=True):
    """What an audit or a deadline found, with its evidence; one row however often it is met."""

    __table_args__ = (
        Index("finding_party", "party", "status"),
        Index("finding_stream", "stream", "status"),
        Index("finding_opened", "opened_at"),
        # Each finding stands in one of them: a list by gravity begins with those that are the gravest.
        Index("finding_grave", "status", "opened_at", **_only(GRAVE)),
        Index("finding_serious", "status", "opened_at", **_only(SERIOUS)),
        Index("finding_ordinary", "status", "opened_at", **_only(ORDINARY)),
    )

    id: str = _text(key=True)
    kind: str = _text()
    stream: int | None = _big(null=True)
    stream_name: str = _text()
    """The stream's name, or `log` for a finding on the log itself."""
    subject: str = _text()
    seq: int | None = _big(null=True)
    party: str | None = _text(null=True)
    gtin: str | None = _text(null=True)
    status: str = _text()
    evidence: str = _text()
    opened_at: int = _big()
    closed_at: int | None = _big(null=True)
    attributed_to: str | None = _text(null=True)
    reason: str | None = _text(null=True)
    due_at: int | None = _big(null=True)
    """Until when a contradiction may be put right before it is charged; empty: it has no grace."""
    round: int = Field(
        default=0,
        sa_column=Column(BigInteger, nullable=False, autoincrement=False, server_default="0"),
    )
    """How often its cure fell away."""


class FindingMove(SQLModel, table=True):
    """One step in the life of a finding: from then on it has that status, by whom and why."""

    __tablename__ = "finding_move"

    finding: str = _text(key=True)
    n: int = _big(key=True)
    status: str = _text()
    at: int = _big()
    by: str | None = _text(null=True)
    """Who decided it; empty: the service itself, from the records."""
    why: str = _text()


class FindingWork(SQLModel, table=True):
    """Who of an authority works on a finding: the newest of its assignments in `finding_note`."""

    __tablename__ = "finding_work"
    __table_args__ = (Index("finding_work_assignee", "assignee"),)

    finding: str = _text(key=True)
    party: str = _text(key=True)
    """The authority."""
    assignee: str = _text()
    """An account of it."""
    at: int = _big()


class FindingNote(SQLModel, table=True):
    """What an authority's people noted or did about a finding, for themselves; a log, never changed.

    What they decide is a record as well; that names the authority, this the person.
    """

    __tablename__ = "finding_note"
    __table_args__ = (Index("finding_note_finding", "finding", "party", "id"),)

    id: str = _text(key=True)
    """A UUIDv7: in the order of writing."""
    finding: str = _text()
    party: str = _text()
    by: str = _text()
    """Key id of who did it: `account/<id>`, or an API key's."""
    at: int = _big()
    kind: str = _text()
    """note, assigned, released, attributed, dismissed, measure."""
    about: str = _text()
    """Of `assigned` the account; of a decision its word."""
    sealed: bytes | None = _bytes(null=True)
    """Sealed (vault): the words; they may be about people."""
    wrapped_key: bytes | None = _bytes(null=True)


class AuditJob(SQLModel, table=True):
    """An audit that somebody asked for: its scope and how far it is."""

    __tablename__ = "audit_job"
    __table_args__ = (Index("audit_job_asked", "asked_by", "id"),)

    id: str = _text(key=True)
    scope: str = _text()
    asked_by: str | None = _text(null=True)
    status: str = _text()
    streams: int = _big()
    records: int = _big()
    findings: int = _big()
    error: str | None = _text(null=True)
    created_at: int = _big()
    finished_at: int | None = _big(null=True)
    started_at: int | None = _big(null=True)
    total: int | None = _big(null=True)
    """How many streams it is going through; empty before it began."""
    checkpoints: str | None = _text(null=True)
    """The signed state of every log when it began, as JSON."""


class AuditFinding(SQLModel, table=True):
    """A finding as an audit met it, as JSON; what becomes of the finding later changes nothing here."""

    __tablename__ = "audit_finding"

    job: str = _text(key=True)
    n: int = _big(key=True)
    told: str = _text()


class AuditReport(SQLModel, table=True):
    """The report of an audit: its signed JSON and the PDF files whose hashes that holds. Never changed."""

    __tablename__ = "audit_report"

    job: str = _text(key=True)
    made_at: int = _big()
    made_by: str = _text()
    """Party, or `operator`."""
    signed: str = _text()
    pdf_zh: bytes = _bytes()
    pdf_en: bytes = _bytes()


class BadgeDomain(SQLModel, table=True):
    """A domain on which a party shows its badge. Configuration, no record: nothing counts by it."""

    __tablename__ = "badge_domain"
    __table_args__ = (Index("badge_domain_checked", "checked_at"),)

    party: str = _text(key=True)
    domain: str = _text(key=True)
    """As in a browser's `location.host`: lower case, with a port where it is not the usual one."""
    created_at: int = _big()
    checked_at: int = _big()
    """When it was last looked at; 0: not yet."""
    verified_at: int | None = _big(null=True)
    """When the party's token was last found there."""
    error: str | None = _text(null=True)


class MonthFigure(SQLModel, table=True):
    """How much of one kind a month holds of a party: counted along the log, made anew by `suxin reindex`."""

    __tablename__ = "month_figure"

    month: str = _text(key=True)
    """Of China, `2026-11`."""
    party: str = _text(key=True)
    """Who recorded it, of complaints whose goods they are; empty: a voice without a place."""
    what: str = _text(key=True)
    count: int = _big()


class Cursor(SQLModel, table=True):
    """Where a loop of the worker stands, by the loop's name."""

    name: str = _text(key=True)
    position: int = _big()
    updated_at: int = _big()


# --- imports -------------------------------------------------------------------------------------


class ImportJob(SQLModel, table=True):
    """A spreadsheet being applied, or applied: a resumable job. How far it is its rows tell."""

    __tablename__ = "import_job"
    __table_args__ = (
        Index("import_job_party", "party", "created_at"),
        Index("import_job_status", "status"),
    )

    id: str = _text(key=True)
    party: str = _text()
    kind: str = _text()
    status: str = _text()
    total: int = _big()
    about: str = _text()
    """JSON: form, encoding, columns as they were found. No cell of the file."""
    error: str | None = _text(null=True)
    created_at: int = _big()
    finished_at: int | None = _big(null=True)


class ImportRow(SQLModel, table=True):
    """A row of a job. What it says is sealed (ledger.vault), and erased once it is applied."""

    __tablename__ = "import_row"
    __table_args__ = (Index("import_row_outcome", "job", "outcome", "n"),)

    job: str = _text(key=True)
    n: int = _big(key=True)
    row: int = _big()
    """As the spreadsheet counts."""
    outcome: str = _text()
    sealed: bytes | None = _bytes(null=True)
    wrapped_key: bytes | None = _bytes(null=True)
    problems: str | None = _text(null=True)
    """JSON of what is wrong, or was not taken as it stood."""


class ImportMapping(SQLModel, table=True):
    """Which column is which field in a party's spreadsheets of one kind, under a name of its own."""

    __tablename__ = "import_mapping"

    party: str = _text(key=True)
    kind: str = _text(key=True)
    name: str = _text(key=True)
    mapping: str = _text()
    updated_at: int = _big()
