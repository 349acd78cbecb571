"""What is fuzzed: each target reads bytes, and only errors of our own tree may leave it.

A target also asserts what its function promises beyond that: round trips, idempotence, two
implementations that agree.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rampart import strict_json, wire
from rampart.audit.read import read_lines
from rampart.audit.record import Head, build_line, decision_fields, encode_fields
from rampart.audit.redact import Redactor
from rampart.audit.verify import EXIT_CODES, verify_log
from rampart.errors import InputError, InputTooLarge, PolicyError, ProtocolError, RampartError
from rampart.intercept import intercept, shell
from rampart.intercept.paths import normalize
from rampart.intercept.urls import canonicalize
from rampart.limits import PARAMS_BYTES_MAX
from rampart.model import Decision, Host, ToolCall
from rampart.policy import Engine, compile_policies, parse_policy
from rampart.policy.path_glob import PathAutomaton
from rampart.policy.paths import PathGlob
from rampart.sources import policy_documents

HOME: Final = "/home/ann"
WORKSPACE: Final = "/home/ann/app"
NOW: Final = 1_700_000_000.0


@dataclass(frozen=True)
class Target:
    """``run`` raises an error of ``expected`` or none. ``words`` help a fuzzer to find its way."""

    run: Callable[[bytes], object]
    expected: tuple[type[Exception], ...]
    bytes_max: int
    words: tuple[str, ...] = ()


def text_of(data: bytes) -> str:
    """Every byte string is some text, lone surrogates among them."""
    return data.decode("utf-8", "surrogateescape" if data[:1] == b"\xff" else "replace")


def _resolve(path: str) -> str:
    return path.replace("/link/", "/etc/", 1)


HOST: Final = Host(
    home=HOME,
    cwd=WORKSPACE,
    workspace=WORKSPACE,
    user="ann",
    variables={"HOME": HOME, "USER": "ann", "TMPDIR": "/tmp"},
    resolve=_resolve,
)


@functools.cache
def standard() -> Engine:
    """The engine of the shipped profile."""
    return compile_policies(policy_documents(profile="standard"), home=HOME, workspace=WORKSPACE)


def _decide(call: ToolCall) -> None:
    decision = standard().decide(call, intercept(call, HOST), now=NOW)
    assert decision.action in ("allow", "watch", "ask", "deny")


def run_shell(data: bytes) -> None:
    text = text_of(data)
    first = shell.parse(text, home=HOME, cwd=WORKSPACE)
    second = shell.parse(text, home=HOME, cwd=WORKSPACE)
    assert repr(first) == repr(second), "the same text is read in two ways"


def run_exec(data: bytes) -> None:
    _decide(ToolCall("exec", {"command": text_of(data)}))


def run_python(data: bytes) -> None:
    _decide(ToolCall("code", {"code": text_of(data), "language": "python"}))


def run_javascript(data: bytes) -> None:
    _decide(ToolCall("code", {"code": text_of(data), "language": "javascript"}))


def run_policy(data: bytes) -> None:
    document = parse_policy(data, filename="fuzz.yaml")
    engine = compile_policies([document], home=HOME, workspace=WORKSPACE)
    for tool, params in (
        ("exec", {"command": "git push origin main > out.txt"}),
        ("read", {"path": "~/.ssh/id_ed25519"}),
        ("fetch", {"url": "https://example.com/x?y=1"}),
    ):
        call = ToolCall(tool, params)
        engine.decide(call, intercept(call, HOST), now=NOW)


def run_path(data: bytes) -> None:
    for cwd in (WORKSPACE, None):
        once = normalize(text_of(data), cwd=cwd, home=HOME, resolve=_resolve)
        if not once.path.startswith("/"):
            continue  # WHY: `./~` is the name `~` where the directory is not known, and not a home
        again = normalize(once.path, cwd=cwd, home=HOME, resolve=_resolve)
        assert again.path == once.path, f"not idempotent: {once.path!r} then {again.path!r}"


def run_url(data: bytes) -> None:
    once = canonicalize(text_of(data))
    if not once.opaque and once.url:
        again = canonicalize(once.url)
        assert again.host == once.host, f"another host: {once.host!r} then {again.host!r}"


def run_glob(data: bytes) -> None:
    pattern, _, path = text_of(data).partition("\n")
    glob, slow = PathGlob(pattern), PathAutomaton(pattern)
    matches = slow.matches(path)
    assert glob.matches(path) == matches, "the direct test and the automaton disagree"
    if matches and not any(character in path for character in "*?["):
        assert slow.overlaps(path, evidence=False), "what matches must overlap"
    slow.overlaps(path, evidence=True)


def run_json(data: bytes) -> None:
    value = strict_json.loads(data, size_bytes_max=PARAMS_BYTES_MAX)
    written = strict_json.dumps(value)
    assert strict_json.dumps(strict_json.loads(written, size_bytes_max=len(written))) == written


def run_wire(data: bytes) -> None:
    try:
        verdict, reason = wire.decode_answer(data)
    except ProtocolError:
        query = wire.decode_query(data)
        assert wire.encode_query(query)[20:] == data[20:]
    else:
        assert wire.decode_answer(wire.encode_answer(verdict, reason))[0] == verdict


def run_record(data: bytes) -> None:
    """The bytes as the fields of a record, and as the log itself."""
    text = text_of(data)
    call = ToolCall("exec", {"command": text, text[:40]: text}, agent=text[:80])
    fields = decision_fields(
        call, Decision("deny", text), redactor=Redactor(b"k" * 32), monitor=False
    )
    line = build_line(Head(NOW), (1, "0" * 26, "0" * 64), encode_fields(fields)).data
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    strict_json.loads_object(line, size_bytes_max=len(line))
    with tempfile.TemporaryDirectory(prefix="fuzz-log-") as folder:
        segment = Path(folder) / "audit-00000000000000000001.jsonl"
        for content in (data, line + data):
            segment.write_bytes(content)
            assert verify_log(Path(folder)).verdict in EXIT_CODES
            list(read_lines(Path(folder)))


def words(name: str) -> tuple[str, ...]:
    """Return what ``words/NAME.txt`` lists, one a line, with Python's escapes."""
    lines = Path(__file__).with_name("words").joinpath(f"{name}.txt").read_text().splitlines()
    return tuple(line.encode().decode("unicode_escape") for line in lines)


TARGETS: Final[dict[str, Target]] = {
    "shell": Target(run_shell, (InputTooLarge,), 16384, words("shell")),
    "exec": Target(run_exec, (InputError,), 16384, words("shell")),
    "python": Target(run_python, (InputError,), 16384, words("code")),
    "javascript": Target(run_javascript, (InputError,), 16384, words("code")),
    "policy": Target(run_policy, (PolicyError, InputError), 8192, words("policy")),
    "path": Target(run_path, (InputError,), 4200, words("path")),
    "url": Target(run_url, (InputTooLarge,), 8300, words("url")),
    "glob": Target(run_glob, (InputError,), 2048, words("glob")),
    "json": Target(run_json, (InputError,), 8192, words("json")),
    "wire": Target(run_wire, (RampartError,), 8192, words("wire")),
    "record": Target(run_record, (RampartError,), 8192, words("record")),
}
