"""Everything that writes credentials."""

from credentials.services.contributors import (
    forget_email,
    pause,
    renew_link,
    resume,
    save_contact,
    set_limits,
    try_now,
)
from credentials.services.counting import recount
from credentials.services.editing import edit, look_up_email, set_preview, set_project, version_of
from credentials.services.flows import expire_flows
from credentials.services.intake import delete_stale_imports
from credentials.services.notifying import notify_due
from credentials.services.refreshing import RefreshRefused, refresh_access_token
from credentials.services.storing import ImportResult, Outcome, import_items, store
from credentials.services.verdicts import apply_verdicts, set_state, set_states
from credentials.services.withdrawal import finish_withdrawals, withdraw
from credentials.states import Event, StateMove, event_of

__all__ = [
    "Event",
    "ImportResult",
    "Outcome",
    "RefreshRefused",
    "StateMove",
    "apply_verdicts",
    "delete_stale_imports",
    "edit",
    "event_of",
    "expire_flows",
    "finish_withdrawals",
    "forget_email",
    "import_items",
    "look_up_email",
    "notify_due",
    "pause",
    "recount",
    "refresh_access_token",
    "renew_link",
    "resume",
    "save_contact",
    "set_limits",
    "set_preview",
    "set_project",
    "set_state",
    "set_states",
    "store",
    "try_now",
    "version_of",
    "withdraw",
]
