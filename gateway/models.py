"""Tables that belong to no app."""

from gateway.lib.audit import AuditEntry
from gateway.lib.jobs import Job
from gateway.lib.models import Revision

__all__ = ["AuditEntry", "Job", "Revision"]
