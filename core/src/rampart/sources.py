"""Where policies come from.

Built-in profiles, files and text; and what they compile to, per machine.

``policy`` itself is pure. This module reads the files, follows ``extends``, and keeps compiled
engines.
"""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Final

from rampart.errors import PolicyError, PolicyMissing
from rampart.limits import POLICY_BYTES_MAX
from rampart.model import Host
from rampart.policy import Engine, PolicyDocument, compile_policies, parse_policy

_EXTENDS_DEPTH_MAX: Final = 8  # a chain longer than this is a mistake, or a loop
_ENGINES_MAX: Final = 16  # one service may decide for agents in several project directories


def profile_names() -> tuple[str, ...]:
    """Return the names of the built-in profiles, sorted."""
    folder = resources.files("rampart.policy").joinpath("profiles")
    return tuple(
        sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml"))
    )


@functools.cache
def profile_document(name: str) -> PolicyDocument:
    """Return a parsed built-in profile. Raises: PolicyMissing, naming the ones that exist."""
    if name not in profile_names():
        raise PolicyMissing(
            f"there is no profile named {name!r}",
            help=f"the profiles are: {', '.join(profile_names())}",
        )
    file = resources.files("rampart.policy").joinpath("profiles", f"{name}.yaml")
    return parse_policy(file.read_bytes(), filename=f"profile:{name}")


def read_policy_file(path: Path) -> PolicyDocument:
    """Read and parse one file.

    Raises: PolicyMissing if it cannot be read, PolicyError if it does not load.
    """
    try:
        with path.open("rb") as file:
            text = file.read(POLICY_BYTES_MAX + 1)
    except OSError as error:
        raise PolicyMissing(
            f"{path}: the policy cannot be read: {error.strerror}",
            help="name another file with --policy, or a profile with --profile",
        ) from None
    return parse_policy(text, filename=str(path))


def policy_documents(
    *, path: Path | None = None, profile: str | None = None, text: str | None = None
) -> tuple[PolicyDocument, ...]:
    """Return the documents in force, the most specific first.

    The one named, then all that it extends.

    Raises: PolicyMissing, PolicyError.
    """
    if text is not None:
        first = parse_policy(text, filename="<text>")
        folder = Path.cwd()
    elif path is not None:
        first = read_policy_file(path)
        folder = path.parent
    else:
        first = profile_document(profile or "standard")
        folder = Path()
    found: list[PolicyDocument] = []
    _collect(first, folder, found, seen=(), depth=0)
    return tuple(found)


def _collect(
    document: PolicyDocument,
    folder: Path,
    found: list[PolicyDocument],
    *,
    seen: tuple[str, ...],
    depth: int,
) -> None:
    if document.filename in seen or depth > _EXTENDS_DEPTH_MAX:
        raise PolicyError(
            f"`extends` goes round in a circle: {' -> '.join((*seen, document.filename))}"
        )
    if any(document.filename == other.filename for other in found):
        return
    found.append(document)
    for name in document.extends:
        if name in profile_names():
            base, base_folder = profile_document(name), folder
        else:
            target = (folder / Path(name).expanduser()).absolute()
            base, base_folder = read_policy_file(target), target.parent
        _collect(base, base_folder, found, seen=(*seen, document.filename), depth=depth + 1)


class PolicyInForce:
    """The policy documents that decide, compiled once for each home and workspace.

    Safe between threads.
    """

    def __init__(self, documents: Sequence[PolicyDocument]) -> None:
        self.documents = tuple(documents)
        self._engines: OrderedDict[tuple[str, str], Engine] = OrderedDict()
        self._lock = threading.Lock()

    def engine(self, host: Host) -> Engine:
        """Return the engine for one machine's home and workspace."""
        key = (host.home, host.workspace)
        with self._lock:
            engine = self._engines.get(key)
            if engine is None:
                engine = compile_policies(self.documents, home=host.home, workspace=host.workspace)
                self._engines[key] = engine
                if len(self._engines) > _ENGINES_MAX:
                    self._engines.popitem(last=False)
            else:
                self._engines.move_to_end(key)
            return engine
