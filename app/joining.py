"""Joins the room of exchange with what it needs: part of app.rooms, apart from it for its length."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from app.config import Settings
from app.credit.loader import Policies
from app.db.engine import Database
from app.exchange.cards import Cards
from app.exchange.folder import FolderStore
from app.exchange.port import CreditStore
from app.exchange.receiver import Receiver
from app.exchange.remote import HTTPStore
from app.exchange.sender import Backroom, Sender
from app.kit.clock import Clock
from app.kit.errors import Fault
from app.ledger.keyring import Keyring
from app.ledger.note import NoteSigner, parse_vkey
from app.ledger.recorder import Recorder

LOCAL = "local"


class StoreKeyMissing(Fault):
    """A folder is the store, and nobody said whose receipts count."""


def open_exchange(
    settings: Settings,
    database: Database,
    recorder: Recorder,
    keyring: Keyring,
    *,
    clock: Clock,
    policies: Policies,
) -> dict[str, Any]:
    """Returns the rooms `receiver`, `backroom`, `sender` and `cards`."""
    receiver = Receiver(database, recorder, clock=clock, policies=policies)
    remote = open_store(settings, keyring, clock=clock)
    if remote is None:
        backroom = Backroom(database, kind="local", clock=clock)
        return {"receiver": receiver, "backroom": backroom, "sender": None, "cards": None}
    return {
        "receiver": receiver,
        "backroom": Backroom(database, kind=remote.kind, clock=clock),
        "sender": Sender(database, remote, clock=clock, jitter=random.random),
        "cards": Cards(database, remote, clock=clock, jitter=random.random),
    }


def open_store(settings: Settings, keyring: Keyring, *, clock: Clock) -> CreditStore | None:
    """Returns the store that is kept elsewhere, None where there is none. Raises StoreKeyMissing."""
    if settings.credit_store == LOCAL:
        return None
    signer = credit_signer(settings, keyring)
    parts = urlsplit(settings.credit_store)
    if parts.scheme != "file":
        return HTTPStore(settings.credit_store, signer, clock=clock)
    if settings.credit_store_key is None:
        raise StoreKeyMissing("store_key_missing")
    key = parse_vkey(settings.credit_store_key.strip())
    return FolderStore(Path(unquote(parts.path)), signer, store_key=key, clock=clock)


def credit_signer(settings: Settings, keyring: Keyring) -> NoteSigner:
    """Returns what signs requests, packages and receipts for this deployment."""
    return keyring.credit_signer(urlsplit(settings.base_url).netloc)
