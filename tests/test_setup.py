"""`suxin init`: creates what is not there yet, and never a second key in the place of a lost one."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.config import Settings
from app.db.engine import Database
from app.ledger.adopting import adopt_anchor
from app.ledger.anchor import Anchor
from app.ledger.keyring import KeyLost, KeysLost, load_keys
from app.ledger.note import split_note
from app.ledger.served import load_checkpoint
from app.ledger.witnesses import QuorumMissing
from app.rooms import close_rooms, open_rooms
from app.rotating import rotate_log
from app.setup import AlreadyServing, serving_alone, set_up
from app.terminal import OUT
from tests.databases import DATABASES
from tests.ledger.ledgers import Ledger, check_log, submission
from tests.ledger.peers import Peer, says
from tests.sentences import explain


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    url = DATABASES.empty(tmp_path / "data")
    return Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys", database_url=url)


def keys_of(settings: Settings) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in settings.keys_dir.iterdir()}


def record_something(settings: Settings) -> None:
    ledger = Ledger(settings.database_url, settings.keys_dir)
    ledger.add()
    ledger.close()


def test_running_it_twice_changes_nothing(settings):
    first = set_up(settings)
    before = keys_of(settings)
    again = set_up(settings)
    assert (again.admin_key, again.log_key) == (None, first.log_key)
    assert keys_of(settings) == before


def test_a_lost_vault_key_is_refused_and_its_loss_explained(settings):
    set_up(settings)
    record_something(settings)
    (settings.keys_dir / "vault.key").unlink()
    before = keys_of(settings)
    with pytest.raises(KeyLost) as found:
        set_up(settings)
    english = " ".join(explain(found.value))
    assert "vault.key" in english
    assert "every sealed section is lost" in english
    assert keys_of(settings) == before


def test_a_lost_keys_folder_is_not_made_anew_over_records(settings):
    set_up(settings)
    record_something(settings)
    shutil.rmtree(settings.keys_dir)
    with pytest.raises(KeysLost) as found:
        set_up(settings)
    for sentence in explain(found.value):
        assert str(settings.keys_dir) in sentence
    assert not settings.keys_dir.exists()


def test_where_nothing_was_recorded_new_keys_harm_nobody(settings):
    set_up(settings)
    shutil.rmtree(settings.keys_dir)
    assert set_up(settings).log_key
    assert len(keys_of(settings)) == 4


def test_the_log_of_either_database_is_rotated_while_nothing_serves(
    tmp_path, database_url, monkeypatch
):
    told: list[str] = []
    monkeypatch.setattr(OUT, "print_json", told.append)
    data = tmp_path / "data"
    settings = Settings(data_dir=data, keys_dir=tmp_path / "keys", database_url=database_url)
    set_up(settings)
    record_something(settings)
    with serving_alone(settings), pytest.raises(AlreadyServing) as found:
        rotate_log(settings, None, yes=True, as_json=True)
    assert all(explain(found.value))
    rotate_log(settings, "new.test/log", yes=True, as_json=True)
    rotate_log(settings, None, yes=True, as_json=True)
    first, again = map(json.loads, told)
    assert (first["old"]["size"], first["new"]["origin"]) == (2, "new.test/log")
    assert again == first | {"already": True}
    with (
        serving_alone(settings, exclusive=True),
        pytest.raises(AlreadyServing),
        serving_alone(settings),
    ):
        pytest.fail("a service began beside a rotation")
    ledger = Ledger(settings.database_url, settings.keys_dir)
    check_log(ledger, records=3)
    ledger.close()


def test_under_a_quorum_the_log_is_rotated_and_another_anchor_is_adopted(
    tmp_path, postgresql_database_url, monkeypatch
):
    """The whole way of an operator of several hosts: rotate on one, then the shared anchor is lost."""
    told: list[str] = []
    monkeypatch.setattr(OUT, "print_json", told.append)
    policy = tmp_path / "policy"
    settings = Settings(
        data_dir=tmp_path / "data", keys_dir=tmp_path / "keys", lease_s=2,
        database_url=postgresql_database_url, witness_policy=policy,
    )  # fmt: skip
    policy.write_text("quorum none\n")
    set_up(settings)
    record_something(settings)
    with ExitStack() as exits:
        peers = [Peer(f"witness.test/w{number}", 70 + number) for number in range(3)]
        for peer in peers:
            exits.callback(peer.close)
        names = " ".join(peer.signer.vkey.name for peer in peers)
        lines = "".join(peer.line for peer in peers)
        policy.write_text(f"{lines}group most 2 {names}\nquorum most\n")
        # Too few of them: the old log's last word is kept back, and nothing serves meanwhile.
        for peer in peers[1:]:
            peer.say = says(500)
        with pytest.raises(QuorumMissing):
            rotate_log(settings, "new.test/log", yes=True, as_json=True)
        for peer in peers:
            peer.say = peer.cosign
        rotate_log(settings, "new.test/log", yes=True, as_json=True)
        (told_once,) = map(json.loads, told)
        assert (told_once["old"]["size"], told_once["new"]["origin"]) == (2, "new.test/log")
        served = served_notes(settings)
        assert all(len(cosigners) >= 2 for cosigners in served.values())
        assert set(served) == {settings.log_origin, "new.test/log"}

        # The anchor is lost; a new folder is taken into use on a host that has the keys.
        elsewhere = settings.model_copy(update={"anchor_dir": tmp_path / "elsewhere"})
        elsewhere.anchor_dir.mkdir()
        keys = load_keys(settings.keys_dir)
        database = Database(settings.database_url)
        adopt_anchor(database, Anchor(elsewhere.anchor_dir), keys.logs)
        database.close()
        rooms = open_rooms(elsewhere)
        try:
            rooms.publisher.check_start()
            rooms.recorder.submit_and_wait([submission()])
            assert rooms.sequencer.sequence() == 1
            published = rooms.publisher.publish()
            assert published is not None
            assert published.size == 2
        finally:
            close_rooms(rooms)
        cosigners = served_notes(elsewhere)["new.test/log"]
        assert len(cosigners) == len(set(cosigners)) >= 2


def served_notes(settings: Settings) -> dict[str, list[str]]:
    """Returns whose lines each log's served checkpoint bears besides the log's own."""
    database = Database(settings.database_url)
    try:
        with database.read() as connection:
            served = {
                key.name: load_checkpoint(connection, key)
                for key in load_keys(settings.keys_dir).logs
            }
    finally:
        database.close()
    return {
        name: [line.name for line in split_note(one.note)[1] if line.name != name]
        for name, one in served.items()
        if one is not None
    }
