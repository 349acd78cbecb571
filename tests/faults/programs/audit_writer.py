"""A process that appends to an audit log and says what became of every record.

For each attempt it appends one line to the file `--acks`: `ok <seq> <id>` or `error <code>
<message>`. The line of an `ok` is written only after `append` has returned, so it is an
acknowledgement.

`--without lock|early` removes a guard: the negative control of the test that uses it.
"""

import argparse
import os
import resource
import sys
from pathlib import Path

from rampart.audit import AuditLog
from rampart.audit.checkpoints import Checkpoints
from rampart.audit.fs import AuditFile
from rampart.audit.keys import KeyStore
from rampart.errors import AuditError


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--acks", type=Path, required=True)
    parser.add_argument("--count", type=int, default=0, help="0: until killed")
    parser.add_argument("--segment", type=int, default=64 * 1024 * 1024)
    parser.add_argument("--without", choices=["lock", "early"])
    parser.add_argument("--file-size", type=int, help="RLIMIT_FSIZE until the first error")
    parser.add_argument("--keys", type=Path, help="sign the log with the keys in this directory")
    parser.add_argument("--every", type=int, default=3, help="records between two checkpoints")
    parser.add_argument("--go", action="store_true", help="wait for a line on standard input")
    return parser.parse_args()


def main():
    options = arguments()
    if options.without == "lock":
        AuditFile.lock = lambda self, deadline: None
    if options.file_size:
        resource.setrlimit(resource.RLIMIT_FSIZE, (options.file_size, resource.RLIM_INFINITY))
    acks = os.open(options.acks, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    if options.go:
        print("ready", flush=True)
        sys.stdin.readline()
    signer = Checkpoints(KeyStore(options.keys), records=options.every) if options.keys else None
    log = AuditLog.open(options.directory, segment_bytes_max=options.segment, checkpoints=signer)
    n = 0
    while not options.count or n < options.count:
        if options.without == "early":
            os.write(acks, f"ok {n} {os.getpid()}-{n}\n".encode())
        try:
            done = log.append({"type": "decision", "pid": os.getpid(), "n": n})
        except AuditError as error:
            os.write(acks, f"error {error.code} {error.message}\n".encode())
            log._retry_at = 0.0  # the pause is tested elsewhere
            if options.file_size:
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        else:
            if options.without != "early":
                os.write(acks, f"ok {done.seq} {os.getpid()}-{n}\n".encode())
        n += 1
    log.close()


main()
