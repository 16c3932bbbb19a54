"""Webhooks: who wants to be told of what, and telling them, signed, until it arrives or is given up.

Told are the party that it is about and whoever may speak for it now by a mandate. A webhook is
configuration and no record; what it tells follows from records and findings. Each message has an id of
its own that follows from the event, so that nothing is told twice by us, and a repeat of a delivery
can be seen by who receives it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid5

import orjson
import structlog
import uuid_utils

from app import outbox
from app.credit.alerts import WARNED
from app.db.engine import Database
from app.kit.clock import Clock, format_time, from_ms, to_ms
from app.kit.errors import Conflict, FieldFault, NotFound, invalid
from app.ledger.store import list_facts
from app.ledger.vault import SALT_BYTES, SealBroken, Vault
from app.oversight import hookclient, hookstore, store
from app.oversight.hookclient import Undeliverable
from app.oversight.hooklimit import HookLimit
from app.oversight.hookstore import DEAD, DELIVERED, WAITING
from app.parties.principal import Principal
from app.trace.asked import COMPLAINED, RECALLED
from app.trace.store import offers_of

log = structlog.get_logger(__name__)

EVENTS = ("credit.warning", "finding.opened", "complaint.opened", "recall")
TEST = "webhook.test"
"""A message that says nothing, for who wants to see whether any arrives."""
MAX_HOOKS = 10
RETRY_AFTER_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Pauses after a failure, as Standard Webhooks advise: some three days; then it is dead."""

_NAMESPACE = UUID("5a5f0f5e-5f0b-5b3e-9a53-6d0f6f1f7a10")
_CURSOR = "webhooks.findings"
_BATCH = 32
_AT_ONCE = 8
_FEW = 4  # of one webhook at a time: a slow one leaves room for others
_LATE = timedelta(minutes=1)
_KEPT = timedelta(days=30)


class HookUnknown(NotFound):
    """There is no such webhook or message, or not of yours."""


class TooManyHooks(Conflict):
    """The party has as many webhooks as one may have."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook. secret: only when it was just made."""

    id: str
    url: str
    events: tuple[str, ...]
    created_at: datetime
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Sending:
    """A message to a webhook, as a list shows it. may_resend: it is dead, and the webhook is not ended."""

    id: str
    url: str
    event: str
    status: str
    attempts: int
    created_at: datetime
    last_error: str | None
    may_resend: bool


class Hooks:
    """`topics` are handled by the outbox; `follow` and `send` are loops of the worker."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        vault: Vault,
        limit: HookLimit,
        private: bool = False,
    ) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._private = private
        self._limit = limit
        self._http = hookclient.new_client()
        self._swept: datetime | None = None
        self.topics: Mapping[str, Callable[[outbox.Message], None]] = {
            WARNED: self._warned,
            COMPLAINED: self._complained,
            RECALLED: self._recalled,
        }

    # --- who wants to be told ----------------------------------------------------------------

    def register(self, principal: Principal, *, url: str, events: Iterable[str]) -> Hook:
        """Returns a new webhook of the caller's party, with its secret.

        Raises what `check_may` raises, Invalid, TooManyHooks.
        """
        party = _party_of(principal)
        if hookclient.check_url(url, private=self._private) is not None:
            raise invalid(FieldFault(("url",), "url", {"got": url[:80]}, "webhook_url"))
        wanted, identifier = tuple(dict.fromkeys(events)), str(uuid_utils.uuid7())
        secret, now = secrets.token_bytes(32), self._clock.now()
        sealed = self._vault.seal(
            place=_place(party, identifier), salt=secrets.token_bytes(SALT_BYTES), content=secret
        )
        with self._database.write() as connection:
            store.lock_party(connection, party)
            if len(hookstore.hooks_of(connection, [party])) >= MAX_HOOKS:
                raise TooManyHooks("too_many_hooks", limit=MAX_HOOKS)
            row = {
                "id": identifier,
                "party": party,
                "url": url,
                "events": f" {' '.join(wanted)} ",
                "sealed": sealed.sealed,
                "wrapped_key": sealed.wrapped_key,
                "created_at": to_ms(now),
                "ended_at": None,
            }
            hookstore.insert_hook(connection, row)
        return Hook(identifier, url, wanted, now, hookclient.shown_secret(secret))

    def hooks(self, principal: Principal) -> list[Hook]:
        """Returns the caller's webhooks, oldest first, without secrets. Read-only."""
        with self._database.read() as connection:
            rows = hookstore.hooks_of(connection, [_party_of(principal)])
        return [Hook(r.id, r.url, tuple(r.events.split()), from_ms(r.created_at)) for r in rows]

    def end(self, principal: Principal, hook: str) -> None:
        """Ends a webhook of the caller's; again is no harm. Raises HookUnknown."""
        party = _party_of(principal)
        with self._database.write() as connection:
            row = hookstore.find_hook(connection, hook)
            if row is None or row.party != party:
                raise HookUnknown("webhook_unknown", id=hook[:80])
            if row.ended_at is None:
                hookstore.end_hook(connection, hook, at_ms=to_ms(self._clock.now()))

    def deliveries(
        self,
        principal: Principal,
        *,
        status: str | None,
        after: tuple[Any, ...] | None,
        limit: int,
    ) -> list[Any]:
        """Returns messages to the caller's webhooks, oldest first. Read-only."""
        with self._database.read() as connection:
            return hookstore.deliveries_of(
                connection, _party_of(principal), status=status, after=after, limit=limit
            )

    def recent(self, principal: Principal, *, limit: int) -> list[Sending]:
        """Returns the last messages to the caller's webhooks, newest first. Read-only."""
        with self._database.read() as connection:
            rows = hookstore.recent_deliveries(connection, _party_of(principal), limit=limit)
        return [
            Sending(
                r.id, r.url, r.event, r.status, r.attempts, from_ms(r.created_at), r.last_error,
                may_resend=r.status == DEAD and r.ended_at is None,
            )
            for r in rows
        ]  # fmt: skip

    def test(self, principal: Principal, hook: str) -> None:
        """Sends a `webhook.test`. Raises HookUnknown, HooksAskedTooOften. Writes `webhook_delivery`."""
        party, now = _party_of(principal), self._clock.now()
        body = {"type": TEST, "timestamp": format_time(now), "data": {"party": party}}
        with self._database.read() as connection:
            row = hookstore.find_hook(connection, hook)
        if row is None or row.party != party or row.ended_at is not None:
            raise HookUnknown("webhook_unknown", id=hook[:80])
        self._limit.take(party)
        message = _message(row, str(uuid_utils.uuid7()), TEST, orjson.dumps(body), now)
        with self._database.write() as connection:
            hookstore.insert_deliveries(connection, [message])

    def resend(self, principal: Principal, delivery: str) -> Any:
        """Returns a message that is sent anew from now on. Raises HookUnknown, HooksAskedTooOften."""
        party = _party_of(principal)
        with self._database.read() as connection:
            row = hookstore.find_delivery(connection, delivery)
            hook = None if row is None else hookstore.find_hook(connection, row.webhook)
        if row is None or row.party != party or hook is None or hook.ended_at is not None:
            raise HookUnknown("webhook_unknown", id=delivery[:80])
        self._limit.take(party)
        with self._database.write() as connection:
            hookstore.move_delivery(
                connection, delivery, status=WAITING, attempts=0,
                available_at=to_ms(self._clock.now()), last_error=None,
            )  # fmt: skip
            return hookstore.find_delivery(connection, delivery)

    # --- what happens ------------------------------------------------------------------------

    def follow(self) -> bool:
        """Tells of findings since the last look; returns whether there may be more.

        Looks a little back each time: a finding may be committed later than it says.
        """
        now_ms = to_ms(self._clock.now())
        with self._database.read() as connection:
            before = store.load_cursor(connection, _CURSOR)
            wanted = hookstore.any_hook(connection)
            # Who registers later is told of what is opened from then on.
            since = before - _LATE // timedelta(milliseconds=1) if before > 0 else now_ms
            rows = hookstore.findings_since(connection, since, limit=200) if wanted else []
        for row in rows:
            data = {
                "finding": row.id, "kind": row.kind, "party": row.party, "code": row.stream_name,
                "status": row.status,
            }  # fmt: skip
            self._tell("finding.opened", row.id, [row.party], data, from_ms(row.opened_at))
        full = len(rows) == 200 and rows[-1].opened_at > before
        position = rows[-1].opened_at if full else now_ms
        if position != before:
            with self._database.write() as connection:
                store.save_cursor(connection, _CURSOR, position, now_ms)
        return full

    def _warned(self, message: outbox.Message) -> None:
        told = dict(message.payload)
        party, identifier = told["party"], str(told["warning"])
        self._tell("credit.warning", identifier, [party], told, self._clock.now())

    def _complained(self, message: outbox.Message) -> None:
        told = message.payload
        data = {"code": told["code"], "category": told["category"], "complaint": told["id"],
                "party": told["seller"]}  # fmt: skip
        self._tell("complaint.opened", told["id"], [told["seller"]], data, self._clock.now())

    def _recalled(self, message: outbox.Message) -> None:
        told = message.payload
        with self._database.read() as connection:
            sellers = [row.seller for row in offers_of(connection, told["gtin"])]
        parties = [told["seller"]] if "seller" in told else [told["by"], *sellers]
        data = {"code": told["code"], "by": told["by"], "lifted": told["lifted"]}
        self._tell("recall", told["id"], parties, data, self._clock.now())

    def _tell(
        self, event: str, key: str, parties: Iterable[str], data: Mapping[str, Any], at: datetime
    ) -> None:
        """Stores a message for each webhook that wants it; once a webhook and event."""
        now = self._clock.now()
        with self._database.read() as connection:
            if not hookstore.any_hook(connection):
                return
            told = set(parties)
            for party in list(told):
                told |= _agents(list_facts(connection, f"party/{party}", "mandate/"), to_ms(now))
            hooks = hookstore.hooks_of(connection, sorted(told))
        body = orjson.dumps({"type": event, "timestamp": format_time(at), "data": data})
        rows = [
            _message(hook, str(uuid5(_NAMESPACE, f"{hook.id} {event} {key}")), event, body, now)
            for hook in hooks
            if f" {event} " in hook.events and hook.created_at <= to_ms(at)
        ]
        if rows:
            with self._database.write() as connection:
                hookstore.insert_deliveries(connection, rows)

    # --- telling -----------------------------------------------------------------------------

    def send(self) -> bool:
        """Sends what is due, some at once; returns whether there may be more."""
        now = self._clock.now()
        with self._database.read() as connection:
            rows = hookstore.due_deliveries(connection, now_ms=to_ms(now), limit=_BATCH)
        chosen: dict[str, list[Any]] = {}
        for row in rows:
            if len(chosen.setdefault(row.webhook, [])) < _FEW:
                chosen[row.webhook].append(row)
        due = [row for some in chosen.values() for row in some]
        if due:
            with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="webhook") as threads:
                for row, failed in zip(due, threads.map(partial(self._try, now), due), strict=True):
                    self._note(row, failed, now)
        self._sweep(now)
        return bool(due) and len(rows) == _BATCH

    def _try(self, now: datetime, row: Any) -> Undeliverable | None:
        try:
            _, secret = self._vault.open(
                place=_place(row.party, row.webhook),
                sealed=bytes(row.sealed),
                wrapped_key=bytes(row.wrapped_key),
            )
            hookclient.send(
                self._http, row.url, secret=secret, message_id=row.id,
                timestamp_s=int(now.timestamp()), body=bytes(row.body), private=self._private,
            )  # fmt: skip
        except Undeliverable as err:
            return err
        except SealBroken:
            return Undeliverable("secret altered")
        except Exception:
            log.exception("webhook.failed", delivery=row.id)
            return Undeliverable("internal")
        return None

    def _note(self, row: Any, failed: Undeliverable | None, now: datetime) -> None:
        attempts = row.attempts + 1
        with self._database.write() as connection:
            if failed is None:
                hookstore.move_delivery(
                    connection, row.id, status=DELIVERED, attempts=attempts,
                    delivered_at=to_ms(now), last_error=None,
                )  # fmt: skip
                return
            if failed.gone:
                hookstore.end_hook(connection, row.webhook, at_ms=to_ms(now))
            dead = failed.gone or attempts > len(RETRY_AFTER_S)
            pause_s = 0.0
            if not dead:
                # So that many that failed together do not come back together.
                pause_s = RETRY_AFTER_S[attempts - 1] * (1 + secrets.randbelow(100) / 1_000)
            hookstore.move_delivery(
                connection, row.id, status=DEAD if dead else WAITING, attempts=attempts,
                available_at=to_ms(now + timedelta(seconds=pause_s)), last_error=failed.why[:200],
            )  # fmt: skip

    def _sweep(self, now: datetime) -> None:
        """Forgets, once a day, what was delivered or given up a month ago."""
        if self._swept is not None and now - self._swept < timedelta(days=1):
            return
        self._swept = now
        with self._database.write() as connection:
            hookstore.forget_delivered(connection, before_ms=to_ms(now - _KEPT))

    def close(self) -> None:
        """Closes connections."""
        self._http.close()


def _message(hook: Any, identifier: str, event: str, body: bytes, now: datetime) -> dict[str, Any]:
    return {
        "id": identifier,
        "webhook": hook.id,
        "party": hook.party,
        "event": event,
        "body": body,
        "status": WAITING,
        "attempts": 0,
        "available_at": to_ms(now),
        "created_at": to_ms(now),
        "delivered_at": None,
        "last_error": None,
    }


def _party_of(principal: Principal) -> str:
    principal.check_may("webhook.manage")
    return principal.own_party()


def _place(party: str, hook: str) -> tuple[str, str, str]:
    return f"webhook/{party}", hook, "secret"


def _agents(mandates: Mapping[str, Any], now_ms: int) -> set[str]:
    """Returns who may speak for a party now, of whatever type."""
    return {
        fact.removeprefix("mandate/")
        for fact, given in mandates.items()
        if any(
            (terms["until_ms"] is None or now_ms < terms["until_ms"])
            and terms["revoked_ms"] is None
            for terms in given.values()
        )
    }
