"""A witness: never two trees, whatever is asked, also at once and after a restart."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.kit.errors import Fault
from app.ledger import witness as module
from app.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from app.ledger.cosign import Cosigner, read_answer, read_cosignatures
from app.ledger.merkle import EMPTY_ROOT, leaf_hash, root_of
from app.ledger.note import NoteSigner, SignatureLine, encode_base64, sign_note, split_note
from app.ledger.tiles import append_tiles, consistency_proof_from_tiles
from app.ledger.witness import (
    HeadDamaged,
    Heads,
    HeadsInUse,
    HeadsMissing,
    LogUnknown,
    LogUnsigned,
    NotConsistent,
    OldDiffers,
    RequestMalformed,
    Witness,
    place_of,
)
from tests.fakes import FakeClock
from tests.sentences import explain

ORIGIN = "suxin.test/log"
LOG = NoteSigner(ORIGIN, b"\x01" * 32)
OTHER = NoteSigner("other.test/log", b"\x02" * 32)
THIEF = NoteSigner(ORIGIN, b"\x03" * 32)
WITNESS = Cosigner("witness.test/w1", b"\x04" * 32)


class Tree:
    """A log of numbered entries; `salt` makes another one."""

    def __init__(self, salt: bytes = b"", *, shared: int = 0) -> None:
        self.entries = [
            n.to_bytes(31, "big") + (b"\0" if n < shared or not salt else salt) for n in range(300)
        ]
        self.tiles = append_tiles(0, self.entries, lambda *_: None)

    def root(self, size: int) -> bytes:
        return root_of([leaf_hash(entry) for entry in self.entries[:size]])

    def note(self, size: int, *, signer: NoteSigner = LOG, extensions: tuple[str, ...] = ()) -> str:
        root = self.root(size) if size else EMPTY_ROOT
        return sign_checkpoint(Checkpoint(signer.vkey.name, size, root, extensions), signer)

    def proof(self, old: int, size: int) -> list[bytes]:
        if not 0 < old < size:
            return []
        return consistency_proof_from_tiles(old, size, lambda *at: self.tiles.get(at))

    def request(self, old: int, size: int, **more) -> bytes:
        return request(old, self.proof(old, size), self.note(size, **more))


def request(old: object, proof: list[bytes], note: str) -> bytes:
    lines = "".join(f"{encode_base64(part)}\n" for part in proof)
    return f"old {old}\n{lines}\n{note}".encode()


TREE = Tree()
FORK = Tree(b"\x01", shared=5)


class Place:
    """A witness's folder; `again` is a restart."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.clock = FakeClock()
        folder.mkdir()
        self.heads = Heads(folder)
        self.witness = self._open()

    def _open(self) -> Witness:
        return Witness(WITNESS, [LOG.vkey, OTHER.vkey], self.heads, clock=self.clock)

    def again(self) -> None:
        self.heads.close()
        self.heads = Heads(self.folder)
        self.witness = self._open()

    @property
    def size(self) -> int:
        note = self.witness.last(place_of(ORIGIN))
        return 0 if note is None else open_checkpoint(note, [LOG.vkey]).size

    def add(self, *args, **more) -> str:
        return self.witness.add_checkpoint(TREE.request(*args, **more))

    def refuses(self, body: bytes, kind: type[Fault]) -> Fault:
        before = self.witness.last(place_of(ORIGIN))
        with pytest.raises(kind) as found:
            self.witness.add_checkpoint(body)
        explain(found.value)
        assert self.witness.last(place_of(ORIGIN)) == before
        return found.value


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path / "heads")
    yield made
    made.heads.close()


def test_what_goes_on_is_cosigned_and_kept_before_it_is_answered(place):
    for old, size in ((0, 3), (3, 3), (3, 7), (7, 256), (256, 300)):
        line = place.add(old, size)
        (cosignature,) = read_answer(split_note(TREE.note(size))[0], line, [WITNESS.vkey])
        assert cosignature.at == place.clock.now()
        kept = place.witness.last(place_of(ORIGIN))
        assert kept == TREE.note(size) + line
        assert (place.folder / place_of(ORIGIN)).read_text() == kept
        place.clock.advance(1)


def test_nothing_is_answered_that_could_not_be_kept(place, monkeypatch):
    place.add(0, 3)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_file", full)
        with pytest.raises(OSError, match="space"):
            place.add(3, 7)
    assert place.size == 3
    place.again()
    assert place.size == 3
    place.add(3, 7)


def test_an_empty_log_is_cosigned_with_the_empty_root_alone(place):
    forged = sign_note(f"{ORIGIN}\n0\n{encode_base64(b'x' * 32)}\n", LOG)
    place.refuses(request(0, [], forged), NotConsistent)
    place.add(0, 0)
    place.add(0, 0)
    place.add(0, 5)
    place.refuses(request(5, [], TREE.note(0)), RequestMalformed)


def test_another_tree_is_refused_also_after_a_restart(place):
    place.add(0, 7)
    for restart in (False, True):
        if restart:
            place.again()
        place.refuses(FORK.request(7, 7), NotConsistent)  # same size, other root
        place.refuses(FORK.request(7, 9), NotConsistent)
        place.refuses(request(7, TREE.proof(7, 9), FORK.note(9)), NotConsistent)
        place.refuses(request(7, [], TREE.note(9)), NotConsistent)
        place.refuses(request(7, TREE.proof(7, 9)[1:], TREE.note(9)), NotConsistent)
        place.refuses(request(7, [*TREE.proof(7, 9), b"\0" * 32], TREE.note(9)), NotConsistent)
        # Who pretends that we know nothing is told what we know.
        for old in (0, 3, 8):
            assert place.refuses(FORK.request(old, 9), OldDiffers).size == 7
    place.add(7, 9)


def test_a_first_checkpoint_takes_no_proof(place):
    place.refuses(request(0, [b"\0" * 32], TREE.note(3)), NotConsistent)
    assert place.witness.last(place_of(ORIGIN)) is None


def test_a_smaller_tree_is_no_way_back(place):
    place.add(0, 9)
    place.refuses(request(9, [], TREE.note(7)), RequestMalformed)  # old > size: 400
    assert place.refuses(request(7, [], TREE.note(7)), OldDiffers).size == 9


def test_only_watched_logs_with_their_own_signature(place):
    stranger = NoteSigner("stranger.test/log", b"\x05" * 32)
    place.refuses(TREE.request(0, 3, signer=stranger), LogUnknown)
    place.refuses(TREE.request(0, 3, signer=THIEF), LogUnsigned)
    bad = TREE.note(3).replace("\n3\n", "\n4\n")
    place.refuses(request(0, [], bad), LogUnsigned)
    place.refuses(request(0, [], TREE.note(3) + TREE.note(4).split("\n\n")[1]), LogUnsigned)
    # Signed by another log that we watch, in this one's name.
    mixed = sign_note(split_note(TREE.note(3))[0], OTHER)
    place.refuses(request(0, [], mixed), LogUnsigned)
    place.add(0, 3, signer=OTHER)
    assert place.size == 0


def test_lines_that_pretend_to_be_ours_are_dropped_and_poison_nothing(place):
    """TestForgedWitnessSigLineDoesNotPoisonState: what was kept must be readable again."""
    forged = str(SignatureLine(WITNESS.vkey.name, WITNESS.vkey.key_id, b"\0" * 72))
    stranger = str(SignatureLine("stranger.test", b"abcd", b"\0" * 70))
    line = place.witness.add_checkpoint(request(0, [], TREE.note(3) + forged + stranger))
    kept = place.witness.last(place_of(ORIGIN))
    assert kept == TREE.note(3) + line
    assert len(read_cosignatures(kept, [WITNESS.vkey])) == 1
    place.again()
    place.witness.add_checkpoint(request(3, TREE.proof(3, 9), TREE.note(9) + forged))
    assert place.size == 9


def test_extension_lines_are_not_cosigned(place):
    note = TREE.note(3, extensions=("and the moon is a cheese",))
    place.refuses(request(0, [], note), RequestMalformed)


def signed(size: str, root: bytes) -> str:
    return sign_note(f"{ORIGIN}\n{size}\n{encode_base64(root)}\n", LOG)


NOTE = TREE.note(9)
MALFORMED = {
    "empty": b"",
    "no old": NOTE.encode(),
    "leading zero": request("07", TREE.proof(7, 9), NOTE),
    "negative": request("-7", [], NOTE),
    "too large": request(2**63, [], NOTE),
    "two spaces": b"old  0\n\n" + NOTE.encode(),
    "carriage return": b"old 0\r\n\r\n" + NOTE.encode(),
    "no empty line": b"old 0\n" + NOTE.encode(),
    "hash of 31 bytes": request(7, [b"\0" * 31], NOTE),
    "bad base64": b"old 7\n!!!!\n\n" + NOTE.encode(),
    "loose base64": request(7, TREE.proof(7, 9), NOTE).replace(b"=\n", b"\n", 1),
    "64 hashes": request(7, [b"\0" * 32] * 64, NOTE),
    "no note": b"old 0\n\n",
    "not UTF-8": b"old 0\n\n\xff" + NOTE.encode(),
    "no signature": request(0, [], NOTE.split("\n\n")[0] + "\n\n"),
    "size with a leading zero": request(0, [], signed("09", TREE.root(9))),
    "root of 31 bytes": request(0, [], signed("9", b"x" * 31)),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_is_refused_and_changes_nothing(place, name):
    place.add(0, 7)
    place.refuses(MALFORMED[name], RequestMalformed)


def test_of_many_at_once_each_is_cosigned_from_where_the_last_one_was(place, monkeypatch):
    """The race of the specification: a smaller tree must never replace a larger one."""
    place.add(0, 1)
    sizes = []
    write = place.heads.write
    monkeypatch.setattr(
        place.heads, "write",
        lambda at, note: (sizes.append(open_checkpoint(note, [LOG.vkey]).size), write(at, note)),
    )  # fmt: skip

    def climb(size: int) -> None:
        old = 1
        while True:
            try:
                place.add(old, size)
            except OldDiffers as fault:
                old = fault.size
                if old >= size:
                    return
            else:
                return

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(climb, range(2, 120)))
    assert sizes == sorted(set(sizes))
    assert place.size == sizes[-1] == 119
    # Of two trees at once from one size, one is cosigned.
    answers = []

    def offer(tree: Tree) -> None:
        try:
            body = request(119, tree.proof(119, 130), tree.note(130))
            answers.append(place.witness.add_checkpoint(body))
        except Fault as fault:
            answers.append(fault)

    late = Tree(b"\x09", shared=119)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(offer, [TREE, late] * 8))
    (line,) = [answer for answer in answers if isinstance(answer, str)]
    kept = open_checkpoint(place.witness.last(place_of(ORIGIN)), [LOG.vkey])
    assert kept.root in (TREE.root(130), late.root(130))
    assert read_answer(kept.text(), line, [WITNESS.vkey])


def test_two_processes_do_not_share_a_memory(place):
    with pytest.raises(HeadsInUse) as found:
        Heads(place.folder)
    explain(found.value)
    place.again()


def test_a_memory_that_is_gone_or_damaged_is_not_taken_for_a_new_one(place, tmp_path):
    place.add(0, 3)
    with pytest.raises(HeadsMissing) as found:
        Heads(tmp_path / "absent")
    explain(found.value)
    (place.folder / place_of(ORIGIN)).write_text("")
    with pytest.raises(HeadDamaged) as found:
        place.add(0, 5)
    explain(found.value)
    assert (place.folder / place_of(ORIGIN)).read_text() == ""


def test_only_watched_logs_are_read(place):
    place.add(0, 3)
    assert place.witness.last("../witness.key") is None
    assert place.witness.last(place_of("stranger.test/log")) is None
    assert place.witness.last(place_of(OTHER.vkey.name)) is None
