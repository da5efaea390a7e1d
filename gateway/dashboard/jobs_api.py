"""/api/jobs: batch jobs and upkeep. Operators see all of them, stewards those about credentials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import django_filters
from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.filters import BaseFilterBackend, OrderingFilter
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from gateway.dashboard import jobs as shown
from gateway.lib import audit, jobs
from gateway.lib.access import IsSteward
from gateway.lib.api import Pages
from gateway.lib.errors import Conflict
from gateway.lib.jobs import Job


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Half done",
            value={
                "id": "0c7a2f6e-58b1-4c39-9f0e-2d6f1b7a9e10",
                "kind": "credentials.bulk",
                "title": "Disable 40 credentials",
                "periodic": False,
                "state": "running",
                "params": {"action": "disable"},
                "result": {},
                "error": "",
                "total": 40,
                "done": 20,
                "failed": 0,
                "attempts": 1,
                "runs": 0,
                "actor": "alice",
                "cancel_requested": False,
                "created_at": "2026-11-20T08:15:00Z",
                "started_at": "2026-11-20T08:15:01Z",
                "finished_at": None,
            },
            response_only=True,
        )
    ]
)
class JobSerializer(serializers.ModelSerializer[Job]):
    state = serializers.ChoiceField(choices=Job.State.choices, read_only=True)

    class Meta:
        model = Job
        fields = (
            "id",
            "kind",
            "title",
            "periodic",
            "state",
            "params",
            "result",
            "error",
            "total",
            "done",
            "failed",
            "attempts",
            "runs",
            "actor",
            "cancel_requested",
            "created_at",
            "started_at",
            "finished_at",
        )
        read_only_fields = fields


class JobFilter(django_filters.FilterSet):  # type: ignore[misc]
    kind = django_filters.CharFilter(help_text="For example credentials.bulk.")
    state = django_filters.MultipleChoiceFilter(choices=Job.State.choices)
    periodic = django_filters.BooleanFilter(help_text="true: upkeep; false: batch jobs.")
    actor = django_filters.CharFilter()

    class Meta:
        model = Job
        fields = ("kind", "state", "periodic", "actor")


class Jobs(ListModelMixin, RetrieveModelMixin, GenericViewSet[Job]):
    """Newest first."""

    queryset = Job.objects.all()
    permission_classes = (IsSteward,)
    scope = "jobs"
    serializer_class = JobSerializer
    pagination_class = Pages
    filter_backends: Sequence[type[BaseFilterBackend]] = (DjangoFilterBackend, OrderingFilter)
    filterset_class = JobFilter
    ordering_fields = ("created_at", "started_at", "finished_at")
    ordering = ("-created_at", "-pk")
    lookup_value_regex = "[0-9a-f-]{36}"

    def get_queryset(self) -> QuerySet[Job]:
        return shown.visible_to(self.request.user)

    @extend_schema(request=None, responses=JobSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, **_: Any) -> Response:
        """A queued job is cancelled at once, a running one at its next step. 409 for upkeep."""
        job = cancel(request, self.get_object())
        return Response(self.get_serializer(job).data)


def cancel(request: Any, job: Job) -> Job:
    """Raises Conflict."""
    if job.periodic:
        raise Conflict("Upkeep cannot be cancelled: it is over in a moment, and comes round again.")
    over = job.finished_at is not None
    job = jobs.cancel(job)
    if not over:
        audit.record_request(request, action="jobs.cancel", subject=f"job {job.pk}", kind=job.kind)
    return job
