"""Signed notes and checkpoints: the published examples pass, everything else is refused."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rampart.audit.keys import Signer, parse_signer
from rampart.audit.note import (
    Checkpoint,
    UnknownKey,
    open_checkpoint,
    open_note,
    parse_checkpoint,
    parse_public_key,
    parse_public_keys,
    split_note,
)
from rampart.errors import ProofInvalid

# golang.org/x/mod/sumdb/note: the keys and the note of its documentation and tests
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
BY_PETER = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdng"
    "otpRZb6KE6RyyBwJnAM=\n"
)
BY_ENOCH = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnW"
    "Lox33WWd1RvMc+QQ=\n"
)
NOTE = (TEXT + "\n" + BY_PETER).encode()
# c2sp.org/signed-note: the example key and note of the specification
C2SP_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
C2SP_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
# c2sp.org/tlog-checkpoint: the example of the specification
C2SP_CHECKPOINT = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)


def test_the_published_notes_are_opened():
    assert open_note(C2SP_NOTE.encode(), [parse_public_key(C2SP_KEY)])[0] == (
        "This is an example message.\n"
    )
    peter, enoch = parse_public_key(PETER), parse_public_key(ENOCH)
    both = NOTE + BY_ENOCH.encode()
    assert open_note(both, [peter, enoch]) == (TEXT, [peter, enoch])
    assert open_note(both, [enoch]) == (TEXT, [enoch])


def test_the_published_private_key_signs_the_published_note():
    signer = parse_signer(PETER_PRIVATE)
    assert signer.sign(TEXT) == BY_PETER
    assert str(signer.public) == PETER
    assert signer.dump() == PETER_PRIVATE
    assert PETER_PRIVATE[-20:] not in repr(signer)


def test_the_published_checkpoint_is_read():
    text, signatures = split_note(C2SP_CHECKPOINT.encode())
    found = parse_checkpoint(text)
    assert (found.origin, found.size) == ("example.com/behind-the-sofa", 20852163)
    assert base64.b64encode(found.root).decode() == "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
    assert signatures[0][0] == "example.com/behind-the-sofa"


def test_signatures_of_unknown_keys_do_not_count():
    with pytest.raises(UnknownKey):
        open_note(NOTE, [])
    with pytest.raises(UnknownKey):
        open_note(NOTE, [parse_public_key(ENOCH)])


def test_every_flipped_bit_of_a_note_is_refused():
    keys = [parse_public_key(PETER)]
    for at in range(len(NOTE)):
        for bit in range(8):
            changed = NOTE[:at] + bytes([NOTE[at] ^ 1 << bit]) + NOTE[at + 1 :]
            with pytest.raises(ProofInvalid):
                open_note(changed, keys)


def test_a_wrong_signature_of_a_known_key_spoils_a_note_that_another_key_signed():
    keys = [parse_public_key(PETER), parse_public_key(ENOCH)]
    wrong = BY_PETER.replace("x08go/ZJ", "x08go/ZK")
    with pytest.raises(ProofInvalid, match="PeterNeumann is wrong"):
        open_note((TEXT + "\n" + BY_ENOCH + wrong).encode(), keys)


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\n\n",
        TEXT.encode(),
        TEXT.encode() + BY_PETER.encode(),  # no empty line
        NOTE[:-1],  # no newline at the end
        NOTE + b"\n",
        NOTE + b"x\n",
        NOTE.replace(b"cryptography", b"crypto\x01graphy"),
        NOTE.replace(b"cryptography", b"crypto\xffgraphy"),
        NOTE.replace("— Peter".encode(), b"- Peter"),
        (TEXT + "\n— PeterNeumann\n").encode(),
        (TEXT + "\n— PeterNeumann x08g\n").encode(),
        (TEXT + "\n— Peter+Neumann " + BY_PETER.rsplit(maxsplit=1)[-1] + "\n").encode(),
        (TEXT + "\n" + BY_PETER * 65).encode(),
        b"x" * 70_000 + NOTE,
    ],
)
def test_what_is_no_note_is_refused(note):
    with pytest.raises(ProofInvalid):
        open_note(note, [parse_public_key(PETER)])


def test_sixteen_signatures_are_accepted():
    note = (TEXT + "\n" + BY_ENOCH * 15 + BY_PETER).encode()
    assert open_note(note, [parse_public_key(PETER)])[0] == TEXT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PeterNeumann",
        PETER.replace("c74f20a3", "c74f20a4"),
        PETER.replace("PeterNeumann", "Peter Neumann"),
        PETER.replace("PeterNeumann", ""),
        PETER[:-4],
        PETER.replace("+ARpc", "+AhpC"),  # another algorithm
        PETER + "=",
        "EnochRoot" + PETER[12:],
    ],
)
def test_what_is_no_key_is_refused(text):
    with pytest.raises(ProofInvalid):
        parse_public_key(text)


def test_a_key_file_has_comments_and_empty_lines():
    found = parse_public_keys(f"# ours\n\n{PETER}\n  {ENOCH}  \n")
    assert [str(key) for key in found] == [PETER, ENOCH]


@given(st.text(max_size=200))
def test_any_text_is_a_key_or_refused(text):
    with pytest.raises(ProofInvalid):
        parse_public_key(text)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_note_or_refused(data):
    with pytest.raises(ProofInvalid):
        open_note(data, [parse_public_key(PETER)])


@pytest.mark.parametrize("text", [PETER, PETER_PRIVATE[:-1], PETER_PRIVATE.replace("c7", "c8"), ""])
def test_what_is_no_private_key_is_refused(text):
    with pytest.raises(ProofInvalid):
        parse_signer(text)


ROOT = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "text",
    [
        f"log\n7\n{ROOT}",
        f"log\n07\n{ROOT}\n",
        f"log\n-7\n{ROOT}\n",
        f"log\n٧\n{ROOT}\n",
        f"log\n{10**19}\n{ROOT}\n",
        f"\n7\n{ROOT}\n",
        "log\n7\nAAAA\n",
        f"log\n7\n{ROOT[:-2]}B=\n",  # unused bits that are not zero
        f"log\n7\n{ROOT}\n\nmore\n",
        "log\n7\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(ProofInvalid):
        parse_checkpoint(text)


def test_a_checkpoint_counts_only_by_the_key_of_its_own_log():
    ours, other = Signer("log/ours", bytes(32)), Signer("log/other", b"\1" * 32)
    text = f"log/ours\n7\n{ROOT}\n"
    keys = [ours.public, other.public]
    by = {one: f"{text}\n{one.sign(text)}".encode() for one in (ours, other)}
    assert open_checkpoint(by[ours], keys) == Checkpoint("log/ours", 7, bytes(32))
    with pytest.raises(ProofInvalid, match="another log"):
        open_checkpoint(by[other], keys)


def test_extension_lines_are_signed_and_otherwise_ignored():
    signer = Signer("log", bytes(32))
    text = f"log\n7\n{ROOT}\nextension\n"
    note = f"{text}\n{signer.sign(text)}".encode()
    assert open_checkpoint(note, [signer.public]).size == 7
    with pytest.raises(ProofInvalid):
        open_checkpoint(note.replace(b"extension", b"Extension"), [signer.public])
