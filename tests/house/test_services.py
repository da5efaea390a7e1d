"""The helpers that find or start PostgreSQL and Redis."""

from __future__ import annotations

import psycopg
import pytest
import redis

from tests import services


def test_each_use_gets_an_empty_postgresql_database_which_is_dropped_afterwards(postgres_url):
    with services.postgres_database() as first, services.postgres_database() as second:
        with psycopg.connect(first) as connection:
            connection.execute("CREATE TABLE mark (id int)")
        with psycopg.connect(second) as connection, pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT * FROM mark")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(first)


def test_each_use_gets_its_own_redis_database_which_is_emptied_afterwards(redis_url):
    with services.redis_database() as first, services.redis_database() as second:
        assert first != second
        with redis.Redis.from_url(first) as client:
            client.set("mark", "1")
    with redis.Redis.from_url(first) as client:
        assert client.dbsize() == 0


def test_a_private_postgresql_lets_us_create_databases_and_is_gone_afterwards(postgres_url):
    try:
        with services.private_postgres() as dsn:
            assert services._may_create_databases(dsn)
    except services.Missing:
        pytest.skip("a server runs, but its binaries are not on this machine")
    assert not services._may_create_databases(dsn)


def test_a_private_redis_answers_and_is_gone_afterwards(redis_url):
    try:
        with services.private_redis() as url:
            assert services._answers(url)
    except services.Missing:
        pytest.skip("a server runs, but its binary is not on this machine")
    assert not services._answers(url)


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip), ("true", pytest.fail)])
def test_a_missing_server_skips_a_developers_test_and_fails_the_pipelines(monkeypatch, ci, outcome):
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome.Exception, match="no redis-server is installed"):
        services.give_up("no redis-server is installed")
