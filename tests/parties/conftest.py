"""The room's services over a real database of each kind."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.fakes import FakeClock


@pytest.fixture
def house(database, clock: FakeClock):
    """Services, with what is under them in reach: `keys`, `parties`, `powers`, `records(party)`."""
    from app.ledger import store as ledger
    from app.ledger.recorder import Recorder
    from app.ledger.vault import Vault
    from app.parties import store
    from app.parties.access import APIKeys
    from app.parties.chain import PartyChain
    from app.parties.powers import Powers
    from app.parties.service import Parties

    vault = Vault(bytes(32))
    recorder = Recorder(database, vault=vault, clock=clock, writers=store.WRITERS)
    chain = PartyChain(recorder, clock=clock)
    ticks = SimpleNamespace(now_s=0.0)

    def records(party: str) -> list[dict]:
        with database.read() as connection:
            return [record.fields for record in ledger.load_stream(connection, f"party/{party}")]

    yield SimpleNamespace(
        database=database,
        clock=clock,
        vault=vault,
        ticks=ticks,
        keys=APIKeys(database, clock=clock, monotonic_s=lambda: ticks.now_s),
        parties=Parties(database, chain, content_key=bytes(32)),
        powers=Powers(database, chain),
        records=records,
    )
    recorder.close()
