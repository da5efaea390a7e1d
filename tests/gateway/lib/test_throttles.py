from types import SimpleNamespace

import pytest
from django.core.cache import cache
from redis.exceptions import ConnectionError as RedisAway
from rest_framework.test import APIClient

from gateway.lib import throttles

ME = "/api/announcements/current"


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    cache.clear()
    now = SimpleNamespace(s=6_000.0)
    monkeypatch.setattr(throttles.time, "time", lambda: now.s)
    yield now
    cache.clear()


def ask(path=ME, **headers):
    return APIClient(headers=headers).get(path)


def test_strangers_have_so_many_requests_a_minute_from_an_address(db, settings, clock):
    settings.API_THROTTLE_ANON = 2
    assert [ask().status_code for _ in range(3)] == [200, 200, 429]
    refused = ask()
    assert refused["Retry-After"] == "60"
    assert refused.data["code"] == "rate_limit_exceeded"
    assert APIClient().get(ME, REMOTE_ADDR="203.0.113.9").status_code == 200
    clock.s += 60
    assert ask().status_code == 200


def test_a_header_does_not_make_another_address(db, settings):
    settings.API_THROTTLE_ANON = 1
    answers = [ask(**{"x-forwarded-for": f"203.0.113.{n}"}).status_code for n in range(2)]
    assert answers == [200, 429]


def test_whoever_is_known_has_their_own_allowance(db, settings, django_user_model):
    settings.API_THROTTLE_ANON, settings.API_THROTTLE_USER = 1, 2
    client = APIClient()
    client.force_login(django_user_model.objects.create_user("dora"))
    assert [client.get(ME).status_code for _ in range(3)] == [200, 200, 429]
    assert ask().status_code == 200


def test_zero_is_without_a_bound(db, settings):
    settings.API_THROTTLE_ANON = 0
    assert {ask().status_code for _ in range(5)} == {200}


def test_guesses_of_the_panel_password_end_soon(db, settings, clock):
    settings.PANEL_PASSWORD, settings.API_WRONG_TOKENS = "let-me-in", 3
    guesses = [ask("/api/jobs", authorization=f"Bearer guess{n}").status_code for n in range(5)]
    assert guesses == [401, 401, 401, 429, 429]
    # Not even the right one: else the next guess could be it.
    assert ask("/api/jobs", authorization="Bearer let-me-in").status_code == 429
    clock.s += 60
    assert ask("/api/jobs", authorization="Bearer let-me-in").status_code == 200


def test_guesses_of_tokens_count_too(db, settings):
    settings.API_WRONG_TOKENS = 1
    guess = "Bearer wsp_" + "A" * 43
    codes = [ask("/api/jobs", authorization=guess).status_code for _ in range(2)]
    assert codes == [401, 429]


def test_the_keys_of_calls_are_no_guesses(db, settings):
    settings.PANEL_PASSWORD, settings.API_WRONG_TOKENS = "let-me-in", 1
    for _ in range(3):
        assert ask("/api/jobs", authorization="Bearer sk-abc").status_code == 401


def test_a_cache_that_is_away_counts_nothing(db, settings, monkeypatch):
    settings.API_THROTTLE_ANON = settings.API_WRONG_TOKENS = 1
    settings.PANEL_PASSWORD = "let-me-in"

    def away(*_, **__):
        raise RedisAway("refused")

    for name in ("add", "incr"):
        monkeypatch.setattr(f"django.core.cache.cache.{name}", away, raising=False)
    assert {ask().status_code for _ in range(3)} == {200}


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("unix", "unix"),
        ("", ""),
    ],
)
def test_of_ipv6_the_network_counts(address, counted):
    assert throttles.address_of(SimpleNamespace(META={"REMOTE_ADDR": address})) == counted
