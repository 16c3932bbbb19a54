"""The anchor: one file that is there whole or not at all, and that nobody overwrites unseen."""

from __future__ import annotations

import os
import stat
import threading

import pytest

from app.ledger import anchor as anchor_module
from app.ledger.anchor import Anchor, AnchorBusy, AnchorMoved, create_file, write_file

EDGE = (b"\x01" * 32, b"\x02" * 32)


def test_before_the_first_there_is_nothing(tmp_path):
    anchor = Anchor(tmp_path)
    assert anchor.read() is None
    assert anchor.read_edge() is None


def test_what_is_put_there_is_read_back_by_the_next_process(tmp_path):
    Anchor(tmp_path).replace(old=None, new="溯信 1\n", edge=EDGE)
    Anchor(tmp_path).replace(old="溯信 1\n", new="溯信 2\n", edge=())
    assert Anchor(tmp_path).read() == "溯信 2\n"
    assert Anchor(tmp_path).read_edge() == ()
    for path in tmp_path.glob("anchor*"):
        if path.name != "anchor.lock":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("old", [None, "somebody else's"])
def test_another_note_in_its_place_is_never_overwritten(tmp_path, old):
    anchor = Anchor(tmp_path)
    anchor.replace(old=None, new="first", edge=EDGE)
    with pytest.raises(AnchorMoved):
        anchor.replace(old=old, new="mine", edge=())
    assert anchor.read() == "first"
    assert anchor.read_edge() == EDGE


def test_a_note_that_was_removed_meanwhile_is_not_put_back(tmp_path):
    anchor = Anchor(tmp_path)
    anchor.replace(old=None, new="first", edge=EDGE)
    (tmp_path / "anchor").unlink()
    with pytest.raises(AnchorMoved):
        anchor.replace(old="first", new="second", edge=EDGE)


def test_of_many_at_once_exactly_one_follows_each_note(tmp_path):
    won = []

    def sign(name):
        for n in range(10):
            try:
                old = Anchor(tmp_path).read()
                Anchor(tmp_path).replace(old=old, new=f"{name} {n}", edge=EDGE)
                won.append((old, f"{name} {n}"))
            except AnchorMoved:
                pass

    threads = [threading.Thread(target=sign, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    followed = [old for old, _ in won]
    assert len(followed) == len(set(followed)), "two notes follow the same one: a fork"
    assert Anchor(tmp_path).read() in [new for _, new in won]


@pytest.mark.parametrize("damaged", [b"\xff", b"AAAA\nnot base64!\n", "é".encode()])
def test_an_edge_that_cannot_be_read_is_no_edge(tmp_path, damaged):
    (tmp_path / "anchor.edge").write_bytes(damaged)
    assert Anchor(tmp_path).read_edge() is None


def test_an_anchor_that_may_not_be_read_is_not_taken_for_none(tmp_path):
    (tmp_path / "anchor").mkdir()
    with pytest.raises(OSError, match="anchor"):
        Anchor(tmp_path).read()


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_old_note(tmp_path, monkeypatch, fails):
    anchor = Anchor(tmp_path)
    anchor.replace(old=None, new="first", edge=EDGE)

    def fail(*_):
        raise OSError("no space left on device")

    if fails == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(anchor_module.Path, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        anchor.replace(old="first", new="second", edge=())
    monkeypatch.undo()
    assert anchor.read() == "first"
    anchor.replace(old="first", new="second", edge=())
    assert anchor.read() == "second"
    assert not list(tmp_path.glob(".*")), "what was begun is cleared away by the next writer"


def test_content_and_folder_are_synced_before_anybody_is_told(tmp_path, monkeypatch):
    told = []
    replace, fsync = anchor_module.Path.replace, os.fsync

    def note_fsync(descriptor):
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "content"
        told.append(kind)
        fsync(descriptor)

    def note_replace(path, target):
        told.append("name")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(anchor_module.Path, "replace", note_replace)
    write_file(tmp_path / "file", b"x")
    assert told == ["content", "name", "folder"]


def test_a_created_file_never_replaces_one(tmp_path):
    path = tmp_path / "log.key"
    assert create_file(path, b"first")
    assert not create_file(path, b"second")
    assert path.read_bytes() == b"first"
    assert [p.name for p in tmp_path.iterdir()] == ["log.key"]


def test_a_file_that_appears_while_another_is_created_stays(tmp_path, monkeypatch):
    path = tmp_path / "log.key"
    exists = anchor_module.Path.exists

    def race(self):
        found = exists(self)
        path.write_bytes(b"theirs")
        return found

    monkeypatch.setattr(anchor_module.Path, "exists", race)
    assert not create_file(path, b"ours")
    assert path.read_bytes() == b"theirs"


def test_who_is_stopped_with_the_lock_keeps_nobody_waiting_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr("app.ledger.anchor._BUSY_S", 0.05)
    anchor = Anchor(tmp_path)
    anchor.replace(old=None, new="first", edge=EDGE)
    with anchor._locked():
        with pytest.raises(AnchorBusy):
            Anchor(tmp_path).replace(old="first", new="second", edge=EDGE)
        assert anchor.read() == "first"
    anchor.replace(old="first", new="second", edge=EDGE)
    assert anchor.read() == "second"
    assert not list(tmp_path.glob(".*"))


def test_nobody_waits_for_a_disk_while_it_has_the_lock(tmp_path, monkeypatch):
    """A leader that is stopped there would keep the next one from signing."""
    anchor = Anchor(tmp_path)
    synced = os.fsync

    def sync_while_another_may_lock(descriptor: int) -> None:
        with Anchor(tmp_path)._locked():
            synced(descriptor)

    monkeypatch.setattr("app.ledger.anchor._BUSY_S", 0.05)
    monkeypatch.setattr("app.ledger.anchor.os.fsync", sync_while_another_may_lock)
    anchor.replace(old=None, new="first", edge=EDGE)
    assert anchor.read() == "first"


def test_what_somebody_left_who_died_half_way_is_cleared_away(tmp_path):
    anchor = Anchor(tmp_path)
    old, fresh = tmp_path / ".anchor.7.0", tmp_path / ".anchor.8.0"
    for path in (old, fresh):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    anchor.replace(old=None, new="first", edge=EDGE)
    assert (old.exists(), fresh.exists()) == (False, True)
