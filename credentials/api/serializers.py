"""Shapes of the management API. No field holds a secret; a proxy is shown as host and port."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from credentials import tags
from credentials.models import CREDENTIAL_STATES, MODEL_STATES, Contributor, Provider
from credentials.services import bulk
from gateway.lib.proxies import check_proxy_url

LARGEST_ID = 2**63 - 1
MOST_CALLS = 1_000_000_000


class ContributorBriefSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    name = serializers.CharField(help_text="As they want to be called; may be empty.")


class CapsSerializer(serializers.Serializer[Any]):
    """What the contributor allows. Days begin at midnight in California."""

    calls_a_day = serializers.IntegerField(
        min_value=0, max_value=MOST_CALLS, allow_null=True, required=False
    )
    model_calls_a_day = serializers.DictField(
        child=serializers.IntegerField(min_value=0, max_value=MOST_CALLS),
        required=False,
        help_text="Calls a day by model name or glob.",
    )
    hours_from = serializers.IntegerField(
        min_value=0, max_value=23, allow_null=True, required=False
    )
    hours_to = serializers.IntegerField(min_value=0, max_value=23, allow_null=True, required=False)
    hours_zone = serializers.CharField(allow_blank=True, required=False)
    allowed_models = serializers.ListField(
        child=serializers.CharField(max_length=150),
        required=False,
        help_text="Names or globs; empty for every model.",
    )
    stop_below_percent = serializers.IntegerField(
        min_value=0, max_value=100, allow_null=True, required=False
    )

    def validate_model_calls_a_day(self, value: dict[str, int]) -> dict[str, int]:
        if not all(name.isprintable() and 0 < len(name) <= 150 for name in value):
            raise serializers.ValidationError("Name models, or globs such as gemini-2.5-pro*.")
        return value

    def validate_hours_zone(self, value: str) -> str:
        if value and value not in available_timezones():
            raise serializers.ValidationError("Name a time zone such as Europe/Berlin.")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = [attrs.get(name) is not None for name in ("hours_from", "hours_to")]
        if ("hours_from" in attrs or "hours_to" in attrs) and any(given) != all(given):
            raise serializers.ValidationError(
                "Give hours_from and hours_to together, or neither of them."
            )
        return attrs


class TagsField(serializers.ListField):
    child = serializers.CharField(max_length=40)

    def to_internal_value(self, data: Any) -> list[str]:
        try:
            return tags.split(super().to_internal_value(data))
        except ValueError as exc:
            raise serializers.ValidationError(str(exc)) from None


class ByPublicId(serializers.SlugRelatedField[Any]):
    def to_internal_value(self, data: Any) -> Any:
        if not str(data).isprintable():
            self.fail("invalid")  # PostgreSQL takes no NUL
        return super().to_internal_value(data)


_EXAMPLE = {
    "id": 7,
    "name": "made-up-project-1760000000.json",
    "provider": "code_assist",
    "label": "alice@example.org",
    "identity": "al…@example.org",
    "state": "needs_attention",
    "reason": "subscription_required",
    "verdict": "needs licence",
    "todo": "Get the account a Gemini Code Assist Standard or Enterprise licence, or lend a Gemini API key instead.",
    "who": "contributor",
    "usable": False,
    "held_by": "",
    "until": None,
    "served_today": 12,
    "failed_today": 1,
    "errors_today": {"403": 1},
    "version": "5f0c2d1be3a7",
}


@extend_schema_serializer(
    examples=[OpenApiExample("One that needs a licence", value=_EXAMPLE, response_only=True)]
)
class CredentialSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="credential.pk")
    name = serializers.CharField(
        source="credential.name", help_text="File name in exports and for the older routes."
    )
    provider = serializers.ChoiceField(source="credential.provider", choices=Provider.choices)
    label = serializers.CharField(source="credential.label")  # type: ignore[assignment]
    email = serializers.CharField(source="credential.email")
    identity = serializers.CharField(
        help_text="E-mail shortened, or the end of the key: what its contributor knows it by."
    )
    project = serializers.CharField(source="credential.project_id")
    tier = serializers.CharField(source="credential.tier")
    preview = serializers.BooleanField(source="credential.preview", allow_null=True)
    contributor = ContributorBriefSerializer(source="credential.contributor", allow_null=True)
    tags = serializers.ListField(source="credential.tags", child=serializers.CharField())
    weight = serializers.IntegerField(source="credential.weight")
    state = serializers.ChoiceField(source="credential.state", choices=CREDENTIAL_STATES)
    reason = serializers.CharField(source="credential.state_reason")
    verdict = serializers.CharField(source="words.verdict", help_text="The state in words.")
    todo = serializers.CharField(source="words.todo", help_text="What to do now.")
    who = serializers.ChoiceField(
        source="words.who", choices=["contributor", "operator", ""], help_text="Whose turn it is."
    )
    help_url = serializers.CharField(
        source="credential.help_url", help_text="Where it can be mended, by Google's own word."
    )
    usable = serializers.BooleanField(help_text="Could take a call now.")
    held_by = serializers.ChoiceField(
        choices=["", "paused", "hours", "cap"],
        help_text="Why it does not serve although nothing is wrong.",
    )
    until = serializers.DateTimeField(allow_null=True)
    paused_at = serializers.DateTimeField(source="credential.paused_at", allow_null=True)
    caps = CapsSerializer(source="credential")
    taken_today = serializers.DictField(
        source="taken",
        child=serializers.IntegerField(),
        help_text="Calls counted against caps: by glob, “” for all.",
    )
    proxy = serializers.CharField(help_text="Host and port; the address itself is not shown.")
    served_today = serializers.IntegerField(source="served")
    failed_today = serializers.IntegerField(source="failed")
    errors_today = serializers.DictField(
        source="errors", child=serializers.IntegerField(), help_text="Failed attempts by status."
    )
    open_notices = serializers.IntegerField(source="notices")
    source = serializers.CharField(source="credential.source")  # type: ignore[assignment]
    connected_at = serializers.DateTimeField(source="credential.connected_at")
    created_at = serializers.DateTimeField(source="credential.created_at")
    updated_at = serializers.DateTimeField(source="credential.updated_at")
    version = serializers.CharField(
        help_text="Of what people edit. Send it back with a change: 409 when somebody was faster."
    )


class ModelStateSerializer(serializers.Serializer[Any]):
    model = serializers.CharField()
    state = serializers.ChoiceField(choices=MODEL_STATES)
    reason = serializers.CharField()
    verdict = serializers.CharField()
    until = serializers.DateTimeField(allow_null=True)


class DaySerializer(serializers.Serializer[Any]):
    day = serializers.DateField()
    served = serializers.IntegerField()
    failed = serializers.IntegerField()
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()


class ModelUseSerializer(serializers.Serializer[Any]):
    model = serializers.CharField()
    served = serializers.IntegerField()
    failed = serializers.IntegerField()
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()


class QuotaReadingSerializer(serializers.Serializer[Any]):
    model = serializers.CharField()
    remaining_fraction = serializers.FloatField()
    remaining_calls = serializers.IntegerField(allow_null=True)
    resets_at = serializers.DateTimeField(allow_null=True)
    read_at = serializers.DateTimeField()


class NoticeSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    words = serializers.CharField()
    created_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField(allow_null=True)
    channels = serializers.CharField()
    error = serializers.CharField()
    closed_at = serializers.DateTimeField(allow_null=True)


class CredentialDetailSerializer(CredentialSerializer):
    models = ModelStateSerializer(many=True)
    days = DaySerializer(many=True, help_text="Of the last thirty days, those with use.")
    by_model = ModelUseSerializer(many=True)
    errors_of_month = serializers.DictField(
        child=serializers.IntegerField(), help_text="Failed attempts of 30 days by status."
    )
    readings = QuotaReadingSerializer(many=True)
    notices = NoticeSerializer(many=True, source="notices_sent")


class StateChangeSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    model = serializers.CharField(help_text="Empty for the credential as a whole.")
    event = serializers.CharField()
    from_state = serializers.CharField()
    to_state = serializers.CharField()
    reason = serializers.CharField()
    verdict = serializers.CharField()
    request_id = serializers.CharField(help_text="See /api/requests/{id}.")
    by = serializers.CharField()


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Heavier, tagged, at most 500 calls a day",
            value={
                "version": "5f0c2d1be3a7",
                "weight": 3,
                "tags": ["eu"],
                "caps": {"calls_a_day": 500},
            },
            request_only=True,
        )
    ]
)
class EditSerializer(serializers.Serializer[Any]):
    """Only what is given changes."""

    version = serializers.CharField(
        required=False, help_text="As read; without it, the change is made whatever others did."
    )
    label = serializers.CharField(max_length=200, required=False)  # type: ignore[assignment]
    weight = serializers.IntegerField(min_value=1, max_value=1000, required=False)
    tags = TagsField(required=False)
    proxy = serializers.CharField(
        required=False,
        allow_blank=True,
        write_only=True,
        help_text="http://, socks5:// … with its password; empty removes it. Never shown again.",
    )
    caps = CapsSerializer(required=False)
    contributor = ByPublicId(
        slug_field="public_id",
        queryset=Contributor.objects.all(),
        allow_null=True,
        required=False,
        help_text="The contributor's public id.",
    )

    def validate_proxy(self, value: str) -> str:
        if not value:
            return ""
        try:
            return check_proxy_url(value)
        except ValueError as exc:
            raise serializers.ValidationError(str(exc)) from None


class ActionSerializer(serializers.Serializer[Any]):
    project = serializers.CharField(
        default="",
        allow_blank=True,
        max_length=100,
        help_text="For discover_project: the one to take.",
    )
    revoke = serializers.BooleanField(
        default=False, help_text="For withdraw: also end the access at Google."
    )


class ActionAnswerSerializer(serializers.Serializer[Any]):
    done = serializers.BooleanField(help_text="false: it was tried and came to nothing.")
    words = serializers.CharField()
    help_url = serializers.CharField()
    credential = CredentialSerializer()


class GroupSerializer(serializers.Serializer[Any]):
    verdict = serializers.CharField(source="words.verdict")
    todo = serializers.CharField(source="words.todo")
    who = serializers.CharField(source="words.who")
    count = serializers.IntegerField()
    unheard = serializers.IntegerField(help_text="Of these, whose contributor cannot be told.")
    own = serializers.IntegerField(help_text="Of these, that nobody lent: the site put them in.")
    query = serializers.CharField(help_text="Of /api/credentials: shows them.")


class ModelLineSerializer(serializers.Serializer[Any]):
    model = serializers.CharField()
    usable = serializers.IntegerField()
    resting = serializers.IntegerField()
    back_at = serializers.DateTimeField(allow_null=True, help_text="When the first comes back.")


class CensusSerializer(serializers.Serializer[Any]):
    lent = serializers.IntegerField()
    usable = serializers.IntegerField()
    resting = serializers.IntegerField()
    paused = serializers.IntegerField()
    disabled = serializers.IntegerField()
    groups = GroupSerializer(many=True)
    models = ModelLineSerializer(many=True)


class RevokeSerializer(serializers.Serializer[Any]):
    revoke = serializers.BooleanField(
        default=False, help_text="Also end the grant at Google, for every program that uses it."
    )


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "How many would it be?",
            value={"action": "disable", "filter": {"reason": "retired_by_google"}, "dry_run": True},
            request_only=True,
        ),
        OpenApiExample(
            "Do it, if they are still as many",
            value={
                "action": "disable",
                "filter": {"reason": "retired_by_google"},
                "expected": 4312,
            },
            request_only=True,
        ),
        OpenApiExample(
            "Tag three",
            value={"action": "add_tag", "ids": [3, 4, 5], "params": {"tag": "eu"}},
            request_only=True,
        ),
    ]
)
class BulkSerializer(serializers.Serializer[Any]):
    """Give `ids` or `filter` (the names of the list's own query; `{}` means all that are lent)."""

    action = serializers.ChoiceField(choices=[(name, name) for name in bulk.ACTIONS])
    ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=LARGEST_ID),
        required=False,
        allow_empty=False,
        max_length=100_000,
    )
    filter = serializers.DictField(required=False)
    params = serializers.DictField(
        default=dict,
        help_text="add_tag, remove_tag: tag; set_weight: weight; set_caps: as in caps; withdraw: revoke.",
    )
    expected = serializers.IntegerField(
        required=False, help_text="How many you mean: 409 when it is another number by now."
    )
    dry_run = serializers.BooleanField(default=False, help_text="Only count.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("ids" in attrs) == ("filter" in attrs):
            raise serializers.ValidationError("Give either ids or a filter.")
        attrs["params"] = checked_params(attrs["action"], attrs["params"])
        return attrs


class _TagParams(serializers.Serializer[Any]):
    tag = TagsField(max_length=1, min_length=1)

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value({**data, "tag": [data.get("tag", "")]})


class _WeightParams(serializers.Serializer[Any]):
    weight = serializers.IntegerField(min_value=1, max_value=1000)


_PARAMS: dict[str, type[serializers.Serializer[Any]]] = {
    "add_tag": _TagParams,
    "remove_tag": _TagParams,
    "set_weight": _WeightParams,
    "set_caps": CapsSerializer,
    "withdraw": RevokeSerializer,
}


def checked_params(action: str, params: dict[str, Any]) -> dict[str, Any]:
    """Those the action takes. Raises ValidationError."""
    shape = _PARAMS.get(action)
    if shape is None:
        if params:
            raise serializers.ValidationError({"params": f"{action} takes none."})
        return {}
    checked = shape(data=params)
    if not checked.is_valid():
        raise serializers.ValidationError({"params": checked.errors})
    facts = dict(checked.validated_data)
    return {"tag": facts["tag"][0]} if shape is _TagParams else facts


class JobBriefSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    title = serializers.CharField()
    state = serializers.CharField()
    total = serializers.IntegerField()


class BulkAnswerSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField(help_text="How many credentials are meant.")
    job = JobBriefSerializer(allow_null=True, help_text="null for a dry run; see /api/jobs/{id}.")
