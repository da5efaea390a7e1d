import pytest
from django.conf import settings

from gateway.lib.site_registry import BY_NAME, SETTINGS, checked, contradictions, seeds


def test_every_setting_exists_and_has_a_default_that_may_be_set():
    for setting in SETTINGS:
        assert hasattr(settings, setting.key), setting.name
        assert setting.checked(getattr(settings, setting.key)) == getattr(settings, setting.key)


def test_names_are_told_once_with_words():
    assert len(BY_NAME) == len(SETTINGS)
    assert all(setting.words.endswith(".") and setting.section for setting in SETTINGS)
    assert all(setting.choices for setting in SETTINGS if setting.kind == "choice")


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("AUTO_BAN", True, True),
        ("RETRY_429_MAX_RETRIES", 0, 0),
        ("RETRY_429_INTERVAL", 2, 2.0),
        ("AUTO_BAN_ERROR_CODES", [403, 401, 403], [401, 403]),
        ("AUTO_BAN_ERROR_CODES", [], []),
        ("DEFAULT_CHAT_MODEL", " gemini-2.5-pro ", "gemini-2.5-pro"),
        ("PROXY", "", ""),
        ("PROXY", "http://u:p@proxy.example:3128", "http://u:p@proxy.example:3128"),
        ("LOG_LEVEL", "DEBUG", "DEBUG"),
        ("REWARD_CREDITS", "0.50", "0.5"),
        ("REWARD_CREDITS", "0", "0"),
    ],
)
def test_what_fits_is_kept(name, value, kept):
    assert checked({name: value}) == ({name: kept}, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTO_BAN", 1),
        ("AUTO_BAN", "true"),
        ("RETRY_429_MAX_RETRIES", -1),
        ("RETRY_429_MAX_RETRIES", 101),
        ("RETRY_429_MAX_RETRIES", 1.5),
        ("RETRY_429_MAX_RETRIES", True),
        ("RETRY_429_INTERVAL", float("nan")),
        ("RETRY_429_INTERVAL", float("inf")),
        ("RETRY_429_INTERVAL", "1"),
        ("ANTI_TRUNCATION_MAX_ATTEMPTS", 0),
        ("AUTO_BAN_ERROR_CODES", "403"),
        ("AUTO_BAN_ERROR_CODES", [200]),
        ("AUTO_BAN_ERROR_CODES", [True]),
        ("AUTO_BAN_ERROR_CODES", [[403]]),
        ("SAFETY_DEFAULT", "NONE"),
        ("SAFETY_DEFAULT", ["OFF"]),
        ("DEFAULT_CHAT_MODEL", "a\nb"),
        ("DEFAULT_CHAT_MODEL", "a\0"),
        ("DEFAULT_CHAT_MODEL", "x" * 201),
        ("DEFAULT_CHAT_MODEL", None),
        ("PROXY", "proxy.example"),
        ("REWARD_CREDITS", "-1"),
        ("REWARD_CREDITS", "NaN"),
        ("REWARD_CREDITS", "0.0000001"),
        ("REWARD_CREDITS", 0.5),
        ("SECRET_KEY", "x"),
    ],
)
def test_what_does_not_is_refused_in_words(name, value):
    good, wrong = checked({name: value})
    assert good == {}
    assert wrong[name].endswith(".")


def test_a_proxy_is_shown_without_its_login():
    assert BY_NAME["PROXY"].shown("http://u:p@proxy.example:3128") == "http://proxy.example:3128"


def test_nobody_could_lend_without_a_code():
    assert "LENDING" in contradictions({"LENDING": "invite"}, ["", " "])
    assert contradictions({"LENDING": "invite"}, ["abc"]) == {}
    assert contradictions({"LENDING": "open"}, []) == {}


def test_a_file_gives_other_defaults(tmp_path):
    file = tmp_path / "site.toml"
    file.write_text('retry_429_interval = 3\nAUTO_BAN = true\nproxy = "http://p.example:1"\n')
    found, wrong = seeds(str(file), {"AUTO_BAN"})
    assert found == {"RETRY_429_INTERVAL_S": 3.0, "UPSTREAM_PROXY": "http://p.example:1"}
    assert wrong == []
    assert seeds("", set()) == ({}, [])


@pytest.mark.parametrize("text", ["auto_ban = yes", "auto_ban = 1", "secret_key = 'x'", "\x00"])
def test_a_file_that_cannot_be_taken_says_why(tmp_path, text):
    file = tmp_path / "site.toml"
    file.write_text(text)
    found, wrong = seeds(str(file), set())
    assert (found, len(wrong)) == ({}, 1)
    assert len(seeds(str(tmp_path / "none.toml"), set())[1]) == 1
