"""What a visitor types on /quota."""

from __future__ import annotations

from django import forms

_LONGEST_KEY = 200
_LONGEST_CODE = 100


class KeyForm(forms.Form):
    """The key is never put back into the page: whoever mistyped it types it again."""

    key = forms.CharField(
        label="Your API key",
        max_length=_LONGEST_KEY,
        widget=forms.PasswordInput(
            render_value=False,
            attrs={
                "autocomplete": "off",
                "autocapitalize": "none",
                "spellcheck": "false",
                "placeholder": "sk-…",
                # Password managers look for these before they offer to keep what was typed.
                "data-1p-ignore": "",
                "data-lpignore": "true",
                "data-bwignore": "",
            },
        ),
        error_messages={"required": "Paste your key: it begins with sk-."},
    )


class CodeForm(forms.Form):
    code = forms.CharField(
        label="Code",
        max_length=_LONGEST_CODE,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}
        ),
        error_messages={"required": "Type the code first."},
    )
