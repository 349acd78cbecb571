"""Approvals: resolved once, used once, by exactly the call they were given for (APR-01, APR-02)."""

import os
import sqlite3
import stat
import threading
import time

import pytest
from rampart.approval import ApprovalStore, call_digest
from rampart.errors import ApprovalError, AuditUnavailable, ConfigError
from rampart.limits import APPROVAL_KEEP_S, APPROVALS_PENDING_MAX
from rampart.model import ToolCall

CALL = ToolCall("exec", {"command": "make deploy"}, "claude", "s1", "r1", "c1", "/home/u", 1)
DIGEST = call_digest(CALL, "g")


class StoppedClock:
    def __init__(self):
        self.time = 1_700_000_000.0

    def now(self):
        return self.time

    def monotonic(self):
        return self.time


@pytest.fixture
def clock():
    return StoppedClock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "approvals.db"


@pytest.fixture
def store(path, clock):
    store = ApprovalStore.open(path, clock=clock)
    yield store
    store.close()


def ask(store, call=CALL, digest=DIGEST, timeout_s=300.0):
    return store.create(
        call,
        digest=digest,
        message="deploys need a person",
        policy="dev",
        rule="rules[0]",
        timeout_s=timeout_s,
    )


def test_a_question_holds_what_a_person_must_know(store, clock):
    approval = ask(store)
    assert store.get(approval.id) == approval
    assert store.pending() == (approval,)
    assert (approval.status, approval.message, approval.policy, approval.rule) == (
        "pending",
        "deploys need a person",
        "dev",
        "rules[0]",
    )
    assert (approval.created_at, approval.expires_at, approval.resolved_at) == (
        clock.time,
        clock.time + 300,
        0,
    )
    shown = (approval.tool, approval.params, approval.agent, approval.session, approval.run_id)
    assert shown == (CALL.tool, CALL.params, CALL.agent, CALL.session, CALL.run_id)
    assert (approval.call_id, approval.cwd, approval.depth) == (CALL.call_id, CALL.cwd, CALL.depth)
    assert (approval.digest, approval.consumed) == (DIGEST, False)


def test_ids_cannot_be_guessed_from_each_other(store):
    ids = [ask(store).id for _ in range(20)]
    assert len({one[:10] for one in ids}) == 20  # no shared time, no counter
    assert all(one.startswith("apr_") and len(one) == 36 for one in ids)


def test_the_answer_reaches_whoever_reads(store, clock):
    approval = ask(store)
    clock.time += 10
    resolved = store.resolve(approval.id, False, by="ann", reason="not on a Friday")
    assert store.get(approval.id) == resolved
    assert (resolved.status, resolved.resolved_by, resolved.reason, resolved.resolved_at) == (
        "denied",
        "ann",
        "not on a Friday",
        clock.time,
    )
    assert store.pending() == ()


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_the_first_answer_stands(store, first, second):
    approval = ask(store)
    resolved = store.resolve(approval.id, first, by="ann")
    with pytest.raises(ApprovalError, match=f"already {resolved.status} by ann"):
        store.resolve(approval.id, second, by="bob")
    assert store.get(approval.id) == resolved


def test_an_unknown_id_is_refused(store):
    assert store.get("apr_0") is None
    for attempt in (lambda: store.resolve("apr_0", True, by="ann"), lambda: store.wait("apr_0", 0)):
        with pytest.raises(ApprovalError, match="no approval"):
            attempt()
    assert store.consume("apr_0") is False


# Expiry


def test_time_is_over_exactly_at_the_deadline(store, clock):
    early, late = ask(store), ask(store)
    clock.time += 299.999
    assert store.resolve(early.id, True, by="ann").status == "approved"
    clock.time += 0.001
    with pytest.raises(ApprovalError, match="has expired"):
        store.resolve(late.id, True, by="ann")
    assert store.get(late.id).status == "expired"
    assert store.pending() == ()


def test_an_expired_question_stays_expired_when_the_clock_steps_back(store, clock):
    approval = ask(store)
    clock.time += 300
    assert store.get(approval.id).status == "expired"
    clock.time -= 300
    with pytest.raises(ApprovalError, match="has expired"):
        store.resolve(approval.id, True, by="ann")


def test_an_approval_is_not_served_after_its_time(store, clock):
    approval = ask(store)
    store.resolve(approval.id, True, by="ann")
    clock.time += 300
    assert store.claim(DIGEST) is None


# Using an answer


def test_an_approval_serves_exactly_its_call_exactly_once(store):
    approval = ask(store)
    assert store.claim(DIGEST) is None  # nobody has answered yet
    store.resolve(approval.id, True, by="ann")
    other = ToolCall("exec", {"command": "make deploy; rm -rf /"}, "claude", "s1", cwd="/home/u")
    assert store.claim(call_digest(other, "g")) is None
    assert store.claim(call_digest(CALL, "another policy")) is None
    claimed = store.claim(DIGEST)
    assert (claimed.id, claimed.consumed, claimed.resolved_by) == (approval.id, True, "ann")
    assert store.claim(DIGEST) is None
    assert store.consume(approval.id) is False


def test_a_denial_is_never_claimed(store):
    approval = ask(store)
    store.resolve(approval.id, False, by="ann")
    assert store.claim(DIGEST) is None


def test_consuming_works_once_and_only_on_an_answer(store):
    approval = ask(store)
    assert store.consume(approval.id) is False
    store.resolve(approval.id, True, by="ann")
    assert [store.consume(approval.id) for _ in range(3)] == [True, False, False]
    assert store.claim(DIGEST) is None


def test_two_questions_about_the_same_call_are_two_grants(store):
    for approval in (ask(store), ask(store)):
        store.resolve(approval.id, True, by="ann")
    assert store.claim(DIGEST).id != store.claim(DIGEST).id
    assert store.claim(DIGEST) is None


def test_what_cannot_be_recorded_is_not_answered(store):
    approval = ask(store)
    seen = []

    def fail(answered):
        seen.append((answered.status, store_of_another_process(store).get(approval.id).status))
        raise AuditUnavailable("the disk is full")

    with pytest.raises(AuditUnavailable):
        store.resolve(approval.id, True, by="ann", record=fail)
    assert seen == [("approved", "pending")]  # recorded before anybody could see the answer
    assert store.get(approval.id).status == "pending"
    assert store.resolve(approval.id, True, by="ann", record=seen.append).status == "approved"


def store_of_another_process(store):
    return ApprovalStore(
        store._database.path, clock=store._clock, ids=store._ids, redactor=store._redactor
    )


# Waiting


def test_a_waiter_in_this_process_wakes_at_once(path):
    store = ApprovalStore.open(path)
    approval = ask(store)
    entered = threading.Event()
    get = store.get

    def seen(approval_id):
        found = get(approval_id)
        entered.set()
        return found

    store.get = seen
    found = []
    thread = threading.Thread(target=lambda: found.append(store.wait(approval.id, 60)))
    thread.start()
    assert entered.wait(10)
    store.resolve(approval.id, False, by="ann", reason="no")
    thread.join(10)
    assert [(one.status, one.reason) for one in found] == [("denied", "no")]
    store.close()


def test_an_answer_between_looking_and_waiting_is_not_missed(path, monkeypatch):
    """Without the count of changes a waiter would sleep through an answer given just then."""
    monkeypatch.setattr("rampart.approval.store.APPROVAL_POLL_S", 30.0)
    store = ApprovalStore.open(path)
    approval = ask(store)
    get = store.get

    def answered_right_after(approval_id):
        found = get(approval_id)
        store.get = get
        store.resolve(approval_id, True, by="ann")
        return found

    store.get = answered_right_after
    start = time.monotonic()
    assert store.wait(approval.id, 60).status == "approved"
    assert time.monotonic() - start < 10
    store.close()


def test_a_waiter_sees_the_answer_of_another_process(path):
    store = ApprovalStore.open(path)
    approval = ask(store)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            store.resolve(approval.id, True, by="child")
            status = 0
        finally:
            os._exit(status)
    found = store.wait(approval.id, 60)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (found.status, found.resolved_by) == ("approved", "child")
    store.close()


def test_waiting_ends_when_the_question_expires(path):
    store = ApprovalStore.open(path)
    approval = ask(store, timeout_s=0.15)
    start = time.monotonic()
    assert store.wait(approval.id, 60).status == "expired"
    assert time.monotonic() - start < 10
    store.close()


def test_waiting_ends_when_the_waiters_time_is_over(store):
    approval = ask(store)
    assert store.wait(approval.id, 0.05).status == "pending"


# The file


def test_the_database_is_private_whatever_the_umask(path):
    old = os.umask(0)
    try:
        store = ApprovalStore.open(path)
        ask(store)
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
        store.close()
    finally:
        os.umask(old)
    assert modes == {path.name: 0o600, f"{path.name}-wal": 0o600, f"{path.name}-shm": 0o600}


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_database_that_others_may_write_to_is_refused(path, mode):
    path.touch()
    path.chmod(mode)
    with pytest.raises(ConfigError, match="others may write"):
        ApprovalStore.open(path)


def test_a_symbolic_link_is_refused(path, tmp_path):
    (tmp_path / "target").touch(mode=0o600)
    path.symlink_to(tmp_path / "target")
    with pytest.raises(ConfigError, match="symbolic link"):
        ApprovalStore.open(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")
def test_a_database_of_another_user_is_refused(path):
    path.touch(mode=0o600)
    os.chown(path, 12345, 12345)
    with pytest.raises(ConfigError, match="another user"):
        ApprovalStore.open(path)


@pytest.mark.parametrize(
    "content", [b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 4000]
)
def test_a_corrupt_database_is_a_clear_error(path, content):
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=r"approvals\.db"):
        ApprovalStore.open(path)


def test_a_database_of_another_version_is_refused(path):
    ApprovalStore.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(ConfigError, match="another version"):
        ApprovalStore.open(path)


def test_a_database_that_breaks_in_use_answers_errors_never_approvals(path, clock):
    store = ApprovalStore.open(path, clock=clock)
    approval = ask(store)
    store.resolve(approval.id, True, by="ann")
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE approvals")
    connection.close()
    for attempt in (
        lambda: ask(store),
        lambda: store.get(approval.id),
        lambda: store.claim(DIGEST),
        store.pending,
        lambda: store.consume(approval.id),
        lambda: store.wait(approval.id, 1),
        lambda: store.resolve(approval.id, True, by="x"),
    ):
        with pytest.raises(ApprovalError, match="no such table"):
            attempt()
    store.close()


def test_a_database_that_cannot_be_written_is_an_error(store):
    approval = ask(store)
    store._database._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(ApprovalError, match="readonly"):
        ask(store)
    with pytest.raises(ApprovalError, match="readonly"):
        store.resolve(approval.id, True, by="ann")


def test_a_forged_row_is_an_error_not_an_approval(store, path):
    approval = ask(store)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE approvals SET params = 'nonsense'")
    connection.close()
    with pytest.raises(ApprovalError):
        store.get(approval.id)


def test_a_closed_store_refuses(store):
    approval = ask(store)
    store.close()
    with pytest.raises(ApprovalError, match="closed"):
        store.get(approval.id)


def test_answers_outlive_the_process_and_old_ones_go(path, clock):
    store = ApprovalStore.open(path, clock=clock)
    approval = ask(store)
    store.resolve(approval.id, True, by="ann")
    store.close()
    clock.time += 10
    store = ApprovalStore.open(path, clock=clock)
    assert store.get(approval.id).status == "approved"
    store.close()
    clock.time += APPROVAL_KEEP_S + 300
    store = ApprovalStore.open(path, clock=clock)
    assert store.get(approval.id) is None
    store.close()


def test_questions_are_bounded(store, monkeypatch):
    monkeypatch.setattr("rampart.approval.store.APPROVALS_PENDING_MAX", 3)
    assert APPROVALS_PENDING_MAX > 3
    kept = [ask(store) for _ in range(3)]
    with pytest.raises(ApprovalError, match="3 questions wait"):
        ask(store)
    store.resolve(kept[0].id, False, by="ann")
    assert ask(store).status == "pending"


# What a person sees


def test_secrets_are_redacted_and_the_digest_still_binds_the_real_call(store, path):
    secret = "ghp_" + "a1" * 20
    call = ToolCall(
        "exec", {"command": f"curl -H 'Authorization: Bearer {secret}' x"}, agent=secret
    )
    approval = ask(store, call, call_digest(call, "g"))
    assert secret not in repr(approval)
    store.resolve(approval.id, True, by="ann", reason=f"token={secret}")
    store.close()
    assert all(secret.encode() not in one.read_bytes() for one in path.parent.iterdir())
    again = ApprovalStore.open(path, clock=store._clock)
    assert again.claim(call_digest(call, "g")).id == approval.id
    again.close()


@pytest.mark.parametrize("text", ["\ud800", "\0", "'; DROP TABLE approvals; --", "ä" * 300])
def test_any_text_can_be_asked_about(store, text):
    call = ToolCall(text or "x", {text: text}, text, text, text, text, text)
    approval = ask(store, call, call_digest(call, text))
    answered = store.resolve(approval.id, True, by=text, reason=text)
    assert store.get(approval.id) == answered


@pytest.mark.parametrize("approval_id", ["\ud800", "", "' OR 1=1 --", "\0"])
def test_a_strange_id_is_unknown(store, approval_id):
    ask(store)
    try:
        assert store.get(approval_id) is None
    except ApprovalError:
        assert approval_id == "\ud800"


def test_a_number_beyond_the_database_is_an_error(store):
    with pytest.raises(ApprovalError):
        ask(store, ToolCall("exec", {}, depth=2**70))


def test_parameters_too_large_to_show_cannot_be_approved(store):
    call = ToolCall("write", {f"p{n}": "x" * 60_000 for n in range(8)})
    with pytest.raises(ApprovalError, match="too large"):
        ask(store, call)
