"""What handlers ask for: the rooms, who is asking, in which language.

    @router.post("/things")
    def create_thing(rooms: InRooms, caller: Caller, body: NewThing) -> ThingBody: ...

`Caller` answers 401 without a key; which action it may do, and on whose things, the service asks of
`Principal.check_may`. `Viewer` may be nobody, for what is public.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from fastapi import Depends
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security.base import SecurityBase
from starlette.requests import Request

from app.credit.alerts import Alerts
from app.credit.commitments import Commitments
from app.credit.documents import Documents
from app.credit.features import Features
from app.credit.ledger import CreditLedger
from app.credit.lists import Lists
from app.credit.matterclock import MatterClock
from app.credit.offers import Ranking
from app.credit.orders import OrderCounts
from app.credit.outlook import Outlook
from app.credit.ratings import Ratings
from app.credit.samples import Samples
from app.credit.search import Search
from app.credit.service import Credit
from app.credit.snapshots import Snapshots
from app.credit.undecided import Undecided
from app.db.engine import Database
from app.db.lease import Lease
from app.exchange.cards import Cards
from app.exchange.receiver import Receiver
from app.exchange.sender import Backroom, Sender
from app.i18n import Lang
from app.imports.jobs import Imports
from app.kit.clock import Clock
from app.kit.errors import Fault, Unauthenticated
from app.ledger.headmaker import HeadsMaps
from app.ledger.hindrance import PublishFailed
from app.ledger.keyring import Keyring
from app.ledger.publisher import Publisher
from app.ledger.receipts import Receipts
from app.ledger.recorder import Recorder
from app.ledger.sequencer import Sequencer
from app.ledger.vault import Vault
from app.ledger.witnesses import Cosigning
from app.oversight.audit_reports import AuditReports
from app.oversight.audits import Audits
from app.oversight.badges import Badges
from app.oversight.cases import Cases
from app.oversight.casework import Casework
from app.oversight.chains import Chains
from app.oversight.complaints import Complaints
from app.oversight.customs import CustomsDesk
from app.oversight.deadlines import Deadlines
from app.oversight.discoveries import Discoveries
from app.oversight.figures import Figures
from app.oversight.findings import Findings
from app.oversight.hooks import Hooks
from app.oversight.lookbook import Lookbook
from app.oversight.looks import Looks
from app.oversight.owed import Owed
from app.oversight.packages import Packages
from app.oversight.publications import Publications
from app.oversight.recalls import Recalls
from app.oversight.reportdesk import ReportDesk
from app.oversight.reports import Reports
from app.oversight.reviews import Reviews
from app.oversight.sealed import SealedAccess
from app.oversight.seeking import Seeking
from app.oversight.watching import Watch
from app.parties.access import APIKeys
from app.parties.applications import Applications
from app.parties.licensing import Licensing
from app.parties.people import People
from app.parties.powers import Powers
from app.parties.principal import Principal
from app.parties.service import Parties
from app.trace.beginning import Beginnings
from app.trace.catalogue import Catalogue
from app.trace.correcting import Correcting
from app.trace.dispatching import Dispatching
from app.trace.issuing import Issuing
from app.trace.offering import Offering
from app.trace.packing import Packing
from app.trace.parcel_labels import ParcelLabels
from app.trace.parcels import Parcels
from app.trace.printing import Printing
from app.trace.pushaddresses import PushAddresses
from app.trace.pushes import Pushes
from app.trace.pushlog import PushLog
from app.trace.rateable import Rateable
from app.trace.recording import Recording
from app.trace.scans import Scans
from app.trace.shipments import Shipments
from app.trace.story import Stories
from app.trace.texts import Texts
from app.web.lending import Lending
from app.web.limits import RateLimit
from app.web.openapi import KEY_SCHEME, OPTIONAL_KEY_SCHEME
from app.web.turns import Turns
from app.web.visit import Visit, visit_of


@dataclass(frozen=True, slots=True)
class Leading:
    """How the process of a service that runs the worker's loops stands.

    id: of its lease, None on SQLite. leads: whether it gives records their place. fault: the key of why
    the last try to publish was refused, and where that has no sentence of its own, the error's name.
    """

    id: str | None
    leads: bool
    fault: str | None


@dataclass(kw_only=True)
class Rooms:
    """The services of a running deployment, joined by `app.rooms.open_rooms`.

    committed: set after every commit of the recorder; whoever waits for records clears it.
    on_wait: called where a request waits for the log; the worker hangs its alarm clock here.
    lease: None on SQLite, where one service alone has the database.
    told: in a process that only answers requests, how the one that leads stands.
    sender, cards: None where credit is kept nowhere else.
    page_turns: the threads that make unit pages, in the order of asking; lending: None where no other
    process could make one. photo_turns: those that read
    photos; photo_limit: how many one address may send a second, which a few cameras without a decoder do.
    """

    base_url: str
    database: Database
    clock: Clock
    keyring: Keyring
    vault: Vault
    recorder: Recorder
    committed: threading.Event
    keys: APIKeys
    people: People
    applications: Applications
    parties: Parties
    powers: Powers
    licensing: Licensing
    publications: Publications
    receipts: Receipts
    recording: Recording
    catalogue: Catalogue
    issuing: Issuing
    printing: Printing
    parcel_labels: ParcelLabels
    shipments: Shipments
    offering: Offering
    correcting: Correcting
    rateable: Rateable
    parcels: Parcels
    beginnings: Beginnings
    packing: Packing
    dispatching: Dispatching
    imports: Imports
    pushes: Pushes
    push_log: PushLog
    push_addresses: PushAddresses
    stories: Stories
    scans: Scans
    credit: Credit
    receiver: Receiver
    backroom: Backroom
    sender: Sender | None
    cards: Cards | None
    credit_ledger: CreditLedger
    commitments: Commitments
    lists: Lists
    documents: Documents
    outlook: Outlook
    undecided: Undecided
    matter_clock: MatterClock
    snapshots: Snapshots
    alerts: Alerts
    hooks: Hooks
    ranking: Ranking
    ratings: Ratings
    samples: Samples
    features: Features
    search: Search
    order_counts: OrderCounts
    findings: Findings
    looks: Looks
    owed: Owed
    audits: Audits
    audit_reports: AuditReports
    badges: Badges
    figures: Figures
    packages: Packages
    deadlines: Deadlines
    discoveries: Discoveries
    watch: Watch
    reports: Reports
    cases: Cases
    complaints: Complaints
    report_desk: ReportDesk
    reviews: Reviews
    recalls: Recalls
    casework: Casework
    chains: Chains
    seeking: Seeking
    lookbook: Lookbook
    customs: CustomsDesk
    texts: Texts
    sealed: SealedAccess
    report_limit: RateLimit
    lease: Lease | None
    sequencer: Sequencer
    publisher: Publisher
    cosigning: Cosigning
    heads: HeadsMaps
    font: Path | None
    on_wait: Callable[[], None] = lambda: None
    told: Leading | None = None
    page_turns: Turns = field(default_factory=Turns)
    lending: Lending | None = None
    photo_turns: Turns = field(default_factory=lambda: Turns(most=16))
    photo_limit: RateLimit = field(default_factory=lambda: RateLimit(5, monotonic_s=time.monotonic))

    def leading(self) -> Leading:
        """Returns how the process of this service stands that runs, or may run, the worker's loops."""
        if self.told is not None:
            return self.told
        lease, fault = self.lease, self.publisher.fault
        return Leading(
            id=None if lease is None else lease.id,
            leads=lease is None or lease.leads(),
            fault=None if fault is None else _told(fault),
        )


def _told(fault: Fault) -> str:
    return f"{fault.key}: {fault.params['why']}" if isinstance(fault, PublishFailed) else fault.key


async def rooms_of(request: Request) -> Rooms:
    """Returns the rooms of the running app."""
    rooms: Rooms = request.app.state.rooms
    return rooms


class _Key(SecurityBase):
    """The key that the gate has checked. A security scheme, so that the description names it."""

    def __init__(self, scheme_name: str) -> None:
        self.model = HTTPBearerModel(bearerFormat="sx_<key id>_<secret>")
        self.scheme_name = scheme_name

    async def __call__(self, request: Request) -> Principal | None:
        return visit_of(request).principal


_key = _Key(KEY_SCHEME)
_key_if_any = _Key(OPTIONAL_KEY_SCHEME)


async def require_key(principal: Annotated[Principal | None, Depends(_key)]) -> Principal:
    """Returns who is asking. Raises Unauthenticated for nobody."""
    if principal is None:
        raise Unauthenticated("key_required")
    return principal


async def _visit(request: Request) -> Visit:
    return visit_of(request)


async def _language(request: Request) -> Lang:
    return visit_of(request).lang


InRooms = Annotated[Rooms, Depends(rooms_of)]
Viewer = Annotated[Principal | None, Depends(_key_if_any)]
Caller = Annotated[Principal, Depends(require_key)]
InVisit = Annotated[Visit, Depends(_visit)]
Language = Annotated[Lang, Depends(_language)]
