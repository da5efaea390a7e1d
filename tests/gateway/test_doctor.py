"""The findings of `manage.py doctor`."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO

import pytest
from celery import Celery
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction
from django.utils import timezone

from credentials.selectors import Changes
from gateway import doctor
from gateway.doctor import Status
from gateway.lib import broker
from gateway.lib.models import bump
from quotas.models import Holder
from tests.credentials.samples import store_key
from tests.fakes.proxies import FakeProxy

pytestmark = pytest.mark.django_db


class Refusing(BaseHTTPRequestHandler):
    """404 for everything, as Google's addresses answer at their root."""

    def do_HEAD(self):
        self.send_error(404)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def upstream():
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def nobody():
    """An address at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{probe.getsockname()[1]}"


def point_upstreams(settings, url):
    for name in doctor.UPSTREAMS:
        setattr(settings, name, url)


@pytest.fixture
def healthy(settings, upstream, tmp_path):
    point_upstreams(settings, upstream)
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_in": str(tmp_path)}


def run(*arguments):
    out = StringIO()
    call_command("doctor", *arguments, stdout=out)
    return out.getvalue()


def test_a_healthy_house_passes_a_line_each(healthy):
    lines = run().splitlines()
    assert [line.split(":")[0] for line in lines] == [
        *("ok   settings", "ok   database", "ok   broker", "ok   channel layer"),
        *("ok   encryption", "ok   pictures", "ok   clock"),
        *(f"ok   {name}" for name in doctor.UPSTREAMS),
        "ok   disk",
    ]


def test_json_is_one_object(healthy):
    answer = json.loads(run("--json"))
    assert answer["ok"] is True
    assert set(answer["findings"][0]) == {"status", "name", "words"}


def test_a_failure_makes_the_exit_code_and_hides_nothing(healthy, settings):
    settings.ENCRYPTION_KEYS = ["planted-secret"]
    out = StringIO()
    with pytest.raises(CommandError, match="1 of 14"):
        call_command("doctor", stdout=out)
    assert "fail settings: gateway.E001" in out.getvalue()
    assert "ok   disk" in out.getvalue()
    assert "planted-secret" not in out.getvalue()


def test_doubtful_settings_warn(settings):
    settings.PANEL_PASSWORD = "pwd"
    assert doctor.settings_finding().status is Status.WARN


def test_a_database_that_fails_spares_what_needs_it(healthy, monkeypatch):
    def refuse():
        raise DatabaseError("disk I/O error\nand more")

    monkeypatch.setattr(doctor, "_write_and_take_back", refuse)
    findings = {finding.name: finding for finding in doctor.examine()}
    assert findings["database"].status is Status.FAIL
    assert findings["database"].words.endswith(": disk I/O error")
    assert "encryption" not in findings


def test_missing_migrations_are_counted(monkeypatch):
    monkeypatch.setattr(doctor, "_pending_migrations", lambda: 3)
    finding = doctor.database_finding()
    assert finding.status is Status.FAIL
    assert "3 migrations" in finding.words


def test_the_examination_leaves_no_row():
    assert doctor.database_finding().status is Status.OK
    with transaction.atomic():
        assert bump("doctor") == 1


def test_broker_folders_that_are_missing_warn(settings, tmp_path):
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_in": str(tmp_path / "none")}
    assert doctor.broker_finding().status is Status.WARN


def test_a_broker_that_does_not_answer_fails(settings, monkeypatch, nobody):
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {}
    url = nobody.replace("http", "redis")
    monkeypatch.setattr(broker, "current_app", Celery("lost", broker=url, set_as_current=False))
    assert doctor.broker_finding().status is Status.FAIL


def test_a_channel_layer_that_does_not_answer_fails(settings, nobody):
    url = nobody.replace("http", "redis")
    layer = {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [url]}}
    settings.CHANNEL_LAYERS = {"default": layer}
    assert doctor.channel_layer_finding().status is Status.FAIL


def test_a_folder_of_pictures_is_one_hosts(settings):
    for number, host in enumerate(("one.lan", "one.lan", "gone.lan")):
        Holder.objects.create(id=str(number), host=host, pid=number, beat_at=timezone.now())
    Holder.objects.filter(host="gone.lan").update(beat_at="2026-01-01T00:00Z")
    assert doctor.pictures_finding().status is Status.OK
    Holder.objects.create(id="3", host="two.lan", pid=3, beat_at=timezone.now())
    finding = doctor.pictures_finding()
    assert finding.status is Status.WARN
    assert "(one.lan, two.lan)" in finding.words
    settings.S3_BUCKET = "pictures"
    assert doctor.pictures_finding().status is Status.OK


def test_a_redis_that_says_nothing_is_not_waited_for(settings, monkeypatch):
    monkeypatch.setattr(doctor, "ANSWER_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = settings.REDIS_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        layer = {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [url]}}
        settings.CHANNEL_LAYERS = {"default": layer}
        assert doctor.channel_layer_finding().status is Status.FAIL


def test_redis_carries_broker_and_channel_layer(settings, monkeypatch, redis_url):
    layer = {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [redis_url]}}
    settings.CHANNEL_LAYERS = {"default": layer}
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {}
    monkeypatch.setattr(
        broker, "current_app", Celery("found", broker=redis_url, set_as_current=False)
    )
    assert doctor.channel_layer_finding().status is Status.OK
    assert doctor.broker_finding().status is Status.OK


def test_secrets_that_no_key_opens_fail():
    finding = doctor.encryption_finding(Changes((), (), (4, 7), 9))
    assert finding.status is Status.FAIL
    assert finding.words.startswith("2 stored secrets")


@pytest.mark.parametrize(
    ("ahead_s", "status"), [(0.5, Status.OK), (5, Status.WARN), (-60, Status.FAIL)]
)
def test_the_clock_is_compared_with_the_databases(monkeypatch, ahead_s, status):
    now_s = doctor.time.time()
    monkeypatch.setattr(doctor, "_database_now_s", lambda: now_s)
    monkeypatch.setattr(doctor.time, "time", lambda: now_s + ahead_s)
    assert doctor.clock_finding().status is status


def test_a_clock_of_the_wrong_century_fails(monkeypatch):
    monkeypatch.setattr(doctor, "_database_now_s", lambda: 0.0)
    monkeypatch.setattr(doctor.time, "time", lambda: 0.0)
    assert "the year is 1970" in doctor.clock_finding().words


def test_an_unreachable_upstream_matters_to_those_who_have_its_credentials(settings, nobody):
    point_upstreams(settings, nobody)
    found = {finding.name: finding.status for finding in doctor.upstream_findings({"gemini_api"})}
    assert found.pop("GEMINI_API_URL") is Status.FAIL
    assert set(found.values()) == {Status.WARN}


def test_an_upstream_is_reached_through_the_proxy(settings, upstream, nobody):
    point_upstreams(settings, nobody)
    settings.UPSTREAM_PROXY = upstream
    assert {finding.status for finding in doctor.upstream_findings(set())} == {Status.OK}


def test_no_finding_names_the_login_of_an_address(settings, nobody):
    point_upstreams(settings, nobody.replace("//", "//user:planted-secret@"))
    assert "planted-secret" not in str(doctor.upstream_findings(set()))


@pytest.mark.parametrize(
    ("free_bytes", "status"),
    [(2 * 1024**3, Status.OK), (1024**3 - 1, Status.WARN), (1024**2, Status.FAIL)],
)
def test_a_disk_that_fills_up_is_seen(monkeypatch, free_bytes, status):
    usage = shutil.disk_usage("/")._replace(free=free_bytes)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    assert doctor.disk_finding().status is status


def test_the_proxies_of_credentials_are_tried(settings, upstream):
    settings.GEMINI_API_URL = upstream.replace("127.0.0.1", "google.example")
    with (
        FakeProxy.running(
            "socks5", names={"google.example": "127.0.0.1"}, user="u", password="pw"
        ) as good,
        FakeProxy.running("socks5", refuse=True) as shut,
    ):
        [finding] = doctor.proxy_findings({good.url: [1, 2]})
        assert (finding.status, finding.words) == (Status.OK, "1 lead to Google")
        [finding] = doctor.proxy_findings({good.url: [1], shut.url: [4, 3]})
    assert finding.status is Status.WARN
    assert finding.words == "1 of 2 proxies lead nowhere; look at those of credentials 3, 4"
    assert list(doctor.proxy_findings({})) == []


def test_only_proxies_that_may_be_used_again_are_tried():
    row = store_key("a")
    row.proxy = {"url": "socks5://u:pw@h:1"}
    row.save()
    other = store_key("b")
    other.proxy, other.state = {"url": "socks5://gone:1"}, "withdrawn"
    other.save()
    found = doctor._proxied(doctor.credential_selectors.usable_rows_since(0))
    assert found == {"socks5://u:pw@h:1": [row.pk]}


def test_upstreams_are_reached_through_a_socks_proxy(settings, upstream):
    point_upstreams(settings, upstream.replace("127.0.0.1", "google.example"))
    with FakeProxy.running("socks5h", names={"google.example": "127.0.0.1"}) as proxy:
        settings.UPSTREAM_PROXY = proxy.url
        findings = doctor.upstream_findings({"gemini_api", "code_assist"})
    assert {finding.status for finding in findings} == {Status.OK}
