"""RFC 9162 section 2.1, against foreign vectors, a definition written out, and properties."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger import merkle
from app.ledger.merkle import (
    EMPTY_ROOT,
    ProofError,
    ProofHashError,
    ProofIndexError,
    ProofLengthError,
    ProofRootError,
    ProofSizesError,
    consistency_proof,
    edge_append,
    edge_root,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors" / "merkle"

# github.com/transparency-dev/merkle, testonly/constants.go (quoted in TLOG.md section 4).
LEAF_INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOT_OF_EIGHT = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(n.to_bytes(4, "big")) for n in range(count)]


def defined_root(hashes: list[bytes]) -> bytes:
    """MTH of RFC 9162 section 2.1.1, word for word and slow."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return sha256(b"\x01" + defined_root(hashes[:k]) + defined_root(hashes[k:])).digest()


def reader(hashes: list[bytes]):
    """Reads nodes from leaves in memory, and only full ones."""

    def read_node(level: int, index: int) -> bytes:
        span = hashes[index << level : (index + 1) << level]
        assert len(span) == 1 << level
        return defined_root(span)

    return read_node


def vectors(kind: str) -> list:
    found = sorted((VECTORS / kind).rglob("*.json"))
    if not found:
        skip = pytest.mark.skip(reason="../shared/vectors/merkle is absent")
        return [pytest.param(None, id=kind, marks=skip)]
    return [
        pytest.param(
            json.loads(path.read_text()), id=str(path.relative_to(VECTORS).with_suffix(""))
        )
        for path in found
    ]


def hashes_of(vector: dict, *names: str) -> list:
    plain = [base64.b64decode(vector[name] or "") for name in names]
    return [*plain, [base64.b64decode(part) for part in vector["proof"] or ()]]


@pytest.mark.parametrize("vector", vectors("inclusion"))
def test_foreign_inclusion_proof_is_judged_as_its_authors_say(vector):
    leaf, root, proof = hashes_of(vector, "leafHash", "root")

    def verify() -> None:
        verify_inclusion(
            index=vector["leafIdx"],
            size=vector["treeSize"],
            leaf_hash=leaf,
            proof=proof,
            root=root,
        )

    if vector["wantErr"]:
        with pytest.raises(ProofError):
            verify()
    else:
        verify()


@pytest.mark.parametrize("vector", vectors("consistency"))
def test_foreign_consistency_proof_is_judged_as_its_authors_say(vector):
    root1, root2, proof = hashes_of(vector, "root1", "root2")

    def verify() -> None:
        verify_consistency(
            size1=vector["size1"], size2=vector["size2"], root1=root1, root2=root2, proof=proof
        )

    if vector["wantErr"]:
        with pytest.raises(ProofError):
            verify()
    else:
        verify()


@pytest.mark.skipif(not VECTORS.is_dir(), reason="../shared/vectors/merkle is absent")
def test_all_foreign_vectors_were_found():
    assert len(vectors("inclusion")) == 98
    assert len(vectors("consistency")) == 98


def test_hashes_of_the_reference_implementation():
    assert leaf_hash(b"").hex().startswith("6e340b9c")
    assert leaf_hash(b"").hex().endswith("a01d")
    assert leaf_hash(b"L123456").hex().startswith("395aa064")
    assert leaf_hash(b"L123456").hex().endswith("4d56")
    assert node_hash(b"N123", b"N456").hex().startswith("aa217fe8")
    assert node_hash(b"N123", b"N456").hex().endswith("6bbb")
    assert root_of([leaf_hash(entry) for entry in LEAF_INPUTS]).hex() == ROOT_OF_EIGHT
    assert sha256(b"").digest() == EMPTY_ROOT == root_of([])


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 255, 256, 257, 300])
def test_root_is_that_of_the_definition(size):
    assert root_of(leaves(size)) == defined_root(leaves(size))


@pytest.mark.parametrize("size", range(1, 41))
def test_every_inclusion_proof_of_a_small_tree_verifies(size):
    hashes = leaves(size)
    root = defined_root(hashes)
    for index in range(size):
        proof = inclusion_proof(index, size, reader(hashes))
        verify_inclusion(index=index, size=size, leaf_hash=hashes[index], proof=proof, root=root)


@pytest.mark.parametrize("size2", range(1, 33))
def test_every_consistency_proof_of_a_small_tree_verifies(size2):
    hashes = leaves(size2)
    for size1 in range(1, size2 + 1):
        verify_consistency(
            size1=size1,
            size2=size2,
            root1=defined_root(hashes[:size1]),
            root2=defined_root(hashes),
            proof=consistency_proof(size1, size2, reader(hashes)),
        )


trees = st.integers(1, 700)


@given(size=trees, data=st.data())
def test_any_flipped_bit_makes_an_inclusion_proof_fail(size, data):
    hashes = leaves(size)
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, reader(hashes))
    parts = [hashes[index], root_of(hashes), *proof]
    verify_inclusion(index=index, size=size, leaf_hash=parts[0], proof=parts[2:], root=parts[1])
    flip_one_bit(parts, data)
    with pytest.raises(ProofRootError):
        verify_inclusion(index=index, size=size, leaf_hash=parts[0], proof=parts[2:], root=parts[1])


@given(sizes=st.tuples(trees, trees).map(sorted), data=st.data())
def test_any_flipped_bit_makes_a_consistency_proof_fail(sizes, data):
    size1, size2 = sizes
    hashes = leaves(size2)
    proof = consistency_proof(size1, size2, reader(hashes))
    parts = [root_of(hashes[:size1]), root_of(hashes), *proof]
    verify_consistency(size1=size1, size2=size2, root1=parts[0], root2=parts[1], proof=parts[2:])
    flip_one_bit(parts, data)
    with pytest.raises(ProofRootError):
        verify_consistency(
            size1=size1, size2=size2, root1=parts[0], root2=parts[1], proof=parts[2:]
        )


def flip_one_bit(parts: list[bytes], data: st.DataObject) -> None:
    which = data.draw(st.integers(0, len(parts) - 1))
    bit = data.draw(st.integers(0, 255))
    parts[which] = (int.from_bytes(parts[which], "big") ^ (1 << bit)).to_bytes(32, "big")


@given(size=trees, data=st.data())
def test_a_proof_holds_at_no_other_place(size, data):
    hashes = leaves(size)
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size + 5).filter(lambda n: n != index))
    proof = inclusion_proof(index, size, reader(hashes))
    with pytest.raises(ProofError):
        verify_inclusion(
            index=other, size=size, leaf_hash=hashes[index], proof=proof, root=root_of(hashes)
        )


@given(size=st.integers(0, 600), added=st.lists(st.integers(0, 300), max_size=4))
def test_an_edge_that_grew_in_any_steps_has_the_root_of_the_whole_tree(size, added):
    hashes = leaves(size + sum(added))
    edge = edge_append(0, (), hashes[:size])
    assert edge_root(size, edge) == root_of(hashes[:size])
    for count in added:
        edge = edge_append(size, edge, hashes[size : size + count])
        size += count
        assert len(edge) == size.bit_count()
        assert edge_root(size, edge) == root_of(hashes[:size])


def test_an_edge_of_another_size_is_refused():
    edge = edge_append(0, (), leaves(5))
    with pytest.raises(ValueError, match="size 4 has no edge of 2"):
        edge_root(4, edge)
    with pytest.raises(ValueError, match="size 7 has no edge of 2"):
        edge_append(7, edge, leaves(1))


def test_errors_say_what_was_expected_and_what_was_got():
    hashes = leaves(5)
    root = root_of(hashes)
    proof = inclusion_proof(1, 5, reader(hashes))

    with pytest.raises(ProofIndexError) as wrong_index:
        verify_inclusion(index=5, size=5, leaf_hash=hashes[1], proof=proof, root=root)
    assert wrong_index.value.params == {"expected": "0..4", "got": 5}

    with pytest.raises(ProofLengthError) as short:
        verify_inclusion(index=1, size=5, leaf_hash=hashes[1], proof=proof[:-1], root=root)
    assert short.value.params == {"expected": 3, "got": 2}

    with pytest.raises(ProofHashError) as stub:
        verify_inclusion(index=1, size=5, leaf_hash=hashes[1], proof=[*proof[:-1], b"x"], root=root)
    assert stub.value.params == {"expected": 32, "got": 1}

    with pytest.raises(ProofRootError) as other_root:
        verify_inclusion(index=1, size=5, leaf_hash=hashes[1], proof=proof, root=bytes(32))
    assert other_root.value.params == {"expected": "00" * 32, "got": root.hex()}

    with pytest.raises(ProofSizesError):
        consistency_proof(6, 5, reader(hashes))
    with pytest.raises(ProofIndexError):
        inclusion_proof(0, 0, reader([]))
    assert other_root.value.slug == "invalid"


def test_the_empty_tree_begins_every_tree_and_so_proves_nothing():
    with pytest.raises(ProofSizesError):
        verify_consistency(size1=0, size2=3, root1=EMPTY_ROOT, root2=root_of(leaves(3)), proof=[])


def test_a_lone_last_leaf_is_not_doubled():
    # Bitcoin's rule (hash the last one with itself) gives two trees one root, CVE-2012-2459.
    three = leaves(3)
    assert root_of(three) != root_of([*three, three[-1]])
    assert merkle.pair_hashes(three) == [node_hash(three[0], three[1])]
