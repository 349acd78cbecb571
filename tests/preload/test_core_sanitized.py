"""The code that reads what others wrote, compiled with the address and behaviour sanitizers."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "preload" / "csrc"
PARTS = ("env", "hosts", "init", "real", "scan", "text")
MEMORY = ("memcpy", "memmove", "memset", "memcmp")
OUTCOMES = {"allow": 0, "log": 1, "require_approval": 2, "deny": 3}
BROKEN = 5
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
Check = Callable[..., str]


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Check:
    program = tmp_path_factory.mktemp("core") / "core_check"
    # WHY: the sanitizers bring their own memory functions
    renamed = [f"-D{name}=core_{name}" for name in MEMORY]
    sanitized = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1"]
    common = [*sanitized, "-std=c11", "-D_GNU_SOURCE", f"-I{CSRC}"]
    objects = []
    for part in PARTS:
        target = program.with_name(f"{part}.o")
        command = [
            "gcc",
            *common,
            *renamed,
            "-ffreestanding",
            "-c",
            CSRC / f"{part}.c",
            "-o",
            target,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if "unrecognized" in done.stderr or "sanitize" in done.stderr:
            pytest.skip(f"this compiler has no sanitizers: {done.stderr[:200]}")
        assert done.returncode == 0, done.stderr
        objects.append(target)
    source = Path(__file__).with_name("core_check.c")
    linked = subprocess.run(
        ["gcc", *common, source, *objects, "-o", program],
        capture_output=True,
        text=True,
        check=False,
    )
    if "cannot find" in linked.stderr:
        pytest.skip(f"the sanitizers' libraries are missing: {linked.stderr[:200]}")
    assert linked.returncode == 0, linked.stderr

    def run(*words: object, **variables: str) -> str:
        done = subprocess.run(
            [program, *map(str, words)],
            env={"ASAN_OPTIONS": "detect_leaks=0", **variables},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode("utf-8", "surrogateescape")

    return run


def outcome(check: Check, file: Path, response: bytes) -> tuple[int, str]:
    file.write_bytes(response)
    number, _, reason = check("response", file).rstrip("\n").partition(" ")
    return int(number), reason


@pytest.mark.parametrize("word", OUTCOMES)
@pytest.mark.parametrize("indent", [None, 2])
def test_every_decision_is_read(
    word: str, indent: int | None, check: Check, tmp_path: Path
) -> None:
    body = {"x": [1, {"decision": "no"}], "message": "because\té", "decision": word}
    data = HEAD + json.dumps(body, indent=indent).encode()
    assert outcome(check, tmp_path / "r", data) == (OUTCOMES[word], "because é")


def test_long_keys_words_and_messages_stay_in_their_buffers(check: Check, tmp_path: Path) -> None:
    long = "m" * 5000
    body = {long: long, "message": long, "approval_id": long, "decision": "require_approval"}
    number, reason = outcome(check, tmp_path / "r", HEAD + json.dumps(body).encode())
    assert number == OUTCOMES["require_approval"]
    assert reason.startswith("approval pending: rampart approve mmm")
    body = {"decision": "allow" * 100}
    assert outcome(check, tmp_path / "r", HEAD + json.dumps(body).encode())[0] == BROKEN


def test_every_prefix_of_an_answer_is_broken(check: Check, tmp_path: Path) -> None:
    whole = HEAD + b'{"decision":"allow","m":["a"]}'
    for size in range(0, len(whole), 3):
        assert outcome(check, tmp_path / "r", whole[:size])[0] == BROKEN
    assert outcome(check, tmp_path / "r", whole)[0] == OUTCOMES["allow"]


def test_damaged_answers_never_crash_and_denials_never_become_grants(
    check: Check, tmp_path: Path
) -> None:
    source = random.Random(1)
    whole = HEAD + b'{"decision":"deny","message":"\\u00e9 \\" {","list":[{"a":{}}]}'
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(source.randint(1, 6)):
            data[source.randrange(len(data))] = source.choice(b'{}[]",:\\u0\x00\xff\n')
        assert outcome(check, tmp_path / "r", bytes(data))[0] not in (0, 1)


def test_utf8_is_judged_as_by_python(check: Check, tmp_path: Path) -> None:
    source = random.Random(2)
    parts = "61 80 c3 a9 e282 ac f09f9880 eda0 f490 c0 e09f f8 c3a9e282acf09f9880"
    pieces = [bytes.fromhex(part) for part in parts.split()]
    for _ in range(40):
        data = b"".join(source.choices(pieces, k=60))
        (tmp_path / "u").write_bytes(data)
        wrong = {int(line) for line in check("utf8", tmp_path / "u").split()}
        escaped = "".join(
            f"\\x{byte:02x}" if at in wrong else chr(byte) if byte < 0x80 else f"<{byte}>"
            for at, byte in enumerate(data)
        )
        expected = "".join(
            character if character < "\x80" else "".join(f"<{b}>" for b in character.encode())
            for character in data.decode("utf-8", "backslashreplace")
        )
        assert escaped == expected


URLS = {
    "http://127.0.0.1:9090": "ok 16 127.0.0.1:9090",
    "http://localhost:80/": "ok 16 localhost:80",
    "http://10.0.0.1": "ok 16 10.0.0.1",
    "http://[::1]:9090": "ok 28 [::1]:9090",
    "http://[fe80::1:2]": "ok 28 [fe80::1:2]",
    "http://[1:2:3:4:5:6:7:8]:1": "ok 28 [1:2:3:4:5:6:7:8]:1",
    "http://[1:2:3:4:5:6:7:8:9]:1": "ok 0 [1:2:3:4:5:6:7:8:9]:1",
    "http://[::1::2]:1": "ok 0 [::1::2]:1",
    "http://256.0.0.1:1": "ok 0 256.0.0.1:1",
    "http://[::1": "RAMPART_URL must be http://HOST:PORT 0 ",
    "http://a b": "RAMPART_URL is not a URL 0 ",
    "ftp://a": "RAMPART_URL must start with http:// 0 ",
}


@pytest.mark.parametrize("url", URLS)
def test_addresses(url: str, check: Check) -> None:
    assert check("url", url).rstrip("\n") == URLS[url]


GUARD = {
    "LD_PRELOAD": "/x/other.so:/x/librampart.so",
    "RAMPART_MODE": "enforce",
    "RAMPART_AGENT": "a",
    "RAMPART_SESSION": "s",
    "RAMPART_SOCKET": "/s",
}


def repaired(check: Check, *entries: str) -> list[str]:
    # LD_PRELOAD stays a variable of this process only: those files do not exist, and are ignored
    return check("env", *entries, **GUARD).splitlines()


ENTRIES = [f"{name}={value}" for name, value in GUARD.items()]


def test_an_environment_that_carries_the_guard_is_left_alone(check: Check) -> None:
    given = ["A=1", *reversed(ENTRIES), "B=2"]
    assert repaired(check, *given) == given
    mine = "LD_PRELOAD=/y/mine.so:/x/librampart.so"
    assert repaired(check, mine, *ENTRIES[1:]) == [mine, *ENTRIES[1:]]


@pytest.mark.parametrize("lost", range(len(ENTRIES)))
def test_what_is_missing_is_put_back(lost: int, check: Check) -> None:
    given = ["A=1", *(entry for n, entry in enumerate(ENTRIES) if n != lost)]
    assert sorted(repaired(check, *given)) == sorted(["A=1", *ENTRIES])


@pytest.mark.parametrize(
    "extra",
    ["RAMPART_MODE=disabled", "RAMPART_FAIL_OPEN=1", "RAMPART_URL=http://evil", "RAMPART_TOKEN=t"],
)
def test_what_was_added_or_changed_is_taken_away(extra: str, check: Check) -> None:
    for given in ([extra, *ENTRIES], [*ENTRIES, extra], [extra]):
        assert sorted(repaired(check, *given)) == sorted(ENTRIES)


def test_other_variables_of_ours_are_the_programs_own(check: Check) -> None:
    given = ["RAMPART_HOME=/h", "RAMPART_MODES=x", "RAMPART_MODE"]
    assert set(given) <= set(repaired(check, *given))


@pytest.mark.parametrize("count", [0, 139, 140, 141, 142, 2000])
def test_a_list_of_any_length_is_repaired(count: int, check: Check) -> None:
    given = [f"V{n}={n}" for n in range(count)]
    assert repaired(check, *given) == [*given, *ENTRIES_IN_ORDER]


@pytest.mark.parametrize("size", [5, 480, 490, 500, 510, 520, 4000])
def test_a_preload_of_the_program_stands_behind_ours(size: int, check: Check) -> None:
    theirs = "/" + "z" * size
    found = repaired(check, f"LD_PRELOAD={theirs}")
    assert f"LD_PRELOAD=/x/librampart.so:{theirs}" in found


def test_of_several_preloads_the_last_one_counts(check: Check) -> None:
    """As in the loader."""
    found = repaired(check, "LD_PRELOAD=/x/librampart.so", "LD_PRELOAD=/b.so")
    assert [e for e in found if e.startswith("LD_")] == ["LD_PRELOAD=/x/librampart.so:/b.so"]


ENTRIES_IN_ORDER = [
    ENTRIES[0],
    *("RAMPART_MODE=enforce", "RAMPART_AGENT=a", "RAMPART_SESSION=s", "RAMPART_SOCKET=/s"),
]
