"""/api/credentials: the pool, for operators and stewards. No answer holds a secret."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from django.core.exceptions import ValidationError as UnknownFilter
from django.db import transaction
from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from credentials import services
from credentials.api.serializers import (
    ActionAnswerSerializer,
    ActionSerializer,
    BulkAnswerSerializer,
    BulkSerializer,
    CensusSerializer,
    CredentialDetailSerializer,
    CredentialSerializer,
    EditSerializer,
    StateChangeSerializer,
)
from credentials.filters import CredentialFilter, meant_by
from credentials.models import Credential
from credentials.selectors.census import census
from credentials.selectors.rows import described, detail, told
from credentials.services import actions, bulk
from gateway.lib import audit
from gateway.lib.access import IsSteward
from gateway.lib.api import Pages
from gateway.lib.errors import Conflict

_ACTION = OpenApiParameter(
    "action", OpenApiTypes.STR, OpenApiParameter.PATH, enum=list(actions.ACTIONS)
)


class Credentials(GenericViewSet[Credential]):
    """For operators and stewards."""

    queryset = Credential.objects.select_related("contributor")
    permission_classes = (IsSteward,)
    scope = "credentials"
    pagination_class = Pages
    filter_backends: Sequence[type[BaseFilterBackend]] = (DjangoFilterBackend,)
    filterset_class = CredentialFilter
    serializer_class = CredentialSerializer
    lookup_value_regex = r"\d+"

    @extend_schema(responses=CredentialSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The pool, what needs a person first. Without `state`, withdrawn ones are left out."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        return self.get_paginated_response(CredentialSerializer(described(page), many=True).data)

    @extend_schema(responses=CredentialDetailSerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        """All that is known of one."""
        return Response(CredentialDetailSerializer(detail(self._row())).data)

    @extend_schema(request=EditSerializer, responses=CredentialDetailSerializer)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Label, weight, tags, proxy, caps, contributor. 409 when `version` is not the newest, and when caps are
        wider than its contributor allows."""
        credential = self._row()
        form = EditSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        changes = dict(form.validated_data)
        version = changes.pop("version", "")
        with transaction.atomic():
            services.edit(
                credential_id=credential.pk, changes=changes, by=by(request), version=version
            )
            _audit(request, "edit", credential, fields=sorted(changes))
        return self.retrieve(request, pk)

    @extend_schema(
        parameters=[OpenApiParameter("revoke", OpenApiTypes.BOOL)],
        responses=ActionAnswerSerializer,
    )
    def destroy(self, request: Request, pk: int) -> Response:
        """Withdraw: no call goes to it any more, its secret is destroyed. `revoke` also ends the access at Google."""
        revoke = request.query_params.get("revoke", "").lower() in ("1", "true", "yes")
        return self._perform(request, "withdraw", revoke=revoke)

    @extend_schema(parameters=[_ACTION], request=ActionSerializer, responses=ActionAnswerSerializer)
    @action(detail=True, methods=["post"], url_path=f"(?P<action>{'|'.join(actions.ACTIONS)})")
    def act(self, request: Request, pk: int, action: str) -> Response:
        """Do one thing to it. 409 when that means nothing in the state it is in."""
        form = ActionSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        return self._perform(request, action, **form.validated_data)

    @extend_schema(responses=StateChangeSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], filter_backends=())
    def history(self, request: Request, pk: int) -> Response:
        """Every move of its state and what people did, newest first."""
        moves = self._row().state_changes.all()
        page = self.paginator.paginate_queryset(moves, request, self)  # type: ignore[union-attr]
        return self.get_paginated_response(StateChangeSerializer(told(page or []), many=True).data)

    @extend_schema(responses=CensusSerializer, filters=False)
    @action(detail=False, methods=["get"], filter_backends=(), pagination_class=None)
    def summary(self, request: Request) -> Response:
        """How many can serve now, by model, and who has to do what about the others."""
        return Response(CensusSerializer(census()).data)

    @extend_schema(
        request=BulkSerializer,
        responses={200: BulkAnswerSerializer, 202: BulkAnswerSerializer},
        filters=False,
    )
    @action(detail=False, methods=["post"], filter_backends=(), pagination_class=None)
    def bulk(self, request: Request) -> Response:
        """One action on many, as a job. `dry_run` counts; with `expected`, 409 when they are not as many by now."""
        form = BulkSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        ids = _ids(asked)
        if asked["dry_run"]:
            return Response(BulkAnswerSerializer({"count": len(ids), "job": None}).data)
        if asked.get("expected", len(ids)) != len(ids):
            raise Conflict(
                f"{len(ids):,} credentials are meant by now, not {asked['expected']:,}: count again, then confirm."
            )
        with transaction.atomic():
            job = bulk.begin(
                action=asked["action"],
                credential_ids=ids,
                params=asked["params"],
                by=by(request),
            )
            audit.record_request(
                request._request,
                action="credentials.bulk",
                subject=f"job {job.pk}",
                does=asked["action"],
                count=len(ids),
                filter=asked.get("filter"),
                params=asked["params"],
            )
        return Response(
            BulkAnswerSerializer({"count": len(ids), "job": job}).data,
            status=status.HTTP_202_ACCEPTED,
        )

    def _perform(self, request: Request, name: str, **params: Any) -> Response:
        credential = self._row()
        asked = actions.Asked(credential, by(request), **params)
        outcome = actions.perform(name, asked)
        _audit(request, name, credential, done=outcome.done)
        (row,) = described([self._row()])
        return Response(
            ActionAnswerSerializer({**msgspec.structs.asdict(outcome), "credential": row}).data
        )

    def _row(self) -> Credential:
        """By number, in whatever state: the filters of the list do not count here."""
        self.filter_backends = ()
        return self.get_object()


def by(request: Request) -> str:
    return request.user.get_username()


def _ids(asked: dict[str, Any]) -> list[int]:
    if "ids" in asked:
        rows: QuerySet[Credential] = Credential.objects.filter(pk__in=asked["ids"])
        return list(rows.order_by("pk").values_list("pk", flat=True))
    try:
        return list(meant_by(asked["filter"]).order_by("pk").values_list("pk", flat=True))
    except UnknownFilter as exc:
        raise ValidationError({"filter": exc.messages}) from None


def _audit(request: Request, name: str, credential: Credential, **detail: Any) -> None:
    audit.record_request(
        request._request,
        action=f"credentials.{name}",
        subject=f"credential {credential.pk}",
        **detail,
    )
