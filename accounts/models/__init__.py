"""People, their groups and their keys."""

from accounts.models.announcement import Announcement
from accounts.models.keys import ApiKey, KeyClaim, KeyTemplate
from accounts.models.people import (
    Group,
    Invitation,
    InvitationUse,
    SetupToken,
    User,
    UserManager,
)
from accounts.models.tokens import ApiToken

__all__ = [
    "Announcement",
    "ApiKey",
    "ApiToken",
    "Group",
    "Invitation",
    "InvitationUse",
    "KeyClaim",
    "KeyTemplate",
    "SetupToken",
    "User",
    "UserManager",
]
