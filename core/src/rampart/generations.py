"""Generations: the policies in force while their files change (decisions/0064).

Files are looked at by time, size and inode, and their content is the arbiter. What was read becomes
one generation, which is put in force by one assignment.

MUST NOT let a decision see parts of two generations: whoever decides asks once, and keeps what it
got.
MUST keep the last good generation in force while a file does not load, and say so.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from rampart.errors import RampartError
from rampart.hosts import HostFacts
from rampart.limits import (
    POLICY_BYTES_MAX,
    POLICY_LOOK_S,
    POLICY_RACY_S,
    POLICY_SETTLE_S,
    PROJECTS_MAX,
)
from rampart.model import Host, ToolCall
from rampart.policy import PolicyDocument
from rampart.projects import project_documents, project_files
from rampart.sources import PolicyInForce

Load = Callable[[list[Path]], Sequence[PolicyDocument]]
"""Reads the documents in force; notes each file that it tries in the list, also if it raises."""

_log = logging.getLogger("rampart.policy")
_Stamp = tuple[int, int, int, int] | None


class Projects(NamedTuple):
    """Where project policies may stand: for whose home, and not in Rampart's own directory."""

    hosts: HostFacts
    own: Path


class _Project(NamedTuple):
    """The policies with those of one workspace, and until when they need no second look."""

    policies: PolicyInForce
    seen: _Seen
    until: float


class _Generation:
    """What is in force: the policies, and with each workspace's own."""

    def __init__(self, base: PolicyInForce) -> None:
        self.base = base
        self.projects: OrderedDict[str, _Project] = OrderedDict()


class LivePolicies:
    """Policies that follow their files. Safe to share between threads.

    ``load`` reads what is in force; what does not load at first raises. ``at`` looks for changes
    itself, at most once in ``look_s`` seconds; 0 leaves that to whoever calls ``look``.

    Raises: PolicyError, PolicyMissing.
    """

    def __init__(
        self,
        load: Load,
        *,
        projects: Projects | None = None,
        look_s: float = POLICY_LOOK_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._projects = projects
        self._look_s = look_s
        self._monotonic = monotonic
        self._more: tuple[PolicyDocument, ...] = ()
        self._lock = threading.Lock()
        self._project_lock = threading.Lock()
        self.problem = ""
        files: list[Path] = []
        load(files)  # WHY: which files there are is known once they were read
        self._seen, documents = self._read(files)
        self._generation = _Generation(PolicyInForce(documents))
        self._next = self._due()

    def extended(self, documents: Sequence[PolicyDocument]) -> LivePolicies:
        """Put further documents behind these, now and after every change; return this."""
        with self._lock:
            self._more = tuple(documents)
            base = self._generation.base
            self._generation = _Generation(base.extended(documents))
        return self

    def current(self) -> PolicyInForce:
        """Return the policies that are in force everywhere."""
        return self._generation.base

    def at(self, workspace: str) -> PolicyInForce:
        """Return the policies that are in force in one workspace."""
        now = self._monotonic()
        if now >= self._next:
            self._next = self._due()
            self._look_unless_busy()
        generation = self._generation
        if self._projects is None or not workspace:
            return generation.base
        project = generation.projects.get(workspace)
        if project is None or now >= project.until:
            return self._project(self._projects, generation, workspace)
        return project.policies

    @property
    def reviews(self) -> bool:
        """True if some rule looks at what tools return, here or in a project that was seen."""
        generation = self._generation
        return generation.base.reviews or any(
            project.policies.reviews for project in tuple(generation.projects.values())
        )

    @property
    def reviews_pieces(self) -> bool:
        """True if no rule is about a response as a whole, here or in a project that was seen."""
        generation = self._generation
        return generation.base.reviews_pieces and all(
            project.policies.reviews_pieces for project in tuple(generation.projects.values())
        )

    def look(self, *, anyway: bool = False) -> bool:
        """Read the files again if they changed, or ``anyway``; True if others are in force now.

        ``problem`` says afterwards why the files are not what is in force, if so.
        """
        with self._lock:
            return self._looked(anyway)

    def _due(self) -> float:
        return self._monotonic() + self._look_s if self._look_s else float("inf")

    def _look_unless_busy(self) -> None:
        if self._lock.acquire(blocking=False):  # WHY: others decide by the generation that is there
            try:
                self._looked(anyway=False)
            finally:
                self._lock.release()

    def _looked(self, anyway: bool) -> bool:
        if not anyway:
            if not self._seen.changed():
                return False
            if self._seen.fresh():  # somebody may not be done with it
                self._next = min(self._next, self._monotonic() + POLICY_SETTLE_S)
                return False
        problem, fresh = "", None
        try:
            self._seen, documents = self._read(self._seen.files)
            fresh = PolicyInForce((*documents, *self._more))
            fresh.engine(self._any_host())  # INVARIANT: what does not compile is not in force
        except RampartError as error:
            problem = error.message
        except Exception as error:  # noqa: BLE001 - INVARIANT: whatever goes wrong, the last good one stays
            _log.exception("the policy could not be read again")
            problem = f"the policy could not be read again: {type(error).__name__}"
        if problem or fresh is None:
            if problem != self.problem:
                _log.warning("%s: the policy from before stays in force", problem)
            self.problem = problem
            return False
        self.problem = ""
        if _sources(fresh.documents) == _sources(self._generation.base.documents):
            return False
        self._generation = _Generation(fresh)
        return True

    def _read(self, files: Sequence[Path]) -> tuple[_Seen, tuple[PolicyDocument, ...]]:
        """Read the documents, and what their files looked like before. Raises what ``load`` does.

        INVARIANT: what changes while it is read looks changed afterwards.
        """
        tried: list[Path] = []
        seen = self._seen = _Seen(files)
        try:
            documents = tuple(self._load(tried))
        finally:
            if set(tried) != set(seen.files):
                self._seen = _Seen(tried, unread=True)
        return self._seen, documents

    def _any_host(self) -> Host:
        hosts = self._projects.hosts if self._projects else HostFacts()
        return hosts.host(ToolCall(""))

    def _project(
        self, projects: Projects, generation: _Generation, workspace: str
    ) -> PolicyInForce:
        with self._project_lock:
            known = generation.projects.get(workspace)
            until = self._monotonic() + POLICY_LOOK_S
            if known is not None and (not known.seen.changed() or known.seen.fresh()):
                policies, seen = known.policies, known.seen
            else:
                host = projects.hosts.host(ToolCall("", cwd=workspace))
                files = project_files(workspace, host.home, projects.own)
                seen = _Seen(files)
                documents = project_documents(files, host)
                policies = generation.base.extended(documents)
                if known and _sources(known.policies.documents) == _sources(policies.documents):
                    policies = known.policies  # WHY: what was remembered of calls stays of use
                elif documents:
                    _report(documents)
            generation.projects[workspace] = _Project(policies, seen, until)
            if len(generation.projects) > PROJECTS_MAX:
                generation.projects.popitem(last=False)
            return policies


def _report(documents: Sequence[PolicyDocument]) -> None:
    for document in documents:
        for policy in document.policies:
            for rule in policy.rules:
                if rule.id == "does-not-load":
                    _log.warning("%s", rule.message)


def _sources(documents: Sequence[PolicyDocument]) -> list[tuple[str, str, bytes]]:
    return [(document.filename, document.layer, document.source) for document in documents]


class _Seen:
    """What files looked like when they were read."""

    def __init__(self, files: Sequence[Path], *, unread: bool = False) -> None:
        self.files = tuple(dict.fromkeys(files))
        self._stamps = self._look()
        self._digest = b"" if unread else self._read()
        self._settled = not unread and not self._recent(self._stamps, POLICY_RACY_S)

    def changed(self) -> bool:
        """True if the files hold something else now."""
        stamps = self._look()
        if stamps == self._stamps and self._settled:
            return False
        # WHY: two changes within one tick of a file system's clock leave the same time behind
        if self._read() != self._digest:
            return True
        self._stamps, self._settled = stamps, not self._recent(stamps, POLICY_RACY_S)
        return False

    def fresh(self) -> bool:
        """True if a file was changed a moment ago: its writer may not be done."""
        return self._recent(self._look(), POLICY_SETTLE_S)

    def _look(self) -> tuple[_Stamp, ...]:
        return tuple(map(_stamp, self.files))

    @staticmethod
    def _recent(stamps: Sequence[_Stamp], seconds: float) -> bool:
        now = time.time_ns()
        return any(stamp is not None and 0 <= now - stamp[0] < seconds * 1e9 for stamp in stamps)

    def _read(self) -> bytes:
        digest = hashlib.sha256()
        for file in self.files:
            text = _content(file)
            digest.update(b"-" if text is None else hashlib.sha256(text).digest())
        return digest.digest()


def _stamp(file: Path) -> _Stamp:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev


def _content(file: Path) -> bytes | None:
    """Return what a file holds; nothing for a pipe, which would be emptied by looking."""
    with contextlib.suppress(OSError):
        if stat.S_ISREG(file.stat().st_mode):
            with file.open("rb") as opened:
                return opened.read(POLICY_BYTES_MAX + 1)
    return None
