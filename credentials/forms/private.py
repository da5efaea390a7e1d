"""What contributors fill in on their private page."""

from __future__ import annotations

import re
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from credentials.models import Contributor, Credential
from gateway.lib import outward

_MOST_CALLS = 1_000_000
_MOST_LINES = 50
_NAME = re.compile(r"[\w.*?/:@+-]{1,150}", re.ASCII)
_MODEL_AND_CALLS = re.compile(
    r"(\S+?)\s*(?:[\s:=,;×]|calls)\s*(\d{1,7})(?:\s*(?:calls?|a day|/day))*"
)
_HOURS = [(hour, f"{hour:02d}:00") for hour in range(24)]


class LimitsForm(forms.Form):
    """What a contributor allows; an empty field allows everything."""

    calls_a_day = forms.IntegerField(
        label="Calls a day",
        required=False,
        min_value=1,
        max_value=_MOST_CALLS,
        help_text="Empty: as many as Google's quota allows. Days begin at midnight in California.",
    )
    model_calls = forms.CharField(
        label="Calls a day by model",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocapitalize": "none"}),
        help_text="One a line: a model and a number, such as gemini-2.5-pro* 100. A star stands for anything.",
    )
    hours_from = forms.TypedChoiceField(
        label="From",
        required=False,
        choices=[("", "any time"), *_HOURS],
        coerce=int,
        empty_value=None,
    )
    hours_to = forms.TypedChoiceField(
        label="Until",
        required=False,
        choices=[("", "any time"), *_HOURS],
        coerce=int,
        empty_value=None,
    )
    hours_zone = forms.CharField(
        label="Time zone of these hours",
        required=False,
        max_length=64,
        widget=forms.TextInput(
            attrs={"autocapitalize": "none", "spellcheck": "false", "data-zone": ""}
        ),
        help_text="Such as Europe/Berlin; empty is UTC.",
    )
    allowed_models = forms.CharField(
        label="Models it may serve",
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false", "autocapitalize": "none"}),
        help_text="One a line, such as *flash*. Empty: every model the account has.",
    )
    stop_below_percent = forms.IntegerField(
        label="Keep for yourself, in percent",
        required=False,
        min_value=1,
        max_value=99,
        help_text="When no more than this is left of Google's daily quota, it stops until the next day.",
    )

    def __init__(self, *args: Any, credential: Credential, **kwargs: Any) -> None:
        super().__init__(*args, **{"initial": _initial(credential), **kwargs})
        if credential.provider != "code_assist":
            # Only Code Assist tells how much of a quota is left.
            del self.fields["stop_below_percent"]

    def clean_model_calls(self) -> dict[str, int]:
        limits: dict[str, int] = {}
        for number, line in _lines(self.cleaned_data["model_calls"]):
            read = _MODEL_AND_CALLS.fullmatch(line)
            if read is None or not _NAME.fullmatch(read[1]):
                raise ValidationError(
                    f"Line {number} is not understood: write a model and a number, such as gemini-2.5-pro* 100."
                )
            if not 1 <= int(read[2]) <= _MOST_CALLS:
                raise ValidationError(
                    f"Line {number}: give a number from 1 to {_MOST_CALLS:,}. To allow none of a model, list the others below."
                )
            limits[read[1]] = int(read[2])
        return limits

    def clean_hours_zone(self) -> str:
        zone: str = self.cleaned_data["hours_zone"].strip().replace(" ", "_")
        known = {name.lower(): name for name in available_timezones()}
        if zone and zone.lower() not in known:
            raise ValidationError(
                f"“{zone}” is no time zone known here: write continent and city, such as Europe/Berlin or Asia/Shanghai."
            )
        return known.get(zone.lower(), "")

    def clean_allowed_models(self) -> list[str]:
        names: list[str] = []
        for number, line in _lines(self.cleaned_data["allowed_models"].replace(",", "\n")):
            if not _NAME.fullmatch(line):
                raise ValidationError(
                    f"Line {number} is no model's name: letters, digits, dots, dashes and stars only."
                )
            if line not in names:
                names.append(line)
        return names

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        begin, end = data.get("hours_from"), data.get("hours_to")
        if (begin is None) is not (end is None) and not {"hours_from", "hours_to"} & set(
            self.errors
        ):
            self.add_error(
                "hours_to" if end is None else "hours_from",
                "Give both hours, or leave both at “any time”.",
            )
        return data

    def limits(self) -> dict[str, Any]:
        """As `services.set_limits` takes them."""
        data = dict(self.cleaned_data)
        data["model_calls_a_day"] = data.pop("model_calls")
        if data["hours_from"] is None or data["hours_from"] == data["hours_to"]:
            data |= {"hours_from": None, "hours_to": None, "hours_zone": ""}
        else:
            data["hours_zone"] = data["hours_zone"] or "UTC"
        return data


class ContactForm(forms.Form):
    """How a contributor is called and told. The webhook's address may hold a secret, so it is not shown again."""

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
        help_text="Only for notices about what you lent, three a day at most. Empty: none.",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    webhook = forms.CharField(
        label="Webhook for notices",
        required=False,
        max_length=500,
        help_text="An https address that is sent each notice as JSON. Empty leaves it as it is.",
        widget=forms.URLInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    forget_webhook = forms.BooleanField(label="Forget the webhook", required=False)

    def __init__(self, *args: Any, contributor: Contributor, **kwargs: Any) -> None:
        initial = {"name": contributor.name, "email": contributor.email}
        super().__init__(*args, **{"initial": initial, **kwargs})
        if not settings.EMAIL_CONFIGURED:
            self.fields["email"].help_text = "This site has no mail server yet: nothing is sent."
        if not contributor.webhook:
            del self.fields["forget_webhook"]

    def clean_webhook(self) -> str:
        return https_address(self.cleaned_data["webhook"])

    def new_webhook(self) -> str | None:
        """As `services.save_contact` takes it."""
        if self.cleaned_data.get("forget_webhook"):
            return ""
        return self.cleaned_data["webhook"] or None


def https_address(text: str) -> str:
    """Where a webhook may go; "" stays empty. Raises ValidationError."""
    url = text.strip()
    if url:
        try:
            secure = outward.destination(url).secure
        except outward.Refused as exc:
            raise ValidationError(f"This address {exc}.") from exc
        if not secure:
            raise ValidationError("Give an address that begins with https://.")
    return url


def _initial(credential: Credential) -> dict[str, Any]:
    return {
        "calls_a_day": credential.calls_a_day,
        "model_calls": "\n".join(
            f"{glob} {calls}" for glob, calls in sorted(credential.model_calls_a_day.items())
        ),
        "hours_from": credential.hours_from,
        "hours_to": credential.hours_to,
        "hours_zone": credential.caps.hours.zone if credential.caps.hours else "",
        "allowed_models": "\n".join(credential.allowed_models),
        "stop_below_percent": credential.stop_below_percent,
    }


def _lines(text: str) -> list[tuple[int, str]]:
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line]
    if len(lines) > _MOST_LINES:
        raise ValidationError(
            f"These are more than {_MOST_LINES} lines. Use stars for whole families."
        )
    return lines
