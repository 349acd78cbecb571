"""A second verifier, written from core/docs/audit.md alone: it imports nothing of Rampart.

``verify(directory, keys)`` returns (number of records, records that are signed, root in hex) or
raises Bad; ``check_proof(proof, keys)`` returns a record. Keys are lines of an ``audit.pub``.
"""

import base64
import hashlib
import json
import re
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Bad(Exception):
    pass


def need(condition, reason):
    if not condition:
        raise Bad(reason)


def sha(data):
    return hashlib.sha256(data).digest()


def root_of(leaves):
    if len(leaves) < 2:
        return leaves[0] if leaves else sha(b"")
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return sha(b"\1" + root_of(leaves[:half]) + root_of(leaves[half:]))


def edge_of(leaves):
    edge = []
    while leaves:
        part = 1 << len(leaves).bit_length() - 1
        edge.append(root_of(leaves[:part]).hex())
        leaves = leaves[part:]
    return edge


def b64(text):
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Bad("not base64") from None
    need(base64.b64encode(data).decode() == text, "another spelling of base64")
    return data


def key_of(line):
    name, number, encoded = line.split("+", 2)
    data = b64(encoded)
    need(data[0] == 1 and len(data) == 33, "no Ed25519 key")
    need(sha(name.encode() + b"\n" + data)[:4].hex() == number, "a key does not fit its id")
    return name, bytes.fromhex(number), data[1:]


def open_note(note, keys):
    """Return (origin, size, root), or None if no key of ``keys`` signed the note."""
    need(not re.search(rb"[\0-\x09\x0b-\x1f]", note), "a control character")
    text, blank, rest = note.decode().rpartition("\n\n")
    need(blank and rest.endswith("\n"), "no note")
    text += "\n"
    signed = False
    for line in rest[:-1].split("\n"):
        dash, name, encoded = line.split(" ")
        data = b64(encoded)
        need(dash == "—" and len(data) > 4, "no signature")
        for key_name, number, public in map(key_of, keys):
            if (name, data[:4]) == (key_name, number):
                try:
                    Ed25519PublicKey.from_public_bytes(public).verify(data[4:], text.encode())
                except InvalidSignature:
                    raise Bad("a signature is wrong") from None
                need(name == text.split("\n")[0], "another origin")
                signed = True
    if not signed:
        return None
    origin, size, root = text.split("\n")[:3]
    need(str(int(size)) == size, "no size")
    return origin, int(size), b64(root)


def verify(directory, keys):
    paths = sorted(Path(directory).glob("audit-" + "[0-9]" * 20 + ".jsonl"))
    need(paths, "no log")
    leaves, prev, last_id, handovers = [], "0" * 64, "", []
    for number, path in enumerate(paths):
        need(int(path.name[6:26]) == len(leaves), "a segment is missing")
        data = path.read_bytes()
        need(data.endswith(b"\n"), "an incomplete line")
        lines = data[:-1].split(b"\n")
        for at, line in enumerate(lines):
            record = json.loads(line.decode("ascii"))
            own = hashlib.sha256(line[:-75] + b"}").hexdigest()
            need(line.endswith(f',"hash":"{own}"}}'.encode()), "a hash is wrong")
            head = re.match(rb'\{"v":1,"seq":(\d+),"id":"(.{26})".*?,"prev":"(.{64})",', line)
            need(head and int(head[1]) == len(leaves), "a number is wrong")
            need(head[3].decode() == prev and head[2].decode() > last_id, "a link is wrong")
            need((record["type"] == "continue") == (at == 0 < number), "a continue record")
            need(record["type"] != "seal" or at == len(lines) - 1, "something after a seal")
            if record["type"] == "continue" and "tree" in record:
                need(record["tree"] == edge_of(leaves), "the tree of a continue record")
            if record["type"] == "key":
                handovers.append((len(leaves), record["key"]))
            prev, last_id = hashlib.sha256(line).hexdigest(), head[2].decode()
            leaves.append(sha(b"\0" + line))
        need(number == len(paths) - 1 or record["type"] == "seal", "no seal")
    covered, trusted = 0, list(keys)
    notes = Path(directory) / "audit.checkpoints"
    pieces = notes.read_bytes().split(b"\n\n")[:-1] if notes.exists() else []
    for text, signatures in zip(pieces[::2], pieces[1::2], strict=False):
        if (found := open_note(text + b"\n\n" + signatures + b"\n", trusted)) is None:
            continue
        need(covered <= found[1] <= len(leaves), "fewer records than were signed")
        need(root_of(leaves[: found[1]]) == found[2], "not the log that was signed")
        covered = found[1]
        trusted += [key for at, key in handovers if at < covered and key not in trusted]
    return len(leaves), covered, root_of(leaves).hex()


def check_proof(proof, keys):
    head, _blank, note = proof.partition(b"\n\n")
    lines = head.decode().split("\n")
    need(lines[0] == "c2sp.org/tlog-proof@v1", "no proof")
    record, index = b64(lines[1].removeprefix("extra ")), int(lines[2].removeprefix("index "))
    found = open_note(note, keys)
    need(found, "no known key signed this")

    def climb(at, size, path):
        if size == 1:
            need(not path, "the path is too long")
            return sha(b"\0" + record)
        need(path, "the path is too short")
        half = 1 << (size - 1).bit_length() - 1
        if at < half:
            return sha(b"\1" + climb(at, half, path[:-1]) + path[-1])
        return sha(b"\1" + path[-1] + climb(at - half, size - half, path[:-1]))

    need(0 <= index < found[1], "no such record")
    need(climb(index, found[1], [b64(line) for line in lines[3:]]) == found[2], "another root")
    return json.loads(record)
