"""A service follows its files: by itself, when it is told to, and never into a broken one."""

from __future__ import annotations

import os
import pty
import signal
import time
from collections.abc import Callable

import httpx

ALLOWING = """\
version: "1"
default_action: allow
"""


def until(holds: Callable[[], bool], seconds: float = 20) -> float:
    """Wait until something holds, and return how long that took."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < seconds, "it never held"
    return time.monotonic() - started


def client(rampart, ready) -> httpx.Client:
    token = rampart("token").stdout.strip()
    return httpx.Client(base_url=ready["url"], headers={"Authorization": f"Bearer {token}"})


def decision(http: httpx.Client, command: str) -> str:
    answer = http.post("/v1/preflight/exec", json={"params": {"command": command}}).json()
    return str(answer["decision"])


def put(data_dir, text: str) -> None:
    fresh = data_dir / "fresh.yaml"
    fresh.write_text(text)
    fresh.rename(data_dir / "policy.yaml")


def test_a_service_follows_its_files_and_says_when_it_cannot(rampart, data_dir):
    with rampart.serve() as (_process, ready), client(rampart, ready) as http:
        assert decision(http, "git push") != "allow"
        before = http.get("/v1/policies").json()
        assert before["documents"][0]["file"] == str(data_dir / "policy.yaml")
        assert before["documents"][-1]["layer"] == "tightens"
        put(data_dir, ALLOWING)
        until(lambda: decision(http, "git push") == "allow")
        assert http.get("/v1/policies").json()["generation"] != before["generation"]

        put(data_dir, "policies: [")
        until(lambda: http.get("/healthz").json()["policy"] == "stale")
        assert decision(http, "git push") == "allow"
        assert "policy.yaml:2:1" in http.get("/v1/policies").json()["problem"]
        assert http.post("/v1/policies/reload").status_code == 422

        put(data_dir, ALLOWING)
        answer = http.post("/v1/policies/reload")
        assert (answer.status_code, answer.json()["problem"]) == (200, "")
        assert http.get("/healthz").json()["policy"] == "current"


def test_agents_may_not_see_or_reload_policies(rampart):
    with rampart.serve() as (_process, ready):
        token = rampart("token", "--eval").stdout.strip()
        headers = {"Authorization": f"Bearer {token}"}
        assert httpx.get(f"{ready['url']}/v1/policies", headers=headers).status_code == 403
        address = f"{ready['url']}/v1/policies/reload"
        assert httpx.post(address, headers=headers).status_code == 403


def test_overrides_reach_a_running_service(rampart):
    with rampart.serve() as (_process, ready), client(rampart, ready) as http:
        assert decision(http, "git push") == "require_approval"
        saved = rampart("allow", "--yes", "git push*")
        assert saved.returncode == 0, saved.stderr
        until(lambda: decision(http, "git push") == "allow")
        name = saved.stdout.split("saved as ")[1].split(";")[0]
        assert rampart("rules", "remove", name).returncode == 0
        until(lambda: decision(http, "git push") == "require_approval")


def test_sighup_reloads_and_does_not_end_the_service(rampart, data_dir):
    with rampart.serve() as (process, ready), client(rampart, ready) as http:
        put(data_dir, ALLOWING)
        process.send_signal(signal.SIGHUP)
        until(lambda: decision(http, "git push") == "allow")
        assert process.poll() is None


def test_a_closed_terminal_is_known_from_a_reload():
    from rampart.server.watch import terminal_is_gone

    master, slave = pty.openpty()
    try:
        assert not terminal_is_gone([slave])
        os.close(master)
        assert terminal_is_gone([slave])
        assert not terminal_is_gone([])
    finally:
        os.close(slave)
