import pytest

from credentials.importers import Found, Unusable, parse
from tests.credentials.samples import api_key

NEW_FORM = "AQ.Ab8RN6madeUpKeyOfTheNewForm_01"


def keys(text: str) -> list[str]:
    return [item.secret["api_key"] for item in parse("t", text.encode()) if isinstance(item, Found)]


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "  {}  ",
        "'{}',",
        "- {}",
        "1. {}",
        "GEMINI_API_KEY={}",
        'export GOOGLE_API_KEY="{}"',
        "api_key: {}",
    ],
)
@pytest.mark.parametrize("key", [api_key(), NEW_FORM])
def test_a_line_with_one_key(line, key):
    assert keys(line.format(key)) == [key]


@pytest.mark.parametrize(
    "line",
    [
        "Alice's key is {} (do not tell)",
        "https://example.org/v1beta/models?key={}&alt=sse",
        "alice@example.org,{},2026-01-01",
        "# {}",
        "DATABASE_PASSWORD={}",
    ],
)
def test_a_key_of_the_known_form_is_found_in_any_text(line):
    assert keys(line.format(api_key())) == [api_key()]


@pytest.mark.parametrize(
    "line",
    [
        "Alice's key is {}",
        "# {}",
        "DJANGO_SECRET={}",
        "DATABASE_PASSWORD={}",
        "https://example.org/{}",
    ],
)
def test_a_long_word_elsewhere_is_no_key(line):
    assert keys(line.format(NEW_FORM)) == []


def test_several_in_one_line_and_the_order_of_the_text():
    text = f"{api_key(3)} {api_key(1)}\n\n{api_key(2)};{api_key(3)}"
    assert keys(text) == [api_key(3), api_key(1), api_key(2), api_key(3)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (api_key()[:-1], "39 characters, this has 38"),
        (api_key() + "x", "39 characters, this has 40"),
        ("sk-proj-0123456789abcdefghij", "OpenAI"),
        ("ya29.a0AfB_0123456789abcdef", "access token"),
        ("1//0madeUpRefreshToken-0001", "refresh token"),
        ("eyJhbGciOiJIUzI1NiJ9.e30.abc", "JSON web token"),
    ],
)
def test_what_only_looks_like_a_key_is_told_apart(line, reason):
    (item,) = parse("keys.txt", f"{api_key(7)}\n{line}".encode())[1:]
    assert isinstance(item, Unusable)
    assert item.source == "keys.txt:2"
    assert reason in item.reason
    assert line not in item.reason


def test_the_label_tells_keys_apart_without_showing_them():
    first, second = parse("t", f"{api_key(1)}\n{api_key(2)}".encode())
    assert first.label != second.label
    assert first.label[4:] not in api_key(1)
