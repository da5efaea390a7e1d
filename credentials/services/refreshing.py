"""A new access token: one request to Google, however many processes find the old one stale at once."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from credentials.client import GoogleClient
from credentials.identity import fingerprint
from credentials.models import TOPIC, Credential, Provider
from credentials.oauth import TokenRefusal, TokenReply, Trouble
from credentials.services.verdicts import apply_verdicts
from credentials.states import Event, StateMove
from gateway.lib import leases
from gateway.lib.crypto import SecretUnreadable
from gateway.lib.errors import UpstreamFailed
from gateway.lib.fields import SecretDict
from gateway.lib.models import bump

LEASE_S = 10.0
"""Renewed while the request is under way. If its holder dies, the others go on after it."""
_POLL_S = 0.05


class RefreshRefused(UpstreamFailed):
    """No new token until a person does something; why is recorded on the credential. `reason` as in its state."""

    def __init__(self, reason: str) -> None:
        super().__init__("the login of an upstream credential is no longer accepted")
        self.reason = reason


def refresh_access_token(
    credential_id: int, stale_token: str, *, client: GoogleClient | None = None
) -> Credential:
    """The credential with an access token other than `stale_token`, refreshed here or by whoever was faster.

    Blocks while another process refreshes. Not for use inside a transaction: the lease must be seen by others. Raises
    RefreshRefused, and UpstreamFailed, UpstreamUnreachable or UpstreamTimeout when trying again later may help.
    """
    waited_for: datetime | None = None
    while True:
        credential = Credential.objects.get(pk=credential_id, provider=Provider.CODE_ASSIST)
        if _is_fresh(_opened(credential), stale_token):
            return credential
        if waited_for and credential.refresh_lease_until is None:
            raise _failure_of_the_holder(credential)
        if lease := _take_lease(credential_id):
            try:
                with leases.renewed(lease.renew, every_s=LEASE_S / 3):
                    _refresh_under_lease(credential_id, stale_token, client or GoogleClient())
            finally:
                lease.release()
            return Credential.objects.get(pk=credential_id)
        waited_for = credential.refresh_lease_until or waited_for
        time.sleep(_POLL_S)


class _Lease:
    """Ours as long as the row says `until`: after a lapse it may be another's."""

    def __init__(self, credential_id: int, until: datetime) -> None:
        self._credential_id = credential_id
        self._until = until

    def renew(self) -> bool:
        with transaction.atomic():
            until = _lease_end()
            renewed = self._mine().update(refresh_lease_until=until)
        self._until = until
        return bool(renewed)

    def release(self) -> None:
        self._mine().update(refresh_lease_until=None)

    def _mine(self) -> QuerySet[Credential]:
        return Credential.objects.filter(pk=self._credential_id, refresh_lease_until=self._until)


def _take_lease(credential_id: int) -> _Lease | None:
    with transaction.atomic(durable=True):
        until = _lease_end()
        free = Q(refresh_lease_until=None) | Q(refresh_lease_until__lt=timezone.now())
        taken = Credential.objects.filter(free, pk=credential_id).update(refresh_lease_until=until)
    return _Lease(credential_id, until) if taken else None


def _lease_end() -> datetime:
    """To be asked in the transaction: SQLite may wait for its turn longer than a lease lasts."""
    return timezone.now() + timedelta(seconds=LEASE_S)


def _refresh_under_lease(credential_id: int, stale_token: str, client: GoogleClient) -> None:
    credential = Credential.objects.get(pk=credential_id)
    secret = _opened(credential)
    if _is_fresh(secret, stale_token):
        return
    refresh_token = secret.get("refresh_token", "")
    if not refresh_token:
        raise _refused(credential_id, Event.REVOKED, "no_refresh_token")
    client_id, client_secret = oauth_client_of(secret)
    if not client_id:
        raise _refused(credential_id, Event.ATTENTION, "oauth_client")
    asked_at = time.time()
    answer = client.refresh(
        refresh_token=refresh_token,
        client_id=client_id,
        client_secret=client_secret,
        proxy=credential.proxy_url,
    )
    if isinstance(answer, TokenRefusal):
        raise _failure(credential_id, answer)
    _keep(credential, refresh_token, answer, asked_at)


def oauth_client_of(secret: SecretDict) -> tuple[str, str]:
    """(client id, client secret). A refresh token works only with the client it was minted for, so its own wins."""
    if secret.get("client_id"):
        return secret["client_id"], secret.get("client_secret", "")
    return settings.GOOGLE_OAUTH_CLIENT_ID, settings.GOOGLE_OAUTH_CLIENT_SECRET


@transaction.atomic
def _keep(credential: Credential, used: str, reply: TokenReply, asked_at: float) -> None:
    """Persist before use, for every project of the same login, unless a newer login replaced the one that was used."""
    revision = bump(TOPIC)
    refresh_token = reply.refresh_token or used
    # By ascending id, as whoever books uses of several holds them: a new fingerprint locks a row against that.
    same_login = Credential.objects.filter(
        provider=credential.provider, fingerprint=fingerprint(used)
    ).order_by("pk")
    for row in same_login:
        secret = _opened(row)
        if secret.get("refresh_token") != used:
            continue
        secret["access_token"] = reply.access_token
        secret["expires_at"] = asked_at + reply.expires_in_s
        secret["refresh_token"] = refresh_token
        Credential.objects.filter(pk=row.pk).update(
            secret=secret,
            fingerprint=fingerprint(refresh_token),
            updated_at=timezone.now(),
            revision=revision,
        )


def _is_fresh(secret: SecretDict, stale_token: str) -> bool:
    token = secret.get("access_token", "")
    return token not in ("", stale_token) and secret.get("expires_at", 0) > time.time()


def _opened(credential: Credential) -> SecretDict:
    try:
        return credential.secret.open()
    except SecretUnreadable as exc:
        # Nothing is recorded: giving the key back mends it.
        raise RefreshRefused("secret_unreadable") from exc


def _failure(credential_id: int, refusal: TokenRefusal) -> UpstreamFailed:
    match refusal.trouble:
        case Trouble.PERMANENT:
            return _refused(credential_id, Event.REVOKED, refusal.reason)
        case Trouble.CONFIGURATION:
            return _refused(credential_id, Event.ATTENTION, "oauth_client")
    return UpstreamFailed(f"Google's token service failed for now ({refusal.reason})")


def _refused(credential_id: int, event: Event, reason: str) -> RefreshRefused:
    change = StateMove(credential_id=credential_id, event=event, reason=reason, whole=True)
    apply_verdicts([change])
    return RefreshRefused(reason)


def _failure_of_the_holder(credential: Credential) -> UpstreamFailed:
    """The one we waited for gave its lease back without a token: asking again at once would only repeat it."""
    if credential.state in ("expired", "needs_attention"):
        return RefreshRefused(credential.state_reason)
    return UpstreamFailed("Google's token service failed for now")
