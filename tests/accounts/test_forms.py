from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from accounts.forms.keys import CreditsField, NamesField
from accounts.forms.setup import SetupForm

GOOD = {"username": "alice", "password": "rather-long-words", "repeat": "rather-long-words"}


def test_a_good_account():
    assert SetupForm(GOOD).is_valid()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"username": ""}, "username"),
        ({"username": "a b"}, "username"),
        ({"password": "short", "repeat": "short"}, "password"),
        ({"password": "password", "repeat": "password"}, "password"),
        (
            {"username": "wellspring", "password": "wellspring1", "repeat": "wellspring1"},
            "password",
        ),
        ({"repeat": "rather-other-words"}, "repeat"),
        ({"repeat": ""}, "repeat"),
    ],
)
def test_an_error_stands_at_its_field(changes, field):
    assert list(SetupForm(GOOD | changes).errors) == [field]


def test_spaces_belong_to_a_password():
    form = SetupForm(GOOD | {"password": " rather-long ", "repeat": " rather-long "})
    assert form.is_valid()
    assert form.cleaned_data["password"] == " rather-long "


@pytest.mark.parametrize(
    ("typed", "names"),
    [("", []), (" , ", []), ("a, *flash* ,b", ["a", "*flash*", "b"]), ("a\nb", ["a", "b"])],
)
def test_names_are_a_list_typed_as_text(typed, names):
    assert NamesField().clean(typed) == names


def test_names_are_shown_as_text():
    assert NamesField().prepare_value(["a", "b"]) == "a, b"


@pytest.mark.parametrize(
    ("typed", "micros"), [("", None), ("0", 0), ("2.5", 2_500_000), ("0.000001", 1)]
)
def test_credits_are_exact(typed, micros):
    assert CreditsField().clean(typed) == micros


@pytest.mark.parametrize("typed", ["-1", "0.0000001", "NaN", "Infinity", "1e13", "ten"])
def test_what_is_no_amount_is_refused(typed):
    with pytest.raises(ValidationError):
        CreditsField().clean(typed)
