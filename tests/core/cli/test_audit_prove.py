"""``rampart audit verify`` with keys and anchors, ``prove``, ``check-proof``, ``doctor``."""

import json

import pytest
from rampart.config import load_settings
from rampart.embedded import open_audit


@pytest.fixture
def ids(data_dir):
    """Three records in a signed log."""
    log = open_audit(load_settings(data_dir=data_dir, environment={}))
    done = [log.append({"type": "decision", "n": n}).id for n in range(3)]
    log.close()
    return done


def test_a_proof_is_checked_where_there_is_no_log(rampart, ids, tmp_path):
    (tmp_path / "pub").write_text(rampart("audit", "keys").stdout)
    proof = tmp_path / "proof"
    assert rampart("audit", "prove", ids[1].lower(), "-o", str(proof)).returncode == 0
    elsewhere = ["--data-dir", str(tmp_path / "nowhere")]
    found = rampart("audit", "check-proof", str(proof), "--key", str(tmp_path / "pub"), *elsewhere)
    assert (found.returncode, found.stdout.split("\n")[0]) == (0, "proven  record 1 is in the log")
    told = rampart(
        "audit", "check-proof", str(proof), "--key", str(tmp_path / "pub"), "--json", *elsewhere
    )
    assert json.loads(told.stdout)["record"]["id"] == ids[1]
    proof.write_bytes(proof.read_bytes().replace(b"index 1", b"index 2"))
    found = rampart("audit", "check-proof", str(proof), "--key", str(tmp_path / "pub"))
    assert (found.returncode, found.stdout) == (1, "")
    assert "not the one in the log" in found.stderr


def test_a_proof_without_a_key_is_a_question(rampart, ids, tmp_path):
    found = rampart("audit", "check-proof", "x", "--data-dir", str(tmp_path / "nowhere"))
    assert found.returncode == 2
    assert "--key" in found.stderr


def test_a_record_that_is_not_signed_yet_is_signed_to_be_proved(rampart, data_dir, ids):
    from rampart.audit import AuditLog

    log = AuditLog.open(data_dir / "audit")
    newest = log.append({"type": "decision"}).id
    log.close()
    assert rampart("audit", "prove", newest).stdout.startswith("c2sp.org/tlog-proof@v1\n")
    assert rampart("audit", "prove", "01ARZ3NDEKTSV4RRFFQ69G5FAV").returncode == 74


def test_a_checkpoint_is_an_anchor(rampart, data_dir, ids, tmp_path):
    kept = tmp_path / "kept"
    printed = rampart("audit", "checkpoint", "--to", f"file:{kept}").stdout
    assert kept.read_text() == printed + "\n"
    (tmp_path / "pub").write_text(rampart("audit", "keys").stdout)
    with_key = ["--anchor", str(kept), "--key", str(tmp_path / "pub")]
    assert rampart("audit", "verify", *with_key).returncode == 0
    assert rampart("audit", "verify", "--anchor", str(kept)).returncode == 0
    (path,) = (data_dir / "audit").glob("audit-*.jsonl")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    (data_dir / "audit" / "audit.checkpoints").unlink()
    assert rampart("audit", "verify").returncode == 0
    assert rampart("audit", "verify", *with_key).returncode == 4
    assert rampart("audit", "verify", "--key", str(tmp_path / "pub")).returncode == 3


def test_an_anchor_that_is_none_verifies_nothing(rampart, ids, tmp_path):
    (tmp_path / "kept").write_text("nothing\n")
    assert rampart("audit", "verify", "--anchor", str(tmp_path / "kept")).returncode == 3
    for anchor in ("12:ab", str(tmp_path / "missing")):
        assert rampart("audit", "verify", "--anchor", anchor).returncode == 2


def test_an_anchor_by_another_key_than_the_one_given_is_refused(rampart, ids, tmp_path):
    rampart("audit", "checkpoint", "--to", f"file:{tmp_path}/kept")
    other = ["--data-dir", str(tmp_path / "other")]
    log = open_audit(load_settings(data_dir=tmp_path / "other", environment={}))
    log.append({"type": "decision"})
    log.close()
    (tmp_path / "pub").write_text(rampart("audit", "keys", *other).stdout)
    found = rampart("audit", "verify", "--anchor", f"{tmp_path}/kept", "--key", f"{tmp_path}/pub")
    assert found.returncode == 3


def test_verify_takes_files_from_elsewhere(rampart, data_dir, ids, tmp_path):
    (data_dir / "audit").rename(tmp_path / "copy")
    found = rampart("audit", "verify", str(tmp_path / "copy"), "--json")
    told = json.loads(found.stdout)
    assert (found.returncode, told["records"], told["checkpoints"]) == (0, 3, 0)


def test_verify_says_how_much_is_signed(rampart, ids):
    assert "3 of 3 records, 1 checkpoints" in rampart("audit", "verify").stdout
    told = json.loads(rampart("audit", "verify", "--json").stdout)
    assert (told["checkpoints"], told["signed"]) == (1, 3)


def test_the_key_is_replaced_and_the_old_one_still_verifies(rampart, ids, tmp_path):
    (tmp_path / "old").write_text(rampart("audit", "keys").stdout)
    both = rampart("audit", "keys", "--rotate").stdout.split()
    assert len(both) == 2
    found = rampart("audit", "verify", "--key", str(tmp_path / "old"), "--json")
    assert json.loads(found.stdout)["signed"] == 4


def test_keys_where_there_is_no_log_creates_none(rampart, data_dir):
    assert rampart("audit", "keys").returncode == 74
    assert not (data_dir / "keys").exists()


def test_the_doctor_tells_a_fit_directory_from_an_unfit_one(rampart, tmp_path):
    (tmp_path / "fit").mkdir(mode=0o700)
    found = rampart("audit", "doctor", str(tmp_path / "fit"), "--json")
    assert found.returncode == 0
    assert {one["state"] for one in json.loads(found.stdout)["findings"]} <= {"ok", "warn"}
    (tmp_path / "fit").chmod(0o777)
    found = rampart("audit", "doctor", str(tmp_path / "fit"))
    assert found.returncode == 1
    assert "others may write" in found.stdout
    assert rampart("audit", "doctor", str(tmp_path / "missing")).returncode == 74
