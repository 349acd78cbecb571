"""A gate inside this process.

Opens the policy, the log and the approvals that the settings name.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from rampart.approval import ApprovalStore
from rampart.audit import AuditLog
from rampart.audit.checkpoints import Checkpoints
from rampart.audit.keys import KeyStore
from rampart.audit.record import Redactor
from rampart.clock import Clock
from rampart.config import Settings, ensure_private_directory, load_settings
from rampart.errors import ConfigError
from rampart.gate import Gate
from rampart.generations import LivePolicies, Projects
from rampart.hosts import HostFacts
from rampart.limits import APPROVAL_TIMEOUT_S, POLICY_LOOK_S
from rampart.model import ToolCall
from rampart.plugins import installed_plugins
from rampart.session import History
from rampart.sources import PolicySource, documents_in_force


def open_gate(
    policy: str | Path | None = None,
    *,
    profile: str | None = None,
    data_dir: str | Path | None = None,
    workspace: str | Path | None = None,
    ask_timeout_s: float = APPROVAL_TIMEOUT_S,
) -> tuple[Gate, Callable[[], None]]:
    """Return a gate and the function that closes it. Raises as ``Guard``."""
    text = policy if isinstance(policy, str) and "\n" in policy else None
    settings = load_settings(data_dir=data_dir, policy=None if text else policy, profile=profile)
    return gate_of(
        settings,
        live_policies(settings, workspace=workspace, text=text),
        workspace=workspace,
        ask_timeout_s=ask_timeout_s,
        # WHY: programs that name no session have nothing to do with each other
        nameless=secrets.token_hex(16),
    )


def live_policies(
    settings: Settings,
    *,
    workspace: str | Path | None = None,
    text: str | None = None,
    look_s: float = POLICY_LOOK_S,
) -> LivePolicies:
    """Return the policies that ``settings`` put in force; they follow their files.

    ``text`` takes the policy's place; ``look_s`` is as for ``LivePolicies``. Raises: PolicyError,
    PolicyMissing.
    """
    projects = None
    if settings.projects:
        projects = Projects(HostFacts(workspace=workspace), settings.data_dir)
    return LivePolicies(
        lambda files: documents_in_force(settings, text, files), projects=projects, look_s=look_s
    )


def gate_of(
    settings: Settings,
    policies: PolicySource,
    *,
    workspace: str | Path | None = None,
    ask_timeout_s: float = APPROVAL_TIMEOUT_S,
    nameless: str = "",
) -> tuple[Gate, Callable[[], None]]:
    """Return a gate on ``settings``' data directory and the function that closes it.

    The policy is compiled once here, so that one that does not compile is refused at start. Calls
    that name no session share one for each agent and each word ``nameless``.
    """
    ensure_private_directory(settings.data_dir)
    hosts = HostFacts(workspace=workspace)
    here = hosts.host(ToolCall(""))
    policies.current().engine(here)  # INVARIANT: what does not compile does not start
    audit = open_audit(settings)
    redactor = Redactor(redaction_key(settings))
    approvals = ApprovalStore.open(settings.approvals_path, redactor=redactor)
    history = History(settings.sessions_path, nameless=nameless)
    gate = Gate(
        policies,
        hosts=hosts,
        audit=audit,
        history=history,
        approvals=approvals,
        plugins=installed_plugins(),
        redactor=redactor,
        approval_timeout_s=ask_timeout_s,
    )

    def close() -> None:
        audit.close()
        approvals.close()
        history.close()

    return gate, close


def open_audit(settings: Settings) -> AuditLog:
    """Open the log that the settings name, signed with their keys. Raises as ``AuditLog.open``."""
    publisher = None
    if settings.anchors:
        from rampart.audit.anchors import Publisher  # WHY here: few have anchors

        publisher = Publisher(settings.anchors)
    checkpoints = Checkpoints(KeyStore(settings.audit_keys_dir))
    return AuditLog.open(settings.audit_dir, checkpoints=checkpoints, publisher=publisher)


def preview_gate(policies: PolicySource, hosts: HostFacts) -> Gate:
    """Return a gate that can only ``check``: it opens no log and asks nobody."""
    return Gate(policies, hosts=hosts, plugins=installed_plugins())


def rehearsal_gate(policies: PolicySource, hosts: HostFacts, *, clock: Clock | None = None) -> Gate:
    """Return a gate that plays sessions through in memory: nothing is recorded or kept.

    With a ``clock`` they are played at another time.
    """
    history = History(clock=clock)
    return Gate(policies, hosts=hosts, plugins=installed_plugins(), clock=clock, history=history)


def redaction_key(settings: Settings) -> bytes:
    """Return the key that turns a secret into the same mark across one data directory."""
    path = settings.data_dir / "redaction.key"
    try:
        if not path.exists():
            fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
            fresh.touch(mode=0o600)
            fresh.write_bytes(secrets.token_bytes(32))
            try:
                path.hardlink_to(
                    fresh
                )  # INVARIANT: whoever comes first wins; nobody sees half a key
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}", help="the data directory must be ours and writable"
        ) from None
