"""Where policies come from.

Built-in profiles, files and text; and what they compile to, per machine.

``policy`` itself is pure. This module reads the files, follows ``extends``, and keeps compiled
engines.
"""

from __future__ import annotations

import functools
import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from rampart.config import Settings
from rampart.errors import ConfigError, PolicyError, PolicyMissing, RampartError
from rampart.intercept.catalog import (
    Addition,
    Catalog,
    ExtendedCatalog,
    builtin_catalog,
    read_additions,
)
from rampart.intercept.examples import example_problem
from rampart.limits import POLICY_BYTES_MAX, POLICY_DEPTH_MAX
from rampart.model import Host
from rampart.policy import Engine, PolicyDocument, compile_policies, parse_commands, parse_policy
from rampart.policy.changes import with_changes
from rampart.policy.engine import generation_of

_SELF_PROTECTION: Final = "self-protection"
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
    *,
    path: Path | None = None,
    profile: str | None = None,
    text: str | None = None,
    files: list[Path] | None = None,
    self_protection: bool = True,
) -> tuple[PolicyDocument, ...]:
    """Return the documents in force, the most specific first.

    The one named, then all that it extends, and with ``self_protection`` that profile's
    restrictions, if it is not among them. Each file that is tried is added to ``files``.

    Raises: PolicyMissing, PolicyError.
    """
    files = [] if files is None else files
    if text is not None:
        first = parse_policy(text, filename="<text>")
        folder = Path.cwd()
    elif path is not None:
        files.append(path)
        first = read_policy_file(path)
        folder = path.parent
    else:
        first = profile_document(profile or "standard")
        folder = Path()
    found: list[PolicyDocument] = []
    _collect(_Found(first, folder), found, files, seen=())
    own = profile_document(_SELF_PROTECTION)
    if self_protection and own not in found:
        found.append(replace(own, layer="tightens"))
    return with_changes(found)


class _Found(NamedTuple):
    document: PolicyDocument
    folder: Path
    """What its relative names start from."""


def _collect(
    which: _Found, found: list[PolicyDocument], files: list[Path], *, seen: tuple[str, ...]
) -> None:
    document, folder = which
    if document.filename in seen or len(seen) > _EXTENDS_DEPTH_MAX:
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
            files.append(target)
            base, base_folder = read_policy_file(target), target.parent
        _collect(_Found(base, base_folder), found, files, seen=(*seen, document.filename))


def documents_in_force(
    settings: Settings, text: str | None = None, files: list[Path] | None = None
) -> tuple[PolicyDocument, ...]:
    """Return the documents that ``settings`` put in force; ``text`` takes the policy's place.

    Each file that is tried is added to ``files``, also those that may appear later.

    Raises: PolicyMissing, PolicyError.
    """
    files = [] if files is None else files
    path = settings.policy
    if path is None and settings.own_policy is not None and text is None:
        files.append(settings.own_policy)
        path = settings.own_policy if settings.own_policy.exists() else None
    files.append(settings.overrides_path)
    found = policy_documents(
        path=path,
        profile=settings.profile,
        text=text,
        files=files,
        self_protection=settings.self_protection,
    )
    overrides = overrides_document(settings)
    return (*found, overrides) if overrides else found


def overrides_document(settings: Settings) -> PolicyDocument | None:
    """Return the overrides in force, or None if there is no file. Raises: PolicyError."""
    path = settings.overrides_path
    if not path.exists():
        return None
    document = read_policy_file(path)
    if document.extends or document.commands or document.changes:
        raise PolicyError(
            "overrides are policies and nothing else",
            where=str(path),
            help="put `extends`, `commands` and `rules` into your own policy file",
        )
    return replace(document, layer="overrides")


def catalog_of(documents: Sequence[PolicyDocument]) -> Catalog:
    """Return the catalog with what ``documents``, the most specific first, add to it.

    Raises: PolicyError for an addition that cannot be made, or whose examples do not hold.
    """
    additions: list[Addition] = []
    for document in reversed(documents):
        for addition in document.commands:
            if addition.replaces and document is not documents[0]:
                raise PolicyError(
                    f"`{addition.name}` cannot be replaced here: only the policy that is named "
                    "itself may do that, not one that it extends",
                    where=addition.where,
                    help="without `replace: true` it is added to what is known",
                )
            additions.append(addition)
    if not additions:
        return builtin_catalog()
    try:
        catalog = ExtendedCatalog(builtin_catalog(), additions)
        for addition in additions:
            _require_examples(addition, catalog)
    except ConfigError as error:
        raise PolicyError(error.message, help=error.help) from None
    return catalog


def catalog_document(name: str, answer: Iterable[Mapping[str, object] | str]) -> PolicyDocument:
    """Return additions to the catalog, mappings or YAML texts, as a document that says no more.

    Raises: PolicyError, ConfigError or ValueError for what is no entry.
    """
    if isinstance(answer, str | Mapping):
        raise ValueError("it answers one entry instead of a list of them")
    additions: list[Addition] = []
    texts: list[str] = []
    for item in answer:
        if isinstance(item, str):
            additions += parse_commands(item, filename=name)
            texts.append(item)
        elif isinstance(item, Mapping):
            table = _as_texts(item)
            assert isinstance(table, dict)
            additions += read_additions(table, name)
            texts.append(json.dumps(table, sort_keys=True))
        else:
            raise ValueError(f"{type(item).__name__} is no entry")
    for addition in additions:
        if addition.replaces:
            raise ValueError(f"`{addition.name}`: only a policy may replace an entry")
    return PolicyDocument(name, json.dumps([name, *texts]).encode(), commands=tuple(additions))


def _as_texts(value: object, depth: int = 0) -> object:
    """Return values of Python in the form that the catalog's files have: texts only."""
    if depth > POLICY_DEPTH_MAX:
        raise ValueError(f"nested deeper than {POLICY_DEPTH_MAX}")
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return ""
        case str() | int() | float():
            return str(value)
        case Mapping():
            return {str(key): _as_texts(item, depth + 1) for key, item in value.items()}
        case list() | tuple():
            return [_as_texts(item, depth + 1) for item in value]
        case set() | frozenset():
            return sorted(str(_as_texts(item, depth + 1)) for item in value)
    raise ValueError(f"{type(value).__name__} has no place in an entry")


def _require_examples(addition: Addition, catalog: Catalog) -> None:
    for line, expected in addition.examples:
        try:
            problem = example_problem(line, expected, catalog)
        except RampartError as error:
            problem = error.message
        if problem:
            raise PolicyError(
                f"the example `{line}` does not hold: {problem}",
                where=getattr(line, "where", addition.where),
            )


class PolicySource(Protocol):
    """Where a gate gets the policies from: the same ones always, or those of the moment."""

    @property
    def problem(self) -> str:
        """Why the files are not what is in force; empty if they are."""
        ...

    @property
    def reviews(self) -> bool:
        """True if some rule looks at what tools return."""
        ...

    @property
    def reviews_pieces(self) -> bool:
        """True if no rule is about a response as a whole."""
        ...

    def current(self) -> PolicyInForce:
        """Return the policies that are in force everywhere."""
        ...

    def at(self, workspace: str) -> PolicyInForce:
        """Return the policies that are in force in one workspace.

        INVARIANT: who decides asks once, and decides by what it got.
        """
        ...

    def look(self, *, anyway: bool = False) -> bool:
        """Read the files again if they changed, or ``anyway``; True if others are in force now."""
        ...

    def extended(self, documents: Sequence[PolicyDocument]) -> PolicySource:
        """Return these policies and further ones, the least specific of all."""
        ...


class PolicyInForce:
    """The policy documents that decide, compiled once for each home and workspace.

    ``generation`` is a digest of the documents; ``catalog`` knows what programs do, with what the
    documents add to it; ``reviews`` says that some rule looks at what calls return,
    ``reviews_pieces`` that none needs it as a whole. Safe between threads.

    Raises: PolicyError for an addition to the catalog that cannot be made.
    """

    problem = ""

    def __init__(self, documents: Sequence[PolicyDocument]) -> None:
        self.documents = tuple(documents)
        self.generation = generation_of(self.documents)
        self.catalog = catalog_of(self.documents)
        about_responses = [
            rule
            for document in self.documents
            for policy in document.policies
            if policy.enabled
            for rule in policy.rules
            if rule.when.of_response
        ]
        self.reviews = bool(about_responses)
        self.reviews_pieces = not any(
            rule.action == "allow" or not rule.when.finds for rule in about_responses
        )
        self._engines: OrderedDict[tuple[str, str], Engine] = OrderedDict()
        self._latest: tuple[str, str, Engine] | None = None
        self._lock = threading.Lock()

    def extended(self, documents: Sequence[PolicyDocument]) -> PolicyInForce:
        """Return these policies and further ones, the least specific of all."""
        return PolicyInForce((*self.documents, *documents)) if documents else self

    def current(self) -> PolicyInForce:
        """Return the policies that are in force everywhere: these."""
        return self

    def look(self, *, anyway: bool = False) -> bool:  # noqa: ARG002 - as `PolicySource` has it
        """Do nothing: these policies do not change."""
        return False

    def at(self, workspace: str) -> PolicyInForce:  # noqa: ARG002 - as `PolicySource` has it
        """Return the policies that are in force in one workspace: these."""
        return self

    def engine(self, host: Host) -> Engine:
        """Return the engine for one machine's home and workspace."""
        latest = self._latest  # WHY: nearly all calls are about one project; no lock for those
        if latest is not None and latest[0] == host.home and latest[1] == host.workspace:
            return latest[2]
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
            self._latest = (*key, engine)
            return engine
