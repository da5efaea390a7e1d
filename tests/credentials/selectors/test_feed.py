import logging

import pytest
from cryptography.fernet import Fernet
from django.db import connection

from credentials import services
from credentials.models import Credential
from credentials.selectors import lent_ids, snapshot_of, usable_count, usable_rows_since
from credentials.services import Event, StateMove
from gateway.lib.crypto import SecretUnreadable
from tests.credentials.samples import (
    ACCESS_TOKEN,
    FUTURE,
    api_key,
    oauth_secret,
    store_key,
    store_login,
)

pytestmark = pytest.mark.django_db


def test_the_first_look_gives_everything():
    key = store_key(label="a key")
    login = store_login(project="project-one")
    changes = usable_rows_since(0)
    first, second = changes.credentials
    assert (first.id, first.provider, first.token, first.expires_at) == (
        key.pk,
        "gemini_api",
        api_key(),
        0.0,
    )
    assert (first.label, first.weight, first.contributor_id) == ("a key", 1, 0)
    assert (second.id, second.token, second.project, second.expires_at) == (
        login.pk,
        ACCESS_TOKEN,
        "project-one",
        FUTURE,
    )
    assert (second.state, second.state_until) == ("active", 0.0)
    assert changes.revision == login.revision


def test_later_looks_give_what_changed():
    key, _ = store_key(), store_login()
    seen = usable_rows_since(0).revision
    assert usable_rows_since(seen).credentials == ()
    services.set_state(credential_id=key.pk, event=Event.DISABLED)
    rest = StateMove(credential_id=key.pk, event=Event.RATE, model="m", until=FUTURE)
    services.apply_verdicts([rest])
    changes = usable_rows_since(seen)
    assert [(row.id, row.state) for row in changes.credentials] == [(key.pk, "disabled")]
    (row,) = changes.models
    assert (row.credential_id, row.model, row.state) == (key.pk, "m", "cooling")
    assert row.until > 0
    assert changes.revision == row.revision > seen


def test_however_many_changed_the_database_is_handed_no_list_of_them():
    """It takes only so many values: SQLite 32,766."""
    store_key(99)
    seen = usable_rows_since(0).revision
    handed = []

    def watch(execute, sql, params, many, context):
        handed.append(len(params or ()))
        return execute(sql, params, many, context)

    for n in range(30):
        key = store_key(n)
        rest = StateMove(credential_id=key.pk, event=Event.RATE, model="m", until=FUTURE)
        services.apply_verdicts([rest])
    with connection.execute_wrapper(watch):
        changes = usable_rows_since(seen)
    assert (len(changes.credentials), len(changes.models)) == (30, 30)
    assert max(handed) < 10


def test_the_first_look_leaves_out_what_is_not_held_against_anybody():
    key = store_key()
    for model, event in (("a", Event.RATE), ("b", Event.RATE), ("b", Event.RESTED)):
        services.apply_verdicts(
            [StateMove(credential_id=key.pk, event=event, model=model, until=FUTURE)]
        )
    assert [row.model for row in usable_rows_since(0).models] == ["a"]
    assert [(row.model, row.state) for row in usable_rows_since(key.revision).models] == [
        ("a", "cooling"),
        ("b", "active"),
    ]


def test_a_login_without_an_access_token_reads_as_one_to_refresh():
    store_login(oauth_secret(access_token="", expires_at=0.0))
    (row,) = usable_rows_since(0).credentials
    assert (row.token, row.expires_at) == ("", 1.0)


def test_a_withdrawn_credential_has_no_token_left():
    key = store_key()
    services.set_state(credential_id=key.pk, event=Event.WITHDRAWN)
    (row,) = usable_rows_since(0).credentials
    assert (row.state, row.token) == ("withdrawn", "")


def test_a_secret_without_its_key_harms_no_other(settings, caplog):
    keys = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    lost = store_key(1)
    settings.ENCRYPTION_KEYS = keys
    kept = store_key(2)
    with caplog.at_level(logging.ERROR):
        changes = usable_rows_since(0)
    assert [row.id for row in changes.credentials] == [kept.pk]
    assert changes.unreadable == (lost.pk,)
    assert f"credential {lost.pk}" in caplog.text
    assert Credential.objects.get(pk=lost.pk).secret.token not in caplog.text
    with pytest.raises(SecretUnreadable):
        snapshot_of(lost.pk)


def test_snapshots_do_not_show_their_secrets():
    store_key()
    store_login()
    assert api_key() not in repr(usable_rows_since(0))
    assert ACCESS_TOKEN not in repr(usable_rows_since(0))


def test_a_look_takes_three_queries(django_assert_num_queries):
    for number in range(20):
        store_key(number)
    with django_assert_num_queries(3):
        usable_rows_since(0)


def test_what_is_lent_and_what_of_it_could_take_a_call():
    active, cooling, rested, expired, withdrawn = (store_key(number) for number in range(5))
    services.apply_verdicts(
        [
            StateMove(credential_id=cooling.pk, event=Event.RATE, until=FUTURE),
            StateMove(credential_id=expired.pk, event=Event.REVOKED),
        ]
    )
    rest = StateMove(credential_id=rested.pk, event=Event.RATE, until=1_000.0)
    services.apply_verdicts([rest], now=900.0)
    services.set_state(credential_id=withdrawn.pk, event=Event.WITHDRAWN)
    assert lent_ids() == [active.pk, cooling.pk, rested.pk, expired.pk]
    assert usable_count() == (2, 4)
    services.pause(credential_id=active.pk)
    assert usable_count() == (1, 4)
