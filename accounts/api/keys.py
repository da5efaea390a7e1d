"""/api/keys: for operators. A key itself is only in the answer that hands it out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ValidationError as Unstorable
from django.db import transaction
from django.db.models import QuerySet
from django.http import QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts import audited, links, services, shown
from accounts.api.key_serializers import (
    ClaimLinkAnswerSerializer,
    ClaimLinkSerializer,
    GiveCreditsSerializer,
    IssuedKeySerializer,
    IssueKeySerializer,
    KeyBatchAnswerSerializer,
    KeyBatchSerializer,
    KeySerializer,
    KeyTermsSerializer,
    ManyKeysAnswerSerializer,
    ManyKeysSerializer,
    RotateKeySerializer,
    ShareKeyAnswerSerializer,
    ShareKeySerializer,
)
from accounts.filters import KeyFilter, filter_of, meant_by
from accounts.handing_out import handed_out, handed_out_csv
from accounts.models import ApiKey
from accounts.sites import site_of
from gateway.lib.api import Cursor
from gateway.lib.credits import to_text
from gateway.lib.errors import Conflict
from gateway.lib.tables import csv_response

_CSV = (status.HTTP_200_OK, "text/csv")


class Keys(GenericViewSet[ApiKey]):
    """Deleted keys are shown to those who ask for `state=deleted`, and can be changed by nobody."""

    scope = "keys"
    queryset = ApiKey.objects.all()
    pagination_class = Cursor
    filter_backends: Sequence[type[BaseFilterBackend]] = (DjangoFilterBackend,)
    filterset_class = KeyFilter
    serializer_class = KeySerializer
    lookup_field = "public_id"
    lookup_value_regex = "[0-9A-Za-z]{12}"

    def get_queryset(self) -> QuerySet[ApiKey]:
        return shown.with_all(super().get_queryset())

    def get_object(self) -> ApiKey:
        # The filters are the list's: one key is found whatever its state.
        rows = self.get_queryset()
        return get_object_or_404(rows, public_id=self.kwargs["public_id"])

    @extend_schema(responses=KeySerializer(many=True))
    def list(self, request: Request) -> Response:
        """Newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        return self.get_paginated_response(KeySerializer(page, many=True).data)

    @extend_schema(responses=KeySerializer)
    def retrieve(self, request: Request, public_id: str) -> Response:
        """One of them, by its public id: the twelve characters after `sk-`."""
        return Response(KeySerializer(self.get_object()).data)

    @extend_schema(request=IssueKeySerializer, responses={201: IssuedKeySerializer})
    def create(self, request: Request) -> Response:
        """A new key. `api_key` is shown this once."""
        terms = _valid(IssueKeySerializer, request)
        with transaction.atomic(), _in_words():
            key, secret = services.issue_key(**_terms(terms), actor=_name(request))
            audited.issued(request._request, key, **_after(terms))
        return _told_once(_issued(key, secret), status=status.HTTP_201_CREATED)

    @extend_schema(request=KeyTermsSerializer, responses=KeySerializer)
    def partial_update(self, request: Request, public_id: str) -> Response:
        """What is left out stays. `quota` sets the total; of `limits`, those that are named."""
        key = self.get_object()
        changes = _valid(KeyTermsSerializer, request)
        limits = changes.pop("limits", None)
        with audited.changing(request._request, "edit", key), _in_words():
            services.edit_key(key=key, changes=changes, limits=limits, actor=_name(request))
        return self.retrieve(request, public_id)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, public_id: str) -> Response:
        """It works no more; what it used stays in the books."""
        key = self.get_object()
        with audited.changing(request._request, "delete", key):
            services.delete_key(key=key)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses=KeySerializer)
    @action(detail=True, methods=["post"])
    def enable(self, request: Request, public_id: str) -> Response:
        """Let it work again."""
        return self._switch(request, "enable")

    @extend_schema(request=None, responses=KeySerializer)
    @action(detail=True, methods=["post"])
    def disable(self, request: Request, public_id: str) -> Response:
        """Switch it off; its owner cannot switch it on."""
        return self._switch(request, "disable")

    @extend_schema(request=None, responses=KeySerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, public_id: str) -> Response:
        """Switch it off for good."""
        key = self.get_object()
        with audited.changing(request._request, "revoke", key):
            services.revoke_key(key=key)
        return self.retrieve(request, public_id)

    @extend_schema(request=RotateKeySerializer, responses=IssuedKeySerializer)
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, public_id: str) -> Response:
        """A new secret, shown this once; the public id, and all else, stays."""
        key = self.get_object()
        asked = _valid(RotateKeySerializer, request)
        with audited.changing(request._request, "rotate", key, **asked):
            key, secret = services.rotate_key(key=key, **asked)
        return _told_once(_issued(key, secret))

    @extend_schema(request=None, responses=KeySerializer)
    @action(detail=True, methods=["post"], url_path="end-overlap")
    def end_overlap(self, request: Request, public_id: str) -> Response:
        """The secret from before the last rotation stops to work now."""
        key = self.get_object()
        with audited.changing(request._request, "end-overlap", key):
            services.end_overlap(key=key)
        return self.retrieve(request, public_id)

    @extend_schema(request=GiveCreditsSerializer, responses=KeySerializer)
    @action(detail=True, methods=["post"])
    def credits(self, request: Request, public_id: str) -> Response:
        """Grant, or take away. 409 when less remains than is to be taken, and when it has no limit."""
        key = self.get_object()
        asked = _valid(GiveCreditsSerializer, request)
        with audited.changing(request._request, "credits", key, reason=asked["reason"]):
            services.give_credits(key=key, actor=_name(request), **asked)
        return self.retrieve(request, public_id)

    @extend_schema(request=ShareKeySerializer, responses=ShareKeyAnswerSerializer)
    @action(detail=True, methods=["post"])
    def share(self, request: Request, public_id: str) -> Response:
        """A link to the page that shows what is left of it, for people who have not the key."""
        key = self.get_object()
        renew = _valid(ShareKeySerializer, request)["renew"]
        if key.deleted_at is not None:
            raise Conflict("This key was deleted: issue a new one.")
        with audited.changing(request._request, "share", key, renew=renew):
            if renew:
                services.renew_share(key=key)
        return _told_once({"link": links.share_link(key, site_of(request))})

    @extend_schema(request=ClaimLinkSerializer, responses=ClaimLinkAnswerSerializer)
    @action(detail=True, methods=["post"], url_path="claim-link")
    def claim_link(self, request: Request, public_id: str) -> Response:
        """Another link for a key that nobody fetched yet; the one before ends. 409 when somebody has it."""
        key = self.get_object()
        asked = _valid(ClaimLinkSerializer, request)
        with audited.changing(request._request, "claim-link", key, **asked):
            made = services.renew_claim(key=key, **asked)
        facts = {
            "claim_link": links.claim_link(made.code, site_of(request)),
            "claimable_until": made.until,
        }
        return _told_once(ClaimLinkAnswerSerializer(facts).data)

    @extend_schema(
        request=KeyBatchSerializer,
        responses={
            (201, "application/json"): KeyBatchAnswerSerializer,
            (201, "text/csv"): OpenApiTypes.STR,
        },
        filters=False,
    )
    @action(detail=False, methods=["post"], filter_backends=(), pagination_class=None)
    def batch(self, request: Request) -> HttpResponseBase:
        """Up to a thousand keys that are alike. They, or the links to them, are shown this once."""
        terms = _valid(KeyBatchSerializer, request)
        count, hand_out = terms.pop("count"), terms.pop("hand_out")
        days, answer = terms.pop("claim_days"), terms.pop("answer")
        with transaction.atomic(), _in_words():
            made = services.issue_batch(
                count=count,
                claim_days=days if hand_out == "claim_links" else None,
                actor=_name(request),
                **_terms(terms),
            )
            audited.batch_issued(request._request, made, **_after(terms))
        if answer == "csv":
            told = handed_out_csv(request._request, made, site_of(request))
            told.status_code = status.HTTP_201_CREATED
            return told
        facts = {
            "count": len(made),
            "claimable_until": made[0].until,
            "keys": [handed_out(one, site_of(request)) for one in made],
        }
        return _told_once(KeyBatchAnswerSerializer(facts).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=ManyKeysSerializer, responses=ManyKeysAnswerSerializer, filters=False)
    @action(detail=False, methods=["post"], filter_backends=(), pagination_class=None)
    def bulk(self, request: Request) -> Response:
        """One action on many, all or none. `dry_run` counts; with `expected`, 409 when they are not as many by now."""
        asked = _valid(ManyKeysSerializer, request)
        with transaction.atomic():
            ids = _ids(asked)
            if asked.get("expected", len(ids)) != len(ids):
                raise Conflict(
                    f"{len(ids):,} keys are meant by now, not {asked['expected']:,}: count again."
                )
            if asked["dry_run"]:
                return Response({"count": len(ids), "changed": 0})
            changed = services.change_many(
                action=asked["action"],
                key_ids=ids,
                amount_micros=asked.get("amount_micros", 0),
                reason=asked["reason"],
                group=asked.get("group"),
                actor=_name(request),
            )
            audited.many_changed(request._request, asked["action"], changed, **_told(asked))
        return Response({"count": len(ids), "changed": len(changed)})

    @extend_schema(
        operation_id="keys_export",
        responses={_CSV: OpenApiResponse(OpenApiTypes.STR, "The list, masked, as CSV.")},
    )
    @action(detail=False, methods=["get"], pagination_class=None)
    def export(self, request: Request) -> HttpResponseBase:
        """The whole list that the filter means, as CSV."""
        rows = shown.lines_of(self.filter_queryset(ApiKey.objects.all()))
        return csv_response(request._request, "keys.csv", shown.COLUMNS, rows)

    def _switch(self, request: Request, action: str) -> Response:
        key = self.get_object()
        with audited.changing(request._request, action, key):
            services.set_key_active(key=key, is_active=action == "enable")
        return self.retrieve(request, key.public_id)


def _valid(form: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    checked = form(data=request.data, partial=form is KeyTermsSerializer)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


def _terms(asked: dict[str, Any]) -> dict[str, Any]:
    """What was said, and for the rest what the template says; limits one by one."""
    said = {name: value for name, value in asked.items() if name != "template"}
    template = services.terms_of_template(asked.get("template"))
    limits = {**template.get("limits", {}), **said.get("limits", {})}
    return {**template, **said, "limits": limits}


def _after(asked: dict[str, Any]) -> dict[str, str]:
    """For the audit log."""
    template = asked.get("template")
    return {"template": template.name} if template else {}


def _ids(asked: dict[str, Any]) -> list[int]:
    if "ids" in asked:
        rows = ApiKey.objects.filter(public_id__in=asked["ids"], deleted_at=None)
        return list(rows.values_list("pk", flat=True))
    query = QueryDict(mutable=True)
    for name, value in asked["filter"].items():
        values = value if isinstance(value, list) else [value]
        if name not in KeyFilter.base_filters:
            raise serializers.ValidationError({"filter": [f"There is no filter {name!r}."]})
        query.setlist(name, [_as_text(one) for one in values])
    query = filter_of(query)
    if not query:
        raise serializers.ValidationError(
            {"filter": ["A filter that says nothing would mean every key: say which."]}
        )
    with _in_words():
        return list(meant_by(query).order_by().values_list("pk", flat=True))


def _as_text(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text.encode(errors="replace").decode()


def _told(asked: dict[str, Any]) -> dict[str, Any]:
    """For the audit log."""
    amount = asked.get("amount_micros")
    return {
        **({"filter": asked["filter"]} if "filter" in asked else {}),
        **({"credits": to_text(amount)} if amount else {}),
        **({"group": asked["group"].name} if asked.get("group") else {}),
        **({"reason": asked["reason"]} if asked["reason"] else {}),
    }


def _issued(key: ApiKey, secret: str) -> dict[str, Any]:
    key = shown.with_all(ApiKey.objects.all()).get(pk=key.pk)
    return {"api_key": secret, **KeySerializer(key).data}


def _told_once(facts: Any, **how: Any) -> Response:
    answer = Response(facts, **how)
    answer["Cache-Control"] = "no-store"
    return answer


def _name(request: Request) -> str:
    return request.user.get_username()


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except Unstorable as exc:
        words = exc.message_dict if hasattr(exc, "error_dict") else exc.messages
        raise serializers.ValidationError(words) from exc
