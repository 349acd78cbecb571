"""``rampart audit search``, ``stats``, ``export``, and ``tail -f`` over a rotation."""

from __future__ import annotations

import csv
import io
import json
import subprocess

import pytest
from rampart.audit import AuditLog
from rampart.audit.read import read_records
from rampart.config import Settings
from rampart.embedded import gate_of
from rampart.model import ToolCall
from rampart.sources import PolicyInForce, policy_documents


@pytest.fixture
def recorded(data_dir):
    """Nine decisions and their ids, oldest first."""
    settings = Settings(data_dir, policy=data_dir / "policy.yaml")
    gate, close = gate_of(settings, PolicyInForce(policy_documents(path=settings.policy)))
    calls = [
        ToolCall("exec", {"command": "rm -rf build"}, agent="coder", session="s1", cwd="/tmp"),
        ToolCall("exec", {"command": "echo =1+1"}, agent="coder", session="s1", cwd="/tmp"),
        ToolCall("note", {"text": "=HYPERLINK(1)"}, agent="writer", session="s2", cwd="/tmp"),
        *(ToolCall("exec", {"command": f"echo {n}"}, cwd="/tmp") for n in range(5)),
        ToolCall("exec", {"command": "rm -rf dist"}, agent="writer", session="s2", cwd="/tmp"),
    ]
    ids = [gate.enforce(call).audit_id for call in calls]
    close()
    return ids


def ids_of(found):
    return [json.loads(line)["id"] for line in found.stdout.splitlines()]


def test_search_shows_the_newest_first_and_says_when_there_is_nothing(rampart, recorded):
    found = rampart("audit", "search", "RM -RF")
    first, second = found.stdout.splitlines()
    assert (found.returncode, first.split()[0], second.split()[0]) == (0, recorded[8], recorded[0])
    assert "Destructive command blocked" in first
    nothing = rampart("audit", "search", "no such thing")
    assert (nothing.returncode, nothing.stdout) == (1, "")


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--decision", "deny"], [8, 0]),
        (["--agent", "wr*"], [8, 2]),
        (["--agent", "coder", "--decision", "deny"], [0]),
        (["--tool", "note"], [2]),
        (["--policy", "shell", "--rule", "rule-1"], [8, 0]),
        (["--session", "s1", "--since", "1h"], [1, 0]),
        (["--session", "s1", "--until", "1h"], []),
        (["--limit", "2"], [8, 7]),
        (["--since", "2000-01-01", "--limit", "1"], [8]),
    ],
)
def test_search_combines_its_options(rampart, recorded, options, wanted):
    found = rampart("audit", "search", "--json", *options)
    assert ids_of(found) == [recorded[n] for n in wanted]


@pytest.mark.parametrize(
    "options", [["--decision", "permit"], ["--since", "yesterday"], ["--until", "12"]]
)
def test_a_question_that_means_nothing_is_refused(rampart, recorded, options):
    found = rampart("audit", "search", *options)
    assert (found.returncode, found.stdout) == (2, "")
    assert options[0] in found.stderr


@pytest.mark.parametrize("command", ["search", "stats", "export", "replay"])
def test_without_a_log_the_error_says_so(rampart, command):
    found = rampart("audit", command)
    assert (found.returncode, found.stdout) == (74, "")
    assert "no audit log here" in found.stderr


def test_lines_that_cannot_be_read_are_told_and_hide_nothing(rampart, recorded, data_dir):
    (path,) = (data_dir / "audit").glob("audit-*.jsonl")
    path.write_bytes(path.read_bytes() + b"nonsense\n")
    found = rampart("audit", "search", "--json", "--limit", "0")
    assert ids_of(found) == recorded[::-1]
    assert "1 line cannot be read" in found.stderr
    assert json.loads(rampart("audit", "stats", "--json").stdout)["unreadable"] == 1


def test_stats_count_what_was_decided(rampart, recorded):
    told = json.loads(rampart("audit", "stats", "--json").stdout)
    assert told["decisions"] == {"deny": 2, "allow": 7}
    assert told["tools"] == {"exec": {"deny": 2, "allow": 6}, "note": {"allow": 1}}
    assert told["denied"][0]["count"] == 2
    assert told["denied"][0]["example"] == "rm -rf dist"
    assert told["latency_us"]["p99"] > 0
    only = json.loads(rampart("audit", "stats", "--json", "--agent", "coder").stdout)
    assert only["decisions"] == {"deny": 1, "allow": 1}


@pytest.mark.parametrize(("locale", "mark"), [("C.UTF-8", "█"), ("POSIX", "#")])
def test_charts_are_drawn_with_what_the_terminal_can_show(rampart, recorded, locale, mark):
    coding = "utf-8" if mark == "█" else "ascii"
    shown = rampart("audit", "stats", LC_ALL=locale, PYTHONIOENCODING=f"{coding}:replace").stdout
    bar = next(line for line in shown.splitlines() if line.startswith("  allow"))
    assert mark * 30 in bar
    assert "shell/rule-1: Destructive command blocked" in shown


def test_export_writes_the_lines_of_the_log(rampart, recorded, data_dir):
    (path,) = (data_dir / "audit").glob("audit-*.jsonl")
    assert rampart("audit", "export").stdout == path.read_text()


def test_export_as_a_table_is_safe_for_a_spreadsheet(rampart, recorded, tmp_path):
    file = tmp_path / "out.csv"
    found = rampart("audit", "export", "--format", "csv", "--output", str(file))
    assert (found.returncode, found.stdout, file.stat().st_mode & 0o777) == (0, "", 0o600)
    rows = list(csv.DictReader(io.StringIO(file.read_bytes().decode(), newline="")))
    assert [row["id"] for row in rows] == recorded
    assert rows[0]["subject"] == "rm -rf build"
    again = rampart("audit", "export", "--format", "csv", "--output", str(file))
    assert (again.returncode, "File exists" in again.stderr) == (2, True)


@pytest.mark.parametrize("form", ["cef", "ocsf"])
def test_export_for_collectors_is_one_line_for_each_record(rampart, recorded, form):
    lines = rampart("audit", "export", "--format", form, "--decision", "deny").stdout.splitlines()
    assert len(lines) == 2
    if form == "cef":
        assert all(line.startswith("CEF:0|Rampart|Rampart|") for line in lines)
    else:
        assert [json.loads(line)["metadata"]["uid"] for line in lines] == [recorded[0], recorded[8]]


def test_show_finds_a_record_behind_a_broken_line(rampart, recorded, data_dir):
    (path,) = (data_dir / "audit").glob("audit-*.jsonl")
    first, _, rest = path.read_bytes().partition(b"\n")
    path.write_bytes(first[:-5] + b"\n" + rest)
    shown = json.loads(rampart("audit", "show", recorded[3], "--json").stdout)
    assert shown["id"] == recorded[3]


def test_follow_goes_on_in_the_next_segment(rampart, data_dir):
    """Every record is shown once, in order, however often the log rotates meanwhile."""
    log = AuditLog.open(data_dir / "audit", segment_bytes_max=1500)
    log.append({"type": "decision", "n": -1})
    with subprocess.Popen(
        rampart.command("audit", "tail", "-f", "-n", "1", "--json"),
        env=rampart.environment,
        stdout=subprocess.PIPE,
    ) as process:
        shown = [json.loads(process.stdout.readline())]  # it follows now
        for n in range(30):
            log.append({"type": "decision", "n": n})
        while shown[-1].get("n") != 29:
            shown.append(json.loads(process.stdout.readline()))
        process.terminate()
    log.close()
    assert len(list((data_dir / "audit").glob("audit-*.jsonl"))) > 3
    written = [record["seq"] for record in read_records(data_dir / "audit")]
    seen = [record["seq"] for record in shown]
    assert seen == written[seen[0] : seen[-1] + 1]
    assert [r["n"] for r in shown if r["type"] == "decision"][-30:] == list(range(30))


def test_report_writes_one_page_and_overwrites_none(rampart, recorded, tmp_path):
    file = tmp_path / "week.html"
    found = rampart("audit", "report", "--output", str(file), "--agent", "coder", "--title", "Week")
    assert (found.returncode, found.stdout.split()) == (0, [str(file), "2", "records"])
    page = file.read_text()
    assert page.startswith("<!doctype html>")
    for text in ("<title>Week</title>", "rm -rf build", "Yes: every record", "only agent coder"):
        assert text in page
    assert file.stat().st_mode & 0o777 == 0o600
    assert rampart("audit", "report", "--output", str(file)).returncode == 2


def test_report_says_when_the_log_was_changed(rampart, recorded, data_dir, tmp_path):
    (path,) = (data_dir / "audit").glob("audit-*.jsonl")
    path.write_bytes(path.read_bytes().replace(b"echo 1", b"echo 9"))
    file = tmp_path / "report.html"
    assert rampart("audit", "report", "--output", str(file)).returncode == 0
    assert "No: the log is not the one that was written." in file.read_text()


def test_long_work_says_how_far_it_is_where_a_person_looks(monkeypatch, capsys):
    """On a terminal only, never between the lines that the work prints, and gone at the end."""
    from rampart.cli import records

    monkeypatch.setattr(records, "_PROGRESS_S", 0.0)
    with records.progress("counting") as told:
        assert told is None  # not a terminal
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with records.progress("counting") as told:
        told(1, 4)
    assert capsys.readouterr().err == "\rcounting: 25 %\r\x1b[K"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with records.progress("searching", prints=True) as told:
        assert told is None
