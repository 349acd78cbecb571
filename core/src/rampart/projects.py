"""Project policies: the `.rampart/policy.yaml` files of the directories that calls happen in.

They come with the project, from whoever wrote it, so they can only tighten (decisions/0063).

MUST NOT let such a file loosen anything, send anything away, or name other files to be read.
MUST NOT follow a link, wait for a pipe, or quote a file that is no policy.
MUST deny where a file is there and does not load: who wrote it wants something to be refused.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from rampart.errors import PolicyError, RampartError
from rampart.limits import PROJECT_LEVELS_MAX, PROJECT_POLICY_BYTES_MAX
from rampart.model import Host
from rampart.policy import Policy, PolicyDocument, Rule, compile_policies, parse_policy
from rampart.sources import policy_documents, profile_names

FOLDER: Final = ".rampart"
FILE: Final = "policy.yaml"
SETTING: Final = "RAMPART_PROJECT_POLICIES"
"""The setting that switches project policies off."""


def project_files(workspace: str, home: str, own: Path) -> tuple[Path, ...]:
    """Return where policies for ``workspace`` may stand: in it, and in what it is a part of.

    ``home``, what is above it and the root are no projects; ``own`` is Rampart's own directory.
    """
    if workspace.startswith("/dev/"):  # the word for no project at all
        return ()
    return tuple(_candidates(Path(workspace), Path(home), own))


def _candidates(workspace: Path, home: Path, own: Path) -> Iterator[Path]:
    for folder in (workspace, *workspace.parents)[:PROJECT_LEVELS_MAX]:
        if folder == Path(folder.anchor) or folder == home or folder in home.parents:
            return
        if folder / FOLDER != own:
            yield folder / FOLDER / FILE


def project_documents(files: Sequence[Path], host: Host) -> tuple[PolicyDocument, ...]:
    """Return what ``files`` say, the nearest first; each one that does not load denies everything.

    ``files`` are those of ``project_files``. Raises nothing.
    """
    found: list[PolicyDocument] = []
    for index, file in enumerate(files):
        try:
            text = _read(file, foreign=index == 0)
            if text is not None:
                found += _loaded(file, text, host)
        except RampartError as error:
            found.append(_refusing(file, error.message, error.help))
    return tuple(found)


def _loaded(file: Path, text: bytes, host: Host) -> list[PolicyDocument]:
    document = parse_policy(text, filename=str(file))
    _require_modest(document)
    found = [_tightening(document, f"project/{file.parent.parent.name}")]
    for name in document.extends:
        profile = policy_documents(profile=name)
        found += (replace(each, layer="tightens") for each in profile)
    compile_policies(found, home=host.home, workspace=host.workspace)
    return found


def _tightening(document: PolicyDocument, prefix: str) -> PolicyDocument:
    # INVARIANT: no policy of a project bears the name of another: rules that apply once, and
    # approvals that clear a session, go by the names of policies
    policies = tuple(replace(each, name=f"{prefix}/{each.name}") for each in document.policies)
    return replace(document, policies=policies, layer="tightens")


def _require_modest(document: PolicyDocument) -> None:
    """Refuse what a project may not say. Raises: PolicyError."""
    where = document.filename
    refused = {
        "commands": document.commands,
        "notify": document.notify,
        "rules": document.changes,
    }
    for key, said in refused.items():
        if said:
            raise PolicyError(
                f"`{key}` cannot stand in a project's policy",
                where=where,
                help="it can only tighten; put this into your own policy file",
            )
    for name in document.extends:
        if name not in profile_names():
            raise PolicyError(
                f"a project's policy cannot extend the file {name!r}",
                where=where,
                help=f"it may extend profiles: {', '.join(profile_names())}",
            )
    for policy in document.policies:
        for rule in policy.rules:
            if rule.webhook is not None:
                raise PolicyError(
                    "a project's policy cannot ask a webhook",
                    where=rule.where,
                    help="it would send calls away; put this into your own policy file",
                )
            if any(after.until_approved for after in rule.when.after):
                raise PolicyError(
                    "`until_approved` cannot stand in a project's policy",
                    where=rule.where,
                    help="it would lift what your own policy remembers",
                )


def _refusing(file: Path, problem: str, advice: str) -> PolicyDocument:
    message = f"the project's policy does not load: {problem}"
    suggest = [text for text in (advice, f"repair {file}, or set {SETTING}=off") if text]
    rule = Rule("does-not-load", "deny", message=message, suggest=tuple(suggest))
    policy = Policy(f"project/{file.parent.parent.name}", (rule,))
    source = json.dumps([str(file), problem]).encode()
    return PolicyDocument(str(file), source, (policy,), layer="tightens")


def _read(file: Path, *, foreign: bool) -> bytes | None:
    """Return a file's text, or None if there is none.

    Above the workspace only files of ours or the administrator's count (``foreign`` is false): in
    a directory that everybody may write to, anybody could put one.

    Raises: PolicyError if it is there and cannot be read.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        folder = os.open(file.parent, flags | os.O_DIRECTORY)
        try:
            descriptor = os.open(file.name, flags, dir_fd=folder)
        finally:
            os.close(folder)
        with open(descriptor, "rb") as opened:  # noqa: PTH123 - a descriptor
            status = os.fstat(descriptor)
            if not foreign and status.st_uid not in (0, os.geteuid()):
                return None
            if not stat.S_ISREG(status.st_mode):
                raise PolicyError("this is not a file", where=str(file))
            text = opened.read(PROJECT_POLICY_BYTES_MAX + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        # WHY: a link to a directory is `not a directory` as well
        if isinstance(error, NotADirectoryError) and file.parent.is_symlink():
            raise PolicyError("a project's policy cannot be a link", where=str(file)) from None
        return None
    except OSError as error:
        link = error.errno == errno.ELOOP
        problem = "a project's policy cannot be a link" if link else f"{error.strerror}".lower()
        raise PolicyError(problem, where=str(file)) from None
    if len(text) > PROJECT_POLICY_BYTES_MAX:
        raise PolicyError(f"larger than {PROJECT_POLICY_BYTES_MAX // 1024} KiB", where=str(file))
    return text
