"""The system checks."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks

from gateway import checks
from gateway.settings import listen

GOOD_KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def ids():
    return {message.id for message in run_checks() if message.id.startswith("gateway.")}


def test_the_defaults_pass():
    assert ids() == set()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("ENCRYPTION_KEYS", [GOOD_KEY, "too-short"], "gateway.E001"),
        ("GEMINI_API_URL", "generativelanguage.googleapis.com", "gateway.E002"),
        ("GEMINI_API_URL", "", "gateway.E002"),
        ("CODE_ASSIST_ENDPOINT", "ftp://mirror.example", "gateway.E002"),
        ("OAUTH_PROXY_URL", "https://mirror.example:notaport", "gateway.E002"),
        ("GOOGLE_AUTH_URL", "https://mirror.example/?key=1", "gateway.E002"),
        ("UPSTREAM_PROXY", "socks9://127.0.0.1:1080", "gateway.E003"),
        ("UPSTREAM_PROXY", "socks4://user:secret@127.0.0.1:1080", "gateway.E003"),
        ("UPSTREAM_PROXY", "127.0.0.1:1080", "gateway.E003"),
        ("FETCH_PRIVATE_HOSTS", ["files.lan"], "gateway.E004"),
        ("FETCH_PRIVATE_HOSTS", ["http://files.lan:80"], "gateway.E004"),
        ("FETCH_PRIVATE_HOSTS", ["files.lan:99999"], "gateway.E004"),
        ("MAX_BODY_BYTES", 0, "gateway.E005"),
        ("DRAIN_TIMEOUT_S", -1, "gateway.E005"),
        ("REDIS_URL", "127.0.0.1:6379", "gateway.E008"),
        ("CHAT_IMAGES", "html", "gateway.E010"),
        ("LENDING", "everybody", "gateway.E011"),
        ("LENDING", "invite", "gateway.E012"),
        ("MEDIA_RETENTION_HOURS", 0, "gateway.E005"),
        ("MEDIA_RETENTION_HOURS", 1e6, "gateway.E034"),
        ("RESPONSE_RETENTION_HOURS", 1e9, "gateway.E034"),
        ("SIGNATURE_TTL_HOURS", -1, "gateway.E034"),
        ("MEDIA_LINK_HOURS", -1.0, "gateway.E005"),
        ("PUBLIC_URL", "gateway.example", "gateway.E030"),
        ("PUBLIC_URL", "https://gateway.example/?a=1", "gateway.E030"),
        ("S3_PUBLIC_URL", "ftp://pictures.example", "gateway.E030"),
        ("S3_ACCESS_KEY_ID", "an-id", "gateway.E031"),
        ("S3_PUBLIC_URL", "https://pictures.example", "gateway.E031"),
        ("SAFETY_DEFAULT", "NONE", "gateway.E020"),
        ("REQUEST_RETENTION_DAYS", -1, "gateway.E050"),
        ("USAGE_HOUR_RETENTION_DAYS", 10**9, "gateway.E050"),
        ("USAGE_DETAIL_DAYS", 0, "gateway.E051"),
        ("ANTI_TRUNCATION_MAX_ATTEMPTS", 0, "gateway.E005"),
        ("WRONG_KEYS_PER_MINUTE", 0, "gateway.E005"),
        ("LIMIT_WAIT_S", -1.0, "gateway.E060"),
        ("LIMIT_QUEUE_LENGTH", -1, "gateway.E060"),
    ],
)
def test_a_wrong_setting_stops_the_boot_with_a_hint(settings, name, value, expected):
    setattr(settings, name, value)
    found = [message for message in run_checks() if message.id == expected]
    assert len(found) == 1
    assert found[0].is_serious()
    assert found[0].hint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENCRYPTION_KEYS", [GOOD_KEY]),
        ("GEMINI_API_URL", "http://127.0.0.1:8089/google"),
        ("UPSTREAM_PROXY", "http://user:secret@10.0.0.1:3128"),
        ("UPSTREAM_PROXY", "socks5://user:secret@10.0.0.1:1080"),
        ("FETCH_PRIVATE_HOSTS", ["files.lan:8080", "10.0.0.5:80", "[::1]:80"]),
        ("API_PASSWORD", "correct horse battery staple"),
        ("PUBLIC_URL", "https://gateway.example:8443/g"),
        ("CHAT_IMAGES", "url"),
        ("S3_BUCKET", "pictures"),
    ],
)
def test_a_right_setting_passes(settings, name, value):
    setattr(settings, name, value)
    assert ids() == set()


def test_no_message_repeats_a_secret(settings):
    settings.ENCRYPTION_KEYS = ["planted-secret"]
    settings.UPSTREAM_PROXY = "socks9://user:planted-secret@127.0.0.1"
    settings.REDIS_URL = "http://:planted-secret@127.0.0.1"
    assert len(ids()) == 4
    assert "planted-secret" not in str(run_checks())


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_out_of_range_stops_the_boot(monkeypatch, port):
    monkeypatch.setattr(listen, "PORT", port)
    assert ids() == {"gateway.E006"}


def test_a_data_dir_that_cannot_be_made_stops_the_boot(monkeypatch, tmp_path):
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setattr(checks, "DATA_DIR", file / "data")
    assert ids() == {"gateway.E007"}


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("0.0.0.0", {"gateway.E009"}),
        ("gateway.lan", {"gateway.E009"}),
        ("127.0.0.1", set()),
        ("::1", set()),
        ("localhost", set()),
    ],
)
def test_debug_stays_on_this_machine(settings, monkeypatch, host, expected):
    settings.DEBUG = True
    monkeypatch.setattr(listen, "HOST", host)
    assert ids() == expected


@pytest.mark.parametrize(
    ("on", "codes", "expected"),
    [
        (True, [403, 400], {"gateway.W001"}),
        (True, [429], {"gateway.W001"}),
        (True, [401, 403], set()),
        (False, [400], set()),
    ],
)
def test_banning_for_a_clients_mistake_warns(settings, on, codes, expected):
    settings.AUTO_BAN = on
    settings.AUTO_BAN_ERROR_CODES = codes
    assert ids() == expected


def test_a_well_known_password_warns(settings):
    settings.PANEL_PASSWORD = "pwd"
    assert ids() == {"gateway.W002"}


def test_redis_beside_sqlite_warns(settings, monkeypatch):
    settings.REDIS_URL = "redis://127.0.0.1:6379/0"
    engine = "django.db.backends.sqlite3"
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", engine)
    assert ids() == {"gateway.W003"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"S3_ACCESS_KEY_ID": "an-id"}, {"gateway.E032"}),
        ({"S3_SECRET_ACCESS_KEY": "planted-secret"}, {"gateway.E032"}),
        ({"S3_ACCESS_KEY_ID": "an-id", "S3_SECRET_ACCESS_KEY": "planted-secret"}, set()),
        ({"MEDIA_LINK_HOURS": 200.0, "MEDIA_RETENTION_HOURS": 200.0}, {"gateway.E033"}),
        ({"MEDIA_LINK_HOURS": 200.0}, set()),
        (
            {
                "MEDIA_LINK_HOURS": 200.0,
                "MEDIA_RETENTION_HOURS": 200.0,
                "S3_PUBLIC_URL": "https://pictures.example",
            },
            set(),
        ),
    ],
)
def test_a_bucket_is_set_up_whole(settings, changes, expected):
    settings.S3_BUCKET = "pictures"
    for name, value in changes.items():
        setattr(settings, name, value)
    assert ids() == expected
    assert "planted-secret" not in str(run_checks())
