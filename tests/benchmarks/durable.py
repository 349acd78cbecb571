"""What durability and a service cost, beside the bare operation in the same run."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from measure import Row, Times, row, time_each
from rampart.config import Settings
from rampart.embedded import gate_of
from rampart.model import ToolCall
from rampart.sources import PolicyInForce, policy_documents
from rampart.tokens import read_token, token_path
from rampart.wire import FLAG_PREVIEW, ExecQuery, encode_query

THREADS: Final = 64
_PEERS: Final = Path(__file__).with_name("peers.py")


def measure_audit(folder: Path, count: int) -> list[Row]:
    """Return ``enforce`` with a durable record beside a bare append and fdatasync."""
    gate, close = gate_of(
        Settings(folder / "data"), PolicyInForce(policy_documents(profile="standard"))
    )
    call = ToolCall("exec", {"command": "git status"}, cwd=str(folder))
    line = b"x" * 599 + b"\n"
    with (folder / "bare").open("ab", buffering=0) as file:
        lock = threading.Lock()

        def bare() -> None:
            with lock:
                file.write(line)
                os.fdatasync(file.fileno())

        bare_times = time_each([bare], rounds=count)
        times = time_each([lambda: gate.enforce(call)], rounds=count)
        limit = bare_times.p50 * 1.5 + 200
        alone = row(
            "enforce, 1 writer",
            times,
            peer=("fdatasync", bare_times),
            budget="<= 1.5 x bare + 200 us",
            within=times.p50 <= limit,
        )
        bare_rate = _rate(bare, count)
        rate = _rate(lambda: gate.enforce(call), count)
        fields = {"type": "decision", "note": "x" * 400}
        audit = gate._audit
        assert audit is not None
        append_rate = _rate(lambda: audit.append(fields), count)
    close()
    return [
        alone,
        _rate_row("enforce, 64 threads", rate, bare_rate, None),
        _rate_row("append, 64 threads", append_rate, bare_rate, 20_000),
    ]


def measure_service(folder: Path, count: int) -> list[Row]:
    """Return the local socket and HTTP beside a bare echo and a bare route."""
    data = folder / "served"
    rows = []
    command = [
        sys.executable,
        "-m",
        "rampart",
        "serve",
        "--quiet",
        "--port",
        "0",
        "--data-dir",
        str(data),
    ]
    with _ready(command, "--ready-fd") as service:
        with _ready([sys.executable, str(_PEERS), "echo", str(folder / "echo")]):
            echo = time_each([_asker(str(folder / "echo"), b"x" * 60)], rounds=count)
        preview = encode_query(ExecQuery(b"/usr/bin/git", (b"git", b"status"), flags=FLAG_PREVIEW))
        recorded = encode_query(ExecQuery(b"/usr/bin/git", (b"git", b"status")))
        for name, frame, limit in (
            ("socket, preview", preview, 100.0),
            ("socket, recorded", recorded, None),
        ):
            times = time_each([_asker(str(service["socket"]), frame)], rounds=count)
            rows.append(_service_row(name, times, ("echo", echo), limit))
        token = read_token(token_path(Settings(data), "eval"))
        body = json.dumps({"params": {"command": "git status"}}).encode()
        with _ready([sys.executable, str(_PEERS), "starlette"]) as bare:
            route = time_each([_poster(int(str(bare["port"])), "", body)], rounds=count)
        times = time_each([_poster(int(str(service["port"])), str(token), body)], rounds=count)
        rows.append(_service_row("HTTP preflight", times, ("starlette", route), 1000.0))
    return rows


def measure_import() -> list[Row]:
    """Return how long ``import rampart`` takes in a new interpreter."""
    code = (
        "import time, sys; a = time.perf_counter(); import rampart; b = time.perf_counter();"
        "print((b - a) * 1e6); print(sorted({m.split('.')[0] for m in sys.modules}"
        " & {'starlette', 'uvicorn', 'langchain', 'crewai', 'httpx', 'click', 'yaml', 'rich'}))"
    )
    values, heavy = [], ""
    for _ in range(7):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        first, heavy = done.stdout.splitlines()
        values.append(float(first))
    times = Times(sorted(values))
    note = "" if heavy == "[]" else f"imports {heavy}"
    budget = "<= 60,000, nothing heavy"
    return [
        row(
            "import rampart",
            times,
            budget=budget,
            within=times.p50 <= 60_000 and not note,
            note=note,
        )
    ]


def _rate(run: Callable[[], object], count: int) -> float:
    """Return runs a second of ``THREADS`` threads together."""
    each = max(count // 16, 8)
    barrier = threading.Barrier(THREADS + 1)

    def work() -> None:
        barrier.wait()
        for _ in range(each):
            run()

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    barrier.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    return THREADS * each / (time.perf_counter() - started)


def _rate_row(name: str, rate: float, bare: float, least: float | None) -> Row:
    per_record, bare_us = 1e6 / rate, 1e6 / bare
    return Row(
        name,
        round(per_record, 1),
        round(per_record, 1),
        round(per_record, 1),
        peer="fdatasync",
        peer_p50=round(bare_us, 1),
        budget=f">= {least:,.0f}/s" if least else "",
        within=rate >= least if least else None,
        note=f"{rate:,.0f}/s, bare {bare:,.0f}/s",
    )


def _service_row(name: str, times: Times, peer: tuple[str, Times], limit: float | None) -> Row:
    budget = f"p50 <= {limit:g}" if limit else ""
    return row(name, times, peer=peer, budget=budget, within=times.p50 <= limit if limit else None)


def _asker(path: str, frame: bytes) -> Callable[[], None]:
    def ask() -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            connection.sendall(frame)
            while connection.recv(4096):
                pass

    return ask


def _poster(port: int, token: str, body: bytes) -> Callable[[], None]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post() -> None:
        connection.request("POST", "/v1/preflight/exec", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise AssertionError(text)

    return post


@contextmanager
def _ready(command: list[str], option: str = "") -> Iterator[dict[str, object]]:
    """Run a server until the end of the block; yield what it says when it is ready."""
    reader, writer = os.pipe()
    command = [*command, *([option] if option else []), str(writer)]
    with subprocess.Popen(command, pass_fds=[writer]) as process:
        os.close(writer)
        try:
            with os.fdopen(reader) as file:
                line = file.readline()
            if not line:
                raise AssertionError(f"{command[:4]} did not start")
            yield json.loads(line)
        finally:
            process.terminate()
            process.wait(20)
