"""A gate inside this process.

Opens the policy, the log and the approvals that the settings name.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from rampart.approval import ApprovalStore
from rampart.audit import AuditLog
from rampart.audit.record import Redactor
from rampart.config import Settings, ensure_private_directory, load_settings
from rampart.errors import ConfigError
from rampart.gate import Gate
from rampart.hosts import HostFacts
from rampart.limits import APPROVAL_TIMEOUT_S
from rampart.model import ToolCall
from rampart.plugins import installed_plugins
from rampart.sources import PolicyInForce, policy_documents


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
    policies = PolicyInForce(
        policy_documents(path=settings.policy, profile=settings.profile, text=text)
    )
    return gate_of(settings, policies, workspace=workspace, ask_timeout_s=ask_timeout_s)


def gate_of(
    settings: Settings,
    policies: PolicyInForce,
    *,
    workspace: str | Path | None = None,
    ask_timeout_s: float = APPROVAL_TIMEOUT_S,
) -> tuple[Gate, Callable[[], None]]:
    """Return a gate on ``settings``' data directory and the function that closes it.

    The policy is compiled once here, so that one that does not compile is refused at start.
    """
    ensure_private_directory(settings.data_dir)
    hosts = HostFacts(workspace=workspace)
    policies.engine(hosts.host(ToolCall("")))  # INVARIANT: what does not compile does not start
    audit = AuditLog.open(settings.audit_dir)
    redactor = Redactor(redaction_key(settings))
    approvals = ApprovalStore.open(settings.approvals_path, redactor=redactor)
    gate = Gate(
        policies,
        hosts=hosts,
        audit=audit,
        approvals=approvals,
        plugins=installed_plugins(),
        redactor=redactor,
        approval_timeout_s=ask_timeout_s,
    )

    def close() -> None:
        audit.close()
        approvals.close()

    return gate, close


def preview_gate(policies: PolicyInForce, hosts: HostFacts) -> Gate:
    """Return a gate that can only ``check``: it opens no log and asks nobody."""
    return Gate(policies, hosts=hosts, plugins=installed_plugins())


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
