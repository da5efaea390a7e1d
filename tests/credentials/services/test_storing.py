import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credentials.importers import Found, parse
from credentials.models import Contributor, Credential, StateChange
from credentials.services import Event, Outcome, import_items, set_state, store
from gateway.lib.models import Revision
from tests.credentials.samples import (
    ACCESS_TOKEN,
    FUTURE,
    api_key,
    as_bytes,
    cliproxyapi,
    gemini_cli,
    oauth_secret,
    store_key,
    store_login,
)

pytestmark = pytest.mark.django_db


def outcomes(results) -> list[str]:
    return [result.outcome.value for result in results]


def import_file(value, **options):
    return import_items(items=parse("file.json", as_bytes(value)), **options)


@pytest.fixture
def bob():
    return Contributor.objects.create(name="Bob")


@pytest.fixture
def charlie():
    return Contributor.objects.create(name="Charlie")


def test_the_same_key_is_one_credential():
    first = store_key(label="first")
    assert store_key(label="second") == first
    assert store_key(2) != first
    first.refresh_from_db()
    assert first.label == "first"


def test_a_new_login_of_the_same_person_and_project_is_reconnected_in_place():
    first = store_login(email="alice@example.org", project="project-one")
    set_state(credential_id=first.pk, event=Event.REVOKED, reason="invalid_grant")
    newer = oauth_secret(refresh_token="1//newer")
    again = store_login(newer, email="Alice@example.org", project="project-one")
    assert again.pk == first.pk
    again.refresh_from_db()
    assert again.secret.open() == newer
    assert (again.state, again.state_reason) == ("active", "")
    assert StateChange.objects.first().reason == "reconnected"


def test_another_project_of_the_same_person_is_another_credential():
    first = store_login(email="alice@example.org", project="project-one")
    second = store_login(email="alice@example.org", project="project-two")
    assert first.pk != second.pk


def test_a_project_found_out_meanwhile_does_not_make_a_second_credential():
    first = store_login()
    Credential.objects.update(project_id="discovered")
    assert store_login().pk == first.pk


def test_a_file_may_bring_the_project_that_was_missing():
    first = store_login()
    assert store_login(project="project-one").pk == first.pk
    first.refresh_from_db()
    assert first.project_id == "project-one"


def test_the_same_login_again_keeps_our_younger_access_token():
    first = store_login()
    older = oauth_secret(access_token="ya29.older", expires_at=1.0)
    assert store_login(older).secret.open() == oauth_secret()
    assert first.revision == Credential.objects.get().revision


def test_a_file_with_the_oauth_client_mends_a_login_without():
    first = store_login(oauth_secret(client_id="", client_secret=""))
    set_state(credential_id=first.pk, event=Event.ATTENTION, reason="oauth_client")
    store_login()
    first.refresh_from_db()
    assert first.secret.open() == oauth_secret()
    assert first.state == "active"


def test_a_known_secret_does_not_lift_what_is_held_against_it():
    first = store_key()
    set_state(credential_id=first.pk, event=Event.REVOKED, reason="api_key_invalid")
    store_key()
    first.refresh_from_db()
    assert first.state == "expired"


def test_a_new_secret_does_not_lift_an_operators_decision():
    first = store_login(email="alice@example.org", project="project-one")
    set_state(credential_id=first.pk, event=Event.DISABLED)
    store_login(
        oauth_secret(refresh_token="1//newer"), email="alice@example.org", project="project-one"
    )
    first.refresh_from_db()
    assert first.state == "disabled"


def test_what_was_withdrawn_can_be_lent_again():
    first = store_key()
    set_state(credential_id=first.pk, event=Event.WITHDRAWN)
    assert store_key().pk == first.pk
    first.refresh_from_db()
    assert first.state == "active"
    assert first.secret.open() == {"api_key": api_key()}


def test_a_secret_without_its_key_is_replaced_when_it_comes_again(settings):
    first = store_key()
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert store_key().pk == first.pk
    first.refresh_from_db()
    assert first.secret.open() == {"api_key": api_key()}


def test_a_claimed_address_does_not_let_one_contributor_replace_anothers_login(bob, charlie):
    bobs = store_login(email="b@example.org", project="project-one", contributor_id=bob.pk)
    charlies = store_login(
        oauth_secret(refresh_token="1//c"),
        email="b@example.org",
        project="project-one",
        contributor_id=charlie.pk,
    )
    assert charlies.pk != bobs.pk
    bobs.refresh_from_db()
    assert bobs.secret.open() == oauth_secret()
    assert bobs.contributor == bob


def test_an_import_tells_what_became_of_each_item():
    store_key(1)
    text = f"{api_key(1)}\n{api_key(2)}\n{api_key(2)}\nsk-an-openai-key\n"
    results = import_items(items=parse("keys.txt", text.encode()))
    assert outcomes(results) == ["duplicate", "new", "duplicate", "unusable"]
    assert results[1].credential_id == results[2].credential_id
    assert "OpenAI" in results[3].reason


def test_every_project_of_a_list_becomes_a_credential_and_comes_back_as_known():
    value = cliproxyapi(project="project-one,project-two")
    assert outcomes(import_file(value)) == ["new", "new"]
    assert outcomes(import_file(value)) == ["duplicate", "duplicate"]
    assert set(Credential.objects.values_list("project_id", flat=True)) == {
        "project-one",
        "project-two",
    }


def test_a_dry_run_tells_the_same_and_stores_nothing():
    text = f"{api_key(1)}\n{api_key(1)}\n".encode()
    revision = Revision.objects.filter(topic="credentials").first()
    results = import_items(items=parse("keys.txt", text), dry_run=True)
    assert outcomes(results) == ["new", "duplicate"]
    assert not Credential.objects.exists()
    assert Revision.objects.filter(topic="credentials").first() == revision


def test_a_login_that_names_no_oauth_client_needs_the_one_of_the_settings(settings):
    settings.GOOGLE_OAUTH_CLIENT_ID = ""
    (result,) = import_file(gemini_cli())
    assert result.outcome is Outcome.UNUSABLE
    assert "GOOGLE_OAUTH_CLIENT_ID" in result.reason
    settings.GOOGLE_OAUTH_CLIENT_ID = "client"
    (result,) = import_file(gemini_cli())
    assert result.outcome is Outcome.NEW
    credential = Credential.objects.get()
    assert (credential.email, credential.source) == ("alice@example.org", "file.json")
    secret = credential.secret.open()
    assert (secret["access_token"], secret["expires_at"]) == (ACCESS_TOKEN, FUTURE)


def test_five_thousand_keys_with_a_hundred_duplicates():
    keys = [api_key(number) for number in range(4_900)]
    text = "\n".join([*keys, *keys[:100]]).encode()
    items = parse("keys.txt", text)
    with CaptureQueriesContext(connection) as queries:
        results = import_items(items=items)
    assert len(results) == 5_000
    assert outcomes(results).count("new") == 4_900
    assert outcomes(results).count("duplicate") == 100
    assert Credential.objects.count() == 4_900
    assert len(queries) < 250
    assert set(outcomes(import_items(items=items))) == {"duplicate"}


def test_names_longer_than_their_columns_are_cut():
    found = Found(
        provider="gemini_api", secret={"api_key": api_key()}, source="s" * 999, label="l" * 999
    )
    import_items(items=[found])
    credential = Credential.objects.get()
    assert (len(credential.label), len(credential.source)) == (200, 255)


def test_a_stored_credential_starts_active_for_the_feed():
    credential = store(provider="gemini_api", secret={"api_key": api_key()})
    assert (credential.state, credential.weight) == ("active", 1)
    assert credential.revision == Revision.objects.get(topic="credentials").number


def test_a_credential_without_a_name_gets_one_that_shows_nothing():
    label = store_key().label
    assert label.startswith("gemini_api ")
    assert label.split()[1] not in api_key()


def test_known_rows_are_locked_in_the_order_in_which_uses_are_booked():
    """Else the two may wait for each other: booking holds the rows of a batch by ascending id."""
    known = [store_login(project=f"p-{n}", email=f"p{n}@example.org") for n in range(3)]
    newer = [
        Found(
            provider="code_assist",
            secret=oauth_secret(refresh_token=f"1//newer-{n}"),
            source="",
            project=f"p-{n}",
            email=f"p{n}@example.org",
            label="",
        )
        for n in (2, 0, 1)
    ]
    with CaptureQueriesContext(connection) as queries:
        import_items(items=newer)
    (sql,) = [q["sql"] for q in queries if 'ON CONFLICT("id")' in q["sql"]]
    rows = [sql.index(Credential.objects.get(pk=one.pk).fingerprint) for one in known]
    assert rows == sorted(rows)


def test_two_imports_at_once_store_each_key_once(shared_database):
    items = parse("keys.txt", "\n".join(map(api_key, range(50))).encode())
    started = threading.Barrier(2)

    def import_once(_number: int) -> list[str]:
        try:
            started.wait(timeout=30)
            return outcomes(import_items(items=items))
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        both = sorted(threads.map(import_once, range(2)))
    assert both == [["duplicate"] * 50, ["new"] * 50]
    assert Credential.objects.count() == 50
