"""Approvals: questions that a policy puts to a person, resolved once and used once."""

from rampart.approval.digest import call_digest
from rampart.approval.model import Approval, Question
from rampart.approval.store import ApprovalStore

__all__ = ["Approval", "ApprovalStore", "Question", "call_digest"]
