"""Proofs that somebody checks who has nothing but the public key."""

import base64
import json
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rampart.audit import AuditLog
from rampart.audit.checkpoints import Checkpoints
from rampart.audit.keys import KeyStore, Signer
from rampart.audit.merkle import leaf_hash, root_of, verify_consistency
from rampart.audit.note import UnknownKey
from rampart.audit.prove import (
    NotSigned,
    check_proof,
    consistency_proof,
    newest_checkpoint,
    prove_record,
)
from rampart.errors import AuditError, AuditUnavailable, ProofInvalid

sys.path.insert(
    0, str(Path(__file__).parent)
)  # WHY: importlib mode puts no test folder on the path
import second_verifier

sys.path.pop(0)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A log of four segments, signed up to its end, and what was appended."""
    home = tmp_path_factory.mktemp("prove")
    signer = Checkpoints(KeyStore(home / "keys"), records=7)
    log = AuditLog.open(home / "audit", checkpoints=signer, segment_bytes_max=4000)
    for n in range(30):
        log.append({"type": "decision", "tool": "exec", "text": "ä € \u2028", "n": n})
    log.close()
    return home


def keys_of(home):
    return KeyStore(home / "keys").public_keys()


def lines_of(home):
    paths = sorted((home / "audit").glob("audit-*.jsonl"))
    return [line for path in paths for line in path.read_bytes().splitlines()]


def test_every_record_has_a_proof_and_two_verifiers_accept_it(home):
    lines, keys = lines_of(home), keys_of(home)
    for seq, line in enumerate(lines):
        record = json.loads(line)
        for name in (record["id"], record["hash"]):
            proof = prove_record(home / "audit", name, keys)
            proven = check_proof(proof, keys)
            assert (proven.index, proven.line, proven.record) == (seq, line, record)
            assert proven.checkpoint.size == len(lines)
        assert second_verifier.check_proof(proof, [str(key) for key in keys]) == record


@pytest.mark.parametrize("bits", [1, pytest.param(8, marks=pytest.mark.campaign)])
def test_every_flipped_bit_of_a_proof_is_refused(home, bits):
    """One bit of every byte; all eight in the campaign."""
    keys = keys_of(home)
    proof = prove_record(home / "audit", json.loads(lines_of(home)[9])["id"], keys)
    for at in range(len(proof)):
        for bit in range(bits):
            changed = bytes([proof[at] ^ 1 << (at + bit) % 8])
            with pytest.raises(ProofInvalid):
                check_proof(proof[:at] + changed + proof[at + 1 :], keys)


def test_a_proof_with_a_line_more_or_less_is_refused(home):
    keys = keys_of(home)
    proof = prove_record(home / "audit", json.loads(lines_of(home)[9])["id"], keys)
    lines = proof.split(b"\n")
    assert lines[-2].startswith("— ".encode())  # a signature may stand there twice
    for at in range(len(lines) - 2):
        for changed in ([*lines[:at], *lines[at + 1 :]], [*lines[:at], lines[at], *lines[at:]]):
            with pytest.raises(ProofInvalid):
                check_proof(b"\n".join(changed), keys)


def test_a_proof_of_one_record_does_not_prove_another(home):
    keys = keys_of(home)
    one, two = (
        prove_record(home / "audit", json.loads(lines_of(home)[at])["id"], keys).split(b"\n")
        for at in (8, 9)
    )
    with pytest.raises(ProofInvalid, match="not the one in the log"):
        check_proof(b"\n".join([one[0], two[1], *one[2:]]), keys)


def test_a_proof_by_another_log_proves_nothing(home):
    keys = keys_of(home)
    proof = prove_record(home / "audit", json.loads(lines_of(home)[9])["id"], keys)
    with pytest.raises(UnknownKey):
        check_proof(proof, [])
    with pytest.raises(UnknownKey):
        check_proof(proof, [Signer(keys[0].name, bytes(32)).public])


@given(st.binary(max_size=300))
def test_any_bytes_are_a_proof_or_refused(data):
    key = Signer("log", bytes(32)).public
    for whole in (data, b"c2sp.org/tlog-proof@v1\n" + data):
        with pytest.raises(ProofInvalid):
            check_proof(whole, [key])


def test_an_endless_proof_is_refused():
    with pytest.raises(ProofInvalid, match="the limit"):
        check_proof(b"x" * (2 << 20), [])


def test_what_is_proved_must_be_a_record(home):
    """A signed tree over something else, such as another program's log, proves no record."""
    signer = Signer("log", bytes(32))
    for line in (b"no record", b'{"seq":1}', b"[" * 100_000):
        root = leaf_hash(line)
        text = f"log\n1\n{base64.b64encode(root).decode()}\n"
        extra = base64.b64encode(line).decode()
        proof = f"c2sp.org/tlog-proof@v1\nextra {extra}\nindex 0\n\n{text}\n{signer.sign(text)}"
        with pytest.raises(ProofInvalid, match="not a record"):
            check_proof(proof.encode(), [signer.public])


def test_a_record_that_is_not_signed_yet_has_no_proof(tmp_path):
    log = AuditLog.open(tmp_path / "audit")
    done = log.append({"type": "decision"})
    log.close()
    with pytest.raises(NotSigned):
        prove_record(tmp_path / "audit", done.id, [])


def test_a_log_that_was_rewritten_has_no_proofs(home, tmp_path, forge):
    shutil.copytree(home, tmp_path / "copy")
    path = max((tmp_path / "copy/audit").glob("audit-*.jsonl"))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:-1], forge.rehash(lines[-1], n=99)]))
    with pytest.raises(ProofInvalid, match="not the one that was signed"):
        prove_record(tmp_path / "copy/audit", json.loads(lines[0])["id"], keys_of(home))


def test_unknown_records_and_missing_logs_are_told(home, tmp_path):
    with pytest.raises(AuditError, match="there is no record"):
        prove_record(home / "audit", "0" * 26, keys_of(home))
    with pytest.raises(AuditUnavailable):
        prove_record(tmp_path, "0" * 26, [])
    with pytest.raises(AuditUnavailable):
        prove_record(tmp_path / "nowhere", "0" * 26, [])


def test_the_log_proves_that_it_only_grew(home):
    leaves = [leaf_hash(line) for line in lines_of(home)]
    for earlier, later in ((1, 2), (7, 14), (10, 29), (30, 30)):
        path = consistency_proof(home / "audit", earlier, later)
        trees = [(size, root_of(leaves[:size])) for size in (earlier, later)]
        assert verify_consistency(*trees, path)
    for wrong in ((0, 5), (6, 5), (5, 1000)):
        with pytest.raises(AuditError):
            consistency_proof(home / "audit", *wrong)


def test_the_newest_checkpoint_is_the_newest_by_a_trusted_key(home):
    note = newest_checkpoint(home / "audit", keys_of(home))
    assert note.split(b"\n")[1] == b"%d" % len(lines_of(home))
    assert newest_checkpoint(home / "audit", []) is None
