"""`GET /config/get` and `POST /config/save` of the older gateways (gcli2api, src/panel/config_routes.py as of late 2025), over the
settings of this one. Passwords are not shown, and cannot be set here: the environment holds them.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiExample, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from gateway.dashboard import settings_api
from gateway.lib import site_settings
from gateway.lib.errors import InvalidRequest
from gateway.lib.proxies import masked
from gateway.lib.site_registry import BY_NAME
from gateway.settings import listen

# Their names for ours where they are not the same in small letters.
_THEIRS = {
    "auto_ban_enabled": "AUTO_BAN",
    "compatibility_mode_enabled": "COMPATIBILITY_MODE",
}
_SHARED = (
    "proxy",
    "auto_ban_error_codes",
    "calls_per_rotation",
    "retry_429_max_retries",
    "retry_429_enabled",
    "retry_429_interval",
    "anti_truncation_max_attempts",
    "return_thoughts_to_frontend",
    "log_level",
)
_NAMES = _THEIRS | {name: name.upper() for name in _SHARED}
# Set by the environment alone, so that no page and no token can turn the site to another upstream.
_ADDRESSES = {
    "code_assist_endpoint": "CODE_ASSIST_ENDPOINT",
    "oauth_proxy_url": "OAUTH_PROXY_URL",
    "googleapis_proxy_url": "GOOGLEAPIS_PROXY_URL",
    "resource_manager_api_url": "RESOURCE_MANAGER_API_URL",
    "service_usage_api_url": "SERVICE_USAGE_API_URL",
}
_PASSWORDS = {
    "api_password": "API_PASSWORD",
    "panel_password": "PANEL_PASSWORD",
    "password": "PASSWORD",
}
_SERVER = ("host", "port")

_Config = inline_serializer(
    "OlderConfig",
    {
        "config": serializers.DictField(child=serializers.JSONField()),
        "env_locked": serializers.ListField(child=serializers.CharField()),
    },
)
_Saved = inline_serializer(
    "OlderConfigSaved",
    {
        "message": serializers.CharField(),
        "saved_config": serializers.DictField(child=serializers.JSONField()),
    },
)


class _Save(serializers.Serializer[Any]):
    config = serializers.DictField(child=serializers.JSONField(allow_null=True))


class Get(APIView):
    scope = "settings"

    @extend_schema(
        operation_id="older_config_get",
        tags=["older routes"],
        responses=_Config,
        examples=[
            OpenApiExample(
                "Some of it",
                value={
                    "config": {"retry_429_enabled": True, "retry_429_max_retries": 5, "proxy": ""},
                    "env_locked": ["host", "port"],
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request) -> Response:
        """The settings under their older names, and which of these only the environment can change."""
        return Response({"config": _config(), "env_locked": _locked()})


class Save(APIView):
    scope = "settings"

    @extend_schema(
        operation_id="older_config_save",
        tags=["older routes"],
        request=_Save,
        responses=_Saved,
        examples=[
            OpenApiExample(
                "Fewer retries",
                value={"config": {"retry_429_max_retries": 3}},
                request_only=True,
            ),
            OpenApiExample(
                "Fewer retries, saved",
                value={
                    "message": "The configuration is saved.",
                    "saved_config": {"retry_429_max_retries": 3},
                },
                response_only=True,
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        """Saves what can be changed. As there, what the environment fixes is passed over; so is what only the older gateways know."""
        form = _Save(data=request.data)
        form.is_valid(raise_exception=True)
        given = form.validated_data["config"]
        locked = set(_locked())
        if unset := [name for name in _PASSWORDS if name not in locked and _sets(given.get(name))]:
            raise InvalidRequest(
                f"{', '.join(unset)}: passwords are set in the environment only.", param="config"
            )
        taken = {name: value for name, value in given.items() if name in _NAMES.keys() - locked}
        if "proxy" in taken and taken["proxy"] == masked(settings.UPSTREAM_PROXY):
            del taken["proxy"]  # as it was shown: a form sends back what it was given
        values = {_NAMES[name]: _read(name, value) for name, value in taken.items()}
        if values:
            try:
                settings_api.change(request._request, values=values)
            except ValidationError as exc:
                raise ValidationError(_in_their_names(exc.detail)) from exc
        return Response(
            {
                "message": "The configuration is saved.",
                "saved_config": {
                    name: BY_NAME[_NAMES[name]].shown(values[_NAMES[name]]) for name in taken
                },
            }
        )


def _config() -> dict[str, Any]:
    by_name = {one.setting.name: one for one in site_settings.told()}
    told = {theirs: by_name[ours].value for theirs, ours in _NAMES.items()}
    addresses = {theirs: getattr(settings, ours) for theirs, ours in _ADDRESSES.items()}
    server = {"host": listen.HOST, "port": listen.PORT}
    return {**told, **addresses, **server, **dict.fromkeys(_PASSWORDS, "")}


def _locked() -> list[str]:
    changeable = [
        theirs
        for theirs, ours in (_NAMES | _PASSWORDS).items()
        if ours in settings.FIXED_BY_ENVIRONMENT
    ]
    return sorted({*changeable, *_ADDRESSES, *_SERVER})


def _in_their_names(words: Any) -> Any:
    theirs = {ours: name for name, ours in _NAMES.items()}
    return {theirs.get(name, name): said for name, said in words.items()}


def _sets(value: Any) -> bool:
    """A form sends the empty password back that it was shown."""
    return value not in (None, "")


def _read(name: str, value: Any) -> Any:
    """The older panels send some numbers and lists as text."""
    if not isinstance(value, str):
        return value
    kind, text = BY_NAME[_NAMES[name]].kind, value.strip()
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text)
        if kind == "statuses":
            return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        return value  # refused in words with the others
    return text.upper() if name == "log_level" else value
