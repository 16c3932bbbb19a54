"""`suxin init`: creates what is not there yet, and never a second key in the place of a lost one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from app.config import Settings
from app.ledger.keyring import KeyLost, KeysLost
from app.rotating import rotate_log
from app.setup import AlreadyServing, serving_alone, set_up
from app.terminal import OUT
from tests.databases import DATABASES
from tests.ledger.ledgers import Ledger, check_log
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
