"""A contributor's way through /auth: begun by a page, gone on with by a job (flow_job.py), told to the page by the row.

PENDING -> EXCHANGING -> (CHOOSING ->) CHECKING -> DONE, or FAILED with the step and the words. Every arrow is one conditional
update, so a code that comes by two ways is exchanged once. What Google gave is sealed into the row before anything is done
with it, so a killed worker loses nothing. A passing failure puts the flow back to PENDING: it can be tried again until it expires.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from credentials import importers, oauth
from credentials.identity import fingerprint_of
from credentials.importers import Found, Unusable
from credentials.models import TOPIC, Contributor, Credential, Flow, Provider
from credentials.pasted import Step
from credentials.services.flow_rows import (
    BEGIN_AGAIN,
    BY,
    JOB,
    LIFETIME,
    NO_WISHES,
    Wishes,
    audited,
    contributor_of,
    digest,
    fail,
    opened,
    pending,
    release_held,
    result,
)
from credentials.services.leftovers import part_with_secret
from credentials.services.reconnecting import reconnect
from credentials.services.storing import store
from credentials.states import State
from gateway.lib import jobs
from gateway.lib.errors import Conflict, InvalidRequest, RateLimited, Unavailable
from gateway.lib.models import Revision, bump

MAX_KEYS = 50
EXPIRED = f"Ten minutes have passed, and Google's codes live no longer. {BEGIN_AGAIN}"
_NOT_CONFIGURED = (
    "Google accounts cannot be lent here yet: whoever runs this site has to set GOOGLE_OAUTH_CLIENT_ID and "
    "GOOGLE_OAUTH_CLIENT_SECRET first."
)
_NO_KEY = "this is a login of a Google account, not an API key: choose “Google account” instead"
_KEPT = timedelta(days=1)
_GIVEN_UP = timedelta(hours=1)
_UNTOUCHED = timedelta(seconds=3)
_HOUR = timedelta(hours=1)
_WAITING = (Flow.State.PENDING, Flow.State.EXCHANGING, Flow.State.CHOOSING)
AT_WORK = (Flow.State.EXCHANGING, Flow.State.CHECKING)


@transaction.atomic
def begin_google(
    *,
    browser: str,
    redirect_uri: str,
    address: str = "",
    contributor_id: int | None = None,
    wishes: Wishes = NO_WISHES,
    credential_id: int | None = None,
    project: str = "",
) -> Flow:
    """A consent that somebody is about to give. `browser`: its cookie, "" for a program that keeps the state itself.
    `address` is counted, unless it is "". `credential_id`: to be reconnected in place.

    Raises Unavailable without an OAuth client, and RateLimited.
    """
    if not settings.GOOGLE_OAUTH_CLIENT_ID:
        raise Unavailable(_NOT_CONFIGURED)
    _admit(address, consents=True)
    state = secrets.token_urlsafe(32)
    return Flow.objects.create(
        kind=Flow.Kind.GOOGLE,
        state_digest=digest(state),
        browser_digest=digest(browser) if browser else "",
        secret={
            "state": state,
            "code_verifier": secrets.token_urlsafe(48),
            "client_id": settings.GOOGLE_OAUTH_CLIENT_ID,
            "client_secret": settings.GOOGLE_OAUTH_CLIENT_SECRET,
            "wishes": _as_dict(wishes),
        },
        redirect_uri=redirect_uri,
        project=project,
        contributor_id=contributor_id,
        credential_id=credential_id,
        address=address,
        expires_at=timezone.now() + LIFETIME,
    )


@transaction.atomic
def begin_keys(
    *,
    text: str,
    browser: str,
    address: str = "",
    contributor_id: int | None = None,
    wishes: Wishes = NO_WISHES,
) -> Flow:
    """Stores the keys in a text; a job tries them. Raises InvalidRequest when there is none, or too many, and RateLimited."""
    _admit(address)
    found, unusable = _keys_in(text)
    flow = _flow_of_keys(browser, address, contributor_id)
    known = _known(found, contributor_id)
    if len(known) == len(found):
        raise InvalidRequest(
            "Every key in this text was lent before, by somebody else: it stays theirs."
        )
    flow.contributor = contributor_of(flow, wishes)
    lent = [
        _lend_key(key, flow.contributor) for key in found if fingerprint_of(key.secret) not in known
    ]
    flow.results = [pending(row) for row in lent]
    flow.results += [
        result(key.label, "known already", "Somebody has lent this key before: it stays theirs.")
        for key in found
        if fingerprint_of(key.secret) in known
    ]
    flow.results += [result(item.source, "unusable", item.reason) for item in unusable]
    flow.save()
    audited(flow, lent, "credentials.lend")
    _go_on(flow)
    return flow


@transaction.atomic
def begin_new_key(*, credential: Credential, text: str, browser: str, address: str = "") -> Flow:
    """Another key in the place of the one that was lent. Raises InvalidRequest, Conflict and RateLimited."""
    _admit(address)
    found, _ = _keys_in(text)
    if len(found) > 1:
        raise InvalidRequest("Paste one key: the one that takes the place of the old.")
    (key,) = found
    bump(TOPIC)  # from here on nobody takes it back
    credential.refresh_from_db()
    if credential.state == State.WITHDRAWN:
        raise Conflict("It was taken back meanwhile. Lend the key as a new one.")
    twin = Credential.objects.filter(provider=key.provider, fingerprint=fingerprint_of(key.secret))
    if twin.exclude(pk=credential.pk).exists():
        raise Conflict("This key was lent before, as another entry. Make a new key and paste that.")
    flow = _flow_of_keys(browser, address, credential.contributor_id)
    (row,) = reconnect(credential_ids=[credential.pk], secret=key.secret, by=BY)
    flow.credential = row
    flow.results = [pending(row)]
    flow.save()
    audited(flow, [row], "credentials.reconnect")
    _go_on(flow)
    return flow


def consent_url(flow: Flow) -> str:
    """Where the person says yes; "" when it cannot be opened any more."""
    secret = opened(flow)
    if secret is None or "state" not in secret:
        return ""
    return oauth.authorization_url(
        auth_url=settings.GOOGLE_AUTH_URL,
        client_id=secret["client_id"],
        redirect_uri=flow.redirect_uri,
        state=secret["state"],
        code_verifier=secret["code_verifier"],
    )


def _flow_of_keys(browser: str, address: str, contributor_id: int | None) -> Flow:
    return Flow(
        kind=Flow.Kind.API_KEY,
        state=Flow.State.CHECKING,
        browser_digest=digest(browser),
        contributor_id=contributor_id,
        address=address,
        expires_at=timezone.now() + LIFETIME,
    )


def _keys_in(text: str) -> tuple[list[Found], list[Unusable]]:
    items = importers.parse("your text", text.encode())
    found: dict[str, Found] = {}
    unusable: list[Unusable] = []
    for item in items:
        if isinstance(item, Unusable):
            unusable.append(item)
        elif item.provider == Provider.GEMINI_API:
            found.setdefault(fingerprint_of(item.secret), item)
        else:
            unusable.append(Unusable(item.source, _NO_KEY))
    if not found:
        raise InvalidRequest(
            unusable[0].reason if unusable else "There is no API key in this text."
        )
    if len(found) > MAX_KEYS:
        raise InvalidRequest(
            f"These are {len(found)} keys; up to {MAX_KEYS} can be lent at once. Give the rest afterwards."
        )
    return list(found.values()), unusable


def _known(keys: list[Found], contributor_id: int | None) -> set[str]:
    """Fingerprints of those that are somebody else's."""
    lent = Credential.objects.filter(
        provider=Provider.GEMINI_API, fingerprint__in=[fingerprint_of(key.secret) for key in keys]
    )
    others = lent.exclude(state=State.WITHDRAWN).exclude(contributor=None)
    if contributor_id is not None:
        others = others.exclude(contributor_id=contributor_id)
    return set(others.values_list("fingerprint", flat=True))


def _lend_key(key: Found, contributor: Contributor) -> Credential:
    """New, also what was taken back before; or what has had no contributor."""
    row = Credential.objects.filter(
        provider=key.provider, fingerprint=fingerprint_of(key.secret)
    ).first()
    if row is not None and row.state == State.WITHDRAWN:
        part_with_secret(row)
        row = None
    if row is None:
        return store(
            provider=key.provider,
            secret=key.secret,
            label=key.label,
            source="/auth",
            contributor_id=contributor.pk,
        )
    if row.contributor_id is None:
        (row,) = reconnect(
            credential_ids=[row.pk], secret=key.secret, contributor_id=contributor.pk, by=BY
        )
    return row


def _as_dict(wishes: Wishes) -> dict[str, Any]:
    return {name: getattr(wishes, name) for name in wishes.__struct_fields__}


# ------------------------------------------------------------------ limits


def check_attempts(address: str) -> None:
    """Raises RateLimited when the address has tried too often."""
    since = timezone.now() - _HOUR
    tries = Flow.objects.filter(address=address, created_at__gt=since).order_by("-created_at")
    limit = settings.LENDING_ATTEMPTS_PER_HOUR
    oldest = (
        tries.values_list("created_at", flat=True)[limit - 1 : limit].first() if limit else None
    )
    if not address or (limit and oldest is None):
        return
    wait = (oldest or timezone.now()) - since
    raise RateLimited(
        f"There were too many attempts from your network. Try again in {_minutes(wait)}.",
        retry_after_s=max(wait.total_seconds(), 1.0),
    )


def count_failure(*, address: str, step: str) -> None:
    """A try that led to no flow, such as a wrong invitation code: it counts among the attempts of its address."""
    Flow.objects.create(
        kind="", state=Flow.State.FAILED, step=step, address=address, expires_at=timezone.now()
    )


@contextmanager
def in_turn(address: str) -> Iterator[None]:
    """Where a code or password is judged: one after the other, so that a hundred at once are no more tries than one address
    has. Raises RateLimited."""
    with transaction.atomic():
        _wait_for_turn()
        check_attempts(address)
        yield


def _wait_for_turn() -> None:
    """Whoever holds this row decides alone, until the transaction ends: so the limits hold across processes."""
    Revision.objects.get_or_create(topic="lending")
    Revision.objects.select_for_update().get(topic="lending")


def _admit(address: str, *, consents: bool = False) -> None:
    _wait_for_turn()
    if address:
        check_attempts(address)
    if not consents:
        return
    now = timezone.now()
    pending = Flow.objects.filter(kind=Flow.Kind.GOOGLE, state__in=_WAITING, expires_at__gt=now)
    most = settings.LENDING_MAX_PENDING
    _check_pending(pending, most, "Many people are lending an account right now.", now)
    if address:
        words = (
            "Many attempts from your network are waiting for Google's answer: finish one of them."
        )
        # Half is left for everybody else.
        _check_pending(pending.filter(address=address), -(-most // 2), words, now)


def _check_pending(pending: QuerySet[Flow], most: int, words: str, now: datetime) -> None:
    if pending.count() < most:
        return
    wait = min(pending.values_list("expires_at", flat=True), default=now) - now
    raise RateLimited(
        f"{words} Try again in {_minutes(wait)}.", retry_after_s=max(wait.total_seconds(), 1.0)
    )


def _minutes(wait: timedelta) -> str:
    minutes = max(1, -(-int(wait.total_seconds()) // 60))
    return "a minute" if minutes == 1 else f"{minutes} minutes"


# ------------------------------------------------------------------ what people do meanwhile


def flow_of_state(state: str) -> Flow | None:
    return Flow.objects.filter(state_digest=digest(state)).first() if state else None


def state_of(flow: Flow) -> str:
    """OAuth's state, as long as it is kept."""
    secret = opened(flow)
    return str(secret.get("state", "")) if secret else ""


def began_in(flow: Flow, browser: str) -> bool:
    """Whether it is this browser's; in constant time."""
    return bool(flow.browser_digest) and secrets.compare_digest(
        flow.browser_digest, digest(browser)
    )


def accept(*, flow_id: uuid.UUID, code: str = "", by_state: bool = False) -> bool:
    """Take the code, or try the one again that was kept. False when the flow does not wait for it (any more).

    `by_state`: it came in an address that names the flow, so no piece of it is missing.
    """
    with transaction.atomic():
        waiting = Flow.objects.select_for_update().filter(
            pk=flow_id, state=Flow.State.PENDING, expires_at__gt=timezone.now()
        )
        if (flow := waiting.first()) is None:
            return False
        secret = opened(flow)
        if secret is None or not (code or "code" in secret):
            return False
        if code and "tokens" not in secret:
            secret |= {"code": code, "by_state": by_state}
        moved = waiting.update(state=Flow.State.EXCHANGING, secret=secret, step="", words="")
        if moved:
            _go_on(flow)
    return bool(moved)


def can_be_tried_again(flow: Flow) -> bool:
    """Whether a code, or what Google gave for it, is kept."""
    secret = opened(flow)
    return flow.state == Flow.State.PENDING and secret is not None and "code" in secret


def note_trouble(*, flow: Flow, step: Step, words: str) -> None:
    """What was wrong with a paste; the flow goes on waiting."""
    Flow.objects.filter(pk=flow.pk, state=Flow.State.PENDING).update(step=step.value, words=words)


def choose_project(*, flow_id: uuid.UUID, project: str) -> bool:
    """One of the flow's `projects`. False when it is none, or no choice is waited for."""
    with transaction.atomic():
        flow = Flow.objects.filter(pk=flow_id, state=Flow.State.CHOOSING).first()
        if flow is None or project not in flow.projects:
            return False
        moved = Flow.objects.filter(pk=flow_id, state=Flow.State.CHOOSING).update(
            state=Flow.State.CHECKING, project=project
        )
        if moved:
            _go_on(flow)
    return bool(moved)


def hurry(*, flow_id: uuid.UUID, now: datetime | None = None) -> None:
    """When no worker has taken it up within seconds, it is seen through here: /auth works without a worker."""
    if job_id := _waiting_job(flow_id, before=(now or timezone.now()) - _UNTOUCHED):
        jobs.run(job_id)


def see_through_here(*, flow_id: uuid.UUID) -> None:
    """At once, for a caller that waits for the answer."""
    if job_id := _waiting_job(flow_id, before=timezone.now()):
        jobs.run(job_id)


def _waiting_job(flow_id: uuid.UUID, *, before: datetime) -> str:
    waiting = jobs.Job.objects.filter(kind=JOB, params__flow=str(flow_id), created_at__lte=before)
    queued = waiting.filter(state=jobs.Job.State.QUEUED) | waiting.filter(
        state=jobs.Job.State.RUNNING, lease_until__lt=timezone.now()
    )
    job = queued.first()
    return str(job.pk) if job else ""


@transaction.atomic
def expire_flows(*, now: datetime | None = None) -> int:
    """Ends those that nobody went on with, and forgets the old ones; how many."""
    now = now or timezone.now()
    late = Flow.objects.filter(expires_at__lt=now)
    unchosen = list(late.filter(state=Flow.State.CHOOSING))
    for flow in unchosen:
        # The login is in the pool already; upkeep finds it a project.
        release_held(flow)
        fail(flow, Step.PROJECT, "No project was chosen; the site looks for one itself.")
    stuck = Flow.objects.filter(expires_at__lt=now - _GIVEN_UP, state__in=AT_WORK)
    for flow in stuck.select_related("credential"):
        release_held(flow)
    ended = {"state": Flow.State.FAILED, "secret": {}}
    count = len(unchosen)
    count += stuck.update(step=Step.TRYING.value, words=BEGIN_AGAIN, **ended)
    count += late.filter(state=Flow.State.PENDING).update(
        step=Step.MATCHING.value, words=EXPIRED, **ended
    )
    Flow.objects.filter(created_at__lt=now - _KEPT).exclude(state__in=AT_WORK).delete()
    return count


def _go_on(flow: Flow) -> None:
    jobs.enqueue(JOB, title=f"Lend: {flow.get_kind_display()}", params={"flow": str(flow.pk)})
