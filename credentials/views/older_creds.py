"""/creds/…: the older gateways' routes for managing credentials, by file name, with their answers (docs/credentials.md)."""

from __future__ import annotations

import time
from pathlib import PurePath
from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, permission_classes
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from credentials import services
from credentials.models import Credential, Provider
from credentials.selectors import older
from credentials.services import Event, actions, bulk
from gateway.lib import audit, spans
from gateway.lib.access import IsSteward
from gateway.lib.crypto import SecretUnreadable
from gateway.lib.errors import GatewayError

_ACTIONS = {"enable": "enable", "disable": "disable", "delete": "withdraw"}
_EVENTS = {"enable": Event.ENABLED, "disable": Event.DISABLED}
_LOOK_UPS_S = 20.0
"""How long an answer waits for look-ups; the others are left to a job."""
_WITHDRAWN_AT_ONCE = 100
"""More are left to a job: each takes some hundredths of a second."""
_LARGEST_PAGE = 1000


class PageSerializer(serializers.Serializer[Any]):
    offset = serializers.IntegerField(min_value=0, max_value=1_000_000_000, default=0)
    limit = serializers.IntegerField(min_value=1, max_value=_LARGEST_PAGE, default=50)
    status_filter = serializers.ChoiceField(["all", "enabled", "disabled"], default="all")
    error_code_filter = serializers.CharField(default="all")
    cooldown_filter = serializers.ChoiceField(["all", "in_cooldown", "no_cooldown"], default="all")

    def validate_error_code_filter(self, value: str) -> str:
        if value != "all" and not value.isdecimal():
            raise serializers.ValidationError("all, or an HTTP status such as 403.")
        return value


@extend_schema(exclude=True)
@api_view(["GET"])
@permission_classes([IsSteward])
def status(request: Request) -> Response:
    """Without parameters the first shape, everything by name; with any of them the later one, a page."""
    known = set(PageSerializer().fields)
    if not known & set(request.query_params):
        return Response({"creds": older.as_files(older.shown())})
    form = PageSerializer(data=request.query_params)
    form.is_valid(raise_exception=True)
    page = form.validated_data
    rows = older.shown()
    if page["status_filter"] != "all":
        off = page["status_filter"] == "disabled"
        rows = rows.filter(state__in=older.OFF) if off else rows.exclude(state__in=older.OFF)
    if page["error_code_filter"] != "all":
        rows = rows.filter(older.having_errors(int(page["error_code_filter"])))
    if page["cooldown_filter"] != "all":
        rests = older.resting()
        rows = rows.filter(rests if page["cooldown_filter"] == "in_cooldown" else ~rests)
    total, offset, limit = rows.count(), page["offset"], page["limit"]
    return Response(
        {
            "items": older.as_items(rows[offset : offset + limit]),
            "total": total,
            "offset": offset,
            "limit": limit,
            "has_more": offset + limit < total,
            "stats": older.stats(),
        }
    )


class ActionSerializer(serializers.Serializer[Any]):
    filename = serializers.CharField()
    action = serializers.ChoiceField(list(_ACTIONS))


@extend_schema(exclude=True)
@api_view(["POST"])
@permission_classes([IsSteward])
def action(request: Request) -> Response:
    form = ActionSerializer(data=request.data)
    form.is_valid(raise_exception=True)
    credential = _named(form.validated_data["filename"])
    name = _ACTIONS[form.validated_data["action"]]
    actions.perform(name, actions.Asked(credential, request.user.get_username()))
    _audit(request, name, f"credential {credential.pk}")
    return Response({"message": f"{form.validated_data['action']}: {credential.name}"})


class BatchSerializer(serializers.Serializer[Any]):
    action = serializers.ChoiceField(list(_ACTIONS))
    filenames = serializers.ListField(
        child=serializers.CharField(), allow_empty=False, max_length=20_000
    )


@extend_schema(exclude=True)
@api_view(["POST"])
@permission_classes([IsSteward])
def batch_action(request: Request) -> Response:
    form = BatchSerializer(data=request.data)
    form.is_valid(raise_exception=True)
    names, asked = form.validated_data["filenames"], form.validated_data["action"]
    found = _by_name(names)
    errors = [f"{name}: no such file" for name in names if name not in found]
    ids, by = sorted(set(found.values())), request.user.get_username()
    done = len(names) - len(errors)
    message = f"{asked}: {done} of {len(names)} files"
    with transaction.atomic():
        _audit(request, f"batch_{_ACTIONS[asked]}", "", count=len(found), ids=spans.written(ids))
        if asked != "delete":
            services.set_states(credential_ids=ids, event=_EVENTS[asked], reason="operator", by=by)
        elif len(ids) > _WITHDRAWN_AT_ONCE:
            job = bulk.begin(action="withdraw", credential_ids=ids, params={}, by=by)
            message += f"; it goes on as job {job.pk}"
    if asked == "delete" and len(ids) <= _WITHDRAWN_AT_ONCE:
        # A transaction each: one for all would keep every other writer of the pool waiting.
        for pk in ids:
            services.withdraw(credential_id=pk, by=by)
    return Response(
        {
            "success_count": done,
            "total_count": len(names),
            "errors": errors,
            "message": "\n".join([message, *errors]),
        }
    )


@extend_schema(exclude=True)
@api_view(["POST"])
@permission_classes([IsSteward])
def fetch_email(request: Request, name: str) -> Response:
    credential = _named(name)
    email, why_not = _looked_up(credential)
    _audit(request, "lookup_email", f"credential {credential.pk}")
    return Response(
        {
            "filename": credential.name,
            "user_email": email or None,
            "message": why_not or "The address was found.",
        },
        status=200 if email else 400,
    )


@extend_schema(exclude=True)
@api_view(["POST"])
@permission_classes([IsSteward])
def refresh_all_emails(request: Request) -> Response:
    """Of the logins without an address. What cannot be asked in time is left to a job."""
    rows = list(older.lent().filter(provider=Provider.CODE_ASSIST, email=""))
    deadline = time.monotonic() + _LOOK_UPS_S
    results: list[dict[str, Any]] = []
    while rows and time.monotonic() < deadline:
        credential = rows.pop(0)
        email, why_not = _looked_up(credential)
        results.append(_result(credential, email, why_not))
    if rows:
        ids = [row.pk for row in rows]
        by = request.user.get_username()
        job = bulk.begin(action="lookup_email", credential_ids=ids, params={}, by=by)
        results += [_result(row, "", f"goes on as job {job.pk}") for row in rows]
    found = sum(result["success"] for result in results)
    _audit(request, "lookup_email", "", count=len(results))
    return Response(
        {
            "success_count": found,
            "total_count": len(results),
            "results": results,
            "message": f"{found} of {len(results)} addresses were found.",
        }
    )


def _result(credential: Credential, email: str, why_not: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "filename": credential.name,
        "user_email": email or None,
        "success": bool(email),
    }
    return result if email else result | {"error": why_not}


def _looked_up(credential: Credential) -> tuple[str, str]:
    """(the address, why there is none)"""
    if credential.provider != Provider.CODE_ASSIST:
        return "", "An API key tells no address."
    try:
        email = services.look_up_email(credential_id=credential.pk).email
    except GatewayError as exc:
        return "", exc.message
    except SecretUnreadable:
        return "", "Its secret fits none of ENCRYPTION_KEYS."
    return email, "" if email else "Google did not tell the address."


def _named(name: str) -> Credential:
    credential = older.named(name)
    if credential is None:
        raise NotFound("There is no credential of this name.")
    return credential


def _by_name(names: list[str]) -> dict[str, int]:
    """The ids by the names as they were given."""
    plain = {name: PurePath(name).name for name in names}
    known: dict[str, int] = {}
    wanted = sorted(set(plain.values()))
    for start in range(0, len(wanted), 500):
        rows = older.lent().filter(name__in=wanted[start : start + 500])
        known.update(rows.values_list("name", "pk"))
    return {name: known[file] for name, file in plain.items() if file in known}


def _audit(request: Request, name: str, subject: str, **detail: Any) -> None:
    audit.record_request(request._request, action=f"credentials.{name}", subject=subject, **detail)
