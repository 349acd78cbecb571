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
_O_PATH: Final[int] = getattr(os, "O_PATH", 0)  # Linux


class HostFacts:
    """Makes the ``Host`` of each call from this process and what the call says."""

    def __init__(
        self,
        *,
        workspace: str | Path | None = None,
        home: str | None = None,
        follow_links: bool = True,
    ) -> None:
        self._resolve = real_path if follow_links else None
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
        resolve = self._resolve and LinkWalk()
        return Host(self._home, cwd, workspace, self._user, self._variables, resolve)

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


class LinkWalk:
    """Follows the links of paths during one call, as ``os.path.realpath`` would.

    A directory that holds several of them is looked up once.

    MUST NOT outlive its call: a link may change before the next one.
    """

    __slots__ = ("_folders",)

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def __call__(self, path: str) -> str:
        """Return where an absolute path leads; it need not exist."""
        folder, _, name = path.rpartition("/")
        if ".." in path or name in ("", "."):
            return os.path.realpath(path)
        real = self._folders.get(folder)
        if real is None:
            real = self._folders[folder] = self._real_folder(folder or "/")
        try:
            os.readlink(real + name)  # noqa: PTH115 - half of the time of a look-up otherwise
        except OSError:  # not a link, or nothing at all
            return real + name
        return os.path.realpath(path)

    def _real_folder(self, path: str) -> str:
        """Return where a directory's path leads, with a slash at its end."""
        found = _walked_folder(path) or self._missing_folder(path) or os.path.realpath(path)
        return found if found.endswith("/") else found + "/"

    def _missing_folder(self, path: str) -> str:
        """Return where a directory that does not exist would be, if the one around it does."""
        around, _, name = path.rpartition("/")
        real = self._folders.get(around)
        if real is None:
            real = _walked_folder(around or "/")
            if not real:
                return ""
            self._folders[around] = real
        try:
            os.readlink(real + name)  # noqa: PTH115 - half of the time of a look-up otherwise
        except FileNotFoundError:
            return real + name
        except OSError:  # it does exist
            return ""
        return ""


def real_path(path: str) -> str:
    """Return where an absolute path leads; it need not exist."""
    return LinkWalk()(path)


def _walked_folder(path: str) -> str:
    """Return where a directory's path leads, with a slash at its end, or nothing.

    WHY: the kernel walks the whole path in one call, and says where it came out; a walk from here
    takes a call for each part, and five times as long. Such a descriptor opens nothing: no device
    is touched and no permission to read is needed. Where that does not work, the walk is done.
    """
    if _O_PATH:
        try:
            descriptor = os.open(path, _O_PATH | os.O_CLOEXEC)
            try:
                found = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - see above
            finally:
                os.close(descriptor)
        except OSError:
            found = ""
        # WHY: what the kernel says of a deleted directory could be the name of another
        if found[:1] == "/" and not found.endswith(" (deleted)"):
            return found if found == "/" else found + "/"
    return ""


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
