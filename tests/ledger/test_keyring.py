"""The keys folder: made once, never overwritten, and said to be missing when it is."""

from __future__ import annotations

import stat

import pytest

from app.ledger.keyring import KeyLost, KeysMissing, create_keys, load_keys
from app.ledger.note import encode_base64, open_note, sign_note
from tests.sentences import explain

FILES = ("log.key", "receipt.key", "vault.key", "index.key")
ORIGIN = "suxin.test/log"


def test_keys_are_made_once_and_are_for_nobody_else_to_read(tmp_path):
    folder = tmp_path / "a" / "keys"
    assert create_keys(folder, origin=ORIGIN)
    before = {name: (folder / name).read_bytes() for name in FILES}
    assert not create_keys(folder, origin="another.test/log")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in FILES:
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("name", FILES)
def test_one_key_that_is_missing_is_named_and_never_made_anew(tmp_path, name):
    create_keys(tmp_path, origin=ORIGIN)
    (tmp_path / name).unlink()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(KeyLost) as found:
        create_keys(tmp_path, origin=ORIGIN)
    for sentence in explain(found.value):
        assert str(tmp_path / name) in sentence
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_loaded_keys_are_the_same_each_time_and_each_its_own(tmp_path):
    create_keys(tmp_path, origin=ORIGIN)
    keys, again = load_keys(tmp_path), load_keys(tmp_path)
    assert keys.log.vkey == again.log.vkey
    assert (keys.vault_key, keys.index_key) == (again.vault_key, again.index_key)
    assert (keys.log.vkey.name, keys.receipt.vkey.name) == (ORIGIN, f"{ORIGIN}/receipt")
    secrets = {keys.vault_key, keys.index_key, keys.log.vkey.public_key}
    secrets |= {keys.receipt.vkey.public_key}
    assert len(secrets) == 4
    assert open_note(sign_note("hello\n", keys.log), [again.log.vkey]).text == "hello\n"


def test_each_purpose_has_a_key_of_its_own(tmp_path):
    create_keys(tmp_path, origin=ORIGIN)
    keys = load_keys(tmp_path)
    derived = {keys.subkey(purpose) for purpose in ("scan-device", "side", "claim")}
    assert len(derived) == 3
    assert all(len(key) == 32 for key in derived)
    assert keys.subkey("side") == load_keys(tmp_path).subkey("side")
    assert keys.index_key not in derived


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "damaged", [None, b"", b"\xff\xfe", b"no key", encode_base64(b"x" * 16).encode()]
)
def test_a_key_that_is_missing_or_damaged_is_named(tmp_path, name, damaged):
    create_keys(tmp_path, origin=ORIGIN)
    path = tmp_path / name
    path.unlink()
    if damaged is not None:
        path.write_bytes(damaged)
    # A damaged one may be read again once its file is; one that is gone is another matter.
    with pytest.raises(KeyLost if damaged is None else KeysMissing) as found:
        load_keys(tmp_path)
    assert found.value.params["path"] == str(path)
    explain(found.value)


def test_a_damaged_key_is_not_made_anew(tmp_path):
    # What it signed or sealed needs the old one; a new one in its place would hide the loss.
    create_keys(tmp_path, origin=ORIGIN)
    (tmp_path / "vault.key").write_bytes(b"")
    assert not create_keys(tmp_path, origin=ORIGIN)
    assert (tmp_path / "vault.key").read_bytes() == b""


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(KeysMissing):
        load_keys(tmp_path / "nowhere")
