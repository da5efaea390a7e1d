"""What beginning a flow and working on it share."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.utils import timezone
from msgspec import Struct

from credentials.models import Contributor, Credential, Flow, Provider
from credentials.pasted import Step
from credentials.services.leftovers import masked_identity
from credentials.services.reconnecting import release
from gateway.lib import audit
from gateway.lib.crypto import SecretUnreadable
from gateway.lib.fields import SecretDict

JOB = "credentials.flow"
LIFETIME = timedelta(minutes=10)
BY = "contributor"
BEGIN_AGAIN = "Begin again: it takes a minute."
_UNREADABLE = f"The site's encryption key was changed meanwhile, so this attempt cannot be gone on with. {BEGIN_AGAIN}"


class Wishes(Struct, frozen=True):
    """What somebody new told of themselves."""

    name: str = ""
    email: str = ""
    webhook: str = ""
    user_id: int | None = None

    def __repr__(self) -> str:
        return "Wishes(…)"


NO_WISHES = Wishes()


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def opened(flow: Flow) -> SecretDict | None:
    try:
        return flow.secret.open()
    except SecretUnreadable:
        fail(flow, Step.MATCHING, _UNREADABLE)
        return None


def pending(credential: Credential) -> dict[str, Any]:
    is_key = credential.provider == Provider.GEMINI_API
    label = masked_identity(credential) if is_key else credential.label
    return result(label, "", credential=credential.pk)


def result(label: str, verdict: str, detail: str = "", *, credential: int = 0) -> dict[str, Any]:
    """As the page and its script read it; `verdict` is "" until it was tried."""
    return {
        "credential": credential,
        "label": label,
        "verdict": verdict,
        "usable": False,
        "detail": detail,
        "help_url": "",
        "held": False,
    }


def fail(flow: Flow, step: Step, words: str) -> None:
    """Over, and what it needed is destroyed."""
    ended: dict[str, Any] = {
        "state": Flow.State.FAILED,
        "step": step.value,
        "words": words[:500],
        "secret": {},
    }
    Flow.objects.filter(pk=flow.pk).exclude(state=Flow.State.DONE).update(**ended)


def contributor_of(flow: Flow, wishes: Wishes) -> Contributor:
    """The one of the browser, also when it lends two things at once; else somebody new."""
    if flow.contributor is not None:
        return flow.contributor
    # Not any older one: a link that was renewed since must not come back this way.
    earlier = Flow.objects.exclude(contributor=None).filter(
        browser_digest=flow.browser_digest, created_at__gt=timezone.now() - LIFETIME
    )
    found = earlier.select_related("contributor").order_by("-created_at").first()
    if flow.browser_digest and found is not None and found.contributor is not None:
        return found.contributor
    facts: dict[str, Any] = {
        "name": wishes.name,
        "email": wishes.email,
        "webhook": {"url": wishes.webhook} if wishes.webhook else {},
    }
    if wishes.user_id is None:
        return Contributor.objects.create(**facts)
    return Contributor.objects.get_or_create(user_id=wishes.user_id, defaults=facts)[0]


def audited(flow: Flow, rows: Sequence[Credential], action: str) -> None:
    """In the transaction of what it tells."""
    who = f"contributor {flow.contributor.public_id}" if flow.contributor else "an older panel"
    ids = [row.pk for row in rows]
    subject = f"credential {', '.join(map(str, ids))}"
    # Of many keys the subject's end is cut off.
    audit.record(
        actor=who, action=action, subject=subject, address=flow.address[:45], credentials=ids
    )


def release_held(flow: Flow) -> None:
    """Only what this flow held: another pause is its contributor's."""
    for told in flow.results:
        if told["held"]:
            release(credential_id=told["credential"])
