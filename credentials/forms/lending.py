"""What somebody fills in who lends."""

from __future__ import annotations

import hmac
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from credentials.forms.private import https_address
from credentials.kinds import KINDS
from credentials.services.flow_rows import Wishes

_MOST_CHARS = 100_000


class LendForm(forms.Form):
    """`is_new`: nobody lends yet from this browser, so it asks how they want to be told. `needs_code`: an invitation's."""

    kind = forms.ChoiceField(
        choices=[(kind.id, kind.title) for kind in KINDS.values()],
        error_messages={"required": "Choose what you want to lend."},
    )
    keys = forms.CharField(
        label="Your API keys",
        required=False,
        max_length=_MOST_CHARS,
        widget=forms.Textarea(
            attrs={
                "rows": 4,
                "autocomplete": "off",
                "autocapitalize": "none",
                "spellcheck": "false",
            }
        ),
        help_text="One a line, or any text with keys in it.",
    )
    invite = forms.CharField(
        label="Invitation code",
        max_length=200,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
        help_text="Whoever runs this site has given it to you.",
        error_messages={
            "required": "This site takes loans by invitation: type the code you were given."
        },
    )
    name = forms.CharField(
        label="Your name here",
        required=False,
        max_length=100,
        help_text="The operator sees it. A nickname is fine.",
    )
    email = forms.EmailField(
        label="E-mail for notices",
        required=False,
        max_length=254,
        help_text="Only when what you lent needs you.",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    webhook = forms.CharField(
        label="Webhook for notices",
        required=False,
        max_length=500,
        help_text="An https address that is sent each notice as JSON.",
        widget=forms.URLInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    consent = forms.BooleanField(
        label="I have read this, the account or key is mine, and I lend it of my own will.",
        error_messages={"required": "Read what it means, and tick the box if you agree."},
    )

    def __init__(self, *args: Any, is_new: bool, needs_code: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.wrong_code = False
        if not needs_code:
            del self.fields["invite"]
        if not is_new:
            for name in ("name", "email", "webhook"):
                del self.fields[name]

    def clean_kind(self) -> str:
        kind: str = self.cleaned_data["kind"]
        if not KINDS[kind].is_ready():
            raise ValidationError(KINDS[kind].missing)
        return kind

    def clean_invite(self) -> str:
        typed = self.cleaned_data["invite"].strip().encode()
        # All of them are compared, so the time tells nothing about any.
        fits = [hmac.compare_digest(typed, code.encode()) for code in _codes()]
        if not any(fits):
            self.wrong_code = True
            raise ValidationError("This code does not fit. Ask whoever gave it to you.")
        return ""

    def clean_webhook(self) -> str:
        return https_address(self.cleaned_data["webhook"])

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("kind") == "api_key" and not data.get("keys") and "keys" not in self.errors:
            self.add_error("keys", "Paste at least one API key.")
        return data

    def wishes(self, user_id: int | None) -> Wishes:
        data = self.cleaned_data
        return Wishes(
            name=data.get("name", ""),
            email=data.get("email", ""),
            webhook=data.get("webhook", ""),
            user_id=user_id,
        )


def _codes() -> list[str]:
    return [code.strip() for code in settings.LENDING_INVITE_CODES if code.strip()]
