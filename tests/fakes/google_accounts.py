"""Who may call the fake: API keys, OAuth clients, people and what was granted to whom."""

import itertools
import time
from dataclasses import dataclass, field
from typing import Any

DEFAULT_CLIENT = "fake-client.apps.googleusercontent.com"
SCOPES = (
    "https://www.googleapis.com/auth/cloud-platform "
    "https://www.googleapis.com/auth/userinfo.email "
    "https://www.googleapis.com/auth/userinfo.profile"
)
# loadCodeAssist and generation both follow this.
STATES = ("onboarded", "not_onboarded", "unsupported_client", "validation_required", "banned")
TIERS = ("free-tier", "legacy-tier", "standard-tier")
SERVICES = ("cloudaicompanion.googleapis.com", "geminicloudassist.googleapis.com")


@dataclass
class Account:
    """A person with a Google login. ``project`` None means Google has not given one yet."""

    email: str
    project: str | None
    tier: str
    paid_tier: str | None
    state: str
    preview: bool
    projects: list[dict[str, str]] = field(default_factory=list)
    services: dict[str, str] = field(default_factory=lambda: dict.fromkeys(SERVICES, "ENABLED"))
    quota: list[dict[str, Any]] | None = None
    tokens: list[str] = field(default_factory=list)

    def owns(self, project: str) -> bool:
        return project == self.project or any(p["projectId"] == project for p in self.projects)


@dataclass
class AccessToken:
    token: str
    account: Account
    client_id: str
    scope: str
    expires_at: float


@dataclass
class RefreshToken:
    token: str
    account: Account
    client_id: str
    scope: str
    revoked: bool = False


@dataclass
class AuthCode:
    """What the consent page remembers until the code is exchanged."""

    code: str
    account: Account
    client_id: str
    redirect_uri: str
    scope: str
    offline: bool
    challenge: str | None
    challenge_method: str
    expires_at: float
    used: bool = False


class Directory:
    """All credentials, looked up by value."""

    def __init__(self) -> None:
        self.api_keys: set[str] = set()
        self.clients: dict[str, str] = {}
        self.accounts: dict[str, Account] = {}
        self.access_tokens: dict[str, AccessToken] = {}
        self.refresh_tokens: dict[str, RefreshToken] = {}
        self.codes: dict[str, AuthCode] = {}
        self.consented: set[tuple[str, str]] = set()
        self._numbers = itertools.count(1)

    def add_account(
        self,
        *,
        access_token: str | None = None,
        refresh_token: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        project: str | None = "fake-project",
        email: str | None = None,
        tier: str = "standard-tier",
        paid_tier: str | None = None,
        state: str = "onboarded",
        preview: bool = True,
        projects: list[Any] | None = None,
        services: dict[str, str] | None = None,
        quota: list[dict[str, Any]] | None = None,
        expires_in_s: float = 3599,
    ) -> Account:
        """Make a person known, with the tokens given; the same e-mail again adds tokens."""
        if state not in STATES or tier not in TIERS:
            raise ValueError(f"state one of {STATES}, tier one of {TIERS}")
        number = next(self._numbers)
        client_id = client_id or DEFAULT_CLIENT
        self.clients.setdefault(client_id, client_secret or "GOCSPX-fake")
        if client_secret is not None:
            self.clients[client_id] = client_secret
        email = email or f"person{number}@example.com"
        account = self.accounts.get(email) or Account(
            email, project, tier, paid_tier, state, preview, quota=quota
        )
        self.accounts[email] = account
        listed = ([project] if project else []) if projects is None else projects
        account.projects = [
            project_resource(item, number, place) if isinstance(item, str) else item
            for place, item in enumerate(listed)
        ]
        account.services |= services or {}
        if access_token:
            self.grant_access(account, client_id, token=access_token, lifetime_s=expires_in_s)
        if refresh_token:
            self.grant_refresh(account, client_id, token=refresh_token)
        return account

    def grant_access(
        self,
        account: Account,
        client_id: str,
        *,
        token: str | None = None,
        scope: str = SCOPES,
        lifetime_s: float = 3599,
    ) -> AccessToken:
        token = token or f"ya29.fake-access-{next(self._numbers)}-{account.email.split('@')[0]}"
        granted = AccessToken(token, account, client_id, scope, time.time() + lifetime_s)
        self.access_tokens[token] = granted
        account.tokens.append(token)
        return granted

    def grant_refresh(
        self, account: Account, client_id: str, *, token: str | None = None, scope: str = SCOPES
    ) -> RefreshToken:
        token = token or f"1//fake-refresh-{next(self._numbers)}-{account.email.split('@')[0]}"
        granted = RefreshToken(token, account, client_id, scope)
        self.refresh_tokens[token] = granted
        account.tokens.append(token)
        self.consented.add((client_id, account.email))
        return granted

    def expire(self, access_token: str) -> None:
        self.access_tokens[access_token].expires_at = 0

    def revoke(self, token: str) -> bool:
        """Ends the whole grant, whichever of its tokens is named; False when it is unknown."""
        granted = self.refresh_tokens.get(token) or self.access_tokens.get(token)
        if granted is None or (isinstance(granted, RefreshToken) and granted.revoked):
            return False
        for refresh in self.refresh_tokens.values():
            if refresh.account is granted.account and refresh.client_id == granted.client_id:
                refresh.revoked = True
        for access in list(self.access_tokens.values()):
            if access.account is granted.account and access.client_id == granted.client_id:
                del self.access_tokens[access.token]
        self.consented.discard((granted.client_id, granted.account.email))
        return True

    def names_of(self, credential: str | None) -> set[str]:
        """Every name a script may use for the credential of a call."""
        if credential is None:
            return set()
        names = {credential}
        for account in self.accounts.values():
            if credential in account.tokens:
                names |= {account.email, *account.tokens}
                names |= {account.project} if account.project else set()
        return names


def project_resource(project_id: str, number: int, place: int) -> dict[str, str]:
    return {
        "projectNumber": str(681255809395 + 1000 * number + place),
        "projectId": project_id,
        "lifecycleState": "ACTIVE",
        "name": project_id.replace("-", " ").title(),
        "createTime": "2026-01-02T03:04:05.678Z",
    }
