"""What the credentials app asks of the upstreams (credentials/upstream.py), answered with the proxy's own means: probes,
discovery, quota look-ups. Put in place by apps.py.

The database is read and written here, in the caller's thread; only the asking is asynchronous.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from asgiref.sync import async_to_sync

from apiproxy import config as configuration
from apiproxy import probe
from apiproxy.config import ProxyConfig
from apiproxy.feed import as_credential
from apiproxy.providers import (
    code_assist,
    code_assist_preview,
    code_assist_quota,
    code_assist_setup,
)
from apiproxy.providers.code_assist_quota import QuotaBucket
from apiproxy.providers.code_assist_setup import SetUp
from apiproxy.renewal import drive
from apiproxy.transport import Transport
from apiproxy.wire.types import OK, Answer, Credential, Endpoints, Fault, Verdict
from credentials import selectors, services
from credentials.models import Credential as Row
from credentials.models import Provider
from credentials.states import State
from credentials.upstream import Bucket, Finding, SetUpResult
from credentials.words import explain
from gateway.lib.crypto import SecretUnreadable
from gateway.lib.errors import GatewayError, PermissionDenied, UpstreamFailed

logger = logging.getLogger(__name__)

T = TypeVar("T")
Steps = Generator[code_assist_setup.Ask, Answer, T]

CODE_ASSIST = Provider.CODE_ASSIST
ATTENTION = State.NEEDS_ATTENTION
_REFRESH_BEFORE_EXPIRY_S = 120.0
_READ_TIMEOUT_S = 60.0
_UNREADABLE = "Its secret fits none of ENCRYPTION_KEYS: give the key back that it was stored with."


class Answers:
    def check(self, credential_ids: Sequence[int]) -> list[Finding]:
        return [finding for ids in _batches(credential_ids) for finding in _check(ids)]

    def projects(self, credential_id: int) -> list[str]:
        credential = _login_of(credential_id)
        listed = _ask(credential, code_assist_setup.list_projects)
        if listed.verdict is not OK:
            raise _error(listed.verdict)
        return list(listed.projects)

    def set_up(self, credential_id: int, project: str = "") -> SetUpResult:
        credential = _login_of(credential_id)

        def discover(login: Credential, endpoints: Endpoints) -> Steps[SetUp]:
            return code_assist_setup.discover(login, endpoints, project or login.project)

        found = _ask(credential, discover)
        if found.verdict is not OK:
            return _not_set_up(credential, found)
        if not found.project:
            return SetUpResult(tier=found.tier, words=explain(ATTENTION, "project_missing").todo)
        _enable_services(credential, found.project)
        row = services.set_project(
            credential_id=credential_id, project=found.project, tier=found.tier
        )
        words = explain(row.state, row.state_reason).todo if row.state == State.DISABLED else ""
        return SetUpResult(project=found.project, tier=found.tier, words=words)

    def quota(self, credential_id: int) -> list[Bucket]:
        if Row.objects.values_list("provider", flat=True).get(pk=credential_id) != CODE_ASSIST:
            return []
        credential = _login_of(credential_id)
        answer = _ask(credential, _read_quota)
        verdict = code_assist.classify(answer)
        if verdict is not OK:
            _record(credential.id, verdict, of_a_model=False)
            raise _error(verdict)
        return [
            bucket
            for found in code_assist_quota.parse_quota(answer)
            if found.model and found.token_type in ("", "REQUESTS")
            for bucket in _buckets(found)
        ]

    def enable_preview(self, credential_id: int) -> str:
        credential = _login_of(credential_id)
        if not credential.project:
            return "It has no project yet: look for its project first."
        verdict = _ask(credential, _join_preview)
        if verdict.fault is Fault.RETRY:
            raise _error(verdict)
        if verdict is not OK:
            return explain(ATTENTION, verdict.reason).todo or verdict.message
        services.set_preview(credential_id=credential_id, preview=True)
        return ""


def _batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """What was found is written down after a few, not at the end."""
    for start in range(0, len(ids), probe.AT_ONCE * 4):
        yield ids[start : start + probe.AT_ONCE * 4]


def _check(ids: Sequence[int]) -> list[Finding]:
    findings: dict[int, Finding] = {}
    ready: list[Credential] = []
    for pk in ids:
        try:
            ready.append(_with_token(pk))
        except Row.DoesNotExist:
            continue
        except SecretUnreadable:
            findings[pk] = _unreadable(pk)
        except services.RefreshRefused as refused:
            findings[pk] = _refused(pk, refused)
        except GatewayError as exc:
            findings[pk] = _finding(pk, probe.UNREACHABLE, exc.message)
    verdicts = async_to_sync(probe.probe)(_config(), ready)
    for credential, verdict in zip(ready, verdicts, strict=True):
        _record(credential.id, verdict)
        findings[credential.id] = probe.finding(credential, verdict)
    return [findings[pk] for pk in ids if pk in findings]


def _finding(pk: int, verdict: str, detail: str) -> Finding:
    label = Row.objects.values_list("label", flat=True).get(pk=pk)
    return Finding(pk, label, verdict, usable=False, detail=detail)


def _unreadable(pk: int) -> Finding:
    return _finding(pk, "unreadable", _UNREADABLE)


def _refused(pk: int, refused: services.RefreshRefused) -> Finding:
    """The service has recorded why."""
    if refused.reason == "secret_unreadable":
        return _unreadable(pk)
    row = Row.objects.only("state", "provider").get(pk=pk)
    misconfigured = row.state == State.NEEDS_ATTENTION
    todo = explain(row.state, refused.reason, provider=row.provider).todo
    return _finding(pk, "misconfigured" if misconfigured else "revoked", todo)


def _with_token(credential_id: int) -> Credential:
    """Ready to be sent. Raises Row.DoesNotExist, SecretUnreadable and what a refresh raises."""
    credential = as_credential(selectors.snapshot_of(credential_id))
    if credential.provider != CODE_ASSIST:
        return credential
    if credential.token and credential.expires_at > time.time() + _REFRESH_BEFORE_EXPIRY_S:
        return credential
    services.refresh_access_token(credential_id=credential_id, stale_token=credential.token)
    return as_credential(selectors.snapshot_of(credential_id))


def _login_of(credential_id: int) -> Credential:
    """A Google account with a fresh token. Raises GatewayError for a key, and when there is no token to be had."""
    try:
        credential = _with_token(credential_id)
    except SecretUnreadable as exc:
        raise UpstreamFailed(_UNREADABLE) from exc
    if credential.provider != CODE_ASSIST:
        raise PermissionDenied("This is an API key: only Google accounts have this.")
    return credential


def _ask(credential: Credential, steps: Callable[[Credential, Endpoints], Steps[T]]) -> T:
    """Raises GatewayError when the upstream cannot be asked."""

    async def ask() -> T:
        config = _config()
        transport = Transport(config, time.time)
        await transport.start()
        try:
            return await drive(transport, steps(credential, config.endpoints), credential.proxy)
        finally:
            await transport.stop()

    return async_to_sync(ask)()


def _config() -> ProxyConfig:
    """A client's answer may be minutes in coming; these are short, and somebody or a worker's thread waits for them."""
    config = configuration.from_settings()
    patience_s = min(config.read_timeout_s, _READ_TIMEOUT_S)
    return msgspec.structs.replace(config, read_timeout_s=patience_s)


def _read_quota(credential: Credential, endpoints: Endpoints) -> Steps[Answer]:
    answer = yield code_assist_setup.Ask(code_assist_quota.quota_request(credential, endpoints))
    return answer


def _join_preview(credential: Credential, endpoints: Endpoints) -> Steps[Verdict]:
    return code_assist_preview.join(credential, endpoints, f"wellspring-{uuid.uuid4().hex[:12]}")


def _enable_services(credential: Credential, project: str) -> None:
    """Often a project works without; if it does not, the first call's error says so, with a link."""

    def enable(login: Credential, endpoints: Endpoints) -> Steps[tuple[str, ...]]:
        return code_assist_setup.enable_services(login, endpoints, project)

    try:
        off = _ask(credential, enable)
    except GatewayError as exc:
        logger.info("the services of credential %d were not looked at: %s", credential.id, exc)
        return
    if off:
        logger.info("credential %d: %s could not be enabled", credential.id, ", ".join(off))


def _not_set_up(credential: Credential, found: SetUp) -> SetUpResult:
    verdict = found.verdict
    if verdict.fault is Fault.RETRY:
        raise _error(verdict)
    _record(credential.id, verdict, of_a_model=False)
    told = probe.finding(credential, verdict)
    return SetUpResult(tier=found.tier, words=told.detail, help_url=told.help_url)


def _record(credential_id: int, verdict: Verdict, *, of_a_model: bool = True) -> None:
    """`of_a_model`: a call was answered. What the look-ups are refused may concern the whole credential, but says nothing of a
    model."""
    move = probe.move_of(credential_id, verdict)
    if move is not None and (of_a_model or not move.scope):
        services.apply_verdicts([move])


def _error(verdict: Verdict) -> GatewayError:
    if verdict.fault is Fault.RETRY:
        return UpstreamFailed(verdict.message)
    return PermissionDenied(explain(ATTENTION, verdict.reason).todo or verdict.message)


def _buckets(found: QuotaBucket) -> list[Bucket]:
    """By the name it was told under, and by the names that it has in the catalogue."""
    names = [name for name, theirs in code_assist.ALIASES.items() if theirs == found.model]
    return [
        Bucket(
            model=name,
            remaining_fraction=min(max(found.remaining_fraction, 0.0), 1.0),
            remaining_calls=found.remaining,
            resets_at=datetime.fromtimestamp(found.resets_at, UTC) if found.resets_at else None,
            barred=found.barred,
        )
        for name in (found.model, *names)
    ]
