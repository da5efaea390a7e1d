from __future__ import annotations

import pytest

from accounts.forms import IssueKeyForm, KeyForm, SetupForm
from accounts.models import ApiKey

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
    ("typed", "models"), [("", []), (" , ", []), ("a, *flash* ,b", ["a", "*flash*", "b"])]
)
def test_models_are_a_list_typed_as_text(db, typed, models):
    form = KeyForm({"models": typed}, instance=ApiKey())
    assert form.is_valid()
    assert form.cleaned_data["models"] == models


def test_a_keys_models_are_shown_as_text(db):
    form = KeyForm(instance=ApiKey(allowed_models=["a", "b"]))
    assert form.fields["models"].initial == "a, b"


@pytest.mark.parametrize("quota", ["", "0", "-1", "0.0000001", "NaN", "1000000000001"])
def test_a_key_needs_a_quota(db, quota):
    assert "quota" in IssueKeyForm({"quota": quota}).errors
