"""Routes of older gateways for files of credentials, with their shapes (reference 1.7, 6.7): upload, download, and what the
environment holds.
"""

from __future__ import annotations

from django.conf import settings
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credentials import uploads
from credentials.downloads import sent
from credentials.importers import parse_all
from credentials.importers.found import shown_name
from credentials.models import Credential, Provider
from credentials.selectors import older
from credentials.services import ImportResult, Outcome, environment, exporting, import_items
from credentials.states import State
from gateway.lib import audit
from gateway.lib.access import IsOperator, IsSteward

_CHUNK = 200
_MESSAGES = {
    Outcome.NEW: "uploaded",
    Outcome.UPDATED: "brought up to date",
    Outcome.DUPLICATE: "already here",
}


class Upload(uploads.UploadView):
    """`POST /auth/upload`: JSON files and ZIPs in the field `files`, stored at once. For operators and stewards."""

    permission_classes = (IsSteward,)
    parser_classes = (MultiPartParser,)

    @extend_schema(
        request={"multipart/form-data": {"type": "object", "properties": {"files": {}}}},
        responses=OpenApiTypes.OBJECT,
    )
    def post(self, request: Request) -> Response:
        files = uploads.received(request.FILES)
        items = parse_all(files)
        results: list[ImportResult] = []
        actor = request.user.get_username()
        for start in range(0, len(items), _CHUNK):
            results += import_items(items=items[start : start + _CHUNK], by=actor)
        told = [_told(result) for result in results]
        uploaded = sum(one["status"] == "success" for one in told)
        if not uploaded:
            reasons = "; ".join(f"{one['filename']}: {one['message']}" for one in told[:5])
            raise ValidationError({"detail": f"Nothing in it could be used. {reasons}"})
        audit.record(
            actor=actor,
            address=request.META.get("REMOTE_ADDR") or "",
            action="credentials.import",
            subject="POST /auth/upload",
            uploaded=uploaded,
            total=len(told),
        )
        return Response(
            {
                "uploaded_count": uploaded,
                "total_count": len(told),
                "results": told,
                "message": f"{uploaded} of {len(told)} uploaded",
            }
        )


def _told(result: ImportResult) -> dict[str, str]:
    name = shown_name(result.source).rpartition("/")[2]
    if result.outcome is Outcome.UNUSABLE:
        return {"filename": name, "status": "error", "message": result.reason}
    return {"filename": name, "status": "success", "message": _MESSAGES[result.outcome]}


class Download(APIView):
    """`GET /creds/download/{name}`: one credential as its file. For operators; each is recorded."""

    permission_classes = (IsOperator,)

    @extend_schema(responses={(200, "application/json"): OpenApiTypes.BINARY})
    def get(self, request: Request, name: str) -> HttpResponseBase:
        row = older.named(name)
        if row is None:
            raise NotFound("there is no credential file of this name")
        plain = "gcli2api" if row.provider == Provider.CODE_ASSIST else "keys"
        made = exporting.export(
            credential_ids=[row.pk],
            format=plain,
            actor=request.user.get_username(),
            address=request.META.get("REMOTE_ADDR") or "",
            alone=True,
        )
        return sent(made, whole=True)


class DownloadAll(APIView):
    """`GET /creds/download-all`: every login as gcli2api's files in a ZIP; what is left out stands in its manifest.
    For operators; each is recorded."""

    permission_classes = (IsOperator,)

    @extend_schema(responses={(200, "application/zip"): OpenApiTypes.BINARY})
    def get(self, request: Request) -> HttpResponseBase:
        rows = Credential.objects.exclude(state=State.WITHDRAWN)
        ids = list(rows.values_list("pk", flat=True))
        if not rows.filter(provider=Provider.CODE_ASSIST).exists():
            raise NotFound("there is no credential file")
        made = exporting.export(
            credential_ids=ids,
            format="gcli2api",
            actor=request.user.get_username(),
            address=request.META.get("REMOTE_ADDR") or "",
        )
        return sent(made, file_name="credentials.zip")


class EnvironmentStatus(APIView):
    """`GET /auth/env-creds-status`: names of variables, never their values."""

    permission_classes = (IsSteward,)

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        names = environment.names()
        return Response(
            {
                "available_env_vars": dict.fromkeys(environment.variables(), "***"),
                "auto_load_enabled": settings.AUTO_LOAD_ENV_CREDS,
                "existing_env_files_count": len(names),
                "existing_env_files": names,
            }
        )


class LoadEnvironment(APIView):
    """`POST /auth/load-env-creds`: imports what the environment holds, now."""

    permission_classes = (IsSteward,)

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        loaded = environment.load(
            by=request.user.get_username(), address=request.META.get("REMOTE_ADDR") or ""
        )
        total = len(loaded.results)
        message = f"{loaded.usable} of {total} imported"
        if not total:
            message = "No variable GCLI_CREDS_* or GOOGLE_CREDENTIALS is set."
        return Response(
            {
                "loaded_count": loaded.usable,
                "total_count": total,
                "results": [
                    {"env_var": variable, **_told(result)} for variable, result in loaded.results
                ],
                "message": message,
            }
        )


class ForgetEnvironment(APIView):
    """`DELETE /auth/env-creds`: withdraws what came in from the environment, and nothing else."""

    permission_classes = (IsSteward,)

    @extend_schema(request=None, responses={200: OpenApiTypes.OBJECT})
    def delete(self, request: Request) -> Response:
        gone = environment.forget(
            by=request.user.get_username(), address=request.META.get("REMOTE_ADDR") or ""
        )
        return Response(
            {
                "deleted_count": len(gone),
                "deleted_files": gone,
                "message": f"{len(gone)} credentials of the environment were withdrawn",
            }
        )
