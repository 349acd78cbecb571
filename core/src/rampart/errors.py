"""The error tree. Every error that leaves Rampart is one of these.

Each class has a stable ``code`` (what programs compare) and an ``exit_code`` (what the command line
answers, after BSD's sysexits.h where it has a fitting number).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from rampart.model import Decision

EXIT_DENIED: Final = 126
EXIT_USAGE: Final = 2


class RampartError(Exception):
    """Base of all errors. ``help`` says in one sentence what to do about it."""

    code: ClassVar[str] = "internal_error"
    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, *, help: str = "") -> None:  # noqa: A002 - the word users see
        super().__init__(message)
        self.message = message
        self.help = help


class InputError(RampartError):
    """A tool call or a request that cannot be understood without guessing."""

    code = "invalid_input"
    exit_code = 65


class InputTooLarge(InputError):
    """A value over its bound in ``limits``."""

    code = "input_too_large"


class PolicyError(RampartError):
    """A policy text that does not load; the message starts with ``file:line:column``."""

    code = "policy_invalid"
    exit_code = 65

    def __init__(self, message: str, *, where: str = "", help: str = "") -> None:  # noqa: A002
        super().__init__(f"{where}: {message}" if where else message, help=help)
        self.where = where


class PolicyMissing(RampartError):
    """No policy is configured, or the named one does not exist."""

    code = "policy_missing"
    exit_code = 78


class ConfigError(RampartError):
    """A setting, file or directory that cannot be used as it is."""

    code = "config_invalid"
    exit_code = 78


class AuditError(RampartError):
    """Base of everything that is wrong with an audit log."""

    code = "audit_error"
    exit_code = 74


class AuditUnavailable(AuditError):
    """A record could not be made durable; the caller must deny."""

    code = "audit_unavailable"


class AuditTampered(AuditError):
    """The log on disk is not the one that was written; it is refused, never repaired."""

    code = "audit_tampered"

    def __init__(self, message: str, *, help: str = "") -> None:  # noqa: A002 - the word users see
        advice = "`rampart audit verify` shows where; keep the files, and start a new log elsewhere"
        super().__init__(message, help=help or advice)


class ProofInvalid(AuditError):
    """A proof, checkpoint or key that does not prove what it says."""

    code = "proof_invalid"
    exit_code = 1


class ApprovalError(RampartError):
    """An approval that does not exist, is already resolved, or has expired."""

    code = "approval_invalid"
    exit_code = 65


class StateUnavailable(RampartError):
    """What happened before in a session cannot be read or written; the caller must deny."""

    code = "state_unavailable"
    exit_code = 74


class AuthError(RampartError):
    """A missing or wrong token, or a role that may not do this."""

    code = "unauthorized"
    exit_code = 77


class ServiceUnavailable(RampartError):
    """The decision service cannot be reached: missing, refused or timed out."""

    code = "service_unavailable"
    exit_code = 69


class ProtocolError(RampartError):
    """The other side answered something that the contract does not allow."""

    code = "protocol_error"
    exit_code = 76


class PluginError(RampartError):
    """A plugin that does not import, names an unknown hook, raises, or answers nonsense."""

    code = "plugin_error"
    exit_code = 70


class UnsupportedObject(RampartError):
    """``protect`` was given an object that no installed adapter knows."""

    code = "unsupported_object"
    exit_code = 64


class Denied(RampartError):
    """A guarded function was not called.

    ``decision`` says why; the text is one that a model can act on.
    """

    code = "denied"
    exit_code = EXIT_DENIED

    def __init__(self, message: str, decision: Decision) -> None:
        super().__init__(message)
        self.decision = decision
