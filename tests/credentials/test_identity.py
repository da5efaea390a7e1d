import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.identity import masked_email, masked_key
from tests.credentials.samples import api_key


@pytest.mark.parametrize(
    ("email", "masked"),
    [
        ("alice@example.org", "al…e@example.org"),
        ("bob@example.org", "b…@example.org"),
        ("a@example.org", "a…@example.org"),
        ("@example.org", "…@example.org"),
        ("no-address", "no…"),
        ("", ""),
    ],
)
def test_an_address_is_known_by_its_owner_only(email, masked):
    assert masked_email(email) == masked


@given(st.emails())
def test_no_whole_name_is_shown(email):
    name, _, host = email.rpartition("@")
    shown = masked_email(email)
    assert shown.endswith(f"…@{host}") or "…" in shown
    assert not shown.startswith(f"{name}@")


def test_of_a_key_four_letters_are_shown():
    assert masked_key(api_key(1234)) == "key …1234"
    assert masked_key("short") == "key"
