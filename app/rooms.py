"""Joins the rooms into a service: the only place where settings become services."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from app.config import Settings, SettingsError
from app.credit import documentstore, exchangestore, matterstore, rankstore
from app.credit import store as credit_store
from app.credit.alerts import Alerts
from app.credit.commitments import Commitments
from app.credit.documents import Documents
from app.credit.features import Features
from app.credit.graces import graces_in_force
from app.credit.ledger import CreditLedger
from app.credit.lists import Lists
from app.credit.loader import BadPolicy, Policies, packaged
from app.credit.matterbook import MatterBook
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
from app.credit.words import Words
from app.db.engine import Database
from app.db.lease import Lease
from app.imports import importstore
from app.imports.applying import Applying
from app.imports.jobs import Imports
from app.imports.plans import Plans
from app.joining import LOCAL, open_exchange
from app.kit.clock import Clock, SystemClock
from app.kit.errors import Fault
from app.kit.tokens import RandomBytes
from app.ledger import sealstore
from app.ledger.anchor import Anchor
from app.ledger.forwarding import TakesSubmissions
from app.ledger.headmaker import HeadsMaps
from app.ledger.keyring import Keyring, load_keys
from app.ledger.policy import NONE, parse_policy
from app.ledger.prover import prove_to
from app.ledger.publisher import Publisher
from app.ledger.receipts import Receipts
from app.ledger.recorder import Recorder
from app.ledger.rotation import Rotation
from app.ledger.sequencer import Sequencer
from app.ledger.vault import Vault
from app.ledger.witnesses import Cosigning, QuorumsDisjoint, Unwitnessed, Witnesses
from app.oversight import movestore
from app.oversight.audit_reports import AuditReports
from app.oversight.audits import Audits
from app.oversight.badges import Badges
from app.oversight.cases import Cases
from app.oversight.casework import Casework
from app.oversight.chains import Chains
from app.oversight.complaints import Complaints
from app.oversight.conduct import Conduct
from app.oversight.customs import CustomsDesk
from app.oversight.deadlines import Deadlines
from app.oversight.decisions import Decisions
from app.oversight.discoveries import Discoveries
from app.oversight.figures import Figures
from app.oversight.findings import Findings
from app.oversight.hooklimit import HookLimit
from app.oversight.hooks import Hooks
from app.oversight.lookbook import Lookbook
from app.oversight.looks import Looks
from app.oversight.owed import Owed
from app.oversight.packages import Packages
from app.oversight.publications import Publications
from app.oversight.recalls import Recalls
from app.oversight.report_chains import ReportedChains
from app.oversight.reportdesk import ReportDesk
from app.oversight.reports import Reports
from app.oversight.returns import Returns
from app.oversight.reviews import Reviews
from app.oversight.scanwatch import ScanWatch
from app.oversight.sealed import SealedAccess
from app.oversight.seeking import Seeking
from app.oversight.watching import Watch
from app.parties import measurestore
from app.parties import store as party_store
from app.parties.access import APIKeys
from app.parties.applications import Applications
from app.parties.chain import PartyChain
from app.parties.licensing import Licensing
from app.parties.passwords import Passwords
from app.parties.people import open_people
from app.parties.powers import Powers
from app.parties.service import Parties
from app.parties.throttle import Throttle
from app.trace import batchstore, ratingstore, voicestore
from app.trace import store as trace_store
from app.trace.beginning import Beginnings
from app.trace.bulk import Bulk
from app.trace.catalogue import Catalogue
from app.trace.correcting import Correcting
from app.trace.detectors import Thresholds
from app.trace.dispatching import Dispatching
from app.trace.issuing import Issuing
from app.trace.offering import Offering
from app.trace.packing import Packing
from app.trace.parcel_labels import ParcelLabels
from app.trace.parcels import Parcels
from app.trace.printing import Printing
from app.trace.proof import Proofs
from app.trace.pushaddresses import PushAddresses
from app.trace.pushes import Pushes
from app.trace.pushlog import PushLog
from app.trace.rateable import Rateable
from app.trace.recording import Recording
from app.trace.rowevents import RowEvents
from app.trace.scans import CODE_SCANNED, Scans
from app.trace.secret_index import SecretIndex
from app.trace.shipments import Shipments
from app.trace.story import Stories
from app.trace.texts import Texts
from app.web.deps import Rooms
from app.web.limits import RateLimit
from app.web.turns import Turns

# Every room's writers of index rows, by the kind of effect.
WRITERS = {
    **sealstore.WRITERS,
    **party_store.WRITERS,
    **measurestore.WRITERS,
    **trace_store.WRITERS,
    **batchstore.WRITERS,
    **ratingstore.WRITERS,
    **voicestore.WRITERS,
    **credit_store.WRITERS,
    **matterstore.WRITERS,
    **documentstore.WRITERS,
    **movestore.WRITERS,
    **rankstore.WRITERS,
    **exchangestore.WRITERS,
    **importstore.WRITERS,
}


def open_rooms(
    settings: Settings,
    *,
    clock: Clock | None = None,
    random: RandomBytes = secrets.token_bytes,
    events_to: Callable[[Recorder], TakesSubmissions] = lambda own: own,
    passwords: Passwords | None = None,
) -> Rooms:
    """Returns the running services; `close_rooms` ends them. Raises KeysMissing.

    random: gives serials their bits; the demo brings a seeded one. events_to: what takes events in,
    given these rooms' own recorder, which takes everything else in. passwords: of full strength
    unless given.
    """
    clock = clock or SystemClock()
    keyring = load_keys(settings.keys_dir)
    vault = Vault(keyring.vault_key)
    # Half a lease: the locks of a leader that stands still are gone before the next one leads.
    stalled_after_s = min(5.0, settings.lease_s / 2)
    database = Database(settings.database_url, stalled_after_s=stalled_after_s)
    committed = threading.Event()
    recorder = Recorder(
        database, vault=vault, clock=clock, writers=WRITERS, on_commit=committed.set
    )
    # SQLite's folder is locked by the one service that has it.
    lease = (
        None if database.dialect == "sqlite" else Lease(database.apart, lease_s=settings.lease_s)
    )
    overseeing = _open_oversight(database, recorder, vault, keyring, clock, settings)
    cosigning = _open_witnesses(database, settings)
    parties_of = _open_parties(
        database, recorder, vault, keyring, clock, settings, passwords or Passwords()
    )
    made_reports = AuditReports(
        database,
        overseeing["audits"],
        ReportedChains(
            database,
            overseeing["chains"],
            cosigning,
            graces=overseeing["stories"].graces,
            parties=parties_of["parties"],
        ),
        cosigning,
        keyring.receipt,
        clock=clock,
        base_url=settings.base_url,
        font=settings.font,
    )
    # What sequencing and publishing report waits for no connection that requests have, as they do not.
    _, found_in_log = _open_findings(
        database.apart, recorder, clock, settings, policies=overseeing["credit"].policies
    )
    return Rooms(
        base_url=settings.base_url,
        font=settings.font,
        # Two threads that compute take Python from each other, and both are late; on PostgreSQL, too.
        page_turns=Turns(at_once=1),
        database=database,
        clock=clock,
        keyring=keyring,
        vault=vault,
        recorder=recorder,
        committed=committed,
        receipts=Receipts(
            keyring.receipt, publish_within=timedelta(seconds=settings.publish_promise_s)
        ),
        lease=lease,
        sequencer=Sequencer(database.apart, lease=lease, report=found_in_log.report),
        publisher=open_publisher(
            settings,
            database.apart,
            keyring,
            clock=clock,
            findings=found_in_log,
            cosigning=cosigning,
            lease=lease,
        ),
        cosigning=cosigning,
        audit_reports=made_reports,
        badges=Badges(
            database,
            parties_of["parties"],
            overseeing["credit"],
            keyring.receipt,
            clock=clock,
            key=keyring.subkey("badge-domain"),
            base_url=settings.base_url,
            private=settings.webhook_private,
        ),
        packages=Packages(
            database,
            overseeing["looks"],
            overseeing["casework"],
            overseeing["sealed"],
            cosigning,
            keyring.receipt,
            clock=clock,
            log_keys=keyring.logs,
            base_url=settings.base_url,
        ),
        heads=HeadsMaps(
            database,
            recorder,
            log_key=keyring.log.vkey,
            clock=clock,
            interval_s=settings.heads_interval_s,
            report=overseeing["findings"].report,
        ),
        # A person reads each report: one a second from an address is plenty.
        report_limit=RateLimit(1, monotonic_s=time.monotonic),
        scans=Scans(database, clock=clock, key=keyring.subkey("scan-device")),
        **parties_of,
        **_open_trace(database, recorder, vault, keyring, clock, random, events_to, settings),
        **overseeing,
        **open_exchange(
            settings,
            database,
            recorder,
            keyring,
            clock=clock,
            policies=overseeing["credit"].policies,
        ),
    )


def open_publisher(
    settings: Settings,
    database: Database,
    keyring: Keyring,
    *,
    clock: Clock,
    findings: Findings,
    cosigning: Cosigning,
    lease: Lease | None,
) -> Publisher:
    """Returns a publisher that signs with these keys."""
    return Publisher(
        database,
        signer=keyring.log,
        frozen=keyring.frozen,
        anchor=Anchor(settings.anchor_dir),
        clock=clock,
        lease=lease,
        own_anchor=not settings.anchor_shared,
        report=findings.report,
        cosigning=cosigning,
    )


def open_rotation(settings: Settings, rooms: Rooms) -> Rotation:
    """Returns what lets the log of these rooms go on under another origin."""

    def publisher_of(keyring: Keyring) -> Publisher:
        return open_publisher(
            settings,
            rooms.database.apart,
            keyring,
            clock=rooms.clock,
            findings=rooms.findings,
            cosigning=rooms.cosigning,
            lease=rooms.lease,
        )

    return Rotation(
        rooms.database,
        rooms.recorder,
        rooms.sequencer,
        keys_dir=settings.keys_dir,
        anchor=Anchor(settings.anchor_dir),
        clock=rooms.clock,
        publisher_of=publisher_of,
    )


def _open_witnesses(database: Database, settings: Settings) -> Cosigning:
    path = settings.witness_policy
    policy = None if path is None else parse_policy(path.read_bytes())
    # SQLite has one service, whose anchor is shared with nobody anyway.
    is_anchored = settings.anchor_shared or database.dialect == "sqlite"
    if not is_anchored and (policy is None or not policy.quorums_meet):
        quorum = NONE if policy is None else policy.quorum
        raise QuorumsDisjoint("quorums_disjoint", quorum=quorum)
    if policy is None:
        return Unwitnessed()
    return Witnesses(policy, prove=partial(prove_to, database.apart))


def _open_parties(
    database: Database,
    recorder: Recorder,
    vault: Vault,
    keyring: Keyring,
    clock: Clock,
    settings: Settings,
    passwords: Passwords,
) -> dict[str, Any]:
    chain = PartyChain(recorder, clock=clock)
    people = open_people(
        database,
        keyring,
        clock=clock,
        vault=vault,
        idle=timedelta(minutes=settings.session_idle_min),
        longest=timedelta(hours=settings.session_hours),
        passwords=passwords,
    )
    parties = Parties(database, chain, content_key=keyring.subkey("party-content"))
    return {
        "keys": APIKeys(database, clock=clock),
        "parties": parties,
        "powers": Powers(database, chain),
        "licensing": Licensing(database, chain, clock=clock),
        "people": people,
        "applications": Applications(
            database,
            clock=clock,
            vault=vault,
            accounts=people.accounts,
            parties=parties,
            throttle=people.throttle,
        ),
    }


def _open_trace(
    database: Database,
    recorder: Recorder,
    vault: Vault,
    keyring: Keyring,
    clock: Clock,
    random: RandomBytes,
    events_to: Callable[[Recorder], TakesSubmissions],
    settings: Settings,
) -> dict[str, Any]:
    proofs = open_proofs(keyring)
    index = SecretIndex(keyring.subkey("side-index"))
    recording = Recording(
        database,
        events_to(recorder),
        clock=clock,
        proofs=proofs,
        graces=graces_in_force(),
        index=index,
    )
    issuing = Issuing(database, recorder, clock=clock, proofs=proofs, random=random)
    catalogue = Catalogue(database, recorder, clock=clock, index=index)
    shipments = Shipments(database, recorder, recording, issuing, clock=clock)
    packing = Packing(database, recording, clock=clock, random=random)
    row_events = RowEvents(database, recorder, recording, index=index)
    offering = Offering(database, recorder, recording, clock=clock)
    pushes = Pushes(database, recording, index=index)
    push_log = PushLog(database, clock=clock)
    printing = Printing(
        database, issuing, catalogue, clock=clock, base_url=settings.base_url, font=settings.font
    )
    return {
        "recording": recording,
        "catalogue": catalogue,
        "issuing": issuing,
        "printing": printing,
        "parcel_labels": ParcelLabels(database, issuing, printing, clock=clock),
        "shipments": shipments,
        "offering": offering,
        "correcting": Correcting(database),
        "rateable": Rateable(database),
        "parcels": Parcels(database, clock=clock),
        "beginnings": Beginnings(database, clock=clock),
        "packing": packing,
        "dispatching": Dispatching(database, recording, packing),
        "texts": Texts(database, recorder, clock=clock, proofs=proofs, vault=vault),
        "pushes": pushes,
        "push_log": push_log,
        "push_addresses": PushAddresses(
            database, pushes, push_log, clock=clock, key=keyring.subkey("push-salt"), random=random
        ),
        "customs": CustomsDesk(database, recording, clock=clock, index=index),
        "imports": Imports(
            database,
            Plans(database, catalogue, shipments, offering, row_events),
            Applying(
                Bulk(database, recorder, catalogue, clock=clock, index=index),
                shipments,
                offering,
                row_events,
            ),
            vault=vault,
            clock=clock,
        ),
    }


def open_proofs(keyring: Keyring) -> Proofs:
    """Returns the proofs of purchase under the deployment's keys."""
    return Proofs(claim_key=keyring.subkey("claim-token"), inner_key=keyring.subkey("inner-code"))


def _open_findings(
    database: Database,
    recorder: Recorder,
    clock: Clock,
    settings: Settings,
    *,
    policies: Policies,
) -> tuple[Credit, Findings]:
    """Returns credit, and what keeps findings and holds points for them."""
    tells_remote = settings.credit_store != LOCAL
    credit = Credit(database, recorder, clock=clock, policies=policies, tells_remote=tells_remote)
    return credit, Findings(database, credit, Decisions(recorder, clock=clock), clock=clock)


def _open_oversight(
    database: Database,
    recorder: Recorder,
    vault: Vault,
    keyring: Keyring,
    clock: Clock,
    settings: Settings,
) -> dict[str, Any]:
    stories = Stories(vault=vault, log_keys=keyring.logs, graces=graces_in_force())
    credit, findings = _open_findings(
        database, recorder, clock, settings, policies=policies_of(settings)
    )
    looks = Looks(database, stories, findings, clock=clock)
    words = Words(database, clock=clock, vault=vault)
    promises = _open_promises(database, recorder, credit, words, clock)
    discoveries = Discoveries(database, credit, clock=clock)

    def thresholds_at(moment: datetime) -> Thresholds:
        return credit.policies.at(moment).detectors.thresholds

    scan_watch = ScanWatch(
        database,
        discoveries,
        clock=clock,
        settled_after=graces_in_force().late,
        thresholds_at=thresholds_at,
    )
    watch = Watch(
        database,
        discoveries,
        Conduct(database, discoveries, vault=vault, thresholds_at=thresholds_at),
        scan_watch,
        clock=clock,
        thresholds_at=thresholds_at,
    )
    ranked = Ranking(database, credit, clock=clock)
    commitments = promises["commitments"]
    returns = Returns(database, commitments)
    hooks = Hooks(
        database,
        clock=clock,
        vault=vault,
        limit=HookLimit(Throttle(database, clock=clock, key=keyring.subkey("webhook-asked"))),
        private=settings.webhook_private,
    )
    cases = Cases(
        database,
        clock=clock,
        vault=vault,
        proofs=open_proofs(keyring),
        index=SecretIndex(keyring.subkey("side-index")),
        reply_within=credit.policy.graces.complaint_reply,
    )
    topics = {**watch.topics, **commitments.topics, **returns.topics, **hooks.topics}
    return {
        **promises,
        "hooks": hooks,
        "discoveries": discoveries,
        "watch": watch,
        "stories": stories,
        "credit": credit,
        "credit_ledger": CreditLedger(
            database, credit, clock=clock, words=words, on_effect=promises["lists"].recheck
        ),
        "documents": Documents(database, clock=clock, vault=vault, most_mb=settings.documents_mb),
        "outlook": Outlook(database, credit, commitments, clock=clock),
        "undecided": Undecided(database, credit.policies, clock=clock, words=words),
        "ranking": ranked,
        "ratings": Ratings(
            database, clock=clock, vault=vault, key=keyring.subkey("buyer-pseudonym")
        ),
        "features": Features(database, ranked, credit, keyring.receipt, clock=clock),
        "search": Search(database, ranked, credit, clock=clock),
        "order_counts": OrderCounts(database, recorder, clock=clock),
        "samples": Samples(database, keyring.receipt, clock=clock),
        "findings": findings,
        "owed": Owed(database, clock=clock),
        "looks": looks,
        "publications": Publications(database, clock=clock),
        "casework": Casework(database, findings, clock=clock, vault=vault),
        "lookbook": Lookbook(database),
        "chains": Chains(database, looks, log_keys=keyring.logs),
        "seeking": Seeking(database, clock=clock, index=SecretIndex(keyring.subkey("side-index"))),
        "sealed": SealedAccess(database, clock=clock, vault=vault),
        "cases": cases,
        "complaints": Complaints(database, cases, clock=clock),
        "report_desk": ReportDesk(database, clock=clock, vault=vault),
        "reviews": Reviews(database, vault=vault),
        "recalls": Recalls(database, clock=clock),
        "figures": Figures(database, clock=clock),
        "reports": Reports(
            database, clock=clock, vault=vault, ticket_key=keyring.subkey("report-ticket")
        ),
        "deadlines": Deadlines(
            database,
            findings,
            credit,
            clock=clock,
            more=topics,
            together={CODE_SCANNED: scan_watch.judge_asked},
        ),
        "audits": Audits(
            database,
            findings,
            stories,
            clock=clock,
            vault=vault,
            log_keys=keyring.logs,
            anchor=Anchor(settings.anchor_dir),
            records_per_s=settings.audit_records_per_s,
        ),
    }


def _open_promises(
    database: Database, recorder: Recorder, credit: Credit, words: Words, clock: Clock
) -> dict[str, Any]:
    book = MatterBook(database, recorder, clock=clock)
    commitments = Commitments(database, book, credit, clock=clock, words=words)
    lists = Lists(database, book, credit, clock=clock, words=words)
    return {
        "commitments": commitments,
        "lists": lists,
        "matter_clock": MatterClock(database, commitments, lists, clock=clock),
        "snapshots": Snapshots(database, book, credit, clock=clock, after_each=lists.review),
        "alerts": Alerts(database, book, credit, clock=clock),
    }


def policies_of(settings: Settings) -> Policies:
    """Returns every version of the credit policy. Raises SettingsError for one that is not to be used."""
    try:
        return packaged(settings.policy_dir)
    except (BadPolicy, Fault, OSError) as err:
        name = "SUXIN_POLICY_DIR"
        why = f"{name} has a value it cannot have: {err}"
        raise SettingsError("settings.value", why, name=name, expected=str(err)) from err


def close_rooms(rooms: Rooms) -> None:
    """Answers what is queued, writes the scans counted so far, lets others lead, closes the database."""
    try:
        rooms.page_turns.close()
        rooms.photo_turns.close()
        rooms.looks.close()
        rooms.recorder.close()
        rooms.scans.flush()
        if rooms.lease is not None:
            rooms.lease.release()
        if rooms.sender is not None:
            rooms.sender.close()
    finally:
        rooms.hooks.close()
        rooms.badges.close()
        rooms.cosigning.close()  # its threads read the database
        rooms.database.close()
