"""What stewards fill in on the pages of the pool."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from credentials.models import Credential
from credentials.services import bulk, version_of
from credentials.tags import split
from gateway.lib.proxies import check_proxy_url


class EditForm(forms.Form):
    """The proxy goes in and never comes out."""

    version = forms.CharField(widget=forms.HiddenInput)
    label = forms.CharField(max_length=200, required=False)
    weight = forms.IntegerField(
        min_value=1,
        max_value=1000,
        help_text="One with 3 takes three times the calls of one with 1.",
    )
    tags = forms.CharField(required=False, help_text="Separated by commas.")
    proxy = forms.CharField(
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="A new one, such as socks5://user:password@host:1080. Empty: it stays as it is.",
    )
    forget_proxy = forms.BooleanField(label="Remove the proxy", required=False)

    def __init__(self, *args: Any, credential: Credential, **kwargs: Any) -> None:
        initial = {
            "version": version_of(credential),
            "label": credential.label,
            "weight": credential.weight,
            "tags": ", ".join(credential.tags),
        }
        super().__init__(*args, **{"initial": initial, **kwargs})
        if not credential.proxy:
            del self.fields["forget_proxy"]

    def clean_tags(self) -> list[str]:
        return _tags(self.cleaned_data["tags"])

    def clean_proxy(self) -> str:
        try:
            return check_proxy_url(self.cleaned_data["proxy"])
        except ValueError as exc:
            raise ValidationError(str(exc)) from None

    def changes(self) -> dict[str, Any]:
        """As `services.edit` takes them."""
        data = self.cleaned_data
        changes = {name: data[name] for name in ("label", "weight", "tags")}
        if data["proxy"]:
            changes["proxy"] = data["proxy"]
        elif data.get("forget_proxy"):
            changes["proxy"] = ""
        return changes


def _tags(text: str) -> list[str]:
    try:
        return split(text.split(","))
    except ValueError as exc:
        raise ValidationError(str(exc)) from None


class BulkForm(forms.Form):
    """What is done to many: the chosen rows, or all that the filter means."""

    WITH_TAG = frozenset({"add_tag", "remove_tag"})
    # Caps are many fields: the API sets them.
    CHOICES = [(name, one.title) for name, one in bulk.ACTIONS.items() if name != "set_caps"]

    action = forms.ChoiceField(choices=CHOICES)
    tag = forms.CharField(required=False, max_length=40)
    weight = forms.IntegerField(required=False, min_value=1, max_value=1000)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        action = data.get("action")
        if action in self.WITH_TAG and len(_tags(data.get("tag", ""))) != 1:
            self.add_error("tag", "Name one tag.")
        if action == "set_weight" and not data.get("weight"):
            self.add_error("weight", "Give a weight from 1 to 1000.")
        return data

    def params(self) -> dict[str, Any]:
        """As `bulk.begin` takes them."""
        data = self.cleaned_data
        if data["action"] in self.WITH_TAG:
            return {"tag": data["tag"].strip()}
        return {"weight": data["weight"]} if data["action"] == "set_weight" else {}
