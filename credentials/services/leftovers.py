"""What is destroyed when a credential is taken back: everything that could be used, and everything that names its owner."""

from __future__ import annotations

from datetime import datetime

from credentials.identity import fingerprint, masked_email, masked_key
from credentials.models import Credential, Flow, ImportItem, Provider
from gateway.lib.crypto import SecretUnreadable

_TAKEN_BACK = "The credential was taken back meanwhile."


def masked_identity(credential: Credential) -> str:
    """By what its owner knows it, without telling it to others."""
    if credential.withdrawn_at:
        return credential.label
    if credential.email:
        return masked_email(credential.email)
    if credential.provider == Provider.GEMINI_API:
        try:
            return masked_key(credential.secret.open().get("api_key", ""))
        except SecretUnreadable:
            return "key"
    return masked_email(credential.label) if "@" in credential.label else "Google account"


def take_out(credential: Credential, *, at: datetime, keep_secret: bool) -> None:
    """The row of a withdrawn credential keeps its masked name and its figures, for the receipt, and its fingerprint, so that an
    import does not bring it back. `keep_secret`: until the access at Google is ended. Inside the withdrawing transaction.
    """
    if credential.withdrawn_at:
        return
    identity = masked_identity(credential)
    facts = {
        "label": identity,
        "name": f"withdrawn-{credential.pk}.json",
        "email": "",
        "source": "",
        "paused_at": None,
        "withdrawn_at": at,
    }
    for name, value in facts.items():
        setattr(credential, name, value)
    Credential.objects.filter(pk=credential.pk).update(
        **{name: getattr(credential, name) for name in facts}
    )
    if not keep_secret:
        destroy_secret(credential, at=at)
    _forget_arrivals(credential, identity)


def destroy_secret(credential: Credential, *, at: datetime) -> None:
    credential.secret = {}
    credential.proxy = {}
    credential.secret_destroyed_at = credential.secret_destroyed_at or at
    Credential.objects.filter(pk=credential.pk).update(
        secret=credential.secret,
        proxy=credential.proxy,
        secret_destroyed_at=credential.secret_destroyed_at,
    )


def part_with_secret(credential: Credential) -> None:
    """Of a withdrawn row: what it was is lent again, as a row of its own, and this one stays its contributor's receipt."""
    credential.fingerprint = fingerprint(f"{credential.pk} {credential.fingerprint}")
    Credential.objects.filter(pk=credential.pk).update(fingerprint=credential.fingerprint)


def _forget_arrivals(credential: Credential, identity: str) -> None:
    ImportItem.objects.filter(credential=credential).update(sealed={}, source="", label=identity)
    flows = Flow.objects.filter(credential=credential)
    flows.exclude(state__in=[Flow.State.DONE, Flow.State.FAILED]).update(
        state=Flow.State.FAILED, words=_TAKEN_BACK
    )
    flows.update(secret={}, state_digest=None, projects=[], results=[])
    for flow in Flow.objects.filter(contributor=credential.contributor).exclude(results=[]):
        flow.results = [one for one in flow.results if one.get("credential") != credential.pk]
        flow.save(update_fields=["results"])
