"""The file exchange: packages out, receipts back, on two deployments that never speak to each other."""

from __future__ import annotations

import io
import json
import random
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from app.exchange.folder import FolderStore
from app.exchange.package import MAX_BYTES, Package, PackageMalformed, read_package, write_receipt
from app.joining import StoreKeyMissing, credit_signer, open_store
from app.ledger.note import NoteSigner
from app.ledger.record import stream_key
from tests.exchange.conftest import SHOP, STALL, kept


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "exchange"


@pytest.fixture
def posted(theirs, opened, folder):
    """Ours, whose store is the folder; the store lets its packages in."""
    rooms = theirs.rooms
    key = rooms.keyring.credit_signer("store.example")
    ours = opened(f"file://{folder}", credit_store_key=str(key.vkey))
    rooms.receiver.let_in("ours", str(ours.signer.vkey))
    ours.register(SHOP, STALL)
    ours.use(open_store(ours.settings, ours.rooms.keyring, clock=ours.clock))
    ours.store_key = key
    return ours


def carry(posted, theirs, folder, *, back=True) -> list[str]:
    """Carries every package there, takes it in, and carries the receipt back; returns the receipts."""
    receipts = []
    for path in sorted((folder / "out").glob("*.zip")):
        _, receipt = theirs.rooms.receiver.take_package(path.read_bytes(), posted.store_key)
        receipts.append(receipt)
        if back:
            (folder / "in" / f"{path.stem}.receipt").write_text(receipt)
    return receipts


def names(folder, part) -> list[str]:
    return sorted(path.name for path in (folder / part).iterdir())


def test_a_package_goes_out_and_its_receipt_lets_the_changes_go(posted, theirs, folder):
    posted.enter(SHOP, "a", "b")
    posted.enter(STALL, "a")
    posted.work()
    assert (posted.waiting, names(folder, "out")) == (3, ["credit-00000001.zip"])
    posted.enter(STALL, "b")
    posted.work()
    assert len(names(folder, "out")) == 1, "one at a time"
    (receipt,) = carry(posted, theirs, folder)
    assert json.loads(receipt.split("\n")[1])["stored"] == 3
    posted.work()
    assert (posted.waiting, names(folder, "out")) == (1, ["credit-00000002.zip"])
    assert names(folder, "done") == ["credit-00000001.receipt", "credit-00000001.zip"]
    carry(posted, theirs, folder)
    posted.work()
    assert (posted.waiting, names(folder, "out")) == (0, [])
    assert kept(theirs) == posted.changes()


def test_what_is_in_a_package_can_be_read_with_everyday_tools(posted, folder):
    posted.enter(SHOP, "a")
    posted.work()
    with zipfile.ZipFile(folder / "out" / "credit-00000001.zip") as archive:
        assert sorted(archive.namelist()) == ["entries.jsonl", "manifest.json", "manifest.sig"]
        manifest = json.loads(archive.read("manifest.json"))
        entries = archive.read("entries.jsonl")
    about = manifest["files"]["entries.jsonl"]
    assert about == {"sha256": sha256(entries).hexdigest(), "bytes": len(entries), "lines": 1}
    assert (manifest["format"], manifest["count"]) == ("suxin-credit-package/1", 1)
    key = posted.changes()[0][0]
    assert (manifest["first"], manifest["last"]) == (key, key)


def test_taken_in_twice_it_is_stored_once_and_has_the_same_receipt(posted, theirs, folder):
    posted.enter(SHOP, "a", "b")
    posted.work()
    assert carry(posted, theirs, folder) == carry(posted, theirs, folder)
    assert kept(theirs) == posted.changes()


def test_a_kill_between_any_two_steps_loses_and_doubles_nothing(
    posted, theirs, folder, monkeypatch
):
    """Each time another step is the last one that is done; then somebody starts it again."""
    posted.enter(SHOP, *"abc")

    def again():
        posted.use(open_store(posted.settings, posted.rooms.keyring, clock=posted.clock))

    monkeypatch.setattr("app.exchange.folder.create_file", _killed)
    with pytest.raises(KeyboardInterrupt):
        posted.work()
    monkeypatch.undo()
    again()
    posted.work()
    again()
    posted.work()
    assert len(names(folder, "out")) == 1
    carry(posted, theirs, folder)
    monkeypatch.setattr("app.outbox.done", _killed)
    with pytest.raises(KeyboardInterrupt):
        posted.work()
    monkeypatch.undo()
    again()
    moved = []
    real = Path.replace

    def replace_once(self, target):
        if moved:
            raise KeyboardInterrupt
        moved.append(self)
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace_once)
    with pytest.raises(KeyboardInterrupt):
        posted.work()
    monkeypatch.undo()
    again()
    posted.enter(STALL, "z")
    posted.work()
    carry(posted, theirs, folder)
    posted.work()
    assert posted.waiting == 0
    assert kept(theirs) == posted.changes()
    assert len(kept(theirs)) == 4


def _killed(*_):
    raise KeyboardInterrupt


def test_a_refused_line_is_a_dead_letter_and_holds_its_party(posted, theirs, folder):
    posted.enter(SHOP, "a", "b")
    posted.enter(STALL, "a")
    first = next(key for key, _ in posted.changes() if SHOP in key)
    posted.work()
    with theirs.rooms.database.write() as connection:
        # As if something else had been sent under this key.
        connection.exec_driver_sql(
            "INSERT INTO credit_received (sender, source, seq, party, type, hash, place, received_at) "
            f"VALUES ('ours', {stream_key(f'party/{SHOP}')}, {first.rpartition('/')[2]}, '{SHOP}', "
            "'credit_entry', "
            + ("x'00'" if theirs.rooms.database.dialect == "sqlite" else "'\\x00'")
            + ", 0, 0)"
        )
    (receipt,) = carry(posted, theirs, folder)
    results = [one["result"] for one in json.loads(receipt.split("\n")[1])["results"]]
    assert sorted(results) == ["held", "refused", "stored"]
    posted.work()
    assert posted.dead == [first]
    assert posted.waiting == 2
    letters = posted.backroom.dead_letters(after=None, limit=9)
    assert letters[0].error == "id-conflict: change_conflict"


@pytest.mark.parametrize("how", ["forged", "another package", "garbage", "empty"])
def test_a_receipt_that_is_none_is_put_aside_and_nothing_is_taken_for_stored(
    posted, theirs, folder, how
):
    posted.enter(SHOP, "a")
    posted.work()
    (receipt,) = carry(posted, theirs, folder, back=False)
    forger = NoteSigner("store.example/credit", b"\5" * 32)
    at = posted.clock.now()
    said = {
        "forged": write_receipt(Package("credit-00000001", "", ()), [], signer=forger, at=at),
        "another package": write_receipt(
            Package("credit-00000009", "", ()), [], signer=posted.store_key, at=at
        ),
        "garbage": "\x00\x01",
        "empty": "",
    }[how]
    (folder / "in" / "credit-00000001.receipt").write_text(said)
    posted.work()
    assert (posted.waiting, posted.dead) == (1, [])
    assert names(folder, "bad") == ["credit-00000001.receipt"]
    (folder / "in" / "credit-00000001.receipt").write_text(receipt)
    posted.work()
    assert posted.waiting == 0


def test_any_damage_on_the_way_is_found(posted, theirs, folder):
    posted.enter(SHOP, *"abcdef")
    posted.work()
    raw = (folder / "out" / "credit-00000001.zip").read_bytes()
    dice = random.Random(7)
    for _ in range(300):
        at = dice.randrange(len(raw))
        damaged = raw[:at] + bytes([raw[at] ^ (1 << dice.randrange(8))]) + raw[at + 1 :]
        try:
            theirs.rooms.receiver.take_package(damaged, posted.store_key)
        except PackageMalformed:
            continue
        # Bits that mean nothing: times and attributes of the archive's directory.
    assert kept(theirs) in ([], posted.changes())
    for cut in range(0, len(raw), 97):
        with pytest.raises(PackageMalformed):
            theirs.rooms.receiver.take_package(raw[:cut], posted.store_key)


def repacked(raw: bytes, **changes: bytes | None) -> bytes:
    """Returns a package with members changed; None takes one away."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members |= {name.replace("_", "."): content for name, content in changes.items()}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize(
    "changes",
    [
        {"entries_jsonl": b""},
        {"entries_jsonl": b"{}\n"},
        {"manifest_json": b"{}"},
        {"manifest_json": b"[]"},
        {"manifest_sig": b""},
        {"manifest_sig": None},
        {"more_txt": b"x"},
        {"entries_jsonl": b"0" * (65 * 1024 * 1024)},  # a bomb: some 60 KiB packed
    ],
    ids=lambda changes: f"{next(iter(changes))} {str(next(iter(changes.values())))[:8]}",
)
def test_a_package_that_was_put_together_by_somebody_else_is_refused(
    posted, theirs, folder, changes
):
    posted.enter(SHOP, "a")
    posted.work()
    raw = (folder / "out" / "credit-00000001.zip").read_bytes()
    read_package(repacked(raw), [posted.signer.vkey])
    with pytest.raises(PackageMalformed) as found:
        read_package(repacked(raw, **changes), [posted.signer.vkey])
    if len(str(changes)) > MAX_BYTES:
        assert found.value.params["part"] == "size", "left before all of it is unpacked"
    with pytest.raises(PackageMalformed):
        read_package(raw, [posted.store_key.vkey])


def test_a_manifest_that_was_changed_in_one_word_is_not_the_signed_one(posted, folder):
    posted.enter(SHOP, "a")
    posted.work()
    raw = (folder / "out" / "credit-00000001.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    changed = json.dumps(manifest | {"number": 2}).encode()
    with pytest.raises(PackageMalformed):
        read_package(repacked(raw, manifest_json=changed), [posted.signer.vkey])


def test_two_senders_may_call_their_keys_alike(posted, theirs, folder):
    alike = NoteSigner(posted.signer.vkey.name, b"\3" * 32)
    theirs.rooms.receiver.let_in("alike", str(alike.vkey))
    posted.enter(SHOP, "a")
    posted.work()
    carry(posted, theirs, folder)
    assert kept(theirs) == posted.changes()
    assert kept(theirs, "alike") == []


def test_a_folder_that_cannot_be_written_is_a_store_that_is_down(posted, folder):
    posted.enter(SHOP, "a")
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("no folder")
    posted.work()
    assert posted.backroom.standing().link.last_error.startswith("folder")
    assert posted.waiting == 1
    folder.unlink()
    posted.clock.advance(60)
    posted.work()
    assert len(names(folder, "out")) == 1


def test_a_folder_without_the_key_of_its_store_is_no_store(posted, tmp_path):
    settings = posted.settings.model_copy(update={"credit_store_key": None})
    with pytest.raises(StoreKeyMissing):
        open_store(settings, posted.rooms.keyring, clock=posted.clock)


def test_the_same_changes_give_the_same_package(posted, folder, tmp_path):
    posted.enter(SHOP, "a")
    posted.work()
    first = (folder / "out" / "credit-00000001.zip").read_bytes()
    other = FolderStore(tmp_path / "other", credit_signer(posted.settings, posted.rooms.keyring),
                        store_key=posted.store_key.vkey, clock=posted.clock)  # fmt: skip
    posted.use(other)
    posted.work()
    assert (tmp_path / "other" / "out" / "credit-00000001.zip").read_bytes() == first
