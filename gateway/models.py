"""Tables that belong to no app."""

from gateway.lib.audit import AuditEntry
from gateway.lib.jobs import Job
from gateway.lib.models import Revision
from gateway.lib.site_settings import SettingsVersion

__all__ = ["AuditEntry", "Job", "Revision", "SettingsVersion"]
