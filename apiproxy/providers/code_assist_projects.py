"""Google Cloud projects of a credential: which one to use, and the services it needs (reference 1.8)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from apiproxy.wire.types import Credential, Endpoints, Outgoing

Json = dict[str, Any]

SERVICES = ("geminicloudassist.googleapis.com", "cloudaicompanion.googleapis.com")


def list_request(credential: Credential, endpoints: Endpoints, page_token: str = "") -> Outgoing:
    query = f"?pageToken={quote(page_token, safe='')}" if page_token else ""
    return _request("GET", f"{endpoints.resource_manager}/v1/projects{query}", credential)


def active_projects(page: Json) -> list[Json]:
    projects = page.get("projects")
    return [
        project
        for project in (projects if isinstance(projects, list) else [])
        if isinstance(project, dict)
        and project.get("lifecycleState") == "ACTIVE"
        and isinstance(project.get("projectId"), str)
    ]


def choose(projects: list[Json]) -> str:
    """The only active project, else the first that is called "default", else the first; "" for none."""
    if not projects:
        return ""
    return str(next(filter(_is_default, projects), projects[0])["projectId"])


def service_request(
    credential: Credential, endpoints: Endpoints, project: str, service: str
) -> Outgoing:
    return _request("GET", _service_url(endpoints, project, service), credential)


def enable_request(
    credential: Credential, endpoints: Endpoints, project: str, service: str
) -> Outgoing:
    return _request(
        "POST", _service_url(endpoints, project, service) + ":enable", credential, b"{}"
    )


def _is_default(project: Json) -> bool:
    return any("default" in str(project.get(name, "")).lower() for name in ("name", "projectId"))


def _service_url(endpoints: Endpoints, project: str, service: str) -> str:
    return f"{endpoints.service_usage}/v1/projects/{quote(project, safe='')}/services/{service}"


def _request(method: str, url: str, credential: Credential, body: bytes = b"") -> Outgoing:
    headers = {"authorization": f"Bearer {credential.token}", "accept": "application/json"}
    if body:
        headers["content-type"] = "application/json"
    return Outgoing(method=method, url=url, headers=headers, body=body)
