"""The tamper-evident log: every decision, durable before it counts.

The format is ``core/docs/audit.md``.
"""

from rampart.audit.journal import Appended
from rampart.audit.log import AuditLog

__all__ = ["Appended", "AuditLog"]
