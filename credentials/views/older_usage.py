"""/usage/…: the older gateways' counters of the day, by file name, with their answers (reference 6.7, docs/credentials.md)."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, permission_classes
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from credentials import services
from credentials.api.serializers import MOST_CALLS
from credentials.models import Credential
from credentials.selectors import older
from gateway.lib import audit
from gateway.lib.access import IsSteward


@extend_schema(exclude=True)
@api_view(["GET"])
@permission_classes([IsSteward])
def stats(request: Request) -> Response:
    today, resets_at = older.counters(), older.next_reset()
    if filename := request.query_params.get("filename"):
        row = _named(filename)
        facts = older.usage_of(row, today.get(row.pk, older.Counters()), resets_at)
        return Response({"success": True, "data": {"filename": row.name, **facts}})
    files = {
        row.name: older.usage_of(row, today.get(row.pk, older.Counters()), resets_at)
        for row in older.shown()
    }
    return Response({"success": True, "data": files})


@extend_schema(exclude=True)
@api_view(["GET"])
@permission_classes([IsSteward])
def aggregated(request: Request) -> Response:
    today, resets_at = older.counters(), older.next_reset()
    files = [
        older.usage_of(row, today.get(row.pk, older.Counters()), resets_at) for row in older.shown()
    ]
    pro = sum(file["gemini_2_5_pro_calls"] for file in files)
    total = sum(file["total_calls"] for file in files)
    count = max(len(files), 1)
    return Response(
        {
            "success": True,
            "data": {
                "total_files": len(files),
                "total_gemini_2_5_pro_calls": pro,
                "total_all_model_calls": total,
                "total_calls_24h": total,
                "avg_gemini_2_5_pro_per_file": pro / count,
                "avg_total_per_file": total / count,
                "avg_calls_per_file": total / count,
                "next_reset_time": resets_at,
            },
        }
    )


class LimitsSerializer(serializers.Serializer[Any]):
    filename = serializers.CharField()
    gemini_2_5_pro_limit = serializers.IntegerField(
        min_value=1, max_value=MOST_CALLS, required=False, allow_null=True
    )
    total_limit = serializers.IntegerField(
        min_value=1, max_value=MOST_CALLS, required=False, allow_null=True
    )


@extend_schema(exclude=True)
@api_view(["POST"])
@permission_classes([IsSteward])
def update_limits(request: Request) -> Response:
    """They are the credential's caps: what is not given, or null, stays. 409 for more than its contributor allows."""
    form = LimitsSerializer(data=request.data)
    form.is_valid(raise_exception=True)
    row = _named(form.validated_data["filename"])
    limits: dict[str, Any] = {}
    if total := form.validated_data.get("total_limit"):
        limits["calls_a_day"] = total
    if pro := form.validated_data.get("gemini_2_5_pro_limit"):
        limits["model_calls_a_day"] = {**row.model_calls_a_day, older.PRO_GLOB: pro}
    with transaction.atomic():
        services.set_limits(credential_id=row.pk, limits=limits, by=request.user.get_username())
        audit.record_request(
            request._request, action="credentials.edit", subject=f"credential {row.pk}", **limits
        )
    return Response({"success": True, "message": f"The limits of {row.name} are changed."})


class ResetSerializer(serializers.Serializer[Any]):
    filename = serializers.CharField(required=False, allow_null=True, allow_blank=True)


@extend_schema(exclude=True)
@api_view(["POST"])
@permission_classes([IsSteward])
def reset(request: Request) -> Response:
    """Begins today's count against the limits anew. What a contributor allowed is not the site's to widen, so the counts of
    lent credentials stay, and figures of what was served are never changed.
    """
    form = ResetSerializer(data=request.data)
    form.is_valid(raise_exception=True)
    filename = form.validated_data.get("filename") or ""
    rows = [_named(filename).pk] if filename else None
    with transaction.atomic():
        begun = services.recount(credential_ids=rows)
        audit.record_request(
            request._request, action="credentials.recount", subject=filename, count=begun
        )
    return Response(
        {
            "success": True,
            "message": f"Today's count begins anew for {begun} credentials; those of contributors keep theirs.",
        }
    )


def _named(name: str) -> Credential:
    row = older.named(name)
    if row is None:
        raise NotFound("There is no credential of this name.")
    return row
