"""What may stand in one file: lists, maps, several texts, rubbish."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.importers import MAX_BYTES, Found, Unusable, parse, reading
from tests.credentials.samples import adc, api_key, as_bytes, cliproxyapi, gcli2api, gemini_cli


def sources(items) -> list[str]:
    assert all(isinstance(item, Found) for item in items), items
    return [item.source for item in items]


def test_a_list_of_credentials_in_any_formats():
    items = parse("all.json", as_bytes([gcli2api(), gemini_cli(), adc(), cliproxyapi()]))
    assert sources(items) == ["all.json#1", "all.json#2", "all.json#3", "all.json#4"]


def test_a_map_from_names_to_credentials():
    items = parse("all.json", as_bytes({"accounts": {"alice": gcli2api(), "bob": adc()}}))
    assert sources(items) == ["all.json#accounts#alice", "all.json#accounts#bob"]


def test_several_objects_that_follow_one_another():
    text = json.dumps(gcli2api()) + "\n" + json.dumps(adc(), indent=2) + ",\n" + json.dumps(adc())
    assert len(sources(parse("lines.json", text.encode()))) == 3


def test_a_byte_order_mark_and_blanks_around_are_nothing():
    assert sources(parse("file.json", b"\xef\xbb\xbf  " + as_bytes(gcli2api()) + b"\n\n"))


def test_a_json_list_of_keys():
    items = parse("keys.json", as_bytes([api_key(1), api_key(2)]))
    assert [item.secret["api_key"] for item in items] == [api_key(1), api_key(2)]


def test_keys_under_names_that_say_so():
    value = {"gemini": {"apiKeys": [api_key(1)], "keys": ["AQ.Ab8RN6madeUpKeyOfNewForm"]}}
    assert len(sources(parse("config.json", as_bytes(value)))) == 2


def test_other_long_words_of_a_settings_file_are_no_keys():
    value = {"installationId": "6f1d2c3b-aaaa-bbbb-cccc-0123456789ab", "theme": "Dracula"}
    (item,) = parse("settings.json", as_bytes(value))
    assert isinstance(item, Unusable)


def test_broken_json_gives_no_secret_for_a_key():
    text = json.dumps(gcli2api(), indent=1)[:-20]
    assert parse("file.json", text.encode()) == [Unusable("file.json", "broken JSON")]


def test_broken_json_still_gives_keys_of_the_known_form():
    (item,) = parse("file.json", f'["{api_key(1)}",'.encode())
    assert item.secret == {"api_key": api_key(1)}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "an empty file"),
        (b" \n ", "an empty file"),
        (b"\xff\xfe\x00rubbish", "neither UTF-8 text nor a ZIP"),
        (b"Dear operator, no key today.", "no API key"),
        (b"[" * 50_000, "broken JSON"),
        (b"{}", "no API key"),
        (b"[[[[[[[[[1]]]]]]]]]", "no API key"),
        (b'{"a":' + b"9" * 5000 + b"}", "broken JSON"),
    ],
)
def test_what_is_of_no_use_is_said_in_words(data, reason):
    (item,) = parse("file", data)
    assert isinstance(item, Unusable)
    assert reason in item.reason


def test_a_file_may_not_be_endless():
    (item,) = parse("file", b"a" * (MAX_BYTES + 1))
    assert isinstance(item, Unusable)


def test_a_file_named_after_a_key_does_not_give_it_away():
    for name in (f"{api_key()}.txt", f"\x1b[31m{api_key()}\n.json"):
        for item in parse(name, as_bytes(adc())):
            assert api_key() not in repr(item) + item.source + item.label
            assert item.source.isprintable()


@given(st.binary(max_size=300))
def test_any_bytes_raise_nothing(data):
    assert all(isinstance(item, Found | Unusable) for item in parse("file", data))


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["token", "refresh_token", "expiry_date", "type", "key", "installed"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(_json)
def test_any_json_raises_nothing(value):
    assert all(isinstance(item, Found | Unusable) for item in parse("file", as_bytes(value)))


def test_a_long_text_takes_neither_long_nor_much_room():
    """Each of these took gigabytes: a text of millions of letters in a dump, a TOML key of thousands of dots."""
    program = """
import resource
from credentials.importers import parse
resource.setrlimit(resource.RLIMIT_AS, (600 * 2**20, 600 * 2**20))
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
for text in (
    "INSERT INTO t VALUES ('" + "a" * 20_000_000 + "');",
    "INSERT INTO t VALUES ('" + "''" * 10_000_000,
    "-- MySQL dump" + chr(10) + "INSERT INTO t VALUES ('" + "a" * 20_000_000,
    "[a]" + chr(10) + "a." * 200_000 + "b = 1",
):
    parse("x.sql", text.encode())
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[3])


def test_there_is_an_end_to_what_is_told_of_one_upload(monkeypatch):
    monkeypatch.setattr(reading, "MAX_PIECES", 5)
    items = parse("keys.txt", "\n".join(f"AIza-too-short-{number}" for number in range(9)).encode())
    assert len(items) == 6
    assert "the rest was left out" in items[-1].reason


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("help_url", "javascript:alert(1)"),
        ("label", "a\0b"),
        ("label", "a\ud800b"),
        ("tags", ["<b>"]),
        ("model_cooldowns", {"a\0b": 4e9}),
    ],
)
def test_what_no_page_and_no_database_should_see_is_left_out(field, value):
    (item,) = parse("a.json", json.dumps(gcli2api(disabled=False, **{field: value})).encode())
    known = item.known
    assert (known.help_url, known.label, known.tags, known.rests) == ("", "", [], {})


def test_a_token_with_signs_that_none_has_is_none():
    (item,) = parse("a.json", json.dumps(gcli2api(refresh_token="1//a\ud800b")).encode())
    assert "refresh_token" in item.reason
