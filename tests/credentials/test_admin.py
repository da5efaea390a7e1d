import pytest
from cryptography.fernet import Fernet
from django.contrib.auth import get_user_model
from django.urls import reverse

from credentials import links, services
from credentials.models import Contributor, Credential, Notice, QuotaReading, StateChange
from credentials.services import Event, StateMove
from gateway.lib.audit import AuditEntry
from tests.credentials.samples import (
    ACCESS_TOKEN,
    CLIENT_SECRET,
    REFRESH_TOKEN,
    api_key,
    as_bytes,
    gcli2api,
    oauth_secret,
    store_key,
    store_login,
)

pytestmark = pytest.mark.django_db

LIST = "admin:credentials_credential_changelist"
ADD = "admin:credentials_credential_add"
CHANGE = "admin:credentials_credential_change"


@pytest.fixture
def operator(client):
    client.force_login(get_user_model().objects.create_superuser("olga", password="x"))
    return client


def text(response) -> str:
    assert response.status_code == 200, response
    return response.content.decode()


def test_no_page_shows_a_secret(operator):
    key, login = store_key(), store_login(email="alice@example.org")
    move = StateMove(credential_id=login.pk, event=Event.RATE, model="m", reason="rate_limited")
    services.apply_verdicts([move])
    pages = "".join(
        text(operator.get(url))
        for url in (
            reverse(LIST),
            reverse(CHANGE, args=[key.pk]),
            reverse(CHANGE, args=[login.pk]),
            reverse("admin:credentials_statechange_changelist"),
        )
    )
    assert "rate_limited" in pages
    assert "alice@example.org" in pages
    for secret in (api_key(), ACCESS_TOKEN, REFRESH_TOKEN, CLIENT_SECRET, login.secret.token):
        assert secret not in pages


def test_a_paste_becomes_credentials(operator):
    paste = as_bytes([gcli2api()]).decode()
    response = operator.post(reverse(ADD), {"paste": paste}, follow=True)
    assert REFRESH_TOKEN not in text(response)
    credential = Credential.objects.get()
    assert credential.project_id == "made-up-project"
    assert credential.secret.open()["refresh_token"] == REFRESH_TOKEN


def test_a_paste_of_several_keys_with_one_that_is_none(operator):
    paste = f"{api_key(1)}\n{api_key(2)}\nsk-something-else\n"
    page = text(operator.post(reverse(ADD), {"paste": paste}, follow=True))
    assert Credential.objects.count() == 2
    assert "2 credentials were taken in" in page
    assert "OpenAI" in page
    assert api_key(1) not in page


def test_a_paste_without_anything_usable_is_refused_and_not_shown_again(operator):
    secret = "1//0aSecretThatWasPastedAlone"
    page = text(operator.post(reverse(ADD), {"paste": secret}))
    assert "bare refresh token" in page
    assert secret not in page
    assert not Credential.objects.exists()


def test_the_form_edits_the_name_and_the_weight_and_nothing_else(operator):
    credential = store_login()
    data = {
        "label": "Alice's",
        "weight": "3",
        "contributor": "",
        "state": "disabled",
        "secret": "x",
        "model_states-TOTAL_FORMS": "0",
        "model_states-INITIAL_FORMS": "0",
    }
    operator.post(reverse(CHANGE, args=[credential.pk]), data)
    before = credential.revision
    credential.refresh_from_db()
    assert (credential.label, credential.weight, credential.state) == ("Alice's", 3, "active")
    assert credential.secret.open() == oauth_secret()
    assert credential.revision > before


def test_the_actions_go_through_the_services(operator):
    active, withdrawn = store_key(1), store_key(2)
    services.set_state(credential_id=withdrawn.pk, event=Event.WITHDRAWN)
    rows = {"_selected_action": [active.pk, withdrawn.pk]}
    page = text(operator.post(reverse(LIST), {"action": "disable", **rows}, follow=True))
    active.refresh_from_db()
    withdrawn.refresh_from_db()
    assert (active.state, withdrawn.state) == ("disabled", "withdrawn")
    assert "withdrawn" in page
    operator.post(reverse(LIST), {"action": "enable", **rows})
    active.refresh_from_db()
    assert active.state == "active"
    assert StateChange.objects.filter(credential=active).count() == 2


def test_credentials_and_their_history_are_not_deleted_here(operator):
    credential = store_key()
    services.set_state(credential_id=credential.pk, event=Event.DISABLED)
    change = StateChange.objects.get()
    for name, pk in (("credential", credential.pk), ("statechange", change.pk)):
        url = reverse(f"admin:credentials_{name}_delete", args=[pk])
        assert operator.post(url, {"post": "yes"}).status_code == 403


def test_a_secret_without_its_key_is_shown_as_such(operator, settings):
    store_key()
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert "missing from ENCRYPTION_KEYS" in text(operator.get(reverse(LIST)))


def test_the_list_costs_the_same_however_long_it_is(operator, django_assert_max_num_queries):
    for number in range(30):
        store_key(number)
    with django_assert_max_num_queries(8):
        text(operator.get(reverse(LIST)))


def test_contributors_notices_and_readings_are_only_read_here(operator):
    ada = Contributor.objects.create(name="Ada", webhook={"url": "https://hooks.example/s3cret"})
    row = store_key(contributor_id=ada.pk)
    notice = Notice.objects.create(credential=row, kind="needs_attention", words="Do this.")
    reading = QuotaReading.objects.create(credential=row, model="pro", remaining_fraction=0.5)
    for name, one in (("contributor", ada), ("notice", notice), ("quotareading", reading)):
        assert text(operator.get(reverse(f"admin:credentials_{name}_changelist")))
        page = text(operator.get(reverse(f"admin:credentials_{name}_change", args=[one.pk])))
        for secret in ("s3cret", ada.webhook.token, links.token_of(ada)):
            assert secret not in page
        change = reverse(f"admin:credentials_{name}_change", args=[one.pk])
        assert operator.post(change, {"name": "x"}).status_code == 403
        delete = reverse(f"admin:credentials_{name}_delete", args=[one.pk])
        assert operator.post(delete, {"post": "yes"}).status_code == 403


def test_the_history_names_who_did_it(operator):
    row = store_key()
    operator.post(reverse(LIST), {"action": "disable", "_selected_action": [row.pk]})
    assert StateChange.objects.get().by == "olga"


def test_what_is_done_here_is_in_the_audit_too(operator):
    operator.post(reverse(ADD), {"paste": api_key(1)})
    row = Credential.objects.get()
    edited = {"label": "mine", "weight": "2", "contributor": ""}
    no_models = {"model_states-TOTAL_FORMS": "0", "model_states-INITIAL_FORMS": "0"}
    operator.post(reverse(CHANGE, args=[row.pk]), {**edited, **no_models})
    operator.post(reverse(LIST), {"action": "disable", "_selected_action": [row.pk]})
    entries = AuditEntry.objects.order_by("pk")
    assert [(entry.action, entry.address) for entry in entries] == [
        ("credentials.import", "127.0.0.1"),
        ("credentials.edit", "127.0.0.1"),
        ("credentials.disable", "127.0.0.1"),
    ]
    assert entries[1].detail == {"fields": ["label", "weight"]}
