"""What people fill in."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from accounts.models import ApiKey, User
from gateway.lib import credits


class SetupForm(forms.Form):
    """The first operator's account."""

    username = forms.CharField(
        max_length=150,
        validators=[User.username_validator],
        widget=forms.TextInput(attrs={"autocomplete": "username", "autofocus": True}),
    )
    password = forms.CharField(
        strip=False,
        help_text="At least 8 characters, not a common one.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    repeat = forms.CharField(
        label="Password again",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        password = data.get("password")
        if password is None:
            return data
        if "repeat" in data and data["repeat"] != password:
            self.add_error("repeat", "The two passwords differ.")
        try:
            validate_password(password, User(username=data.get("username", "")))
        except ValidationError as exc:
            self.add_error("password", exc)
        return data


class KeyForm(forms.ModelForm[ApiKey]):
    """A key's row, with its list of models as text."""

    models = forms.CharField(
        required=False,
        label="Allowed models",
        help_text="Names or globs such as *flash*, separated by commas. Empty allows every model.",
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )

    class Meta:
        model = ApiKey
        fields = ("description", "owner", "expires_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["models"].initial = ", ".join(self.instance.allowed_models)

    def clean_models(self) -> list[str]:
        names = self.cleaned_data["models"].split(",")
        return [name.strip() for name in names if name.strip()]


class IssueKeyForm(KeyForm):
    quota = forms.DecimalField(
        label="Quota",
        help_text="In credits; up to six decimal places.",
        min_value=Decimal("0.000001"),
        max_value=credits.MAX_CREDITS,
        decimal_places=6,
    )
