"""``rampart serve`` and ``rampart token``: a real process, from its first byte to its last."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess

import httpx
import pytest


def post(ready, token, command):
    return httpx.post(
        f"{ready['url']}/v1/tool/exec",
        headers={"Authorization": f"Bearer {token}"},
        json={"params": {"command": command}},
    )


def test_a_service_says_where_it_is_and_answers_there(rampart):
    with rampart.serve() as (process, ready):
        assert ready["pid"] == process.pid
        assert ready["url"] == f"http://127.0.0.1:{ready['port']}"
        assert httpx.get(f"{ready['url']}/healthz").json()["status"] == "ok"
        assert stat.S_ISSOCK(os.lstat(ready["socket"]).st_mode)
        token = rampart("token").stdout.strip()
        assert post(ready, token, "echo hi").json()["decision"] == "allow"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_service_cleanly(rampart, number):
    with rampart.serve() as (process, ready):
        token = rampart("token", "--eval").stdout.strip()
        post(ready, token, "echo hi")
        process.send_signal(number)
        out, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, b"")
    assert b"listens on" in out
    assert not os.path.lexists(ready["socket"])
    assert rampart("audit", "verify").returncode == 0


def test_a_killed_service_leaves_nothing_that_stops_the_next_one(rampart, data_dir):
    known = str(data_dir / "rampart.sock")
    with rampart.serve("--socket", known) as (process, ready):
        token = rampart("token").stdout.strip()
        answered = [post(ready, token, f"echo {n}").json()["audit_id"] for n in range(3)]
        asked = post(ready, token, "git push").json()["approval_id"]
        process.kill()
        process.wait()
    assert os.path.lexists(known)
    assert rampart("audit", "verify").returncode == 0
    with rampart.serve("--socket", known) as (_process, ready):
        assert ready["socket"] == known
        tail = rampart("audit", "tail", "--json").stdout.splitlines()
        recorded = [json.loads(line)["id"] for line in tail]
        assert [i for i in recorded if i in answered] == answered
        assert rampart("approve", asked).returncode == 0
        assert post(ready, token, "git push").json()["rule"] == "approved"


def test_the_banner_says_what_is_in_force_and_where_things_are(rampart, data_dir):
    with rampart.serve() as (process, ready):
        process.terminate()
        out = process.communicate(timeout=20)[0].decode()
    for text in (
        ready["url"],
        str(data_dir / "policy.yaml"),
        str(data_dir / "audit"),
        ready["socket"],
    ):
        assert text in out
    secret = (data_dir / "token").read_text().strip()
    assert secret not in out


def test_quiet_prints_nothing_and_a_ready_file_appears_whole(rampart, tmp_path):
    file = tmp_path / "ready.json"
    with rampart.serve("--quiet", "--ready-file", str(file)) as (process, ready):
        process.terminate()
        assert process.communicate(timeout=20) == (b"", b"")
    assert json.loads(file.read_text()) == ready
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_token_for_the_run_comes_from_the_option_or_the_environment(rampart, data_dir):
    token = "a-token-that-is-long-enough"
    with rampart.serve("--token", token) as (_process, ready):
        assert post(ready, token, "echo hi").status_code == 200
    rampart.environment["RAMPART_TOKEN"] = token
    with rampart.serve() as (_process, ready):
        assert post(ready, token, "echo hi").status_code == 200
    assert not (data_dir / "token").exists()


def test_a_short_token_and_an_open_address_are_warned_about(rampart):
    with rampart.serve("--token", "short", "--host", "0.0.0.0") as (process, _ready):
        process.terminate()
        errors = process.communicate(timeout=20)[1].decode()
    assert "short enough to be guessed" in errors
    assert "other machines can reach the service" in errors


def test_a_port_in_use_is_a_clear_error(rampart):
    with socket.create_server(("127.0.0.1", 0)) as other:
        found = rampart("serve", "--port", str(other.getsockname()[1]))
    assert found.returncode == 78
    assert "in use" in found.stderr
    assert "--port" in found.stderr


def test_a_second_service_on_the_same_socket_is_a_clear_error(rampart, tmp_path):
    path = str(rampart.data_dir / "rampart.sock")
    with rampart.serve("--socket", path):
        found = rampart("serve", "--port", "0", "--socket", path)
    assert found.returncode == 78
    assert "another service listens there" in found.stderr


def test_a_policy_that_does_not_load_refuses_to_start(rampart, data_dir):
    (data_dir / "policy.yaml").write_text("version: 7\n")
    found = rampart("serve", "--port", "0")
    assert found.returncode == 65
    assert "policy.yaml:1:" in found.stderr


def test_no_socket(rampart, data_dir):
    with rampart.serve("--no-socket") as (_process, ready):
        assert ready["socket"] == ""
        assert not [path for path in data_dir.iterdir() if path.suffix == ".sock"]


def test_token_prints_the_same_token_every_time_and_two_different_ones(rampart, data_dir):
    admin, agents = rampart("token").stdout, rampart("token", "--eval").stdout
    assert rampart("token").stdout == admin == (data_dir / "token").read_text()
    assert agents == (data_dir / "token.eval").read_text() != admin


def test_a_token_file_that_others_may_read_is_refused(rampart, data_dir):
    rampart("token")
    (data_dir / "token").chmod(0o644)
    for arguments in (["token"], ["serve", "--port", "0"]):
        found = rampart(*arguments)
        assert found.returncode == 78
        assert "others may read" in found.stderr


def test_a_service_whose_output_is_closed_still_serves(rampart):
    reader, writer = os.pipe()
    os.close(reader)
    ready_reader, ready_writer = os.pipe()
    with subprocess.Popen(
        rampart.command("serve", "--port", "0", "--quiet", "--ready-fd", str(ready_writer)),
        env=rampart.environment,
        pass_fds=[ready_writer],
        stdout=writer,
        stderr=writer,
    ) as process:
        os.close(writer)
        os.close(ready_writer)
        with os.fdopen(ready_reader) as file:
            ready = json.loads(file.readline())
        assert httpx.get(f"{ready['url']}/healthz").status_code == 200
        process.terminate()
