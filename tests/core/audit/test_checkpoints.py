"""When checkpoints are written, what they cover, and that none is signed for another log."""

import base64
import json
import os
import subprocess
import sys
import threading

import pytest
from rampart.audit import AuditLog
from rampart.audit.checkpoints import CheckpointFailed, Checkpoints
from rampart.audit.fs import AuditFile
from rampart.audit.keys import KeyStore
from rampart.audit.log import sign_now
from rampart.audit.merkle import leaf_hash, root_of
from rampart.audit.note import open_checkpoint, open_note
from rampart.audit.signed import read_entries
from rampart.audit.verify import verify_log
from rampart.errors import AuditTampered, AuditUnavailable


class Signed:
    """A signed log and its keys."""

    def __init__(self, path, files):
        self.path, self.files = path / "audit", files
        self.keys = KeyStore(path / "keys")

    def checkpoints(self, records=10, seconds=3600.0):
        return Checkpoints(self.keys, records=records, seconds=seconds)

    def open(self, *, records=10, seconds=3600.0, **options):
        return AuditLog.open(self.path, checkpoints=self.checkpoints(records, seconds), **options)

    def write(self, count, **options):
        with_log = self.open(**options)
        for n in range(count):
            with_log.append({"type": "decision", "n": n})
        with_log.close()

    def sizes(self):
        return [entry.checkpoint.size for entry in read_entries(self.path)]

    def verified(self):
        return verify_log(self.path, keys=self.keys.public_keys(), must_be_signed=True)


@pytest.fixture
def signed(tmp_path, files):
    return Signed(tmp_path, files)


def test_a_checkpoint_is_written_every_n_records_and_at_shutdown(signed):
    signed.write(25)
    assert signed.sizes() == [10, 20, 25]
    found = signed.verified()
    assert (found.verdict, found.checkpoints, found.signed) == ("ok", 3, 25)


def test_a_checkpoint_covers_the_lines_as_they_stand(signed):
    signed.write(13, records=5)
    leaves = [leaf_hash(line[:-1]) for line in signed.files.lines()]
    for entry in read_entries(signed.path):
        found = open_checkpoint(entry.note, signed.keys.public_keys())
        assert found.root == root_of(leaves[: found.size])


def test_a_checkpoint_is_written_on_every_rotation_and_covers_the_seal(signed):
    signed.write(40, records=1000, segment_bytes_max=2000)
    firsts = [int(path.name[6:26]) for path in signed.files.segments()]
    assert len(firsts) > 4
    assert set(firsts[1:]) <= set(signed.sizes())
    records = signed.files.records()
    for first in firsts[1:]:
        assert records[first - 1]["type"] == "seal"
        assert len(records[first]["tree"]) == first.bit_count()
    assert signed.verified().verdict == "ok"


def test_a_record_that_nothing_follows_is_signed_in_time(signed):
    """Every T seconds: the timer signs a log that nobody writes to any more."""
    published, arrived = [], threading.Event()

    class Publisher:
        def publish(self, note):
            published.append(note)
            arrived.set()

        def drain(self):
            pass

    log = signed.open(seconds=0.05, publisher=Publisher())
    log.append({"type": "decision"})
    assert arrived.wait(10)
    assert signed.sizes() == [1]
    assert open_checkpoint(published[0], signed.keys.public_keys()).size == 1
    log.close()
    assert signed.sizes() == [1]  # nothing new, no new checkpoint


def test_a_program_that_forgets_to_close_its_log_signs_it_at_its_end(signed):
    program = (
        "import sys; from pathlib import Path; from rampart.audit import AuditLog\n"
        "from rampart.audit.checkpoints import Checkpoints\n"
        "from rampart.audit.keys import KeyStore\n"
        "signer = Checkpoints(KeyStore(Path(sys.argv[2])))\n"
        "log = AuditLog.open(Path(sys.argv[1]), checkpoints=signer)\n"
        "log.append({'type': 'decision'})\n"
    )
    keys = signed.keys.public_path.parent
    subprocess.run([sys.executable, "-c", program, signed.path, keys], check=True, timeout=60)
    assert signed.sizes() == [1]


def test_opening_reads_no_more_than_the_records_since_the_last_checkpoint(signed, monkeypatch):
    signed.write(400, records=100, segment_bytes_max=20_000)
    read, original = [], AuditFile.read

    def counted(file, offset, size):
        data = original(file, offset, size)
        if file.name.startswith("audit-"):
            read.append(len(data))
        return data

    monkeypatch.setattr(AuditFile, "read", counted)
    signed.write(1)
    whole = sum(path.stat().st_size for path in signed.files.segments())
    assert sum(read) < whole / 4
    assert signed.verified().signed == len(signed.files.records())


@pytest.mark.parametrize("state", [None, b"", b"{}", b"\0" * 300, "other hashes", "larger"])
def test_the_state_of_the_tree_is_a_shortcut_and_never_believed(signed, state):
    """With audit.tree gone, broken or forged the right tree is signed all the same."""
    signed.write(60, segment_bytes_max=4000)
    path = signed.path / "audit.tree"
    kept = json.loads(path.read_bytes())
    path.unlink()
    if state == "other hashes":
        kept["tree"] = ["11" * 32 for _ in kept["tree"]]
        state = json.dumps(kept).encode()
    elif state == "larger":
        kept.update(size=1 << 40, tree=["11" * 32])
        state = json.dumps(kept).encode()
    if state is not None:
        path.touch(mode=0o600)
        path.write_bytes(state)
    signed.write(5)
    assert signed.verified().signed == len(signed.files.records())


def test_many_processes_sign_one_log(signed):
    signed.write(1)
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                signed.write(50, records=7, segment_bytes_max=6000)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    found = signed.verified()
    assert (found.verdict, found.signed) == ("ok", found.records)
    assert sum(record["type"] == "decision" for record in signed.files.records()) == 201


def test_a_forked_child_goes_on_signing(signed):
    log = signed.open(records=3)
    log.append({"type": "decision"})
    child = os.fork()
    if child == 0:
        code = 1
        try:
            for _ in range(7):
                log.append({"type": "decision"})
            log.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    log.append({"type": "decision"})
    log.close()
    assert signed.verified().signed == 9


# What is not signed


def test_a_shortened_log_is_refused_when_it_is_opened(signed):
    signed.write(20)
    signed.files.put(signed.files.lines()[:12])
    with pytest.raises(AuditTampered, match="12 records, but 20 were signed"):
        signed.open()


def test_a_log_that_was_rewritten_is_not_signed(signed, forge):
    signed.write(20)
    lines = signed.files.lines()
    lines[4] = forge.rehash(lines[4], n=99)
    signed.files.put(forge.rechain(lines, 4))
    with pytest.raises(AuditTampered, match="not the ones that were signed"):
        _write_one(signed)
    assert signed.sizes() == [10, 20]


def _write_one(signed):
    log = signed.open(records=1)
    try:
        log.append({"type": "decision"})
    finally:
        log.close()


def test_a_log_that_is_rewritten_while_it_is_open_is_not_signed(signed, forge):
    log = signed.open(records=10)
    for _ in range(8):
        log.append({"type": "decision"})
    lines = signed.files.lines()
    size = sum(map(len, lines))
    changed = lines[2].replace(b'"decision"', b'"decasion"')
    data = b"".join([*lines[:2], changed, *lines[3:]])
    assert len(data) == size
    signed.files.segments()[0].write_bytes(data)
    log.append({"type": "decision"})
    with pytest.raises(AuditTampered, match="does not continue"):
        log.append({"type": "decision"})
    log.close()
    assert signed.sizes() == []


def test_a_forged_checkpoint_is_refused_and_nothing_is_signed_after_it(signed):
    signed.write(20)
    path = signed.path / "audit.checkpoints"
    path.write_bytes(path.read_bytes().replace(b"\n20\n", b"\n19\n"))
    with pytest.raises(AuditTampered, match="not ours"):
        _write_one(signed)


def test_what_a_crash_left_of_a_checkpoint_is_cut_off(signed):
    signed.write(20)
    path = signed.path / "audit.checkpoints"
    whole = path.read_bytes()
    for size in range(len(whole) // 2 + 1, len(whole)):
        path.write_bytes(whole[:size])
        assert signed.verified().signed == 10
    for tail in (whole[: len(whole) // 2 - 1], b"\0" * 40):
        path.write_bytes(whole + tail)
        (signed.path / "audit.tree").unlink(missing_ok=True)
        sign_now(signed.path, signed.checkpoints())
        assert path.read_bytes() == whole
    signed.write(5)
    assert signed.verified().signed == 25


# What does not keep a call from being answered


def test_a_checkpoint_that_cannot_be_written_is_told_and_denies_nothing(signed, caplog):
    keys = signed.keys.public_path.parent
    keys.write_text("a file where a directory belongs")
    log = signed.open(records=2)
    for _ in range(5):
        log.append({"type": "decision"})
    assert "no checkpoint could be written" in caplog.text
    keys.unlink()
    log.append({"type": "decision"})
    log.close()
    assert signed.verified().signed == 6


def test_a_full_disk_takes_the_checkpoint_back(signed, monkeypatch):
    signed.write(10)
    before = (signed.path / "audit.checkpoints").read_bytes()
    append = AuditFile.append

    def short(file, data):
        return append(file, data[:20] if file.name == "audit.checkpoints" else data)

    log = signed.open(records=1)
    monkeypatch.setattr(AuditFile, "append", short)
    log.append({"type": "decision"})
    assert (signed.path / "audit.checkpoints").read_bytes() == before
    monkeypatch.undo()
    log.close()
    assert signed.verified().signed == 11


def test_keys_that_are_gone_are_not_replaced_in_silence(signed):
    signed.write(5)
    signed.keys.public_path.unlink()
    (signed.keys.public_path.parent / "audit.key").unlink()
    _write_one(signed)  # the log goes on
    with pytest.raises(CheckpointFailed, match="keys of this log are gone"):
        sign_now(signed.path, signed.checkpoints())
    assert not (signed.keys.public_path.parent / "audit.key").exists()


# Keys


def test_keys_are_made_with_the_first_checkpoint_and_only_for_us(signed):
    log = signed.open()
    assert not signed.keys.public_path.exists()
    log.append({"type": "decision"})
    log.close()
    private = signed.keys.public_path.with_name("audit.key")
    assert private.stat().st_mode & 0o777 == 0o600
    assert private.parent.stat().st_mode & 0o777 == 0o700
    assert private.read_text().startswith("PRIVATE+KEY+rampart.log/")


def test_a_private_key_that_others_may_read_is_not_used(signed):
    signed.write(1)
    signed.keys.public_path.with_name("audit.key").chmod(0o644)
    with pytest.raises(AuditUnavailable, match="others may use it"):
        signed.keys.signer()


def test_a_symbolic_link_to_a_private_key_is_not_followed(signed, tmp_path):
    signed.write(1)
    private = signed.keys.public_path.with_name("audit.key")
    private.rename(tmp_path / "elsewhere")
    private.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AuditUnavailable):
        signed.keys.signer()


def test_who_trusts_the_old_key_can_verify_what_the_new_one_signed(signed):
    signed.write(5)
    old = signed.keys.public_keys()
    note = sign_now(signed.path, signed.checkpoints(), rotate_key=True)
    new = signed.keys.public_keys()
    assert (len(old), len(new)) == (1, 2)
    assert new[0].name == new[1].name
    assert open_note(note, new)[1] == new
    signed.write(5)
    for trusted in (old, new, new[1:]):
        found = verify_log(signed.path, keys=trusted, must_be_signed=True)
        assert (found.verdict, found.signed) == ("ok", 11)
    assert "PRIVATE" not in signed.keys.public_path.read_text()
    assert not signed.keys.public_path.with_name("audit.key.next").exists()


def test_a_rotation_that_was_cut_short_is_finished_by_the_next(signed):
    signed.write(5)
    following = signed.keys.next_signer()
    sign_now(signed.path, signed.checkpoints(), rotate_key=True)
    assert signed.keys.signer() == following
    assert signed.verified().verdict == "ok"


def test_a_key_that_the_old_key_never_vouched_for_is_not_trusted(signed):
    """A forged `key` record after the last checkpoint gains nothing."""
    signed.write(5)
    old = signed.keys.public_keys()
    forger = KeyStore(signed.path.parent / "forged")
    key = forger.signer()
    other = type(key)(old[0].name, key.seed)
    log = AuditLog.open(signed.path)
    log.append({"type": "key", "key": str(other.public), "previous": str(old[0])})
    log.close()
    found = verify_log(signed.path, keys=old)
    text = f"{other.name}\n6\n{_b64(bytes.fromhex(found.root))}\n"
    with (signed.path / "audit.checkpoints").open("a") as file:
        file.write(f"{text}\n{other.sign(text)}\n")
    found = verify_log(signed.path, keys=old)
    assert (found.verdict, found.signed) == ("ok", 5)


def _b64(data):
    return base64.b64encode(data).decode()
