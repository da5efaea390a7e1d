"""What a fresh OAuth credential needs before its first Code Assist call: a tier and a project (reference 1.8).

Generators without I/O. The driver waits `after_s` seconds, sends the request of each `Ask` and sends the answer back
in; what the generator returns is the result. No generator here raises for anything an upstream may answer.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from msgspec import Struct

from apiproxy.providers import code_assist, code_assist_projects, code_assist_tiers
from apiproxy.providers.judgement import judge
from apiproxy.wire import codec
from apiproxy.wire.google_errors import http_status, parse
from apiproxy.wire.types import OK, Answer, Credential, Endpoints, Fault, Outgoing, Verdict

Json = dict[str, Any]

POLL_PAUSE_S = 3.0
MAX_POLLS = 10
MAX_PROJECT_PAGES = 5

_MODEL = "gemini-2.5-pro"
"""Only for the User-Agent, whose form wants a model."""


class Ask(Struct, frozen=True):
    request: Outgoing
    after_s: float = 0.0
    """How long to wait before sending it."""


class SetUp(Struct, frozen=True):
    """`verdict` is OK when the credential can be used, else it says why not and what a person can do."""

    project: str = ""
    tier: str = ""
    verdict: Verdict = OK


class Listed(Struct, frozen=True):
    """The active projects, the one to suggest first; `verdict` is OK when they could be listed."""

    projects: tuple[str, ...] = ()
    verdict: Verdict = OK


class _Failed(Exception):
    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


def discover(
    credential: Credential, endpoints: Endpoints, project_hint: str = ""
) -> Generator[Ask, Answer, SetUp]:
    """`project_hint`: the project that came with the credential; the one in Google's answer beats it."""
    hint = code_assist_tiers.usable_project(project_hint)
    tier = ""
    try:
        loaded = yield from _load(credential, endpoints, hint)
        project = code_assist_tiers.project_of(loaded) or hint
        tier = code_assist_tiers.tier_of(loaded)
        if not code_assist_tiers.is_onboarded(loaded):
            if (refusal := code_assist_tiers.ineligibility(loaded)) is not None:
                return SetUp(project=project, verdict=refusal)
            tier = code_assist_tiers.tier_to_join(loaded)
            project = yield from _onboard(credential, endpoints, tier, project)
            if not project:
                # The operation may end without naming what it gave.
                loaded = yield from _load(credential, endpoints, "")
                project = code_assist_tiers.project_of(loaded)
        project = project or (yield from _own_project(credential, endpoints))
    except _Failed as failure:
        return SetUp(project=hint, tier=tier, verdict=failure.verdict)
    return SetUp(project=project, tier=tier)


def list_projects(credential: Credential, endpoints: Endpoints) -> Generator[Ask, Answer, Listed]:
    try:
        found = yield from _active_projects(credential, endpoints)
    except _Failed as failure:
        return Listed(verdict=failure.verdict)
    ids = [str(project["projectId"]) for project in found]
    suggested = code_assist_projects.choose(found)
    return Listed(tuple(sorted(ids, key=lambda name: name != suggested)))


def enable_services(
    credential: Credential, endpoints: Endpoints, project: str
) -> Generator[Ask, Answer, tuple[str, ...]]:
    """Switches on what a licensed project needs; returns the services that stayed off, which may be ignored."""
    missing = []
    for service in code_assist_projects.SERVICES:
        state = yield Ask(
            code_assist_projects.service_request(credential, endpoints, project, service)
        )
        if state.status == 200 and (_json(state) or {}).get("state") == "ENABLED":
            continue
        enabled = yield Ask(
            code_assist_projects.enable_request(credential, endpoints, project, service)
        )
        # 400 is the answer for a service that is on already.
        if not (enabled.status < 300 or (enabled.status == 400 and b"already" in enabled.body)):
            missing.append(service)
    return tuple(missing)


def _load(
    credential: Credential, endpoints: Endpoints, project: str
) -> Generator[Ask, Answer, Json]:
    body: Json = {"metadata": _metadata(project)}
    if project:
        body["cloudaicompanionProject"] = project
    answer = yield Ask(_post(credential, endpoints, "loadCodeAssist", body))
    if answer.status >= 400 and _is_behind_perimeter(answer):
        return {"currentTier": {"id": code_assist_tiers.STANDARD_TIER}}
    return _accepted(answer)


def _is_behind_perimeter(answer: Answer) -> bool:
    """VPC Service Controls hide the answer from licensed accounts that are onboarded already."""
    return parse(answer.status, answer.body).reason == "SECURITY_POLICY_VIOLATED"


def _onboard(
    credential: Credential, endpoints: Endpoints, tier: str, project: str
) -> Generator[Ask, Answer, str]:
    """The project Google gives with the tier, else the one that was known; "" when there is neither."""
    body: Json = {"tierId": tier, "metadata": _metadata("")}
    if tier != code_assist_tiers.FREE_TIER:
        # The free tier gets a project of its own and refuses any other; the paid ones need one.
        own = project or (yield from _own_project(credential, endpoints))
        project = own
        body |= {"cloudaicompanionProject": own, "metadata": _metadata(own)}
    request = _post(credential, endpoints, "onboardUser", body)
    for poll in range(MAX_POLLS):
        answer = yield Ask(request, after_s=POLL_PAUSE_S if poll else 0.0)
        operation = _accepted(answer)
        if isinstance(error := operation.get("error"), dict):
            raise _Failed(_judge_operation(error, answer))
        if operation.get("done"):
            response = operation.get("response")
            given = code_assist_tiers.project_of(response) if isinstance(response, dict) else ""
            return given or project
    raise _Failed(_PENDING)


def _own_project(credential: Credential, endpoints: Endpoints) -> Generator[Ask, Answer, str]:
    projects = yield from _active_projects(credential, endpoints)
    if not projects:
        raise _Failed(_NO_PROJECT)
    return code_assist_projects.choose(projects)


def _active_projects(
    credential: Credential, endpoints: Endpoints
) -> Generator[Ask, Answer, list[Json]]:
    projects: list[Json] = []
    token = ""
    for _ in range(MAX_PROJECT_PAGES):
        answer = yield Ask(code_assist_projects.list_request(credential, endpoints, token))
        if answer.status == 403:
            raise _Failed(_UNLISTED)
        page = _accepted(answer)
        projects += code_assist_projects.active_projects(page)
        token = str(page.get("nextPageToken") or "")
        if not token:
            break
    return projects


def _accepted(answer: Answer) -> Json:
    verdict = judge(answer, code_assist.POLICY)
    if verdict.fault is not Fault.OK:
        raise _Failed(verdict)
    if (value := _json(answer)) is None:
        raise _Failed(_UNREADABLE)
    return value


def _json(answer: Answer) -> Json | None:
    try:
        value = codec.loads_lenient(answer.body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _judge_operation(error: Json, answer: Answer) -> Verdict:
    """A long-running operation that ended badly tells so in a 200."""
    status = http_status(error, 500)
    body = codec.encode({"error": error})
    return judge(
        Answer(status=status, headers={}, body=body, received_at=answer.received_at),
        code_assist.POLICY,
    )


def _post(credential: Credential, endpoints: Endpoints, method: str, body: Json) -> Outgoing:
    return Outgoing(
        method="POST",
        url=f"{endpoints.code_assist}/{code_assist.VERSION}:{method}",
        headers=code_assist.headers(credential, _MODEL),
        body=codec.encode(body),
    )


def _metadata(project: str) -> Json:
    metadata = {
        "ideType": "IDE_UNSPECIFIED",
        "platform": "PLATFORM_UNSPECIFIED",
        "pluginType": "GEMINI",
    }
    return {**metadata, "duetProject": project} if project else metadata


_PENDING = Verdict(
    fault=Fault.RETRY,
    kind="timeout",
    reason="onboarding_pending",
    message="Google has not finished setting the account up. Try again in a minute.",
    status=504,
)
_UNREADABLE = Verdict(
    fault=Fault.RETRY,
    kind="server",
    reason="unreadable_answer",
    message="Google's answer could not be read. Try again in a minute.",
    status=502,
)
_NO_PROJECT = Verdict(
    fault=Fault.DISABLE,
    kind="configuration",
    reason="project_missing",
    message="The account has no active Google Cloud project. Create one, or name the one to use.",
    status=403,
    help_url="https://console.cloud.google.com/projectcreate",
)
_UNLISTED = Verdict(
    fault=Fault.DISABLE,
    kind="configuration",
    reason="project_missing",
    message="The account's Google Cloud projects may not be listed. Name the project to use.",
    status=403,
)
