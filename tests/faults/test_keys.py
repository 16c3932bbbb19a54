"""Every write step of making the keys fails: the next `suxin init` finishes them, and makes none twice."""

from __future__ import annotations

import itertools

import pytest

from app.ledger.keyring import KeyLost, KeysMissing, create_keys, load_keys
from tests.faults.steps import failing
from tests.ledger.ledgers import ORIGIN


@pytest.mark.parametrize("how", ["not persisted", "persisted"])
def test_whatever_step_fails_the_set_is_finished_and_what_there_was_stays(
    sqlite_ledger, tmp_path, how, tried
):
    hit = []
    for number in itertools.count(1):
        folder = tmp_path / f"keys{number}"
        with failing(sqlite_ledger.database, number, how) as fault:
            try:
                create_keys(folder, origin=ORIGIN)
            except OSError:
                assert fault.hit is not None
        before = kept(folder)
        if len(before) < 4:
            # Whoever serves from it is told which key is not there, and makes none.
            with pytest.raises(KeysMissing):
                load_keys(folder)
        create_keys(folder, origin=ORIGIN)
        after = kept(folder)
        assert len(after) == 4
        assert before.items() <= after.items()
        assert load_keys(folder).log.vkey.name == ORIGIN
        assert [path.name for path in folder.glob(".*") if path.name == ".making"] == []
        # From now on a key that is missing is a lost one.
        (folder / "vault.key").unlink()
        with pytest.raises(KeyLost):
            create_keys(folder, origin=ORIGIN)
        if fault.hit is None:
            break
        hit.append(fault.hit)
    assert {"write", "fsync", "link"} <= set(hit), hit
    tried(f"a write step of making the keys fails, {how}", "keys", len(hit))


def kept(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.key")}
