"""Made-up secrets in Google's forms, and files as the other gateways write them."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from typing import Any

from credentials import services
from credentials.models import Credential

CLIENT_ID = "12345-made-up.apps.googleusercontent.com"
CLIENT_SECRET = "GOCSPX-madeUpClientSecret000001"
REFRESH_TOKEN = "1//0madeUpRefreshToken-000000000001"
ACCESS_TOKEN = "ya29.madeUpAccessToken-00000000001"
FUTURE = 4_000_000_000.0


def api_key(number: int = 1) -> str:
    return f"AIza{number:0>35}"


def oauth_secret(**changes: Any) -> dict[str, Any]:
    return {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": REFRESH_TOKEN,
        "access_token": ACCESS_TOKEN,
        "expires_at": FUTURE,
        "token_uri": "",
        "scopes": [],
    } | changes


def store_key(number: int = 1, **changes: Any) -> Credential:
    return services.store(provider="gemini_api", secret={"api_key": api_key(number)}, **changes)


def store_login(secret: dict[str, Any] | None = None, **changes: Any) -> Credential:
    return services.store(provider="code_assist", secret=secret or oauth_secret(), **changes)


def gcli2api(**changes: Any) -> dict[str, Any]:
    return {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "token": ACCESS_TOKEN,
        "refresh_token": REFRESH_TOKEN,
        "scopes": ["https://www.googleapis.com/auth/cloud-platform"],
        "token_uri": "https://oauth2.googleapis.com/token",
        "project_id": "made-up-project",
        "expiry": "2096-10-02T07:06:40+00:00",
    } | changes


def gemini_cli(**changes: Any) -> dict[str, Any]:
    return {
        "access_token": ACCESS_TOKEN,
        "refresh_token": REFRESH_TOKEN,
        "scope": "https://www.googleapis.com/auth/cloud-platform openid",
        "token_type": "Bearer",
        "id_token": id_token({"email": "Alice@Example.org"}),
        "expiry_date": FUTURE * 1000,
    } | changes


def adc(**changes: Any) -> dict[str, Any]:
    return {
        "type": "authorized_user",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": REFRESH_TOKEN,
        "quota_project_id": "hint-only-project",
        "account": "alice@example.org",
        "universe_domain": "googleapis.com",
    } | changes


def cliproxyapi(project: str = "made-up-project", **changes: Any) -> dict[str, Any]:
    return {
        "token": {
            "access_token": ACCESS_TOKEN,
            "token_type": "Bearer",
            "refresh_token": REFRESH_TOKEN,
            "expiry": "2096-10-02T07:06:40.123456789Z",
            "token_uri": "https://oauth2.googleapis.com/token",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "scopes": ["https://www.googleapis.com/auth/cloud-platform"],
            "universe_domain": "googleapis.com",
        },
        "project_id": project,
        "email": "alice@example.org",
        "auto": True,
        "checked": True,
        "type": "gemini",
    } | changes


def id_token(claims: dict[str, Any]) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{payload}.c2ln"


def as_bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()
