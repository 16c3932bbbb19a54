"""The rooms as one service has them: what they share, and what is kept apart."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest

from app.config import Settings
from app.ledger.verifier import Problem
from app.rooms import close_rooms, open_rooms
from app.setup import set_up
from tests.databases import DATABASES
from tests.ledger.ledgers import submission

_AS_MANY_AS_REQUESTS_MAY_HAVE = 20


@pytest.mark.parametrize("kind", ["postgresql"])
def test_the_log_goes_on_while_requests_have_every_connection(kind, tmp_path, databases):
    """Else whoever leads waits half a minute for one, and loses its lease meanwhile."""
    url = DATABASES.empty(tmp_path, kind=kind)
    settings = Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys", database_url=url)
    set_up(settings)
    rooms = open_rooms(settings)
    try:
        assert rooms.lease.renew()
        rooms.recorder.submit_and_wait([submission()])
        with ExitStack() as held:
            for _ in range(_AS_MANY_AS_REQUESTS_MAY_HAVE):
                held.enter_context(rooms.database.write())
                held.enter_context(rooms.database.read())
            begun = time.monotonic()
            rooms.lease.keep()
            assert rooms.sequencer.sequence() == 1
            published = rooms.publisher.publish()
            # What they find wrong is written down by as few.
            wrong = Problem("log.tile_mismatch", None, None, None, {})
            for report in (rooms.sequencer._report, rooms.publisher._report):
                assert len(report([wrong])) == 1
            assert time.monotonic() - begun < 10
            assert rooms.lease.leads()
        assert published is not None
        assert published.size == 1
    finally:
        close_rooms(rooms)
        DATABASES.drop(url)
