"""The login and OAuth routes of the older gateways, with their shapes: for scripts and panels that people have (gcli2api,
src/panel/auth.py as of late 2025). Only operators and stewards, as there the panel's password was asked for; a steward gets the
same answer without its secrets."""

from __future__ import annotations

import time
from typing import Any, NoReturn

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import OpenApiExample, extend_schema, inline_serializer
from rest_framework import serializers, status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credentials import pasted, upstream
from credentials.models import Credential, Flow
from credentials.pasted import Step, Trouble
from credentials.services import flows
from credentials.views import lending
from gateway.lib import audit, panel
from gateway.lib.access import IsSteward, is_operator
from gateway.lib.errors import AuthenticationFailed, InvalidRequest, PermissionDenied

_ANSWER_WITHIN_S = 30.0
_LOOK_EVERY_S = 0.5
_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
_LEFT_OUT = "Stored. Its secrets are left out of this answer, as only an operator may read them."
_STORED = "Stored."


class _Login(serializers.Serializer[Any]):
    password = serializers.CharField(max_length=1000, trim_whitespace=False)


class _Start(serializers.Serializer[Any]):
    project_id = serializers.CharField(
        max_length=100, required=False, allow_null=True, allow_blank=True
    )


class _CallbackUrl(_Start):
    callback_url = serializers.CharField(max_length=pasted.MAX_CHARS)


_Token = inline_serializer(
    "OlderLoginAnswer",
    {
        "token": serializers.CharField(help_text="A Bearer token of an operator, for a day."),
        "message": serializers.CharField(),
        "expires_in": serializers.IntegerField(help_text="Seconds."),
    },
)
_Started = inline_serializer(
    "OlderStartAnswer",
    {
        "auth_url": serializers.CharField(),
        "state": serializers.CharField(),
        "auto_project_detection": serializers.BooleanField(),
        "detected_project_id": serializers.CharField(allow_null=True),
    },
)
_Lent = inline_serializer(
    "OlderCallbackAnswer",
    {
        "credentials": serializers.DictField(help_text="The file, as gcli2api writes it."),
        "file_path": serializers.CharField(),
        "message": serializers.CharField(),
        "auto_detected_project": serializers.BooleanField(),
    },
)
_Status = inline_serializer(
    "OlderStatusAnswer",
    {
        "status": serializers.ChoiceField(["completed", "pending", "not_found"]),
        "state": serializers.CharField(required=False),
        "created_at": serializers.FloatField(required=False, help_text="Epoch seconds."),
    },
)


class Login(APIView):
    """The panel's password for a token."""

    permission_classes = (AllowAny,)
    authentication_classes = ()

    @extend_schema(
        operation_id="older_login", tags=["older routes"], request=_Login, responses=_Token
    )
    def post(self, request: Request) -> Response:
        password = _valid(_Login, request.data)["password"]
        address = lending.address_of(request)
        if not panel.is_configured():
            raise PermissionDenied(
                "There is no panel password here: whoever runs this site has to set PANEL_PASSWORD."
            )
        with flows.in_turn(address):
            fits = panel.is_password(password)
            if not fits:
                flows.count_failure(address=address, step=Step.READING)
        if not fits:
            raise AuthenticationFailed("This is not the panel password.")
        answer = {
            "token": panel.make_token(),
            "message": "Signed in.",
            "expires_in": panel.TOKEN_AGE_S,
        }
        return Response(answer, headers={"Cache-Control": "no-store"})


class Start(APIView):
    """Google's consent page for a new login. `state` names the attempt."""

    permission_classes = (IsSteward,)

    @extend_schema(
        operation_id="older_auth_start", tags=["older routes"], request=_Start, responses=_Started
    )
    def post(self, request: Request) -> Response:
        project = _valid(_Start, request.data).get("project_id") or ""
        flow = flows.begin_google(
            browser="",
            redirect_uri=lending.redirect_uri_of(request),
            project=project.strip(),
        )
        answer = {
            "auth_url": flows.consent_url(flow),
            "state": flow.secret.open()["state"],
            "auto_project_detection": not flow.project,
            "detected_project_id": None,
        }
        return Response(answer)


class CallbackUrl(APIView):
    """The address on which Google's consent ended, or any piece of it that holds code and state."""

    permission_classes = (IsSteward,)

    @extend_schema(
        operation_id="older_auth_callback_url",
        tags=["older routes"],
        request=_CallbackUrl,
        responses=_Lent,
        examples=[
            OpenApiExample(
                "as copied from the address bar",
                {"callback_url": "http://localhost:7861/auth/callback?state=…&code=4/0…"},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        sent = _valid(_CallbackUrl, request.data)
        answer = pasted.read(sent["callback_url"])
        if isinstance(answer, Trouble):
            raise InvalidRequest(answer.words, param="callback_url")
        flow = flows.flow_of_state(answer.state)
        if flow is None or flow.browser_digest:
            raise InvalidRequest(
                "This address belongs to no attempt that was begun with POST /auth/start, or to one that is over.",
                param="callback_url",
            )
        _name_project(flow, sent.get("project_id") or "")
        flows.accept(flow_id=flow.pk, code=answer.code, by_state=True)
        return _outcome(request, flow, sent.get("project_id") or "")


class Callback(APIView):
    """Waits for the answer that Google sends to this site's own loopback address."""

    permission_classes = (IsSteward,)

    @extend_schema(
        operation_id="older_auth_callback", tags=["older routes"], request=_Start, responses=_Lent
    )
    def post(self, request: Request) -> Response:
        project = _valid(_Start, request.data).get("project_id") or ""
        flow = _newest(project)
        if flow is None:
            raise InvalidRequest("No attempt is under way: begin one with POST /auth/start.")
        _name_project(flow, project)
        deadline = time.monotonic() + _ANSWER_WITHIN_S
        while flow.state == Flow.State.PENDING and not flow.step:
            if time.monotonic() > deadline:
                raise InvalidRequest(
                    "Google's answer has not arrived here. Finish the consent, or send the address it ended on to "
                    "POST /auth/callback-url."
                )
            time.sleep(_LOOK_EVERY_S)
            flow.refresh_from_db()
        return _outcome(request, flow, project)


@csrf_exempt  # the framework of the API guards the POST itself; a token needs no guard
def callback(request: HttpRequest) -> HttpResponse:
    """One address, two callers: Google's browser comes with GET, an older panel with POST."""
    view = _post_callback if request.method == "POST" else lending.callback
    return view(request)


_post_callback = Callback.as_view()


class Status(APIView):
    """How the attempt to lend that project stands."""

    permission_classes = (IsSteward,)

    @extend_schema(operation_id="older_auth_status", tags=["older routes"], responses=_Status)
    def get(self, request: Request, project_id: str) -> Response:
        project = _valid(_Start, {"project_id": project_id})["project_id"]
        flow = _programs().filter(project=project).first()
        if flow is None:
            return Response({"status": "not_found"})
        completed = flow.state in (Flow.State.CHECKING, Flow.State.DONE)
        answer = {
            "status": "completed" if completed else "pending",
            # Only its digest is kept once the attempt is over.
            "state": (flows.state_of(flow) or str(flow.pk)),
            "created_at": flow.created_at.timestamp(),
        }
        return Response(answer)


def _valid(serializer: type[serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
    sent = serializer(data=data)
    sent.is_valid(raise_exception=True)
    facts: dict[str, Any] = sent.validated_data
    return facts


def _programs() -> Any:
    """Attempts that programs began, not browsers; the newest first."""
    return Flow.objects.filter(kind=Flow.Kind.GOOGLE, browser_digest="").order_by("-created_at")


def _newest(project: str) -> Flow | None:
    going_on = _programs().exclude(state__in=(Flow.State.DONE, Flow.State.FAILED))
    # Asked again with the project that was missing.
    unfinished = _programs().filter(state=Flow.State.DONE, credential__project_id="")
    named = going_on.filter(project=project).first() if project else None
    found: Flow | None = named or going_on.first() or unfinished.first()
    return found


def _name_project(flow: Flow, project: str) -> None:
    """Before the answer came, or for a choice that waits."""
    if not project:
        return
    if not flows.choose_project(flow_id=flow.pk, project=project):
        Flow.objects.filter(pk=flow.pk, state=Flow.State.PENDING).update(project=project)
    flow.refresh_from_db()


def _outcome(request: Request, flow: Flow, project: str) -> Response:
    """Sees the attempt through and tells what came of it, in the older words of JSON."""
    flows.see_through_here(flow_id=flow.pk)
    deadline = time.monotonic() + _ANSWER_WITHIN_S
    flow.refresh_from_db()
    while flow.state in flows.AT_WORK and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_S)
        flows.hurry(flow_id=flow.pk)
        flow.refresh_from_db()
    if flow.state == Flow.State.CHOOSING:
        return _bad(
            "The account has several projects: send the same again with project_id.",
            requires_project_selection=True,
            available_projects=[
                {"project_id": name, "projectId": name, "name": name} for name in flow.projects
            ],
        )
    if flow.state != Flow.State.DONE or flow.credential is None:
        _refuse(flow)
    credential = flow.credential
    if not credential.project_id and project:
        upstream.current().set_up(credential.pk, project)
        credential.refresh_from_db()
    if not credential.project_id:
        detail = next((told["detail"] for told in flow.results), "")
        return _bad(detail or "No project was found: name one.", requires_manual_project_id=True)
    return _lent(request, flow, credential)


def _refuse(flow: Flow) -> NoReturn:
    raise InvalidRequest(flow.words or "It is not finished yet: ask again in a moment.")


def _bad(words: str, **facts: Any) -> Response:
    return Response({"error": words, **facts}, status=status.HTTP_400_BAD_REQUEST)


def _lent(request: Request, flow: Flow, credential: Credential) -> Response:
    may_read = is_operator(request.user)
    secret = credential.secret.open() if may_read else {}
    file = {"project_id": credential.project_id, "token_uri": _TOKEN_URI, "type": "authorized_user"}
    if may_read:
        audit.record_request(
            request, action="credentials.read_secret", subject=f"credential {credential.pk}"
        )
        expires_at = time.gmtime(secret.get("expires_at", 0))
        file |= {
            "client_id": secret.get("client_id", ""),
            "client_secret": secret.get("client_secret", ""),
            "token": secret.get("access_token", ""),
            "refresh_token": secret.get("refresh_token", ""),
            "scopes": secret.get("scopes", []),
            "expiry": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", expires_at),
        }
    answer = {
        "credentials": file,
        "file_path": credential.name,
        "message": _STORED if may_read else _LEFT_OUT,
        "auto_detected_project": not flow.project,
    }
    response = Response(answer)
    response["Cache-Control"] = "no-store"
    return response
