"""What people say of themselves, and how an operator invites them and groups them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.utils import timezone

from accounts.models import Group, User
from gateway.lib import credits


class ProfileForm(forms.ModelForm[User]):
    class Meta:
        model = User
        fields = ("first_name", "last_name", "email")
        widgets = {
            "first_name": forms.TextInput(attrs={"autocomplete": "given-name"}),
            "last_name": forms.TextInput(attrs={"autocomplete": "family-name"}),
            "email": forms.EmailInput(attrs={"autocomplete": "email"}),
        }
        help_texts = {"email": "For mail of this site. Operators see it, other people do not."}


class InvitationForm(forms.Form):
    role = forms.ChoiceField(choices=User.Role.choices, initial=User.Role.MEMBER)
    group = forms.ModelChoiceField(
        queryset=Group.objects.all(), required=False, empty_label="the default one"
    )
    max_uses = forms.IntegerField(
        label="Works for so many people", min_value=1, max_value=100_000, initial=1
    )
    days = forms.IntegerField(
        label="Works for so many days",
        min_value=1,
        max_value=3650,
        initial=7,
        required=False,
        help_text="Empty: until it is used. For operators and stewards 7 at most.",
    )
    note = forms.CharField(max_length=200, required=False, help_text="For whom it is.")

    def asked(self) -> dict[str, Any]:
        data = {**self.cleaned_data}
        days = data.pop("days")
        data["expires_at"] = timezone.now() + timedelta(days=days) if days else None
        return data


class GroupForm(forms.Form):
    name = forms.CharField(max_length=60)
    is_default = forms.BooleanField(label="Whoever signs up joins it", required=False)
    member_grant = forms.DecimalField(
        label="Credits a member begins with",
        required=False,
        min_value=Decimal(0),
        max_value=credits.MAX_CREDITS,
        decimal_places=6,
        max_digits=19,
        help_text="Empty: no limit.",
    )
    rpm = forms.IntegerField(
        label="Requests a minute of each member",
        required=False,
        min_value=0,
        max_value=2**31 - 1,
        help_text="Empty: no limit. All else is set at /api/groups.",
    )
    member_keys = forms.IntegerField(
        label="Keys a member may make", min_value=0, max_value=100_000, initial=5
    )

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if Group.objects.filter(name__iexact=name).exists():
            raise forms.ValidationError("There is a group of this name already.")
        return name

    def asked(self) -> dict[str, Any]:
        data = {**self.cleaned_data}
        grant, rpm = data.pop("member_grant"), data.pop("rpm")
        data["member_grant_micros"] = (
            None if grant is None else int(grant * credits.MICROS_PER_CREDIT)
        )
        data["member_limits"] = {"rpm": rpm}
        return data


class PersonForm(forms.Form):
    """One person's place here."""

    role = forms.ChoiceField(choices=User.Role.choices)
    group = forms.ModelChoiceField(queryset=Group.objects.all(), required=False, empty_label="none")
    is_active = forms.BooleanField(label="May sign in, and use their keys", required=False)
