"""What a credential needs before its first call: Code Assist set-up, projects, service switches."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from tests.fakes.google_accounts import TIERS, Account
from tests.fakes.google_errors import from_case
from tests.fakes.google_generate import check_project, parse_code_assist
from tests.fakes.google_models import CODE_ASSIST_MODELS
from tests.fakes.google_oauth import bearer_account
from tests.fakes.google_scripts import Recorded
from tests.fakes.google_state import State
from tests.fakes.google_status import CODE_ASSIST_DOMAIN, Refused, error_info, invalid, status_body

Json = dict[str, Any]

_TIER_NAMES = {
    "free-tier": "Gemini Code Assist for individuals",
    "legacy-tier": "Gemini Code Assist legacy",
    "standard-tier": "Gemini Code Assist Standard",
}


def _tier(tier_id: str, *, default: bool) -> Json:
    return {
        "id": tier_id,
        "name": _TIER_NAMES[tier_id],
        "description": f"{_TIER_NAMES[tier_id]}, as the fake grants it",
        "userDefinedCloudaicompanionProject": tier_id != "free-tier",
        "privacyNotice": {},
        **({"isDefault": True} if default else {}),
    }


_INELIGIBLE = {
    "unsupported_client": {
        "reasonCode": "UNSUPPORTED_CLIENT",
        "reasonMessage": "This client is no longer supported for Gemini Code Assist for individuals.",
        "tierId": "free-tier",
        "tierName": _TIER_NAMES["free-tier"],
    },
    "validation_required": {
        "reasonCode": "VALIDATION_REQUIRED",
        "reasonMessage": "Verify your account to continue.",
        "tierId": "free-tier",
        "tierName": _TIER_NAMES["free-tier"],
        "validationErrorMessage": "Verify your account to continue.",
        "validationUrl": "https://accounts.google.com/signin/continue?sarp=1&fake=1",
        "validationUrlLinkText": "Verify your account",
        "validationLearnMoreUrl": "https://support.google.com/accounts?p=al_alert",
    },
}


async def load_code_assist(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    """Follows the account's state and tier; a ``load_*`` scenario answers as if they differed."""
    account = bearer_account(state, record, CODE_ASSIST_DOMAIN)
    body = parse_code_assist("LoadCodeAssistRequest", record.body)
    name, options = match["scenario"], match["options"]
    if name == "load_security_policy":
        text = "Request is prohibited by organization's policy."
        info = error_info("SECURITY_POLICY_VIOLATED", "googleapis.com", service=CODE_ASSIST_DOMAIN)
        raise Refused(403, status_body(403, "PERMISSION_DENIED", text, info))
    standing, tier = account.state, account.tier
    if name in ("load_free", "load_standard"):
        standing, tier = "onboarded", f"{name.removeprefix('load_')}-tier"
    elif name:
        standing = name.removeprefix("load_")
    if standing == "banned":  # the ban shows only when generating
        standing = "onboarded"
    project = account.project or body.get("cloudaicompanionProject")
    return web.json_response(_loaded(account, standing, tier, project, options))


def _loaded(account: Account, standing: str, tier: str, project: str | None, options: Json) -> Json:
    default = "free-tier" if standing != "onboarded" and account.tier == "free-tier" else tier
    answer: Json = {
        "allowedTiers": [
            _tier(one, default=one == default) for one in dict.fromkeys((default, "standard-tier"))
        ]
    }
    if standing in _INELIGIBLE:
        answer["allowedTiers"] = [_tier("standard-tier", default=True)]
        return answer | {"ineligibleTiers": [_INELIGIBLE[standing]]}
    if standing == "not_onboarded":
        return answer
    answer["currentTier"] = _tier(tier, default=False)
    if account.paid_tier:
        credits = [{"creditType": "GOOGLE_ONE_AI", "creditAmount": "25000"}]
        answer["paidTier"] = {"id": account.paid_tier, "availableCredits": credits}
    if project:
        as_object = options.get("project_form") == "object"
        answer["cloudaicompanionProject"] = {"id": project} if as_object else project
    return answer


async def onboard_user(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    """Starts an operation, or polls the one already running for this person."""
    account = bearer_account(state, record, CODE_ASSIST_DOMAIN)
    body = parse_code_assist("OnboardUserRequest", record.body)
    tier, project = body.get("tierId", ""), body.get("cloudaicompanionProject")
    if tier not in TIERS:
        raise invalid(
            "Request contains an invalid argument.", ("tier_id", f"unknown tier {tier!r}")
        )
    running = state.operations.get(f"onboard/{account.email}")
    if running is None:
        name, options = match["scenario"], match["options"]
        # The free tier brings a project of Google's own; the standard tier needs the person's.
        misfit = tier != "legacy-tier" and (tier == "free-tier") == bool(project)
        if name == "onboard_precondition" or misfit:
            raise from_case("ca_precondition")
        running = {
            "name": f"operations/{account.email.split('@')[0]}-{record.id}",
            "email": account.email,
            "left": options.get("polls", 1),
            "empty": name == "onboard_empty",
            "tier": tier,
            "project": project,
        }
        with state.changed:
            state.operations[f"onboard/{account.email}"] = running
            state.operations[running["name"]] = running
    return web.json_response(_polled(state, running))


async def operation(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    account = bearer_account(state, record, CODE_ASSIST_DOMAIN)
    running = state.operations.get(f"operations/{match['operation']}")
    if running is None or running["email"] != account.email:
        raise from_case("ca_model_missing")
    return web.json_response(_polled(state, running))


def _polled(state: State, running: Json) -> Json:
    with state.changed:
        running["left"] = max(0, running["left"] - 1)
        if running["left"]:
            return {"name": running["name"], "done": False}
        account = state.directory.accounts[running["email"]]
        account.state, account.tier = "onboarded", running["tier"]
        given = running["project"] or account.project or f"managed-{running['name'][-6:]}"
        account.project = given
        state.operations.pop(f"onboard/{account.email}", None)
    response = {"cloudaicompanionProject": {"id": given, "name": given}}
    kind = f"type.googleapis.com/google.internal.{CODE_ASSIST_DOMAIN}.OnboardUserResponse"
    filled = {} if running["empty"] else {"@type": kind, **response}
    return {"name": running["name"], "done": True, "response": filled}


async def user_quota(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    """``account.quota``, or nine tenths left of every model; 1970 for a model without access."""
    account = bearer_account(state, record, CODE_ASSIST_DOMAIN)
    body = parse_code_assist("RetrieveUserQuotaRequest", record.body)
    check_project(state, record, body.get("project", ""))
    reset = (datetime.now(UTC) + timedelta(hours=13)).strftime("%Y-%m-%dT%H:%M:%SZ")
    buckets = account.quota
    if buckets is None:
        buckets = []
        for name in CODE_ASSIST_MODELS:
            barred = "preview" in name and not account.preview
            left = {} if barred else {"remainingFraction": 0.9, "remainingAmount": "900"}
            stamp = "1970-01-01T00:00:00Z" if barred else reset
            buckets.append({"modelId": name, "tokenType": "REQUESTS", "resetTime": stamp, **left})
    return web.json_response({"buckets": copy.deepcopy(buckets)})


# ---------------------------------------------------------------------------- Resource Manager


async def list_projects(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    account = bearer_account(state, record, "cloudresourcemanager.googleapis.com")
    name = match["scenario"]
    if name == "projects_forbidden":
        text = (
            "Cloud Resource Manager API has not been used in this project before or it is disabled."
        )
        info = error_info(
            "SERVICE_DISABLED", "googleapis.com", service="cloudresourcemanager.googleapis.com"
        )
        raise Refused(403, status_body(403, "PERMISSION_DENIED", text, info))
    projects = [] if name == "projects_none" else account.projects
    size = int(record.query.get("pageSize", 500))
    start = int(record.query.get("pageToken", 0))
    page = projects[start : start + size]
    # Google leaves the list out when it is empty.
    answer: Json = {"projects": page} if page else {}
    if start + size < len(projects):
        answer["nextPageToken"] = str(start + size)
    return web.json_response(answer)


# ---------------------------------------------------------------------------- Service Usage


def _service_account(state: State, record: Recorded, match: Json) -> tuple[Account, str]:
    account = bearer_account(state, record, "serviceusage.googleapis.com")
    name = match["scenario"]
    if name == "service_forbidden" or not account.owns(match["project"]):
        text = f"Permission denied to get service [{match['service']}]"
        info = error_info("AUTH_PERMISSION_DENIED", "googleapis.com")
        raise Refused(403, status_body(403, "PERMISSION_DENIED", text, info))
    switched = {"service_enabled": "ENABLED", "service_disabled": "DISABLED"}.get(name)
    return account, switched or account.services.get(match["service"], "DISABLED")


def _service(match: Json, standing: str) -> Json:
    path = f"projects/{match['project']}/services/{match['service']}"
    return {
        "name": path,
        "config": {"name": match["service"]},
        "state": standing,
        "parent": f"projects/{match['project']}",
    }


async def get_service(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    _, standing = _service_account(state, record, match)
    return web.json_response(_service(match, standing))


async def enable_service(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    """Enabling what is enabled is refused, and clients must take that for success."""
    account, standing = _service_account(state, record, match)
    if standing == "ENABLED":
        raise invalid(f"Service {match['service']} is already enabled.")
    account.services[match["service"]] = "ENABLED"
    kind = "type.googleapis.com/google.api.serviceusage.v1.EnableServiceResponse"
    answer = {
        "name": f"operations/acf.fake-{record.id}",
        "done": True,
        "response": {"@type": kind, "service": _service(match, "ENABLED")},
    }
    return web.json_response(answer)


# ---------------------------------------------------------------------------- preview channel


async def release_channel(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    """Settings and their bindings of one project; a second POST of the same kind is a 409."""
    account = bearer_account(state, record, "cloudaicompanion.googleapis.com")
    if not account.owns(match["project"]):
        raise from_case("ca_iam", project=match["project"])
    path = record.path.removeprefix("/v1/")
    if request.method == "GET":
        found = [value for key, value in state.channels.items() if key.rpartition("/")[0] == path]
        return web.json_response({"releaseChannelSettings": found} if found else {})
    is_binding = path.endswith("settingBindings")
    wanted = "setting_binding_id" if is_binding else "release_channel_setting_id"
    if wanted not in record.query:
        raise invalid(f"{wanted} is required")
    if any(key.rpartition("/")[0] == path for key in state.channels):
        raise Refused(409, status_body(409, "ALREADY_EXISTS", "Requested entity already exists"))
    name = f"{path}/{record.query[wanted]}"
    with state.changed:
        state.channels[name] = {"name": name, **(record.body or {})}
    if is_binding:
        account.preview = True
    return web.json_response(state.channels[name])
