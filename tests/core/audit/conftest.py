"""Builders for the audit tests: a clock that stands, a log's files, and forged lines."""

import hashlib
import json
from pathlib import Path

import pytest
from rampart.audit import AuditLog


class StoppedClock:
    """Wall time that only moves when a test moves it."""

    def __init__(self, now=1_700_000_000.0):
        self.time = now

    def now(self):
        return self.time

    def monotonic(self):
        return self.time


class Files:
    """A log's directory as a tamperer sees it: names and lines."""

    def __init__(self, path: Path):
        self.path = path

    def write(self, count, **options):
        """Append ``count`` records through a real log and close it."""
        log = AuditLog.open(self.path, **options)
        done = [log.append({"type": "decision", "tool": "exec", "n": n}) for n in range(count)]
        log.close()
        return done

    def segments(self):
        return sorted(self.path.glob("audit-*.jsonl"))

    def torn(self):
        return sorted(self.path.glob("*.torn-*"))

    def lines(self, segment=-1):
        return self.segments()[segment].read_bytes().splitlines(keepends=True)

    def put(self, lines, segment=-1):
        self.segments()[segment].write_bytes(b"".join(lines))

    def records(self):
        return [
            json.loads(line) for path in self.segments() for line in path.read_bytes().splitlines()
        ]


def rehash(line: bytes, **changes) -> bytes:
    """Forge a line: change fields and give it a hash that fits, as a tamperer would."""
    record = json.loads(line)
    record.pop("hash")
    record.update(changes)
    body = json.dumps(record, separators=(",", ":")).encode()
    return body[:-1] + b',"hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


def rechain(lines, start=0):
    """Forge everything from ``start`` on, so that each line continues the one before."""
    forged = list(lines[:start])
    for seq, line in enumerate(lines[start:], start):
        prev = hashlib.sha256(forged[-1][:-1]).hexdigest() if forged else "0" * 64
        forged.append(rehash(line, seq=seq, prev=prev))
    return forged


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path / "audit")


@pytest.fixture
def clock():
    return StoppedClock()


@pytest.fixture
def forge():
    class Forge:
        pass

    forge = Forge()
    forge.rehash, forge.rechain = rehash, rechain
    return forge
