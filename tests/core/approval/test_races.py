"""Eight processes race for the same approvals: one answer each, one use each (APR-01)."""

import contextlib
import json
import os
import threading
import time

import pytest
import rampart.database as database_module
from rampart.approval import ApprovalStore
from rampart.errors import ApprovalError
from rampart.limits import APPROVALS_PENDING_MAX
from rampart.model import ToolCall

PROCESSES = 8
CALL = ToolCall("exec", {"command": "make deploy"})


def ask(store, digest, timeout_s=300.0):
    return store.create(CALL, digest=digest, message="m", policy="p", rule="r", timeout_s=timeout_s)


def race(work):
    """Run ``work(number)`` in eight processes that start together; return what each returned."""
    gate, opened = os.pipe()
    children = []
    for number in range(PROCESSES):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.close(opened)
                os.read(gate, 1)  # returns once the parent has closed its end
                os.write(writer, json.dumps(work(number)).encode())
                status = 0
            finally:
                os._exit(status)
        os.close(writer)
        children.append((child, reader))
    os.close(gate)
    os.close(opened)
    results = []
    for child, reader in children:
        with os.fdopen(reader, "rb") as pipe:
            data = pipe.read()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        results.append(json.loads(data))
    return results


@pytest.fixture
def store(tmp_path):
    store = ApprovalStore.open(tmp_path / "approvals.db")
    yield store
    store.close()


def test_of_eight_answers_exactly_one_counts(store):
    """S9: 8 processes answer the same 200 questions, half of them yes, half no."""
    ids = [ask(store, f"d{n}").id for n in range(200)]

    def answer(number):
        won = []
        for approval_id in ids:
            with contextlib.suppress(ApprovalError):
                store.resolve(approval_id, number % 2 == 0, by=str(number))
                won.append(approval_id)
        return won

    results = race(answer)
    winners = {approval_id: str(n) for n, won in enumerate(results) for approval_id in won}
    assert sum(map(len, results)) == len(winners) == 200
    for approval_id in ids:
        approval = store.get(approval_id)
        assert approval.resolved_by == winners[approval_id]
        assert approval.status == ("approved" if int(approval.resolved_by) % 2 == 0 else "denied")


def test_without_the_condition_in_the_update_many_answers_count(store, monkeypatch):
    """Negative control of the test above."""
    approval = ask(store, "d")
    update = store._update
    monkeypatch.setattr(
        store,
        "_update",
        lambda change, where, values, record=None: update(change, "id = ?", values[:5], record),
    )

    def answer(number):
        with contextlib.suppress(ApprovalError):
            store.resolve(approval.id, True, by=str(number))
            return 1
        return 0

    assert sum(race(answer)) > 1


def test_of_eight_claims_exactly_one_is_served(store):
    for n in range(50):
        store.resolve(ask(store, f"d{n}").id, True, by="ann")

    def claim(_number):
        return [n for n in range(50) if store.claim(f"d{n}") is not None]

    served = [n for result in race(claim) for n in result]
    assert sorted(served) == list(range(50))


def test_a_claim_and_the_waiter_cannot_both_have_it(store):
    ids = [ask(store, f"d{n}").id for n in range(50)]
    for approval_id in ids:
        store.resolve(approval_id, True, by="ann")

    def take(number):
        if number % 2:
            return [n for n in range(50) if store.claim(f"d{n}") is not None]
        return [n for n in range(50) if store.consume(ids[n])]

    taken = [n for result in race(take) for n in result]
    assert sorted(taken) == list(range(50))


def test_answers_that_race_with_the_deadline_leave_one_final_state(store):
    """S10: an answer given in time is approved; one that comes late is refused; never both."""
    ids = [ask(store, f"d{n}", timeout_s=0.05 + n * 0.004).id for n in range(40)]

    def answer(number):
        won = []
        deadline = time.monotonic() + 0.15
        while time.monotonic() < deadline:
            for approval_id in ids[number::PROCESSES]:
                with contextlib.suppress(ApprovalError):
                    store.resolve(approval_id, True, by=str(number))
                    won.append(approval_id)
                store.get(ids[(number * 7) % 40])  # readers expire what is over
        return won

    won = [approval_id for result in race(answer) for approval_id in result]
    assert len(won) == len(set(won))
    for approval_id in ids:
        status = store.wait(approval_id, 10).status
        assert status == ("approved" if approval_id in won else "expired")


def test_the_bound_on_open_questions_holds_for_all_together(store, monkeypatch):
    monkeypatch.setattr("rampart.approval.store.APPROVALS_PENDING_MAX", 20)
    assert APPROVALS_PENDING_MAX > 20

    def ask_ten(number):
        asked = 0
        for n in range(10):
            with contextlib.suppress(ApprovalError):
                ask(store, f"{number}-{n}")
                asked += 1
        return asked

    assert sum(race(ask_ten)) == 20
    assert len(store.pending()) == 20


def test_a_child_uses_its_own_connection_while_the_parent_is_busy(store):
    """Threads of the parent hold the lock and the connection at the moment of the fork."""
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            store.resolve(ask(store, "busy").id, True, by="parent")

    threads = [threading.Thread(target=busy) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        results = race(lambda number: store.resolve(ask(store, "c").id, False, by="c").status)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert results == ["denied"] * PROCESSES
    assert store.get(ask(store, "after").id).status == "pending"


def used_in_child_after_parent_closed(path, *, handlers=True):
    """Fork; the child looks, the parent closes, the child uses an approval. Is that use kept?"""
    store = ApprovalStore.open(path)
    approval = ask(store, "d")
    store.resolve(approval.id, True, by="ann")
    if not handlers:
        database_module._open_databases.discard(store._database)
    to_child, from_parent = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            store.get(approval.id)
            os.write(from_parent[1], b"x")
            os.read(to_child[0], 1)
            status = 0 if store.consume(approval.id) else 2
        finally:
            os._exit(status)
    os.read(from_parent[0], 1)
    store.close()
    os.write(to_child[1], b"x")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for fd in (*to_child, *from_parent):
        os.close(fd)
    again = ApprovalStore.open(path)
    kept = again.get(approval.id).consumed
    again.close()
    return code == 0 and kept


def test_what_a_forked_child_uses_up_stays_used_when_the_parent_closes(tmp_path):
    assert used_in_child_after_parent_closed(tmp_path / "approvals.db")


def test_without_the_fork_handlers_the_child_would_write_into_a_deleted_file(tmp_path):
    """Negative control of the test above: SQLite's locks do not survive a fork."""
    assert not used_in_child_after_parent_closed(tmp_path / "approvals.db", handlers=False)


@pytest.mark.campaign
def test_of_eight_answers_exactly_one_counts_a_hundred_times(tmp_path):
    for number in range(100):
        store = ApprovalStore.open(tmp_path / f"{number}.db")
        test_of_eight_answers_exactly_one_counts(store)
        store.close()
