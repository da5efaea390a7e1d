"""Everything that writes credentials."""

from credentials.services.editing import look_up_email, set_project
from credentials.services.refreshing import RefreshRefused, refresh_access_token
from credentials.services.storing import ImportResult, Outcome, import_items, store
from credentials.services.verdicts import apply_verdicts, set_state
from credentials.states import Event, StateMove, event_of

__all__ = [
    "Event",
    "ImportResult",
    "Outcome",
    "RefreshRefused",
    "StateMove",
    "apply_verdicts",
    "event_of",
    "import_items",
    "look_up_email",
    "refresh_access_token",
    "set_project",
    "set_state",
    "store",
]
