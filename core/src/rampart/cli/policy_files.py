"""What a command of ``rampart policy`` is about: files, a profile, or what is in force."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from rampart.cli.options import settings_of
from rampart.errors import PolicyMissing

if TYPE_CHECKING:
    from rampart.authoring.stage import Stage
    from rampart.config import Settings
    from rampart.policy import PolicyDocument
    from rampart.sources import PolicyInForce

TESTS_SUFFIX: Final = ".test.yaml"


@dataclass(frozen=True, slots=True)
class Target:
    """One policy with all that it extends. ``path`` is None for a profile."""

    name: str
    path: Path | None
    documents: tuple[PolicyDocument, ...]
    policies: PolicyInForce

    @property
    def document(self) -> PolicyDocument:
        """Return the file that is named itself."""
        return self.documents[0]

    def stage(self) -> Stage:
        """Return the policies on a made-up machine. Raises: PolicyError if they do not compile."""
        from rampart.authoring.stage import Stage

        return Stage(self.policies, now=time.time())


def load_target(name: str) -> Target:
    """Return a file, or a profile if there is no such file. Raises: PolicyError, PolicyMissing."""
    from rampart.sources import profile_names

    path = Path(name)
    if not path.exists() and name.removeprefix("profile:") in profile_names():
        return load_profile(name.removeprefix("profile:"))
    return load_file(path)


def load_file(path: Path) -> Target:
    """Return a policy file. Raises: PolicyError, PolicyMissing."""
    from rampart.sources import PolicyInForce, policy_documents

    documents = policy_documents(path=path)
    return Target(str(path), path, documents, PolicyInForce(documents))


def load_profile(name: str) -> Target:
    """Return a built-in profile. Raises: PolicyMissing."""
    from rampart.sources import PolicyInForce, policy_documents

    documents = policy_documents(profile=name)
    return Target(f"profile:{name}", None, documents, PolicyInForce(documents))


def load_in_force(
    data_dir: str | None, *, profile: str | None = None, policy: str | None = None
) -> Target:
    """Return what the settings name. Raises: PolicyError, PolicyMissing."""
    return load_target(_name_in_force(settings_of(data_dir, profile=profile, policy=policy)))


def _name_in_force(settings: Settings) -> str:
    if settings.policy is not None:
        return str(settings.policy)
    if settings.own_policy is not None and settings.own_policy.exists():
        return str(settings.own_policy)
    return f"profile:{settings.profile}"


def named(files: Sequence[str], profile: str | None, data_dir: str | None) -> list[str]:
    """Return the names of the policies that a command line is about, one at least."""
    if files and profile:
        raise click.UsageError("FILE and --profile exclude each other")
    if files:
        return list(files)
    return [_name_in_force(settings_of(data_dir, profile=profile))]


def tests_beside(path: Path) -> Path:
    """Return the file in which the tests of a policy file stand, if there are some."""
    return path.with_name(path.stem + TESTS_SUFFIX)


def read_bytes(path: Path) -> bytes:
    """Return a file's content. Raises: PolicyMissing."""
    from rampart.limits import POLICY_BYTES_MAX

    try:
        with path.open("rb") as file:
            return file.read(POLICY_BYTES_MAX + 1)
    except OSError as error:
        raise PolicyMissing(f"{path}: cannot be read: {error.strerror}") from None
