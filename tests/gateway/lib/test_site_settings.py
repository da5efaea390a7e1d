import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.db import connection

from gateway.lib import site_settings
from gateway.lib.errors import Conflict, InvalidRequest
from gateway.lib.models import Revision
from gateway.lib.site_settings import SettingsVersion, WrongValues
from tests.credentials.conftest import shared_database  # noqa: F401 - a fixture

RETRIES = "RETRY_429_MAX_RETRIES"


@pytest.fixture(autouse=True)
def _afterwards_as_before():
    yield
    site_settings.apply({})


@pytest.fixture
def change(db, django_capture_on_commit_callbacks):
    def change(version=None, **values):
        with django_capture_on_commit_callbacks(execute=True):
            return site_settings.change(values=values, actor="alice", version=version)

    return change


@pytest.fixture
def undo(db, django_capture_on_commit_callbacks):
    def undo(version=None):
        with django_capture_on_commit_callbacks(execute=True):
            return site_settings.undo(actor="alice", version=version)

    return undo


def told(name):
    return next(one for one in site_settings.told() if one.setting.name == name)


def test_a_change_is_in_force_at_once_and_numbered(change):
    before = settings.RETRY_429_MAX_RETRIES
    saved = change(RETRY_429_MAX_RETRIES=2, AUTO_BAN=True)
    assert (settings.RETRY_429_MAX_RETRIES, settings.AUTO_BAN) == (2, True)
    assert saved.version == SettingsVersion.objects.get().pk
    assert [(one.name, one.before, one.after) for one in saved.changes] == [
        (RETRIES, None, 2),
        ("AUTO_BAN", None, True),
    ]
    assert Revision.objects.get(topic="settings").number == 1
    one = told(RETRIES)
    assert (one.value, one.default, one.changed, one.locked) == (2, before, True, False)


def test_null_is_the_default_again(change):
    before = settings.RETRY_429_MAX_RETRIES
    change(RETRY_429_MAX_RETRIES=2)
    change(RETRY_429_MAX_RETRIES=None)
    assert before == settings.RETRY_429_MAX_RETRIES
    assert site_settings.stored()[1] == {}


def test_the_default_by_its_value_is_no_change(change):
    saved = change(RETRY_429_MAX_RETRIES=settings.RETRY_429_MAX_RETRIES)
    assert saved.changes == []
    assert not SettingsVersion.objects.exists()


def test_all_is_taken_or_nothing(change):
    with pytest.raises(WrongValues) as refused:
        change(RETRY_429_MAX_RETRIES=2, AUTO_BAN="yes", NO_SUCH=1)
    assert refused.value.words.keys() == {"AUTO_BAN", "NO_SUCH"}
    assert not SettingsVersion.objects.exists()
    with pytest.raises(WrongValues):
        change(NO_SUCH=None)


def test_what_does_not_go_together_is_refused(change):
    with pytest.raises(WrongValues) as refused:
        change(LENDING="invite")
    assert refused.value.words.keys() == {"LENDING"}


def test_the_environment_goes_before(change, monkeypatch):
    change(RETRY_429_MAX_RETRIES=2)
    monkeypatch.setattr(settings, "FIXED_BY_ENVIRONMENT", frozenset({RETRIES}))
    with pytest.raises(WrongValues):
        change(RETRY_429_MAX_RETRIES=3)
    one = told(RETRIES)
    assert (one.locked, one.changed, one.value) == (True, False, one.default)
    site_settings.apply(site_settings.stored()[1])
    assert settings.RETRY_429_MAX_RETRIES != 2


def test_a_change_by_an_older_reading_is_a_conflict(change):
    first = change(RETRY_429_MAX_RETRIES=2)
    change(version=first.version, RETRY_429_MAX_RETRIES=3)
    with pytest.raises(Conflict):
        change(version=first.version, RETRY_429_MAX_RETRIES=4)


def test_a_dry_run_only_tells(db):
    saved = site_settings.change(values={RETRIES: 2}, actor="alice", dry_run=True)
    assert [one.after for one in saved.changes] == [2]
    assert not SettingsVersion.objects.exists()
    assert not Revision.objects.filter(topic="settings").exists()


def test_undoing_goes_back_step_by_step(change, undo):
    change(RETRY_429_MAX_RETRIES=2)
    change(RETRY_429_MAX_RETRIES=3, AUTO_BAN=True)
    back = undo()
    assert site_settings.stored()[1] == {RETRIES: 2}
    assert [(one.name, one.before, one.after) for one in back.changes] == [
        (RETRIES, 3, 2),
        ("AUTO_BAN", True, None),
    ]
    undo()
    assert site_settings.stored()[1] == {}
    with pytest.raises(InvalidRequest):
        undo()


def test_one_undoing_can_be_undone(change, undo):
    change(RETRY_429_MAX_RETRIES=2)
    back = undo()
    undo(version=back.version)
    assert site_settings.stored()[1] == {RETRIES: 2}


def test_an_older_change_is_undone_alone(change, undo):
    first = change(AUTO_BAN=True)
    change(RETRY_429_MAX_RETRIES=2)
    undo(version=first.version)
    assert site_settings.stored()[1] == {RETRIES: 2}
    with pytest.raises(InvalidRequest):
        undo(version=first.version)


def test_what_was_changed_again_is_not_undone(change, undo):
    first = change(RETRY_429_MAX_RETRIES=2)
    change(RETRY_429_MAX_RETRIES=3)
    with pytest.raises(Conflict):
        undo(version=first.version)


def test_a_proxys_password_rests_sealed_and_is_never_told(change):
    change(PROXY="http://me:s3cret-word@proxy.example:3128")
    assert settings.UPSTREAM_PROXY == "http://me:s3cret-word@proxy.example:3128"
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM gateway_settingsversion")
        assert "s3cret-word" not in str(cursor.fetchall())
    assert told("PROXY").value == "http://proxy.example:3128"


def test_values_under_a_lost_key_leave_the_defaults(change, settings, caplog):
    change(RETRY_429_MAX_RETRIES=2)
    settings.ENCRYPTION_KEYS = ["MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="]
    assert site_settings.stored()[1] == {}
    assert "cannot be read" in caplog.text


def test_the_log_level_changes_what_is_logged(change):
    before = logging.getLogger().level
    change(LOG_LEVEL="ERROR")
    assert logging.getLogger().level == logging.ERROR
    change(LOG_LEVEL=None)
    assert logging.getLogger().level == logging.getLevelName(settings.LOG_LEVEL)
    logging.getLogger().setLevel(before)


def test_a_worker_asks_before_a_task_and_not_more_often(db, monkeypatch, django_assert_num_queries):
    now = [100.0]
    monkeypatch.setattr(site_settings.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(site_settings, "_next_look", 0.0)
    monkeypatch.setattr(site_settings, "_seen", -1)
    site_settings.refresh()
    site_settings.change(values={RETRIES: 2}, actor="alice")
    with django_assert_num_queries(0):
        site_settings.refresh()
    assert settings.RETRY_429_MAX_RETRIES != 2
    now[0] += 0.5
    site_settings.refresh()
    assert settings.RETRY_429_MAX_RETRIES == 2
    now[0] += 0.5
    with django_assert_num_queries(1):
        site_settings.refresh()


def test_changes_at_the_same_time_are_all_kept(shared_database):  # noqa: F811
    gate = threading.Barrier(4)

    def set_one(name):
        gate.wait()
        try:
            site_settings.change(values={name: 7}, actor=name)
        finally:
            connection.close()

    names = [RETRIES, "CALLS_PER_ROTATION", "PROBES_PER_HOUR", "LIMIT_QUEUE_LENGTH"]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(set_one, names))
    assert site_settings.stored()[1] == dict.fromkeys(names, 7)
