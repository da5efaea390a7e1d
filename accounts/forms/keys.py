"""Keys as operators and members fill them in: what is empty does not limit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from rest_framework import serializers

from accounts.models import ApiKey, Group, KeyTemplate, User
from accounts.models.keys import MAX_DAYS
from accounts.services.batches import CLAIM_DAYS, MAX_CLAIM_DAYS, MOST_KEYS
from accounts.services.switching import ACTIONS
from accounts.shown import quota_of
from gateway.lib import credits
from quotas.api.limits import DIALECTS, network_of
from quotas.models import Limits
from quotas.services import values_of

_MOST = 2**31 - 1
_MOST_ENTRIES = 200
_LONGEST_ENTRY = 200
_WHEN = "%Y-%m-%dT%H:%M:%S"
OVERLAPS = (
    (0, "at once"),
    (1, "in an hour"),
    (24, "in a day"),
    (72, "in 3 days"),
    (168, "in 7 days"),
)


class CreditsField(forms.DecimalField):
    """Credits on the page, micros in `cleaned_data`. None where nothing was filled in."""

    def __init__(self, *, min_value: Decimal = Decimal(0), **kwargs: Any) -> None:
        super().__init__(
            min_value=min_value,
            max_value=Decimal(credits.MAX_CREDITS),
            decimal_places=6,
            required=kwargs.pop("required", False),
            widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
            **kwargs,
        )

    def clean(self, value: Any) -> int | None:
        cleaned = super().clean(value)
        return None if cleaned is None else int(cleaned * credits.MICROS_PER_CREDIT)

    def prepare_value(self, value: Any) -> Any:
        return credits.to_text(value) if isinstance(value, int) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(initial != self.clean(data))
        except ValidationError:
            return True


class NamesField(forms.CharField):
    """A list, written with commas."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)

    def clean(self, value: Any) -> list[str]:
        text = super().clean(value).replace("\n", ",")
        names = [name.strip() for name in text.split(",") if name.strip()]
        if len(names) > _MOST_ENTRIES:
            raise ValidationError(f"At most {_MOST_ENTRIES}.")
        if long := [name for name in names if len(name) > _LONGEST_ENTRY]:
            raise ValidationError(f"{long[0][:20]}… is longer than {_LONGEST_ENTRY} characters.")
        return names

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return (initial or []) != self.clean(data)
        except ValidationError:
            return True


def _count(label: str) -> forms.IntegerField:
    return forms.IntegerField(label=label, min_value=0, max_value=_MOST, required=False)


def _days(label: str, help_text: str = "") -> forms.IntegerField:
    return forms.IntegerField(
        label=label, min_value=1, max_value=MAX_DAYS, required=False, help_text=help_text
    )


class LimitsForm(forms.Form):
    """The fields of `quotas.services.limiting.FIELDS`."""

    day_micros = CreditsField(label="Credits a day")
    week_micros = CreditsField(label="Credits a week")
    month_micros = CreditsField(label="Credits a month")
    rpm = _count("Requests a minute")
    rpd = _count("Requests a day")
    tpm = _count("Tokens a minute")
    concurrency = _count("Calls at the same time")
    allowed_models = NamesField(
        label="Allowed models", help_text="Names or globs such as *flash*, with commas."
    )
    allowed_dialects = forms.MultipleChoiceField(
        label="Allowed dialects",
        choices=[(name, name) for name in DIALECTS],
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    allowed_networks = NamesField(
        label="Allowed addresses", help_text="Such as 203.0.113.7 or 10.0.0.0/8, with commas."
    )
    time_zone = forms.CharField(
        label="Time zone of the days",
        max_length=64,
        required=False,
        help_text="Such as Asia/Shanghai; empty: the site's.",
    )

    LIMITS: ClassVar = tuple(values_of(None))

    def clean_allowed_networks(self) -> list[str]:
        try:
            return [network_of(text) for text in self.cleaned_data["allowed_networks"]]
        except serializers.ValidationError as exc:
            raise ValidationError([str(words) for words in exc.detail]) from exc

    def clean_time_zone(self) -> str:
        zone: str = self.cleaned_data["time_zone"]
        if zone and zone not in available_timezones():
            raise ValidationError(f"There is no time zone {zone}: try Asia/Shanghai.")
        return zone

    def limits(self, *, only: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """By name; `only`: those that stand there."""
        names = self.LIMITS if only is None else [name for name in self.LIMITS if name in only]
        return {name: self.cleaned_data[name] for name in names}

    def limit_fields(self) -> list[forms.BoundField]:
        """For the page."""
        return [self[name] for name in self.LIMITS]


class TermsForm(LimitsForm):
    """What a key is made by."""

    description = forms.CharField(label="Name", max_length=200, required=False)
    quota_micros = CreditsField(label="Quota", help_text="Credits in all; empty: no limit.")
    owner = forms.CharField(
        label="Owner",
        max_length=150,
        required=False,
        help_text="User name; empty: nobody.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    group = forms.ModelChoiceField(
        label="Group", queryset=Group.objects.all(), required=False, empty_label="its owner's"
    )
    expires_at = forms.DateTimeField(
        label="Ends at",
        required=False,
        input_formats=[_WHEN, "%Y-%m-%dT%H:%M", "%Y-%m-%d"],
        widget=forms.DateTimeInput(
            attrs={"type": "datetime-local", "step": "1", "max": "9999-12-31T23:59:59"},
            format=_WHEN,
        ),
    )
    lifetime_days = _days("Days after its first use")
    notes = forms.CharField(
        label="Notes",
        max_length=5000,
        required=False,
        help_text="For operators.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    TERMS: ClassVar = (
        "description",
        "quota_micros",
        "owner",
        "group",
        "expires_at",
        "lifetime_days",
        "notes",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = timezone.get_current_timezone_name()
        self.fields["expires_at"].help_text = f"In the site's time zone, {zone}."

    def clean_owner(self) -> User | None:
        name = self.cleaned_data["owner"].strip()
        if not name:
            return None
        try:
            return User.objects.get_by_natural_key(name)
        except User.DoesNotExist as exc:
            raise ValidationError(f"There is no user {name}.") from exc

    def clean_expires_at(self) -> datetime | None:
        at: datetime | None = self.cleaned_data["expires_at"]
        try:
            return at.astimezone(UTC) if at else None
        except OverflowError as exc:  # the last day there is, which is over later here
            raise ValidationError("Take an earlier day, or leave it empty for no end.") from exc

    def term_fields(self) -> list[forms.BoundField]:
        """For the page."""
        return [self[name] for name in self.TERMS]


class IssueKeyForm(TermsForm):
    """A new key; as keyword arguments of `services.issue_key`."""

    def clean_expires_at(self) -> datetime | None:
        at = super().clean_expires_at()
        if at is not None and at <= timezone.now():
            raise ValidationError("It has to be in the future.")
        return at

    def terms(self) -> dict[str, Any]:
        return {
            **{name: self.cleaned_data[name] for name in self.TERMS},
            "limits": self.limits(),
        }


class BatchForm(IssueKeyForm):
    """Many that are alike."""

    count = forms.IntegerField(label="How many", min_value=1, max_value=MOST_KEYS, initial=10)
    hand_out = forms.ChoiceField(
        label="Handed out as",
        choices=[
            ("keys", "a CSV file of the keys, downloaded once"),
            ("claim_links", "links behind which each is fetched once"),
        ],
        initial="keys",
        widget=forms.RadioSelect,
    )
    claim_days = forms.IntegerField(
        label="Links work for so many days",
        min_value=1,
        max_value=MAX_CLAIM_DAYS,
        initial=CLAIM_DAYS,
    )


class EditKeyForm(TermsForm):
    """Only what somebody changed on the page is written: what changed behind it stays."""

    def __init__(self, data: Any = None, *, key: ApiKey) -> None:
        ends = key.expires_at
        initial = {
            "description": key.description,
            "quota_micros": quota_of(key),
            "owner": key.owner.username if key.owner else "",
            "group": key.group,
            "expires_at": ends.replace(microsecond=0) if ends else None,
            "lifetime_days": key.lifetime_days,
            "notes": key.notes,
            **values_of(key.limits),
        }
        super().__init__(data, initial=initial)

    def changes(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in self.TERMS if name in self.changed_data}

    def changed_limits(self) -> dict[str, Any] | None:
        return self.limits(only=dict.fromkeys(self.changed_data)) or None


class TemplateForm(LimitsForm):
    name = forms.CharField(label="Name", max_length=60)
    description = forms.CharField(label="Name of its keys", max_length=200, required=False)
    quota_micros = CreditsField(label="Quota", help_text="Credits in all; empty: no limit.")
    expires_days = _days("Days after it is issued")
    lifetime_days = _days("Days after its first use")
    group = forms.ModelChoiceField(
        label="Group", queryset=Group.objects.all(), required=False, empty_label="its owner's"
    )

    TERMS: ClassVar = (
        "name",
        "description",
        "quota_micros",
        "expires_days",
        "lifetime_days",
        "group",
    )

    def __init__(self, data: Any = None, *, template: KeyTemplate | None = None) -> None:
        self._template = template
        initial: dict[str, Any] = {}
        if template is not None:
            initial = {name: getattr(template, name) for name in self.TERMS}
            initial |= values_of(template.limits)
        super().__init__(data, initial=initial)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        others = KeyTemplate.objects.filter(name=name)
        if self._template is not None:
            others = others.exclude(pk=self._template.pk)
        if others.exists():
            raise ValidationError("There is a template of this name already.")
        return name

    def asked(self) -> dict[str, Any]:
        return {
            **{name: self.cleaned_data[name] for name in self.TERMS},
            "limits": self.limits(),
        }

    def term_fields(self) -> list[forms.BoundField]:
        """For the page."""
        return [self[name] for name in self.TERMS]


class ManyKeysForm(forms.Form):
    """What is done to many."""

    action = forms.ChoiceField(label="What", choices=list(ACTIONS.items()))
    amount_micros = CreditsField(label="Credits, to grant", min_value=Decimal("0.000001"))
    group = forms.ModelChoiceField(
        label="Group, to put into", queryset=Group.objects.all(), required=False, empty_label="none"
    )
    reason = forms.CharField(label="Reason, for the ledger", max_length=200, required=False)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        unsaid = not data.get("amount_micros") and "amount_micros" not in self.errors
        if data.get("action") == "grant" and unsaid:
            self.add_error("amount_micros", "Say how many.")
        return data


class GiveForm(forms.Form):
    amount_micros = CreditsField(
        label="Credits",
        min_value=Decimal(-credits.MAX_CREDITS),
        required=True,
        help_text="Below zero takes away.",
    )
    reason = forms.CharField(label="Reason, for the ledger", max_length=200, required=False)


class RotateForm(forms.Form):
    overlap_hours = forms.TypedChoiceField(
        label="The old one stops to work", choices=OVERLAPS, coerce=int, initial=24
    )


class OwnKeyForm(forms.Form):
    """A member's own."""

    description = forms.CharField(
        label="Name", max_length=200, help_text="Where you use it, to tell it by."
    )
    quota_micros = CreditsField(
        label="Spends at most",
        min_value=Decimal("0.000001"),
        help_text="Credits; empty: as much as you have.",
    )
    expires_days = _days("Ends after days", "Empty: never.")

    def terms(self) -> dict[str, Any]:
        days = self.cleaned_data["expires_days"]
        return {
            "description": self.cleaned_data["description"],
            "quota_micros": self.cleaned_data["quota_micros"],
            "expires_at": timezone.now() + timedelta(days=days) if days else None,
        }


class NameForm(forms.Form):
    description = forms.CharField(label="Name", max_length=200, required=False)


def initial_of_template(template: KeyTemplate | None) -> dict[str, Any]:
    """For a form of new keys."""
    if template is None:
        return {}
    days = template.expires_days
    limits: Limits | None = template.limits
    return {
        "description": template.description,
        "quota_micros": template.quota_micros,
        "group": template.group,
        "lifetime_days": template.lifetime_days,
        "expires_at": timezone.now().replace(microsecond=0) + timedelta(days=days)
        if days
        else None,
        **values_of(limits),
    }
