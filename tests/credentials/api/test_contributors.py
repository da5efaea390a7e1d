import time
from datetime import timedelta

import pytest

from credentials import links, services
from credentials.caps import upstream_day
from credentials.models import Contributor, DailyUse, Notice
from credentials.services import Event, StateMove
from gateway.lib.audit import AuditEntry
from tests.credentials.samples import store_key

pytestmark = pytest.mark.django_db

PEOPLE = "/api/contributors"


@pytest.fixture
def ada():
    """Lends two, took one back, and was told of trouble once."""
    ada = Contributor.objects.create(
        name="Ada", email="ada@example.org", webhook={"url": "https://hooks.example/s3cret"}
    )
    fine, broken, gone = (store_key(number, contributor_id=ada.pk) for number in range(1, 4))
    services.apply_verdicts(
        [StateMove(credential_id=broken.pk, event=Event.ATTENTION, reason="suspended")]
    )
    services.withdraw(credential_id=gone.pk)
    day = upstream_day(time.time())
    for back, row in ((0, fine), (40, gone)):
        DailyUse.objects.create(
            credential=row,
            day=day - timedelta(days=back),
            model="m",
            status=200,
            calls=5,
            input_tokens=1,
            output_tokens=2,
        )
    DailyUse.objects.create(credential=fine, day=day, model="m", status=500, calls=9)
    Notice.objects.create(credential=broken, kind="needs_attention", words="…")
    return ada


def test_what_each_lends_and_served(stella, ada):
    Contributor.objects.create(name="Bob")
    newest, found = stella.get(PEOPLE).json()["results"]
    assert (newest["name"], newest["lent"], newest["told_by"]) == ("Bob", 0, [])
    expected = {
        "id": ada.public_id,
        "name": "Ada",
        "told_by": ["email", "webhook"],
        "lent": 2,
        "usable": 1,
        "attention": 1,
        "withdrawn": 1,
        "served": 10,
        "input_tokens": 2,
        "output_tokens": 4,
        "notices_open": 1,
        "notices_unsent": 1,
    }
    assert found | expected == found


def test_they_can_be_searched(stella, ada):
    Contributor.objects.create(name="Bob")
    assert [one["name"] for one in stella.get(f"{PEOPLE}?q=ADA@").json()["results"]] == ["Ada"]
    assert stella.get(f"{PEOPLE}/{ada.public_id}").json()["name"] == "Ada"
    assert stella.get(f"{PEOPLE}/nobody").status_code == 404


def test_no_answer_holds_a_link_or_a_webhook(stella, olga, ada):
    for client in (stella, olga):
        for path in (PEOPLE, f"{PEOPLE}/{ada.public_id}"):
            text = client.get(path).content.decode()
            assert links.token_of(ada) not in text
            assert "s3cret" not in text
            assert ada.webhook.token not in text


def test_a_new_link_is_made_by_operators_alone_and_ends_the_old(stella, olga, ada):
    old = links.token_of(ada)
    assert stella.post(f"{PEOPLE}/{ada.public_id}/link").status_code == 403
    assert links.contributor_of(old) == ada
    answer = olga.post(f"{PEOPLE}/{ada.public_id}/link")
    assert answer["Cache-Control"] == "no-store"
    new = answer.json()["link"].rpartition("/")[2]
    assert links.contributor_of(old) is None
    assert links.contributor_of(new) == ada
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action) == ("olga", "contributors.link")
    assert new not in str(entry.detail)


def test_queries_do_not_grow(stella, ada, django_assert_max_num_queries):
    for number in range(20):
        store_key(number + 10, contributor_id=Contributor.objects.create(name=str(number)).pk)
    with django_assert_max_num_queries(8):
        stella.get(PEOPLE)
