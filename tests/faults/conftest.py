"""Starting the writers of the fault tests, and comparing promises with what is there."""

import subprocess
import sys
from pathlib import Path

import pytest
from rampart.audit.read import read_lines

WRITER = Path(__file__).with_name("programs") / "audit_writer.py"


class Writers:
    """Writer processes on one log, their acknowledgements, and the log."""

    def __init__(self, path: Path):
        self.directory = path / "audit"
        self._path = path
        self._running = []

    def start(self, *options, acks="acks", before=(), **settings):
        command = [
            *before,
            sys.executable,
            WRITER,
            self.directory,
            "--acks",
            self._path / acks,
            *options,
        ]
        process = subprocess.Popen([str(word) for word in command], **settings)
        self._running.append(process)
        return process

    def run(self, *options, **settings):
        """Run one writer to its end and return its exit code."""
        return self.start(*options, **settings).wait(timeout=120)

    def outcomes(self):
        """Every complete line of every acknowledgement file, split into words."""
        lines = [
            line
            for file in self._path.glob("acks*")
            for line in file.read_bytes().split(b"\n")[:-1]
        ]
        return [line.decode().split(" ", 2) for line in lines]

    def acknowledged(self):
        return {(int(words[1]), words[2]) for words in self.outcomes() if words[0] == "ok"}

    def written(self):
        """Who wrote which record, for every readable record in the log."""
        records = [line.record for line in read_lines(self.directory) if line.record]
        return [(r["seq"], f"{r['pid']}-{r['n']}") for r in records if r["type"] == "decision"]

    def kill(self):
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


@pytest.fixture
def writers(tmp_path):
    writers = Writers(tmp_path)
    yield writers
    writers.kill()
