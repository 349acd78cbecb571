"""Facts about this machine for the pure core.

Home, working directory, workspace, symbolic links.
"""

from __future__ import annotations

import functools
import os
import pwd
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rampart.model import Host, ToolCall

_WORKSPACE_MARKS: Final = (
    ".git",
    ".hg",
    ".rampart",
    "pyproject.toml",
    "package.json",
    "go.mod",
    "Cargo.toml",
)
# WHY: a whole home, or the root, is no project: nothing in it may count as one's own. A place below
# a device cannot exist, so patterns of the workspace match nothing.
_NO_PROJECT: Final = "/dev/null/no-project"


class HostFacts:
    """Makes the ``Host`` of each call from this process and what the call says."""

    def __init__(
        self,
        *,
        workspace: str | Path | None = None,
        home: str | None = None,
        follow_links: bool = True,
    ) -> None:
        self._resolve = os.path.realpath if follow_links else None
        self._home = self._real(home or str(Path.home()))
        self._user = _user_name()
        self._workspace = self._real(str(Path(workspace).absolute())) if workspace else ""
        self._variables = {
            "HOME": self._home,
            "USER": self._user,
            "LOGNAME": self._user,
            "TMPDIR": os.environ.get("TMPDIR", tempfile.gettempdir()),
        }

    @property
    def resolve(self) -> Callable[[str], str] | None:
        """Follows the links of an absolute path; None if paths are compared as text only."""
        return self._resolve

    def host(self, call: ToolCall) -> Host:
        """Return the facts for one call; its ``cwd`` wins over this process's own."""
        cwd, workspace = self.place(call)
        return Host(self._home, cwd, workspace, self._user, self._variables, self._resolve)

    def place(self, call: ToolCall) -> tuple[str, str]:
        """Return the directory of one call, and its workspace."""
        if call.cwd[:1] == "/":
            cwd = call.cwd
            # WHY: paths are compared with links resolved; a place named through one would miss
            real = cwd if self._workspace else self._real(cwd)
        else:
            cwd = real = os.getcwd()  # noqa: PTH109 - text; the kernel's answer holds no links
        return cwd, self._workspace or _workspace_of(real, self._home)

    def _real(self, folder: str) -> str:
        return self._resolve(folder) if self._resolve else folder


@functools.lru_cache(maxsize=1024)
def _workspace_of(cwd: str, home: str) -> str:
    found = str(find_workspace(Path(cwd)))
    return _NO_PROJECT if found in (home, "/") else found


def find_workspace(start: Path) -> Path:
    """Return the project directory that holds ``start``.

    The nearest one with a sign of a project, else ``start``.

    The home directory and the root never count as a project.
    """
    start = start.absolute()
    for folder in (start, *start.parents):
        if folder in (Path.home(), Path(folder.anchor)):
            break
        if any((folder / mark).exists() for mark in _WORKSPACE_MARKS):
            return folder
    return start


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
