"""From Google's code to a credential in the pool and a verdict on it: what a flow's job does (flows.py tells the states)."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from credentials import oauth, upstream
from credentials.client import GoogleClient
from credentials.identity import masked_email
from credentials.models import TOPIC, Credential, Flow, Provider
from credentials.oauth import TokenRefusal, TokenReply, Trouble
from credentials.pasted import Step
from credentials.services.flow_rows import (
    BEGIN_AGAIN,
    BY,
    LIFETIME,
    Wishes,
    audited,
    contributor_of,
    fail,
    opened,
    pending,
    release_held,
)
from credentials.services.reconnecting import hold, reconnect
from credentials.services.storing import store
from credentials.states import State
from credentials.words import explain
from gateway.lib import jobs
from gateway.lib.crypto import SecretUnreadable
from gateway.lib.errors import GatewayError
from gateway.lib.fields import SecretDict
from gateway.lib.models import bump

logger = logging.getLogger(__name__)

_LOGIN_SCOPE = oauth.SCOPES[0]
_OPERATORS_FAULT = (
    "Google refuses this site's own registration (its OAuth client), not you. Tell whoever runs this site to check "
    "GOOGLE_OAUTH_CLIENT_ID and GOOGLE_OAUTH_CLIENT_SECRET"
)
_REDIRECT = f"{_OPERATORS_FAULT}, and that the client is one of the type “Desktop app”."
_CLIENT = f"{_OPERATORS_FAULT}."
_USED = (
    "Google does not take this code (any more): a code works once, for ten minutes, and only for the attempt it was made "
    f"for. {BEGIN_AGAIN}"
)
_MISTYPED = (
    "Google does not know this code: maybe a piece of it is missing. Copy the whole address, not only the code, and paste "
    "it again; or begin again."
)
_PASSING = "Google's token service does not answer as it should. Nothing is lost: try again in a moment, what you pasted is kept."
_NOT_LASTING = (
    "Google gave no lasting login, as this site had access already. Remove this site's access at "
    "https://myaccount.google.com/permissions, then begin again and choose Allow."
)
_BOX_LEFT_OUT = (
    "On Google's page the box for Google Cloud was left empty, and without it the account cannot serve. Begin again and "
    "tick every box."
)
_NOT_WHO = (
    "Google does not say at the moment which account this is, and it has to be the one from before. Nothing is lost: try "
    "again in a moment."
)


def run_job(run: jobs.Run) -> None:
    see_through(flow_id=uuid.UUID(run.params["flow"]))


def see_through(*, flow_id: uuid.UUID, client: GoogleClient | None = None) -> None:
    """As far as it goes without a person. Run again, it goes on where it stopped."""
    flow = Flow.objects.filter(pk=flow_id).first()
    if flow is None:
        return
    if flow.state == Flow.State.EXCHANGING:
        _exchange(flow, client or GoogleClient())
        flow.refresh_from_db()
    if flow.state == Flow.State.CHECKING:
        _look_at(flow)


def _exchange(flow: Flow, client: GoogleClient) -> None:
    secret = opened(flow)
    if secret is None:
        return
    if "tokens" not in secret and not _trade_code(flow, secret, client):
        return
    try:
        email = client.fetch_email(
            access_token=secret["tokens"]["access_token"], proxy=_proxy_of(flow)
        )
    except GatewayError:
        email = ""  # upkeep asks again
    _keep(flow, secret, email)


def _proxy_of(flow: Flow) -> str:
    """Of the credential that is connected again; "" for a new one, and for one whose key is gone."""
    try:
        return flow.credential.proxy_url if flow.credential else ""
    except SecretUnreadable:
        return ""


def _trade_code(flow: Flow, secret: SecretDict, client: GoogleClient) -> bool:
    """Whether `secret` has the tokens now. They are in the row before anything is done with them."""
    asked_at = time.time()
    try:
        answer = client.exchange_code(
            code=secret["code"],
            redirect_uri=flow.redirect_uri,
            code_verifier=secret["code_verifier"],
            client_id=secret["client_id"],
            client_secret=secret["client_secret"],
            proxy=_proxy_of(flow),
        )
    except GatewayError as exc:
        logger.warning("flow %s: the code was not exchanged: %s", flow.pk, exc)
        _stall(flow, Step.EXCHANGING, _PASSING)
        return False
    if isinstance(answer, TokenRefusal):
        _refuse(flow, secret, answer)
        return False
    if answer.scopes and _LOGIN_SCOPE not in answer.scopes:
        fail(flow, Step.CONSENT, _BOX_LEFT_OUT)
        return False
    if not answer.refresh_token:
        fail(flow, Step.EXCHANGING, _NOT_LASTING)
        return False
    secret["tokens"] = _tokens(answer, asked_at)
    Flow.objects.filter(pk=flow.pk).update(secret=secret)
    return True


def _refuse(flow: Flow, secret: SecretDict, refusal: TokenRefusal) -> None:
    logger.warning("flow %s: Google refused the code (%s)", flow.pk, refusal.reason)
    if refusal.trouble is Trouble.TEMPORARY:
        _stall(flow, Step.EXCHANGING, _PASSING)
    elif refusal.reason == "invalid_grant" and not secret.get("by_state"):
        kept = {name: value for name, value in secret.items() if name != "code"}
        _stall(flow, Step.EXCHANGING, _MISTYPED, kept)
    elif refusal.reason == "redirect_uri_mismatch":
        fail(flow, Step.EXCHANGING, _REDIRECT)
    elif refusal.trouble is Trouble.CONFIGURATION or refusal.reason == "unauthorized_client":
        fail(flow, Step.EXCHANGING, _CLIENT)
    else:
        fail(flow, Step.EXCHANGING, _USED)


def _stall(flow: Flow, step: Step, words: str, secret: Mapping[str, Any] | None = None) -> None:
    """Back to waiting: for a person who tries again, or pastes again."""
    changes: dict[str, Any] = {"state": Flow.State.PENDING, "step": step.value, "words": words}
    if secret is not None:
        changes["secret"] = dict(secret)
    Flow.objects.filter(pk=flow.pk, state=Flow.State.EXCHANGING).update(**changes)


def _tokens(reply: TokenReply, asked_at: float) -> dict[str, Any]:
    return {
        "refresh_token": reply.refresh_token,
        "access_token": reply.access_token,
        "expires_at": asked_at + reply.expires_in_s,
        "scopes": list(reply.scopes or oauth.SCOPES),
    }


def _keep(flow: Flow, secret: SecretDict, email: str) -> None:
    """From the flow into the pool, in one transaction."""
    with transaction.atomic():
        bump(TOPIC)  # from here on nobody takes back what is to be connected again
        row = Flow.objects.select_for_update().get(pk=flow.pk)
        if row.state != Flow.State.EXCHANGING:
            return
        if row.credential_id is not None and not _is_the_same(row, email):
            return
        rows, new = _stored(row, secret, email)
        row.credential = row.credential or rows[0]
        row.results = [pending(credential) | {"held": new} for credential in rows]
        row.secret = {}
        row.state = Flow.State.CHECKING
        row.save()
        audited(
            row, rows, "credentials.lend" if flow.credential_id is None else "credentials.reconnect"
        )


def _is_the_same(flow: Flow, email: str) -> bool:
    """Whether the account is the one of the credential that is to be reconnected; the flow tells when it is not."""
    credential = flow.credential
    if credential is None or credential.state == State.WITHDRAWN:
        fail(flow, Step.MATCHING, f"The credential was taken back meanwhile. {BEGIN_AGAIN}")
    elif credential.email and not email:
        _stall(flow, Step.MATCHING, _NOT_WHO)
    elif credential.email and email != credential.email.lower():
        fail(
            flow,
            Step.MATCHING,
            f"This is another Google account than before ({masked_email(credential.email)}), so nothing was changed. To "
            "reconnect, choose the same account at Google; to lend this one too, lend it as a new one.",
        )
    else:
        return True
    return False


def _stored(flow: Flow, secret: SecretDict, email: str) -> tuple[list[Credential], bool]:
    """The rows, and whether they are new."""
    tokens = secret["tokens"]
    login = tokens | {
        "client_id": secret["client_id"],
        "client_secret": secret["client_secret"],
        "token_uri": "",
    }
    if flow.credential is not None:
        rows = _of_the_same_login(flow.credential)
        ids = [row.pk for row in rows]
        return reconnect(credential_ids=ids, secret=login, email=email, by=BY), False
    if flow.browser_digest:
        flow.contributor = contributor_of(flow, Wishes(**secret["wishes"]))
    owner_id = flow.contributor.pk if flow.contributor else None
    # Google has said whose account it is, so whoever lent it before, its owner is the one who lends it now.
    if known := _of_the_account(email):
        rows = reconnect(
            credential_ids=[row.pk for row in known],
            secret=login,
            email=email,
            contributor_id=owner_id,
            by=BY,
        )
        return rows, False
    row = store(
        provider=Provider.CODE_ASSIST,
        secret=login,
        email=email,
        label=email or "Google account",
        source="/auth",
        contributor_id=owner_id,
    )
    # Its project is not known yet, and a call that came first would settle it.
    hold(credential_id=row.pk)
    return [row], True


def _of_the_same_login(credential: Credential) -> list[Credential]:
    """The other projects of the login died with it; they come back with it too."""
    rows = Credential.objects.filter(
        provider=credential.provider, fingerprint=credential.fingerprint
    )
    if credential.contributor is None:
        return [credential]
    rows = rows.filter(contributor=credential.contributor)
    others = rows.exclude(pk=credential.pk).exclude(state=State.WITHDRAWN)
    return [credential, *others]


def _of_the_account(email: str) -> list[Credential]:
    """One row a project, as a login serves each once; the disabled last."""
    if not email:
        return []
    rows = Credential.objects.filter(provider=Provider.CODE_ASSIST, email__iexact=email)
    by_project: dict[str, Credential] = {}
    for row in sorted(rows.exclude(state=State.WITHDRAWN), key=_disabled_last):
        by_project.setdefault(row.project_id, row)
    return list(by_project.values())


def _disabled_last(row: Credential) -> tuple[bool, int]:
    return row.state == State.DISABLED, row.pk


def _look_at(flow: Flow) -> None:
    credential = flow.credential
    if credential and _wants_project(credential) and not _set_up(flow, credential):
        return
    results = _tried(flow.results)
    release_held(flow)
    Flow.objects.filter(pk=flow.pk, state=Flow.State.CHECKING).update(
        state=Flow.State.DONE, results=results
    )


def _wants_project(credential: Credential) -> bool:
    return credential.provider == Provider.CODE_ASSIST and not credential.project_id


def _set_up(flow: Flow, credential: Credential) -> bool:
    """Whether it can be tried now. Otherwise the flow tells why, or waits for a choice."""
    google = upstream.current()
    project = flow.project
    try:
        if not project:
            projects = _listed(google, credential.pk)
            if len(projects) > 1:
                _ask_for_project(flow, projects)
                return False
            project = projects[0] if projects else ""
        found = google.set_up(credential.pk, project)
    except GatewayError as exc:
        _done_without_trying(flow, "unreachable", exc.message, "")
        return False
    if found.project:
        return True
    row = Credential.objects.get(pk=credential.pk)
    verdict = explain(row.state, row.state_reason, provider=row.provider).verdict
    verdict = "needs a project" if row.state == State.ACTIVE else verdict
    _done_without_trying(flow, verdict, found.words, found.help_url)
    return False


def _listed(google: upstream.Upstream, credential_id: int) -> list[str]:
    """None where Google does not let us look; setting up finds another way then."""
    try:
        return google.projects(credential_id)
    except GatewayError as exc:
        logger.info("the projects of credential %d were not listed: %s", credential_id, exc)
        return []


def _ask_for_project(flow: Flow, projects: list[str]) -> None:
    """The one that looks like a default first, as the other programs take it (reference 1.8)."""
    suggested = next((name for name in projects if "default" in name.lower()), projects[0])
    others = [name for name in projects if name != suggested]
    Flow.objects.filter(pk=flow.pk, state=Flow.State.CHECKING).update(
        state=Flow.State.CHOOSING,
        projects=[suggested, *others],
        expires_at=timezone.now() + LIFETIME,
    )


def _done_without_trying(flow: Flow, verdict: str, detail: str, help_url: str) -> None:
    """It is in the pool; upkeep goes on with it."""
    told = {"verdict": verdict, "usable": False, "detail": detail, "help_url": help_url}
    release_held(flow)
    Flow.objects.filter(pk=flow.pk, state=Flow.State.CHECKING).update(
        state=Flow.State.DONE,
        step=Step.PROJECT.value,
        results=[result | told for result in flow.results],
    )


def _tried(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ids = [result["credential"] for result in results if not result["verdict"]]
    findings = {finding.credential_id: finding for finding in upstream.current().check(ids)}
    told = []
    for result in results:
        if finding := findings.get(result["credential"]):
            result = result | {
                "verdict": finding.verdict,
                "usable": finding.usable,
                "detail": finding.detail,
                "help_url": finding.help_url,
            }
        told.append(result)
    return told
