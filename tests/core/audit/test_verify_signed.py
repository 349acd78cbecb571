"""What signatures and anchors add to the chain (AUD-06, AUD-07), and what neither can see.

Each operator states its verdict from the files alone, with the public keys, and with an anchor (the
newest checkpoint, kept elsewhere). A second verifier, written from the documentation, has to agree
with the second column. The rows in which nothing is detected are asserted too.
"""

import base64
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rampart.audit import AuditLog
from rampart.audit.checkpoints import Checkpoints
from rampart.audit.keys import KeyStore, Signer
from rampart.audit.log import sign_now
from rampart.audit.signed import read_entries
from rampart.audit.verify import Anchor, verify_log

sys.path.insert(
    0, str(Path(__file__).parent)
)  # WHY: importlib mode puts no test folder on the path
import second_verifier

sys.path.pop(0)


class Case:
    """A copy of a signed log, and what a tamperer has: the files, or also the private key."""

    def __init__(self, home, forge):
        self.home, self.path, self.forge = home, home / "audit", forge
        self.keys = KeyStore(home / "keys").public_keys()
        self.signer = KeyStore(home / "keys").signer()
        self.notes = self.path / "audit.checkpoints"

    def segments(self):
        return sorted(self.path.glob("audit-*.jsonl"))

    def lines(self):
        return [line for path in self.segments() for line in path.read_bytes().splitlines(True)]

    def put(self, lines):
        """Write lines into the segments as they were cut before; drop those that stay empty."""
        rest = list(lines)
        for path in reversed(self.segments()):
            first = int(path.name[6:26])
            part, rest = rest[first:], rest[:first]
            path.write_bytes(b"".join(part)) if part else path.unlink()

    def entries(self):
        return self.notes.read_bytes().split(b"\n\n")[:-1]

    def put_entries(self, pieces):
        self.notes.write_bytes(b"".join(piece + b"\n\n" for piece in pieces))

    def sign(self, size, root, *, signer=None, origin=None):
        """Append a checkpoint that says so."""
        signer = signer or self.signer
        text = f"{origin or signer.name}\n{size}\n{base64.b64encode(root).decode()}\n"
        with self.notes.open("a") as file:
            file.write(f"{text}\n{signer.sign(text)}\n")


def build(home, count, *, records, segment_bytes_max):
    signer = Checkpoints(KeyStore(home / "keys"), records=records)
    log = AuditLog.open(home / "audit", checkpoints=signer, segment_bytes_max=segment_bytes_max)
    log._journal._file.sync = lambda: None
    for n in range(count):
        log.append({"type": "decision", "tool": "exec", "n": n})
    while max((home / "audit").glob("audit-*.jsonl")).read_bytes().count(b"\n") < 5:
        log.append({"type": "decision", "tool": "exec"})  # the operators work on its last lines
    log.close()


def nothing(case):
    pass


def edit_last(case):
    lines = case.lines()
    case.put([*lines[:-1], case.forge.rehash(lines[-1], tool="read")])


def truncate(case):
    case.put(case.lines()[:-3])


def edit_and_rechain(case):
    lines = case.lines()
    lines[4] = case.forge.rehash(lines[4], tool="read")
    case.put(case.forge.rechain(lines, 4))


def delete_and_rechain(case):
    lines = case.lines()
    del lines[-2]
    case.put(case.forge.rechain(lines, len(lines) - 1))


def truncate_and_go_on(case):
    truncate(case)
    lines = case.lines()
    more = [case.forge.rehash(lines[-1], id="7" * 25 + str(n), type="x") for n in range(6)]
    case.put(case.forge.rechain([*lines, *more], len(lines)))


def remove_checkpoints(case):
    case.notes.unlink()


def truncate_and_remove_checkpoints(case):
    truncate(case)
    case.notes.unlink()


def roll_everything_back(case):
    """The log and its checkpoints as they once were: signed, sound, and old."""
    case.put_entries(case.entries()[:2])
    first = read_entries(case.path)[0].checkpoint.size
    case.put(case.lines()[:first])


def replace_by_a_fresh_log(case):
    shutil.rmtree(case.path)
    other = case.home / "other"
    build(other, 50, records=10, segment_bytes_max=3000)
    shutil.move(other / "audit", case.path)


def flip_a_signature(case):
    pieces = case.entries()
    at = len(pieces[3]) - 20
    changed = ord(b"A") if pieces[3][at] != ord(b"A") else ord(b"B")
    pieces[3] = pieces[3][:at] + bytes([changed]) + pieces[3][at + 1 :]
    case.put_entries(pieces)


def edit_a_size(case):
    pieces = case.entries()
    origin, size, root = pieces[0].split(b"\n")
    pieces[0] = b"\n".join((origin, b"%d" % (int(size) + 1), root))
    case.put_entries(pieces)


def swap_checkpoints(case):
    pieces = case.entries()
    case.put_entries([*pieces[2:4], *pieces[:2], *pieces[4:]])


def repeat_a_checkpoint(case):
    pieces = case.entries()
    case.put_entries([*pieces, *pieces[-2:]])


def remove_an_older_checkpoint(case):
    case.put_entries(case.entries()[2:])


def two_roots_for_one_size(case):
    case.sign(len(case.lines()), bytes(32))


def a_size_that_never_was(case):
    case.sign(len(case.lines()) + 5, bytes(32))


def another_origin_by_our_key(case):
    case.sign(1, bytes(32), origin="rampart.log/another")


def another_origin_by_its_key(case):
    case.sign(1, bytes(32), signer=Signer("rampart.log/another", bytes(32)))


def an_unknown_key_of_our_name(case):
    case.sign(1, bytes(32), signer=Signer(case.signer.name, bytes(32)))


def garbage_among_checkpoints(case):
    pieces = case.entries()
    case.put_entries([*pieces[:2], b"garbage", b"more", *pieces[2:]])


def half_a_checkpoint(case):
    with case.notes.open("ab") as file:
        file.write(case.notes.read_bytes()[:60])


def edit_the_state_of_the_tree(case):
    (case.path / "audit.tree").write_bytes(b"{}")


def edit_the_tree_of_a_segment(case):
    lines = case.lines()
    at = next(n for n, line in enumerate(lines) if b'"type":"continue"' in line)
    edge = [("00" * 32) for _ in range(at.bit_count())]
    lines[at] = case.forge.rehash(lines[at], tree=edge)
    case.put(case.forge.rechain(lines, at))


def remove_newest_segment(case):
    case.segments()[-1].unlink()


def edit_in_place(case):
    path = case.segments()[0]
    path.write_bytes(path.read_bytes().replace(b'"exec"', b'"read"', 1))


MATRIX = [  # operator, verdict alone, with the keys, with an anchor
    (nothing, "ok", "ok", "ok"),
    (edit_in_place, "tampered", "tampered", "tampered"),
    (edit_the_tree_of_a_segment, "tampered", "tampered", "tampered"),
    (garbage_among_checkpoints, "tampered", "tampered", "tampered"),
    # what the chain does not see, and signatures do
    (edit_last, "ok", "rollback", "rollback"),
    (truncate, "ok", "rollback", "rollback"),
    (edit_and_rechain, "tampered", "tampered", "tampered"),  # the next segment states its tree
    (delete_and_rechain, "ok", "rollback", "rollback"),
    (truncate_and_go_on, "ok", "rollback", "rollback"),
    (remove_newest_segment, "ok", "rollback", "rollback"),
    (replace_by_a_fresh_log, "ok", "tampered", "rollback"),
    # what only an anchor sees
    (roll_everything_back, "ok", "ok", "rollback"),
    (truncate_and_remove_checkpoints, "ok", "ok", "rollback"),
    # the checkpoints themselves
    (flip_a_signature, "ok", "tampered", "ok"),
    (edit_a_size, "ok", "tampered", "ok"),
    (swap_checkpoints, "ok", "tampered", "ok"),
    (two_roots_for_one_size, "ok", "rollback", "ok"),
    (a_size_that_never_was, "ok", "rollback", "ok"),
    (another_origin_by_our_key, "ok", "tampered", "ok"),
    # what changes nothing that was promised
    (another_origin_by_its_key, "ok", "ok", "ok"),
    (an_unknown_key_of_our_name, "ok", "ok", "ok"),
    (repeat_a_checkpoint, "ok", "ok", "ok"),
    (remove_an_older_checkpoint, "ok", "ok", "ok"),
    (remove_checkpoints, "ok", "ok", "ok"),
    (half_a_checkpoint, "ok", "ok", "ok"),
    (edit_the_state_of_the_tree, "ok", "ok", "ok"),
]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    home = tmp_path_factory.mktemp("signed")
    build(home, 50, records=10, segment_bytes_max=3000)
    return home


def verdicts(case, operator):
    newest = read_entries(case.path)[-1].checkpoint
    operator(case)
    anchor = Anchor(newest.size, root=newest.root.hex())
    return tuple(
        found.verdict
        for found in (
            verify_log(case.path),
            verify_log(case.path, keys=case.keys),
            verify_log(case.path, anchor=anchor),
        )
    )


def second_opinion(case):
    try:
        records, covered, root = second_verifier.verify(case.path, [str(key) for key in case.keys])
    except (second_verifier.Bad, ValueError):
        return None
    return records, covered, root


@pytest.mark.parametrize(
    ("operator", "alone", "signed", "anchored"), MATRIX, ids=[row[0].__name__ for row in MATRIX]
)
def test_tamper_matrix_of_a_signed_log(
    tmp_path, original, forge, operator, alone, signed, anchored
):
    shutil.copytree(original, tmp_path / "copy")
    case = Case(tmp_path / "copy", forge)
    assert verdicts(case, operator) == (alone, signed, anchored)
    found, second = verify_log(case.path, keys=case.keys), second_opinion(case)
    if operator is replace_by_a_fresh_log:
        assert second[1] == 0  # a fresh log with no checkpoint of ours
    else:
        assert (second is not None) == (signed == "ok")
    if signed == "ok":
        assert second == (found.records, found.signed, found.root)


@pytest.mark.campaign
def test_tamper_matrix_of_many_signed_logs(tmp_path, forge):
    for seed in range(150):
        chance = random.Random(seed)
        home = tmp_path / f"log{seed}"
        count, every = chance.randint(40, 90), chance.randint(3, 12)
        build(home, count, records=every, segment_bytes_max=chance.randint(2500, 4000))
        for operator, *expected in MATRIX:
            shutil.copytree(home, tmp_path / "copy")
            case = Case(tmp_path / "copy", forge)
            assert verdicts(case, operator) == tuple(expected), (seed, operator)
            shutil.rmtree(tmp_path / "copy")


def test_without_checkpoints_a_given_key_has_nothing_to_verify(tmp_path, original, forge):
    shutil.copytree(original, tmp_path / "copy")
    case = Case(tmp_path / "copy", forge)
    remove_checkpoints(case)
    found = verify_log(case.path, keys=case.keys, must_be_signed=True)
    assert (found.verdict, found.exit_code) == ("unreadable", 3)


def test_where_a_signed_log_broke_is_narrowed_down_to_two_checkpoints(tmp_path, original, forge):
    """The chain was recomputed, so no record is wrong by itself; the signatures say which part."""
    shutil.copytree(original, tmp_path / "copy")
    case = Case(tmp_path / "copy", forge)
    sizes = [entry.checkpoint.size for entry in read_entries(case.path)]
    edit_last(case)
    found = verify_log(case.path, keys=case.keys)
    assert found.signed == sizes[-2]
    assert f"one of the records {sizes[-2]} to {sizes[-1] - 1}" in found.reason


def test_every_flipped_bit_of_the_checkpoints_is_seen_or_covers_less(tmp_path, original, forge):
    shutil.copytree(original, tmp_path / "copy")
    case = Case(tmp_path / "copy", forge)
    whole = case.notes.read_bytes()
    before = verify_log(case.path, keys=case.keys)
    for at in range(0, len(whole), 7):
        changed = whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :]
        case.notes.write_bytes(changed)
        found = verify_log(case.path, keys=case.keys)
        assert found.verdict != "ok" or found.checkpoints < before.checkpoints


def test_the_second_verifier_agrees_after_the_key_was_replaced(tmp_path):
    build(tmp_path, 20, records=5, segment_bytes_max=3000)
    old = KeyStore(tmp_path / "keys").public_keys()
    signer = Checkpoints(KeyStore(tmp_path / "keys"))
    sign_now(tmp_path / "audit", signer, rotate_key=True)
    build(tmp_path, 20, records=5, segment_bytes_max=3000)
    found = verify_log(tmp_path / "audit", keys=old)
    assert found.signed == found.records
    assert second_verifier.verify(tmp_path / "audit", list(map(str, old))) == (
        found.records,
        found.signed,
        found.root,
    )


def test_the_second_verifier_is_short_and_imports_nothing_of_ours():
    text = Path(second_verifier.__file__).read_text()
    assert "rampart" not in "".join(line for line in text.splitlines() if "import" in line[:7])
    assert len(text.splitlines()) < 150
    code = "import sys; import second_verifier; assert not any('rampart' in m for m in sys.modules)"
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        timeout=60,
        cwd=Path(second_verifier.__file__).parent,
    )


def test_verification_without_the_fast_parser_says_the_same(tmp_path, original, forge, monkeypatch):
    """orjson only makes it faster."""
    import rampart.audit.verify as module

    with_it = verify_log(original / "audit")
    monkeypatch.setattr(module, "_fast_parse", module._no_fast_parse)
    assert verify_log(original / "audit") == with_it
