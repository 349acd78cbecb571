"""What it costs to sign, verify and prove, for each record of a log of some size."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from measure import Row
from rampart.audit.checkpoints import Checkpoints
from rampart.audit.fs import AuditFile
from rampart.audit.journal import Journal
from rampart.audit.keys import KeyStore
from rampart.audit.prove import check_proof, prove_record
from rampart.audit.record import encode_fields
from rampart.audit.verify import verify_log
from rampart.clock import SystemClock
from rampart.ids import UlidFactory

T = TypeVar("T")
_BATCH: Final = 64
_MILLION_S: Final = 10.0
_FIELDS: Final = {
    "type": "decision",
    "tool": "exec",
    "params": {"command": "git status && ls -la /tmp"},
    "agent": "coder",
    "session": "s-1",
    "decision": {"action": "allow", "policy": "git", "rule": "read-only", "matched": ["git"]},
    "generation": "0123456789abcdef",
    "duration_us": 31.2,
    "actions": [
        {"tool": "exec", "origin": "command", "command": "git status"},
        {"tool": "exec", "origin": "command", "command": "ls -la /tmp"},
    ],
}


def measure_evidence(folder: Path, count: int) -> list[Row]:
    """Return the time a record takes to be verified, and what opening, proving and checking take.

    Processor time. The peer of verification is SHA-256 over the same bytes, once.
    """
    log, keys = folder / "signed" / "audit", KeyStore(folder / "signed" / "keys")
    name = _write(log, keys, count)
    data = b"".join(path.read_bytes() for path in sorted(log.glob("audit-*.jsonl")))
    check_proof(prove_record(log, name, keys.public_keys()), keys.public_keys())  # imports
    bare, _ = _timed(lambda: hashlib.sha256(data).digest())
    verifying, found = _timed(lambda: verify_log(log, keys=keys.public_keys()))
    assert (found.verdict, found.signed) == ("ok", found.records), found.reason
    opening, _ = _timed(lambda: _opened(log, keys))
    proving, proof = _timed(lambda: prove_record(log, name, keys.public_keys()))
    checking, _ = _timed(lambda: check_proof(proof, keys.public_keys()))
    each, bare_each = verifying / found.records, bare / found.records
    million = each * 1e6
    return [
        Row(
            "verify, each record",
            round(each * 1e6, 2),
            round(each * 1e6, 2),
            round(each * 1e6, 2),
            peer="SHA-256",
            peer_p50=round(bare_each * 1e6, 2),
            budget=f"<= {_MILLION_S:g} s a million",
            within=million <= _MILLION_S,
            note=f"{million:.1f} s a million, {found.records} records",
        ),
        _row("open and sign one more", opening, found.records),
        _row("prove a record", proving, found.records),
        _row("check a proof", checking, found.records),
    ]


def _row(name: str, seconds: float, records: int) -> Row:
    spent = round(seconds * 1e6, 1)
    return Row(name, spent, spent, spent, note=f"a log of {records} records")


def _write(log: Path, keys: KeyStore, count: int) -> str:
    """Write a signed log, without waiting for the disk; return the id of a record in its middle."""
    journal = _journal(log, keys)
    fields = [encode_fields(_FIELDS)] * _BATCH
    name = ""
    sync, AuditFile.sync = AuditFile.sync, lambda self: None  # type: ignore[method-assign]
    try:
        for at in range(count // _BATCH + 1):
            done = journal.append(fields, time.monotonic() + 60)
            name = done[0].id if at == count // _BATCH // 2 else name
            if journal.needs_checkpoint():
                journal.checkpoint(time.monotonic() + 60)
        journal.checkpoint(time.monotonic() + 60)
    finally:
        AuditFile.sync = sync  # type: ignore[method-assign]
        journal.close()
    return name


def _journal(log: Path, keys: KeyStore) -> Journal:
    clock = SystemClock()
    journal = Journal(log, clock=clock, ids=UlidFactory(clock), checkpoints=Checkpoints(keys))
    journal.reopen(time.monotonic() + 60)
    return journal


def _opened(log: Path, keys: KeyStore) -> None:
    journal = _journal(log, keys)
    journal.append([encode_fields(_FIELDS)], time.monotonic() + 60)
    journal.checkpoint(time.monotonic() + 60)
    journal.close()


def _timed(run: Callable[[], T]) -> tuple[float, T]:
    start = time.process_time()  # WHY: one thread that waits for nothing, beside other programs
    result = run()
    return time.process_time() - start, result
