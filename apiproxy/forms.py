from __future__ import annotations

from typing import Any

from django import forms

from apiproxy.models import PROVIDERS, VerdictRule
from apiproxy.rules import KINDS
from credentials.models import Provider

_EVERY = [("", "every one")]


class RuleForm(forms.ModelForm[VerdictRule]):
    provider = forms.ChoiceField(
        choices=_EVERY + [(name, Provider(name).label) for name in PROVIDERS], required=False
    )
    kind = forms.ChoiceField(
        choices=_EVERY + [(kind, kind.replace("_", " ")) for kind in KINDS], required=False
    )

    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = VerdictRule
        fields = (
            "status",
            "kind",
            "reason",
            "text",
            "provider",
            "action",
            "rest_s",
            "whole",
            "position",
            "enabled",
            "note",
        )
        labels = {
            "status": "HTTP status",
            "rest_s": "Rest, in seconds",
            "whole": "For every model",
            "text": "Message",
            "enabled": "In use",
            "position": "Place in the order",
        }
        help_texts = {
            "status": "400 to 599; 0: no answer came. Empty: every one.",
            "text": "Words that the message holds, or a pattern with *. Empty: every one.",
            "reason": "As in the list of errors below. Empty: every one.",
            "note": "What it is for.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["rest_s"].required = False
        self.initial["version"] = self.instance.revision if self.instance.pk else None

    def clean_rest_s(self) -> int:
        return self.cleaned_data.get("rest_s") or 0
