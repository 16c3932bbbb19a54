"""Two who both believe that they lead the log: one tree grows, and one line of checkpoints."""

from __future__ import annotations

import threading

from tests.faults.life import Life
from tests.ledger.ledgers import Ledger

TURNS = 25


def test_two_leaders_at_once_fork_nothing(database_url, tmp_path, clock, tried):
    first = Ledger(database_url, tmp_path / "keys", clock=clock)
    second = Ledger(database_url, tmp_path / "keys", clock=clock)
    lives = [Life(first), Life(second)]
    lives[0].begin()
    start = threading.Barrier(2)

    def lead(life: Life) -> None:
        start.wait(10)
        for _ in range(TURNS):
            life.turn()
            life.attempt(life.look)

    threads = [threading.Thread(target=lead, args=(life,)) for life in lives]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    told = set(lives[0].faults) | set(lives[1].faults)
    assert told <= {"TreeMoved", "AnchorMoved", "LeafTaken"}, told
    assert all(len(life.acked) >= TURNS * 4 for life in lives)
    second.close()
    merged = lives[0]
    merged.acked |= lives[1].acked
    merged.receipts |= lives[1].receipts
    merged.kept |= lives[1].kept
    merged.sent |= lives[1].sent
    merged.notes |= lives[1].notes
    merged.settle()
    merged.ledger.close()
    tried("two leaders", first.database.dialect, TURNS)
