"""Code of others, run with a deadline: whoever waits for it goes on, whatever it does.

MUST return or raise within the time given, also when every thread is taken.
MUST run the function in the context of its caller.
LIMIT: nothing can stop a thread; what hangs keeps one until it ends.
"""

from __future__ import annotations

import contextvars
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Overdue(Exception):
    """A function did not end, or found no free thread, within its time."""


@dataclass(slots=True)
class _Job:
    function: Callable[[], object]
    context: contextvars.Context
    done: threading.Lock = field(default_factory=threading.Lock)
    result: Any = None
    error: BaseException | None = None


class Workers:
    """At most ``count`` threads, made when they are needed and kept for the next call."""

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._count = count
        self._renew()

    def run(self, function: Callable[[], T], timeout_s: float) -> T:
        """Return what ``function()`` returns.

        Raises: what it raises, and Overdue when it takes longer than ``timeout_s``; it goes on
        then, and nobody sees what it returns.
        """
        if self._pid != os.getpid():
            self._renew()  # WHY: threads do not survive a fork
        deadline = time.monotonic() + timeout_s
        if not self._free.acquire(timeout=timeout_s):
            raise Overdue(f"{self._count} earlier calls of it have not ended")
        job = _Job(function, contextvars.copy_context())
        job.done.acquire()
        self._hand_over(job)
        if not job.done.acquire(timeout=max(deadline - time.monotonic(), 0)):
            raise Overdue(f"no answer within {timeout_s:.2g} s")
        if job.error is None:
            answer: T = job.result
            return answer
        if isinstance(job.error, Exception):
            raise job.error
        # WHY: sys.exit() in a plugin must not end the agent's program
        raise RuntimeError(f"{type(job.error).__name__}: {job.error}")

    def _renew(self) -> None:
        self._pid = os.getpid()
        self._free = threading.BoundedSemaphore(self._count)
        self._idle: list[SimpleQueue[_Job]] = []

    def _hand_over(self, job: _Job) -> None:
        try:
            self._idle.pop().put(job)
        except IndexError:
            jobs: SimpleQueue[_Job] = SimpleQueue()
            jobs.put(job)
            args = (jobs, self._idle, self._free)
            threading.Thread(target=_work, args=args, name=self._name, daemon=True).start()


def _work(
    jobs: SimpleQueue[_Job], idle: list[SimpleQueue[_Job]], free: threading.BoundedSemaphore
) -> None:
    while True:
        job = jobs.get()
        try:
            job.result = job.context.run(job.function)
        except BaseException as error:  # noqa: BLE001 - handed to the caller, who decides
            job.error = error
        idle.append(jobs)
        free.release()
        job.done.release()
        del job
