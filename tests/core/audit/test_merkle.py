"""The Merkle tree of RFC 9162: published vectors, exhaustive small trees, and every mutation.

The reference is the recursive definition of RFC 9162 section 2.1.1, written out below.
"""

import base64
import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rampart.audit.frontier import Frontier
from rampart.audit.merkle import (
    EMPTY_ROOT,
    Tree,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from rampart.errors import AuditTampered

# The tree that implementations of RFC 6962 are compared with: certificate-transparency,
# cpp/merkletree/merkle_tree_test.cc; github.com/transparency-dev/merkle, testonly/constants.go.
LEAVES = [
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
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# transparency-dev/merkle, testdata/inclusion/2/happy-path.json and consistency/2/happy-path.json
INCLUSION_5_OF_8 = [
    "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=",
    "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=",
    "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=",
]
CONSISTENCY_6_TO_8 = [
    "DrxdNDf74tsVi58Sah0RjjCBgQMdCpSfje3t68VY72o=",
    "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=",
    "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=",
]


def reference_root(lines):
    """MTH of RFC 9162 section 2.1.1."""
    if not lines:
        return hashlib.sha256(b"").digest()
    if len(lines) == 1:
        return hashlib.sha256(b"\0" + lines[0]).digest()
    k = 1
    while k * 2 < len(lines):
        k *= 2
    left, right = reference_root(lines[:k]), reference_root(lines[k:])
    return hashlib.sha256(b"\1" + left + right).digest()


def leaves_of(count):
    return [leaf_hash(b"%d" % n) for n in range(count)]


def test_published_roots():
    for size, root in enumerate(ROOTS):
        assert root_of([leaf_hash(leaf) for leaf in LEAVES[:size]]).hex() == root


def test_published_proofs():
    leaves = [leaf_hash(leaf) for leaf in LEAVES]
    path = [base64.b64decode(text) for text in INCLUSION_5_OF_8]
    assert inclusion_path(leaves, 5) == path
    assert verify_inclusion(leaves[5], 5, 8, path, bytes.fromhex(ROOTS[8]))
    path = [base64.b64decode(text) for text in CONSISTENCY_6_TO_8]
    assert consistency_path(leaves, 6) == path
    assert verify_consistency((6, bytes.fromhex(ROOTS[6])), (8, bytes.fromhex(ROOTS[8])), path)


@pytest.mark.parametrize("make", [Tree, Frontier])
def test_the_growing_trees_agree_with_the_definition(make):
    """The writer's tree and the verifier's share no code; both follow the RFC."""
    lines, tree = [b"%d" % n for n in range(70)], make()
    for size, line in enumerate(lines):
        assert tree.root() == reference_root(lines[:size])
        tree.append(leaf_hash(line)) if make is Tree else tree.add(line)
    assert tree.size == 70


def test_a_frontier_goes_on_from_its_dump():
    for size in range(40):
        tree = Frontier()
        for n in range(size):
            tree.add(b"%d" % n)
        again = Frontier.parse(size, tree.dump())
        again.add(b"next")
        tree.add(b"next")
        assert again.root() == tree.root()


@pytest.mark.parametrize(
    ("size", "hashes"),
    [
        (1, []),
        (0, ["00" * 32]),
        (3, ["00" * 32, "00" * 31]),
        (1, ["zz"]),
        (1, [7]),
        (-1, []),
        ("1", []),
    ],
)
def test_a_frontier_that_does_not_fit_is_refused(size, hashes):
    with pytest.raises(AuditTampered):
        Frontier.parse(size, hashes)


@pytest.mark.parametrize("most", [48, pytest.param(256, marks=pytest.mark.campaign)])
def test_every_inclusion_proof_holds_and_proves_nothing_else(most):
    leaves = leaves_of(most)
    for size in range(1, most + 1):
        root = root_of(leaves[:size])
        for index in range(size):
            path = inclusion_path(leaves[:size], index)
            assert verify_inclusion(leaves[index], index, size, path, root)
            assert not verify_inclusion(leaves[index - 1], index, size, path, root) or size == 1
            if size > 1:
                assert not verify_inclusion(leaves[index], (index + 1) % size, size, path, root)


@pytest.mark.parametrize("most", [48, pytest.param(256, marks=pytest.mark.campaign)])
def test_every_consistency_proof_holds_and_proves_nothing_else(most):
    leaves = leaves_of(most)
    roots = [root_of(leaves[:size]) for size in range(most + 1)]
    for later in range(1, most + 1):
        for earlier in range(1, later + 1):
            path = consistency_path(leaves[:later], earlier)
            assert verify_consistency((earlier, roots[earlier]), (later, roots[later]), path)
            if earlier > 1:
                assert not verify_consistency((earlier, roots[1]), (later, roots[later]), path)


def mutations(path):
    """Everything that transparency-dev/merkle does to a proof, and every flipped bit."""
    for at, step in enumerate(path):
        for bit in range(256):
            changed = int.from_bytes(step) ^ 1 << bit
            yield [*path[:at], changed.to_bytes(32), *path[at + 1 :]]
        yield path[:at] + path[at + 1 :]
        yield [*path[:at], step[:-1], *path[at + 1 :]]
        yield [*path[:at], step + b"\0", *path[at + 1 :]]
        yield [*path[:at], b"", *path[at + 1 :]]
        yield [*path[:at], step, *path[at:]]
    yield [*path, b""]
    yield [*path, bytes(32)]
    yield [bytes(32), *path]
    if len(path) > 1:
        yield [path[1], path[0], *path[2:]]
        yield path[:-1]


def test_every_mutation_of_an_inclusion_proof_is_rejected():
    leaves = leaves_of(13)
    root = root_of(leaves)
    for index in (0, 5, 12):
        path = inclusion_path(leaves, index)
        for changed in mutations(path):
            assert not verify_inclusion(leaves[index], index, 13, changed, root)
        assert not verify_inclusion(leaves[index], index, 13, path, b"")
        assert not verify_inclusion(leaves[index][:-1], index, 13, path, root)
        for wrong in (-1, 13, 1 << 70):
            assert not verify_inclusion(leaves[index], wrong, 13, path, root)
        assert not verify_inclusion(leaves[index], index, 0, path, root)


def test_every_mutation_of_a_consistency_proof_is_rejected():
    leaves = leaves_of(13)
    later = (13, root_of(leaves))
    for size in (1, 4, 6, 8, 12):
        earlier, path = (size, root_of(leaves[:size])), consistency_path(leaves, size)
        for changed in mutations(path):
            assert not verify_consistency(earlier, later, changed)
        assert not verify_consistency(later, earlier, path)
        assert not verify_consistency((size, later[1]), (13, earlier[1]), path)
        assert not verify_consistency((size, b""), later, path)
        assert not verify_consistency(earlier, (13, b""), path)
        assert not verify_consistency(earlier, later, [])


def test_trees_of_size_zero_and_equal_trees_need_no_proof():
    one = root_of(leaves_of(1))
    assert verify_consistency((0, EMPTY_ROOT), (1, one), [])
    assert verify_consistency((0, EMPTY_ROOT), (0, EMPTY_ROOT), [])
    assert verify_consistency((1, one), (1, one), [])
    assert not verify_consistency((0, EMPTY_ROOT), (1, one), [one])
    assert not verify_consistency((0, one), (1, one), [])
    assert not verify_consistency((1, one), (1, one), [one])
    assert not verify_consistency((-1, EMPTY_ROOT), (1, one), [])
    assert verify_inclusion(leaf_hash(b"0"), 0, 1, [], one)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 2**40), st.data())
def test_proofs_in_trees_too_large_to_build(size, data):
    """The path's length and the order of its hashes, against the recursion of RFC 9162, 2.1.3.1."""
    index = data.draw(st.integers(0, size - 1))

    def climb(at, count):
        """Root and path for a leaf in a tree whose other subtrees have made-up roots."""
        if count == 1:
            return leaf_hash(b"leaf"), []
        k = 1 << (count - 1).bit_length() - 1
        other = hashlib.sha256(f"{at}/{count}".encode()).digest()
        if at < k:
            root, path = climb(at, k)
            return node_hash(root, other), [*path, other]
        root, path = climb(at - k, count - k)
        return node_hash(other, root), [*path, other]

    root, path = climb(index, size)
    assert verify_inclusion(leaf_hash(b"leaf"), index, size, path, root)
    if path:
        at = random.Random(size).randrange(len(path))
        assert not verify_inclusion(
            leaf_hash(b"leaf"), index, size, [*path[:at], bytes(32), *path[at + 1 :]], root
        )


@pytest.mark.parametrize("make", [inclusion_path, consistency_path])
def test_what_is_not_in_the_tree_has_no_proof(make):
    for wrong in (-1, 6):
        with pytest.raises(IndexError):
            make(leaves_of(5), wrong)
